"""Look-ups from the queue: what is due is asked about side by side, and what was answered is loaded in batches.

In: the warehouse, how long to go on. Out: `LookedUp`. Threads claim, ask and keep answers; one loads them, closes the
rows of the queue, and says when each is asked about next. Killed anywhere, nothing is lost: an answer that is kept is
not asked for again, a claim ends by itself.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Engine

from db import lookup_queue as wishes
from db.entities import ensure_entities
from db.lookup_queue import Wanted
from intel.config.lookups import Reach, read_lookups
from intel.entities import Entity, Kind, entity, masked
from intel.errors import WarehouseError
from intel.settings import settings
from tasks.collect.fetched import utc_now
from tasks.enrich.answers import Conversation
from tasks.enrich.desk import Desk, open_desk
from tasks.enrich.numbers import ask_numbers
from tasks.enrich.questions import Asker
from tasks.enrich.records import Lookup
from tasks.enrich.settle import REFRESHED, Settled, Talked, settle

log = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=10)
"""A claim ends after so long: longer than all hops of one look-up at their slowest."""
_BATCH: Final = 64
_PAUSE: Final = 0.5
_BROKEN_OFF: Final = timedelta(days=7)
_WORTH_WAITING: Final = 60.0
_DOZE: Final = 5.0
"""Who waits looks up so often: something more urgent may have come, or the run may be over."""


class LookedUp(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to: things answered, put off, given up; what that changed, and the batches that hold it."""

    answered: int = 0
    later: int = 0
    given_up: int = 0
    facts_new: int = 0
    facts_ended: int = 0
    batches: tuple[tuple[str, int], ...] = ()
    """(source, id of the batch), in the order of loading."""

    def with_(self, settled: Settled) -> LookedUp:
        """These and what was settled."""
        return LookedUp(
            answered=self.answered + settled.answered,
            later=self.later + settled.later,
            given_up=self.given_up + settled.given_up,
            facts_new=self.facts_new + settled.facts_new,
            facts_ended=self.facts_ended + settled.facts_ended,
            batches=self.batches + settled.batches,
        )


Next = Callable[[threading.Event], Wanted | None]
"""Claims the next thing; None where there is none, or the run is stopped."""


