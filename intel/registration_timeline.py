"""A registration's history: what changed, between which moments, who tells of it, and when nothing was known. Pure.

In: the chronicle of each voice (source and tier). Out: `Event`s, oldest first: the differences between the versions of
one voice, and where several voices tell of the same change, one event with all of them as witnesses; and `Gap`s.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Final

import msgspec

from intel.facts import State
from intel.registrars import Registrars
from intel.registration_differences import RECORD, Change, Difference, differences
from intel.registration_versions import (
    CREATED,
    DATES,
    EXPIRES,
    FIELDS,
    HIDING,
    REGISTRAR,
    Chronicle,
    Said,
)

UNWATCHED: Final = timedelta(days=30)
"""Between two looks that are farther apart than this, a change may have come and gone unseen: it is shown as a gap."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change as all its witnesses tell it: the interval is what they leave together, `at` their first look."""

    change: Change
    field: str
    before: Said
    after: Said
    since: datetime | None
    until: datetime
    dated: bool
    at: datetime
    witnesses: tuple[Difference, ...]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A period in which nothing was known: no voice gave an answer between `since` and `until` (event times).

    `before_first`: from the creation that the record tells to the first look; `open`: it lasts still.
    """

    since: datetime
    until: datetime
    before_first: bool = False
    open: bool = False

    @property
    def days(self) -> int:
        """Its length in whole days."""
        return (self.until - self.since).days


def timeline(chronicles: Sequence[Chronicle], book: Registrars) -> tuple[Event, ...]:
    """What changed in all that is told of a domain, oldest first."""
    told = sorted(
        (one for chronicle in chronicles for one in _of_one(chronicle, book)),
        key=lambda one: (one.until, one.at, one.voice, FIELDS.index(one.field) if one.field in FIELDS else -1),
    )
    events: list[list[Difference]] = []
    by_key: dict[tuple[object, ...], list[list[Difference]]] = {}
    for one in told:
        same = by_key.setdefault(_key(one, book), [])
        # A group ends with its first difference: what ended before this one began cannot be the same change.
        start = 0 if one.since is None else bisect_left(same, one.since, key=lambda group: group[0].until)
        joined = next((group for group in islice(same, start, None) if _meet(group, one)), None)
        if joined is None:
            same.append(joined := [])
            events.append(joined)
        joined.append(one)
    found = [_event(group) for group in events]
    return tuple(sorted(found, key=lambda one: (one.until, one.at)))


def gaps(chronicles: Sequence[Chronicle], now: datetime, *, longest: timedelta = UNWATCHED) -> tuple[Gap, ...]:
    """The periods of more than `longest` in which no voice gave an answer, oldest first."""
    looks = sorted({look.at for chronicle in chronicles for look in chronicle.looks})
    if not looks:
        return ()
    found = [Gap(since=one, until=other) for one, other in pairwise(looks) if other - one > longest]
    created = [
        at
        for chronicle in chronicles
        if chronicle.versions and (at := chronicle.versions[0].said(CREATED).at) is not None
    ]
    if created and looks[0] - min(created) > longest:
        found.insert(0, Gap(since=min(created), until=looks[0], before_first=True))
    # What a server says its data's time is may lie behind the hour in which it was asked.
    heard = max(look.recorded_at or look.at for chronicle in chronicles for look in chronicle.looks)
    if now - max(heard, looks[-1]) > longest:
        found.append(Gap(since=looks[-1], until=now, open=True))
    return tuple(found)


def _of_one(chronicle: Chronicle, book: Registrars) -> Iterator[Difference]:
    looks = [look.at for look in chronicle.looks]
    yield from _expired(chronicle)
    for before, after in pairwise(one for one in chronicle.versions if not one.unheard):
        earlier = bisect_left(looks, after.at)
        yield from differences(before, after, since=looks[earlier - 1] if earlier else None, book=book)


def _expired(chronicle: Chronicle) -> Iterator[Difference]:
    """That an expiry passed and was not moved: the first look after it that still gave it. Each expiry once."""
    told: set[tuple[str, ...]] = set()
    looks = [look.at for look in chronicle.looks]
    ends = [*(one.at for one in chronicle.versions[1:]), None]
    for version, end in zip(chronicle.versions, ends, strict=True):
        said = version.said(EXPIRES)
        over = said.until
        if over is None or said.values in told:
            continue
        first = bisect_left(looks, max(over, version.at))
        if first < len(looks) and (end is None or looks[first] < end):
            look = chronicle.looks[first]
            told.add(said.values)
            yield Difference(
                change=Change.EXPIRED, field=EXPIRES, before=said, after=said, voice=version.voice, look=look,
                since=said.at, until=over, dated=True,
            )  # fmt: skip


def _key(one: Difference, book: Registrars) -> tuple[object, ...]:
    return (one.change, one.field, _plain(one.field, one.before, book), _plain(one.field, one.after, book))


def _plain(field: str, said: Said, book: Registrars) -> tuple[object, ...]:
    """What two voices must agree on to tell of the same change: dates to the day, registrars by identity."""
    if said.state is not State.VALUE:
        # RDAP declares a redaction where WHOIS writes words in its place: hidden is hidden.
        return ("hidden",) if said.state in HIDING else (said.state,)
    if field in DATES:
        return tuple(value[:10] for value in said.values)
    if field == REGISTRAR:
        return tuple(book.identity(value) for value in said.values)
    return tuple(value.casefold() for value in said.values)


def _meet(group: Sequence[Difference], one: Difference) -> bool:
    """Whether one can tell of the same change as those of a group: another voice, and a moment that fits them all."""
    if any(other.voice == one.voice for other in group):
        return False
    low = max((other.since for other in (*group, one) if other.since is not None), default=None)
    return low is None or low <= min(other.until for other in (*group, one))


def _event(group: Sequence[Difference]) -> Event:
    first = min(group, key=lambda one: one.at)
    change = first.change
    if first.field == RECORD and all(one.voice.tier == "registrar" for one in group):
        # A registry decides whether there is such a domain; a registrar that a domain has left knows none.
        change = Change.DROPPED if change is Change.DELETED else Change.KNOWN_AGAIN
    lows = [one.since for one in group if one.since is not None]
    return Event(
        change=change, field=first.field, before=first.before, after=first.after,
        since=max(lows, default=None), until=min(one.until for one in group), dated=any(one.dated for one in group),
        at=first.at, witnesses=tuple(group),
    )  # fmt: skip
