"""Rows of db/pivot.py as records: links with their two ends and times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from intel.entities import Entity
from intel.spans import ALWAYS, Spans, joined


@dataclass(frozen=True, slots=True)
class Linked:
    """A link from `near`, which was asked about, to `far`; `out` where near is its subject."""

    near: int
    predicate: str
    out: bool
    far: int
    entity: Entity
    spans: Spans

    @property
    def key(self) -> tuple[int, str, int]:
        """Its subject, predicate and object."""
        return (self.near, self.predicate, self.far) if self.out else (self.far, self.predicate, self.near)


def read_links(rows: Sequence[Row[Any]], *, out: bool) -> Iterable[Linked]:
    """Links of a statement."""
    for row in rows:
        yield Linked(row.near, row.predicate, out, row.far, read_entity(row), _spans(row))


def read_entity(row: Row[Any]) -> Entity:
    """The entity in a row."""
    address = row.address or ""
    if address and row.bits != (128 if ":" in address else 32):
        address = f"{address}/{row.bits}"
    return Entity(row.kind, row.value, row.scope, address, row.digest.bytes)


def _spans(row: Row[Any]) -> Spans:
    if row.seen is not None:
        return joined(
            (
                -math.inf if one.lower is None else one.lower.timestamp(),
                math.inf if one.upper is None else one.upper.timestamp(),
            )
            for one in row.seen
        )
    if row.begins is None and row.ends is None:
        return ALWAYS
    return ((-math.inf if row.begins is None else row.begins, math.inf if row.ends is None else row.ends),)