def look_up(
    engine: Engine,
    *,
    seconds: float,
    ahead: timedelta = timedelta(0),
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> LookedUp:
    """Ask about what is due, the most urgent first, for at most `seconds`, or until nothing is due.

    `ahead` takes what is due so much later for due now. Raises ConfigError and WarehouseError.
    """
    until = time.monotonic() + seconds
    began = clock()

    def following(stop: threading.Event) -> Wanted | None:
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            now = clock()
            with engine.begin() as connection:
                found = wishes.claim(connection, 1, now=now, until=now + LEASE, horizon=now + ahead, began=began)
                soonest = None if found else wishes.next_due(connection, now=now)
            if found:
                return found[0]
            # What a server put off for moments is worth waiting for; what is further away is the next run's.
            if soonest is None or (wait := (soonest - now).total_seconds()) > min(left, _WORTH_WAITING):
                return None
            sleep(min(max(wait, _PAUSE), left, _DOZE))
        return None

    with open_desk(engine, clock=clock) as desk:
        return _Run(desk=desk, clock=clock, sleep=sleep).go(following, workers=desk.lookups.workers)


def look_up_these(
    engine: Engine,
    entity_ids: Sequence[int],
    *,
    marked: Mapping[int, Sequence[Entity]] | None = None,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[LookedUp, dict[int, Conversation]]:
    """Ask now about things that are wanted, due or not, but for those that another process is at.

    `marked` are entities that stand on them: where one is marked secret, nothing is asked. Returns what it came to and
    each thing's conversation. Raises ConfigError and WarehouseError.
    """
    now = clock()
    held = now + LEASE
    with engine.begin() as connection:
        claimed = wishes.claim_these(connection, entity_ids, now=now, until=held)
    lock = threading.Lock()

    def following(stop: threading.Event) -> Wanted | None:
        nonlocal held
        with lock:
            if not claimed or stop.is_set():
                return None
            # The last of many waits longer than a claim stands: it goes on, unless another has taken the thing over.
            until = clock() + LEASE
            with engine.begin() as connection:
                ours = wishes.renew(connection, [one.entity_id for one in claimed], held=held, until=until)
            held = until
            claimed[:] = [one for one in claimed if one.entity_id in ours]
            return claimed.pop(0) if claimed else None

    with open_desk(engine, clock=clock) as desk:
        run = _Run(desk=desk, clock=clock, sleep=sleep, marked=marked or {})
        looked = run.go(following, workers=min(desk.lookups.workers, max(1, len(claimed))))
    return looked, run.talks


def ask_now(
    engine: Engine,
    domain: str,
    *,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Lookup, ...]:
    """Ask about one registrable domain because a person wants to know; an answer of late is used again.

    Returns what was asked; empty where another process is at it. Raises ReadError where `domain` is no name,
    ConfigError and WarehouseError.
    """
    thing = entity(Kind.DOMAIN, domain)
    reach = read_lookups(settings().configs).reach.finding.label
    with engine.begin() as connection:
        ids = list(ensure_entities(connection, [thing]).values())
        wishes.want(
            connection, ids, priority=wishes.Priority.FINDING, reason="asked by hand", reach=reach, due_at=clock()
        )
    _, talks = look_up_these(engine, ids, clock=clock, sleep=sleep)
    return tuple(one for talk in talks.values() for one in talk.lookups)


@dataclass(kw_only=True)
class _Run:
    desk: Desk
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    marked: Mapping[int, Sequence[Entity]] = field(default_factory=dict)
    talks: dict[int, Conversation] = field(default_factory=dict)
    askers: dict[tuple[str, str], Asker] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def go(self, following: Next, *, workers: int) -> LookedUp:
        """Ask in `workers` threads, settle in this one."""
        told: queue.Queue[Talked | Exception | None] = queue.Queue()
        stop = threading.Event()

        def work() -> None:
            try:
                while not stop.is_set() and (wanted := following(stop)) is not None:
                    told.put(self._talk(wanted))
            except Exception as error:  # noqa: BLE001 - the warehouse went: the one who settles raises it
                told.put(error)
            finally:
                told.put(None)

        threads = [threading.Thread(target=work, name=f"look-up {number}", daemon=True) for number in range(workers)]
        for thread in threads:
            thread.start()
        try:
            return self._settle(told, len(threads))
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=LEASE.total_seconds())

    def _settle(self, told: queue.Queue[Talked | Exception | None], running: int) -> LookedUp:
        looked = LookedUp()
        failure: Exception | None = None
        while running:
            batch: list[Talked] = []
            for item in _arrived(told):
                if item is None:
                    running -= 1
                elif isinstance(item, Exception):
                    failure = failure or item
                else:
                    batch.append(item)
            if batch:
                looked = looked.with_(settle(self.desk, batch, now=self.clock()))
                self.talks |= {one.wanted.entity_id: one.talk for one in batch if one.talk is not None}
        if failure is not None:
            raise failure
        return looked

    def _talk(self, wanted: Wanted) -> Talked:
        refreshed = wanted.reason == REFRESHED and wanted.asked_at is not None
        since = self._since(wanted, refreshed=refreshed)
        thing = entity(wanted.kind, wanted.value)
        marked = [thing, *self.marked.get(wanted.entity_id, ())]
        try:
            if wanted.kind != Kind.DOMAIN:
                numbers = ask_numbers(
                    self.desk.engine, self._asker(wanted), [thing], marked={thing.digest: marked}, again=refreshed
                )
                return Talked(wanted=wanted, numbers=numbers)
            talk = self.desk.ask(self._asker(wanted), thing, wanted.entity_id, marked=marked, since=since)
        except WarehouseError:
            raise
        except Exception:  # a fault of ours costs the one thing, never the run
            shown = masked(wanted.kind, wanted.value)
            log.exception("couldn't look up %s: fault of Lapsewatch; it is tried again later", shown)
            return Talked(wanted=wanted)
        return Talked(wanted=wanted, talk=talk)

    def _since(self, wanted: Wanted, *, refreshed: bool) -> datetime:
        """From when on an answer is used again: within the days that the configuration says, and since the wish, if it
        was not answered yet: that is of this very look-up, which was broken off.
        """
        now = self.clock()
        since = now - timedelta(days=self.desk.lookups.reuse_days)
        after_last = None if wanted.asked_at is None else wanted.asked_at + timedelta(microseconds=1)
        if refreshed and after_last is not None:
            # A refresh is for what is new since the last answer, however young that one is.
            since = max(since, after_last)
        wish = wanted.wanted_at if after_last is None else max(wanted.wanted_at, after_last)
        return min(since, max(wish, now - _BROKEN_OFF))

    def _asker(self, wanted: Wanted) -> Asker:
        """Who asks: one for all questions of one wish, so that its budget is counted once."""
        key = (wanted.reason, wanted.reach)
        with self.lock:
            if key not in self.askers:
                self.askers[key] = Asker(
                    engine=self.desk.engine,
                    lookups=self.desk.lookups,
                    reason=wanted.reason,
                    ceiling=Reach.of(wanted.reach),
                    incident=wanted.priority == wishes.Priority.INCIDENT,
                    clock=self.clock,
                    sleep=self.sleep,
                )
            return self.askers[key]


def _arrived(told: queue.Queue[Talked | Exception | None]) -> list[Talked | Exception | None]:
    """What has arrived, after a moment for more: one load for many costs what one for one does."""
    items = [told.get()]
    until = time.monotonic() + _PAUSE
    while len(items) < _BATCH:
        try:
            items.append(told.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            break
    return items
