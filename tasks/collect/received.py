"""A document that was received: dated, its bytes in the document store, its row still to be written.

In: what was fetched. Out: `Received`, which is small whatever the document's size. The bytes are there before the row
that names them; without a row they are in nobody's way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from db import documents
from intel.config.sources import Source
from intel.errors import ReadError
from intel.settings import settings
from tasks.collect.fetched import Fetched, expect_media
from tasks.collect.media import parse_http_date


@dataclass(frozen=True, kw_only=True)
class Received:
    """A document that is new: `digest` is the SHA-256 of its bytes in the store, `as_of` event time."""

    location: str
    digest: bytes
    size: int
    as_of: datetime
    fetched_at: datetime
    media_type: str = ""
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What one look at a source brought.

    `again` are documents whose bytes were loaded under another name or time: they say nothing new, and get a row so
    that they are not read again.
    """

    received: tuple[Received, ...] = ()
    again: tuple[Received, ...] = ()
    as_of: datetime | None = None
    cursor: dict[str, Any] | None = None
    more: bool = False
    problems: tuple[str, ...] = ()


def event_time(source: Source, location: str, last_modified: str, fetched_at: datetime) -> datetime:
    """The event time of a document: what its name says (options.as_of), its Last-Modified, or when it came.

    None lies after `fetched_at`: one date of 2099 would make every later snapshot older than the last, for ever.
    Raises ReadError where the name does not say it.
    """
    if source.options.as_of:
        return min(_named(source, location), fetched_at)
    dated = parse_http_date(last_modified) if last_modified else None
    return min(dated, fetched_at) if dated else fetched_at


def _named(source: Source, location: str) -> datetime:
    match = re.search(source.options.as_of, location)
    if match is None:
        raise ReadError(f"couldn't date {location}: options.as_of of {source.name} does not match it; it was not read")
    try:
        parts = {name: int(value) for name, value in match.groupdict().items() if value}
        return datetime(
            parts["year"], parts["month"], parts["day"], parts.get("hour", 0), parts.get("minute", 0), tzinfo=UTC
        )
    except (ValueError, KeyError, OverflowError):
        raise ReadError(
            f"couldn't date {location}: what options.as_of of {source.name} finds is no date; it was not read"
        ) from None


def receive(source: Source, location: str, fetched: Fetched) -> Received:
    """Keep the bytes of `fetched`. Raises ReadError for what is no document of its format or has no date."""
    expect_media(fetched, source.format.value)
    as_of = event_time(source, location, fetched.last_modified or "", fetched.fetched_at)
    return Received(
        location=location,
        digest=documents.put(settings().document_store, fetched.body),
        size=len(fetched.body),
        as_of=as_of,
        fetched_at=fetched.fetched_at,
        media_type=fetched.media_type or "",
        etag=fetched.etag or "",
        last_modified=fetched.last_modified or "",
    )
