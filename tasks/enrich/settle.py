"""What becomes of look-ups that were done: loaded, closed in the queue, and due again when it is worth asking.

In: things with their conversations. Out: `Settled`. Answers are loaded before rows of the queue are closed: a process
that dies between the two leaves claims that end, and answers that are used again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection

from db import lookup_queue as wishes
from db import lookup_servers as servers
from db.lookup_queue import Wanted
from intel.cadence import next_every
from intel.config.lookups import server_key
from intel.config.sources import Source
from intel.entities import entity
from intel.errors import WarehouseError
from intel.registration import Outcome, Registration
from tasks.collect.session import find_source
from tasks.enrich.answers import LATER, Conversation
from tasks.enrich.desk import Desk, best_of, outcome_of
from tasks.enrich.numbers import Numbers
from tasks.enrich.records import Lookup
from tasks.enrich.versions import Told, Versions, load_versions

log = logging.getLogger(__name__)

REFRESHED: Final = "watch"
"""The reason of what is asked about again because it is watched."""
_CONCLUSIVE: Final = frozenset({Outcome.REGISTERED, Outcome.NOT_FOUND})
_SOONER: Final = 20
"""A server says itself how long it wants to rest: what it throttled is tried again so many times sooner than others."""
_FINAL: Final = frozenset({"refused", Outcome.UNSUPPORTED})
"""Outcomes that asking again soon would not change."""


class Talked(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that was asked about: a domain with its conversation, anything else with what asking came to; with
    neither: it failed by our own fault.
    """

    wanted: Wanted
    talk: Conversation | None = None
    numbers: Numbers | None = None

    @property
    def later(self) -> datetime | None:
        """When to go on, where a server's turn comes later."""
        asked = self.talk or self.numbers
        return None if asked is None else asked.later

    @property
    def lookups(self) -> Sequence[Lookup]:
        """What was asked."""
        asked = self.talk or self.numbers
        return () if asked is None else asked.lookups

    @property
    def outcome(self) -> str:
        """How it ended as a whole."""
        if self.talk is not None:
            return outcome_of(self.talk)
        return best_of([one.outcome for one in self.lookups]) if self.lookups else Outcome.MALFORMED.value


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """How many were answered, put off, given up; what changed, and the batches that hold it as (source, id)."""

    answered: int = 0
    later: int = 0
    given_up: int = 0
    facts_new: int = 0
    facts_ended: int = 0
    batches: tuple[tuple[str, int], ...] = ()


def settle(desk: Desk, talked: Sequence[Talked], *, now: datetime) -> Settled:
    """Load what was answered, then close the rows. `now` is recorded time. Raises WarehouseError."""
    changed: set[int] = set()
    failed: set[int] = set()
    new, ended = 0, 0
    batches: list[tuple[str, int]] = []
    for source in ("rdap", "whois"):
        told = [one for each in talked if (one := _told(each, source)) is not None]
        if not told:
            continue
        for versions in _load(desk, find_source(source), told, failed):
            new, ended = new + versions.loaded.facts_new, ended + versions.loaded.facts_ended
            changed |= versions.changed
            if versions.loaded.batch_id is not None:
                batches.append((source, versions.loaded.batch_id))
    for each in talked:
        if each.numbers is not None:
            new, ended = new + each.numbers.facts_new, ended + each.numbers.facts_ended
            changed |= {each.wanted.entity_id} if each.numbers.facts_ended else set()
            batches += [("rdap", each.numbers.batch)] if each.numbers.batch is not None else []
    # What could not be loaded by a fault of ours counts as not answered: it is kept, and tried again later.
    talked = [Talked(wanted=each.wanted) if each.wanted.entity_id in failed else each for each in talked]
    with desk.engine.begin() as connection:
        ends = [_close(connection, desk, each, now=now, changed=each.wanted.entity_id in changed) for each in talked]
    return Settled(
        answered=ends.count("answered"),
        later=ends.count("later"),
        given_up=ends.count("given up"),
        facts_new=new,
        facts_ended=ended,
        batches=tuple(batches),
    )


def _load(desk: Desk, source: Source, told: Sequence[Told], failed: set[int]) -> Iterator[Versions]:
    """Load together; where that fails by a fault of ours, in halves, so that the one at fault costs itself alone."""
    try:
        yield load_versions(desk.engine, source, told, stale=timedelta(days=desk.lookups.stale_days))
    except WarehouseError:
        raise
    except Exception:
        if len(told) == 1:
            failed.add(told[0].entity_id)
            log.exception("couldn't load what was said of entity %s: fault of Lapsewatch", told[0].entity_id)
            return
        half = len(told) // 2
        yield from _load(desk, source, told[:half], failed)
        yield from _load(desk, source, told[half:], failed)


