"""What a channel of new domains says of a name: that it arrived, left, or moved to other name servers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

import msgspec

LATE: Final = timedelta(days=7)
"""How long a channel may take to show a new domain, before that is worth a word."""
_SLACK: Final = timedelta(days=1)  # a list says the day, not the hour


class Channel(StrEnum):
    """Where new domains are seen. Each has its own first sight of a name, so that they can be compared."""

    LIST = "list"
    """Daily lists of newly registered domains."""
    ZONE = "zone"
    """Zone files, compared with the day before."""
    CT = "ct"
    """Names in certificates that were logged."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One registrable domain, canonical, as a channel showed it at `seen_at` (event time, UTC).

    `name_servers` are canonical, sorted: those that a zone delegates to, after the change (before it, where the name
    was removed); empty where the channel does not say.
    """

    name: str
    seen_at: datetime
    change: Literal["added", "removed", "name-servers"] = "added"
    name_servers: tuple[str, ...] = ()


def disagreements(seen: Mapping[Channel, datetime], created: datetime | None) -> tuple[str, ...]:
    """What does not fit between when channels first showed a domain and when its registry says it was created.

    Times are event times, UTC. A domain seen before it was created has been somebody's before; one that was created
    long before anybody saw it has lain idle, or its channels came to us late; a channel that shows it long after
    another may be late, or the name short-lived in what it watches.
    """
    if not seen:
        return ()
    said = []
    first = min(seen.values())
    if created is not None:
        for channel, at in sorted(seen.items(), key=lambda one: one[1]):
            if at < created - _SLACK:
                said.append(f"{channel.value} showed it {_days(created - at)} before it was created: registered again")
        if created < first - LATE:
            said.append(f"created {_days(first - created)} before any channel showed it")
    said += [
        f"{channel.value} showed it {_days(at - first)} after the first channel did"
        for channel, at in sorted(seen.items(), key=lambda one: one[1])
        if at > first + LATE
    ]
    return tuple(said)


def _days(time: timedelta) -> str:
    return "1 day" if time.days == 1 else f"{time.days} days"
