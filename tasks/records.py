"""What passes between the tasks of a run: small frozen records that point to rows and files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Run(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """A run that holds its source's lock."""

    source: str
    source_id: int
    run_id: int


class Collected(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """One slice of what a source has: documents that are stored and not yet read.

    `as_of` is the event time of a snapshot; `cursor` is what the load writes beside the facts. `more` says that the
    source has another slice. `problems` are parts that could not be had, each with its reason.
    """

    source: str
    source_id: int
    run_id: int
    snapshot: bool
    documents: tuple[int, ...] = ()
    as_of: datetime | None = None
    cursor: dict[str, Any] | None = None
    more: bool = False
    problems: tuple[str, ...] = ()
