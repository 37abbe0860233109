"""When each channel first showed a domain, and where the channels disagree, in plain sentences. Pure.

In: first sightings per channel, the creation date that the record tells, and since when the domain's zone is compared.
Out: sentences. A domain created long before anybody saw it may have been kept for later, or was on hold; one that was
seen before it was created is another registration of the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

LONG_UNSEEN: Final = timedelta(days=30)
APART: Final = timedelta(days=2)
"""Daily lists and zone files are a day old when they come: a difference of less than this says nothing."""
_DAY: Final = timedelta(days=1)

CHANNELS: Final = {
    "list": "in a list of new domains",
    "zone": "in a zone",
    "ct": "in CT",
    "dns": "in passive DNS",
}
"""Channel -> where a domain was seen in it, in words."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """That a channel first showed a domain at a time (event time), and by which source."""

    channel: str
    at: datetime
    source: str = ""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshots of a zone that were compared: from the first to the last (event times)."""

    zone: str
    first: datetime
    last: datetime


class Creation(msgspec.Struct, frozen=True, kw_only=True):
    """When a domain was created, by its record: between two event times, a day apart where only the day is known."""

    since: datetime
    until: datetime


def disagreements(
    seen: Sequence[Seen], created: Creation | None = None, zones: Sequence[Compared] = ()
) -> tuple[str, ...]:
    """Where channels and record disagree, a sentence each; nothing where they agree."""
    ordered = sorted(seen, key=lambda one: (one.at, one.channel))
    said: list[str] = []
    if created is not None and ordered:
        said += _against_creation(ordered, created, zones)
    said += [
        f"seen {_where(one)} {words(one.at - ordered[0].at)} later than {_where(ordered[0])}"
        for one in ordered[1:]
        if one.at - ordered[0].at >= APART
    ]
    if not any(one.channel == "zone" for one in ordered):
        said += _missing(ordered, created, zones)
    return tuple(said)


def words(span: timedelta) -> str:
    """A span of time as people say it: `2 days`, `14 months` (to the nearest), `7 years` (full ones)."""
    days = abs(span).days
    if days < 1:
        hours = abs(span) // timedelta(hours=1)
        return f"{hours} hour{'s' * (hours != 1)}"
    if days < 90:
        return f"{days} day{'s' * (days != 1)}"
    return f"{round(days * 12 / 365.25)} months" if days < 731 else f"{days * 100 // 36525} years"


def _against_creation(ordered: Sequence[Seen], created: Creation, zones: Sequence[Compared]) -> list[str]:
    said = [
        f"seen {_where(one)} {words(created.since - one.at)} before it was created: re-registered?"
        for one in ordered
        if created.since - one.at >= _DAY
    ]
    first = ordered[0]
    # What the first snapshot of a zone holds was there before anybody looked.
    looked_late = first.channel == "zone" and any(first.at <= one.first for one in zones)
    if first.at - created.until >= LONG_UNSEEN and not looked_late:
        said.append(
            f"created {created.since:%Y-%m-%d}, first seen {first.at:%Y-%m-%d} {_where(first)}:"
            f" {words(first.at - created.until)} unseen"
        )
    return said


def _missing(ordered: Sequence[Seen], created: Creation | None, zones: Sequence[Compared]) -> list[str]:
    known = [*([created.until] if created is not None else []), *(one.at for one in ordered[:1])]
    since = max(known, default=None)
    if since is None:
        return []
    return [
        f"in no snapshot of the zone {one.zone} until {one.last:%Y-%m-%d}, {words(one.last - since)} later: never"
        " delegated, or gone within a day"
        for one in zones
        if one.first <= since and one.last - since >= APART
    ]


def _where(one: Seen) -> str:
    return CHANNELS.get(one.channel, f"in {one.channel}")