def _told(talked: Talked, source: str) -> Told | None:
    if talked.talk is None:
        return None
    answers = tuple(one for one in talked.talk.answers if one.protocol == source and one.document_id is None)
    if not answers:
        return None
    wanted = talked.wanted
    return Told(domain=entity(wanted.kind, wanted.value), entity_id=wanted.entity_id, answers=answers)


def _close(connection: Connection, desk: Desk, talked: Talked, *, now: datetime, changed: bool) -> str:
    wanted, talk = talked.wanted, talked.talk
    outcome = talked.outcome
    if talked.later is not None:
        # Something is missing still, whatever the others said; what they said is kept and used again.
        due = _behind(desk, talked, talked.later)
        wishes.again(connection, wanted, outcome=LATER, due_at=due, attempts=wanted.attempts)
        return "later"
    attempts = wanted.attempts + 1
    if outcome in _CONCLUSIVE and attempts < desk.lookups.attempts and _lacks(talked):
        due = _due(connection, talked, now, outcome=Outcome.THROTTLED, attempts=attempts)
        wishes.again(connection, wanted, outcome=LATER, due_at=due, attempts=attempts)
        return "later"
    if outcome in _CONCLUSIVE or outcome in _FINAL:
        every = _every(desk, wanted, talk, now=now, changed=changed)
        reach = desk.lookups.reach.watch.label
        wishes.done(connection, wanted, outcome=outcome, now=now, changed=changed, every=every, reach=reach)
        return "answered" if outcome in _CONCLUSIVE else "given up"
    if attempts < desk.lookups.attempts:
        due = _due(connection, talked, now, outcome=outcome, attempts=attempts)
        wishes.again(connection, wanted, outcome=outcome, due_at=due, attempts=attempts)
        return "later"
    due_at = None if wanted.every is None else now + timedelta(days=desk.lookups.refresh.most)
    wishes.again(connection, wanted, outcome=outcome, due_at=due_at, attempts=0)
    return "given up"


def _behind(desk: Desk, talked: Talked, until: datetime) -> datetime:
    """When something comes that waits for a server until then: behind those that wait for it already, at its pace.

    A thousand that were due at one moment would be claimed and put off again for each that gets its turn, and what
    waits for other servers would not be reached.
    """
    keys = [server_key(one.server) for one in talked.lookups if one.outcome == LATER]
    if not keys:
        return until
    place = (keys[-1], talked.wanted.priority)
    due = max(until, desk.put_off.get(place, until))
    desk.put_off[place] = due + timedelta(seconds=60 / desk.lookups.manners.of(keys[-1]).per_minute)
    return due


def _lacks(talked: Talked) -> bool:
    """Whether a server was asked and would not say yet: of a domain that exists, the registrar's part is missing."""
    return any(one.asked and one.outcome in {Outcome.THROTTLED, Outcome.TIMEOUT} for one in talked.lookups)


def _due(connection: Connection, talked: Talked, now: datetime, *, outcome: str, attempts: int) -> datetime:
    """When to ask again: as soon as the servers have rested that throttled, else later each time."""
    pause = wishes.pause(attempts)
    return max(now + (pause / _SOONER if outcome == Outcome.THROTTLED else pause), _rests(connection, talked, now))


def _rests(connection: Connection, talked: Talked, now: datetime) -> datetime:
    """Until when the servers rest that did not answer."""
    asked = {one.server for one in talked.lookups if one.server}
    ends = (servers.rests(connection, server_key(server), now=now) for server in asked)
    return max((until for until in ends if until is not None), default=now)


def _every(desk: Desk, wanted: Wanted, talk: Conversation | None, *, now: datetime, changed: bool) -> float | None:
    if wanted.every is None:
        return None
    bounds = desk.lookups.refresh
    records: list[Registration] = [] if talk is None else talk.registered()
    return next_every(
        wanted.every,
        changed=changed,
        least=bounds.least,
        most=bounds.most,
        now=now,
        created=min((one.created.at for one in records if one.created.at is not None), default=None),
        expires=min((one.expires.at for one in records if one.expires.at is not None), default=None),
        statuses=tuple(status for one in records for status in one.statuses),
    )
