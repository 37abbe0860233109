"""The gate that every question passes before it leaves the machine: reach, TLP, budget, the server's turn, and the log.

In: what would be asked, of whom, why. Out: the id of its row in table `query`, written before anything is sent; a
RefusedError that says which bound it met; or a LaterError that says when its turn comes. All who ask share the servers'
rows (`db/lookup_servers.py`), so that together they keep to each server's pace. Safe to share between threads.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine

from db import lookup_servers as servers
from db import lookups as log
from intel.config.lookups import Lookups, Reach, server_key
from intel.entities import Entity
from intel.errors import BusyError, LaterError, RefusedError
from intel.facts import TLP
from tasks.collect.fetched import utc_now

_LOCK_SECONDS: Final = 60.0
_LOCK_STEP: Final = 0.2
_REDIRECT_SECONDS: Final = 10.0


@dataclass(kw_only=True)
class Asker:
    """Who asks: `reason` is written in the log (`incident 7`), `ceiling` how far its questions may reach.

    All questions for one reason count against the budget of an incident together, whoever asks; where `incident` is
    false, the questions count against the day's instead. `patience` is for how many seconds a turn is waited for; None
    takes the configured ones.
    """

    engine: Engine
    lookups: Lookups
    reason: str
    ceiling: Reach
    incident: bool = True
    patience: float | None = None
    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    _servers: dict[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: int = 0
    """Questions that wait for their turn and are not in the log yet: they count against the budget already."""

    def refuse_secret(self, subject: str, entities: Sequence[Entity]) -> None:
        """Raise RefusedError where a value is marked so that it leaves the machine for no look-up."""
        with self.engine.connect() as connection:
            strictest = log.strictest_tlp(connection, entities)
        if strictest >= TLP.AMBER_STRICT:
            raise RefusedError(
                f"couldn't ask about {subject}: it or what stands on it is marked {TLP(strictest).label}, and such"
                " values leave the machine for no look-up; nothing was sent"
            )

    def begin(self, *, protocol: str, server: str, reach: Reach, entity_id: int, location: str = "") -> int:
        """Take a turn at the server and write the question down; it may then be asked.

        Raises RefusedError where it reaches too far or the incident's budget is spent, and LaterError where the
        server's turn, the end of its rest or tomorrow's budget is farther away than is waited for.
        """
        if reach > self.ceiling:
            raise RefusedError(
                f"couldn't ask {server}: that reaches the {reach.label}, and what is asked for {self.reason} may reach"
                f" the {self.ceiling.label}; raise `reach` in configs/lookups.yaml to ask it"
            )
        self._within_budget(server)
        try:
            return self._begin(protocol, server, reach, entity_id, location)
        finally:
            with self._lock:
                self._under_way -= 1

    def _begin(self, protocol: str, server: str, reach: Reach, entity_id: int, location: str) -> int:
        key = server_key(server)
        turn = self._turn(key, server)
        with self.engine.begin() as connection:
            self._unless_it_rests(connection, key, server, turn)
            number = log.log_question(
                connection,
                protocol=protocol,
                server=server,
                reach=reach.label,
                entity_id=entity_id,
                reason=self.reason,
                asked_at=self.clock(),
                location=location,
            )
        self._servers[number] = key
        return number

    def redirected(self, number: int, url: str) -> None:
        """Take a turn at the server to which the one that was asked leads; the answer will be that one's.

        Raises LaterError where it may not be asked soon: a transfer has its deadline, and does not wait for long.
        """
        key, before = server_key(url), self._servers.get(number)
        if key == before:
            return
        turn = self._turn(key, key, most=_REDIRECT_SECONDS)
        with self.engine.begin() as connection:
            self._unless_it_rests(connection, key, key, turn)
        if before is not None:
            with self.engine.begin() as connection:
                servers.answered(connection, before, self.lookups.manners, outcome=log.REFERRED, now=self.clock())
        self._servers[number] = key

    def end(self, number: int, outcome: str, *, retry_after: float | None = None) -> None:
        """Write down how a question ended, for the log and for all who ask the same server.

        `retry_after` is in seconds, where the server said for how long it wants to be left alone.
        """
        key = self._servers.pop(number, None)
        with self.engine.begin() as connection:
            log.log_answer(connection, number, outcome=outcome)
            # What we refused ourselves (an address, a redirect) is no failure of the server's pace.
            if key is not None and outcome != "refused":
                servers.answered(
                    connection,
                    key,
                    self.lookups.manners,
                    outcome=outcome,
                    now=self.clock(),
                    retry_after=retry_after,
                )

    def _within_budget(self, server: str) -> None:
        with self._lock, self.engine.connect() as connection:
            if self.incident:
                spent = log.questions(connection, reason=self.reason) + self._under_way
                if spent >= self.lookups.budget:
                    raise RefusedError(
                        f"couldn't ask {server}: {self.reason} has spent its {self.lookups.budget} questions; raise"
                        " `budget` in configs/lookups.yaml to go on"
                    )
            self._under_way += 1

    def _turn(self, key: str, server: str, *, most: float = math.inf) -> servers.Turn:
        """Take a turn and wait for it, `most` seconds at most. Raises LaterError."""
        manners = self.lookups.manners
        patience = min(manners.patience if self.patience is None else self.patience, most)
        with self.engine.begin() as connection:
            now = self.clock()
            if not self.incident and not servers.within_day(connection, self.lookups.per_day, now=now):
                midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
                raise self._later(server, midnight, f"today's {self.lookups.per_day} questions are spent")
            turn = servers.take(connection, key, manners.of(key), now=now, patience=patience)
        if turn.why:
            raise self._later(server, turn.at, turn.why)
        if (wait := (turn.at - self.clock()).total_seconds()) > 0:
            self.sleep(wait)
        return turn

    def _unless_it_rests(self, connection: Connection, key: str, server: str, turn: servers.Turn) -> None:
        """While this one waited for its turn, another's answer may have told all of us to stay away."""
        until = servers.rests(connection, key, now=turn.at)
        if until is not None and until != turn.alone_until:
            raise self._later(server, until, "it asked for patience")

    def _later(self, server: str, until: datetime, why: str) -> LaterError:
        when = f"{until:%Y-%m-%d %H:%M:%S}"
        return LaterError(f"couldn't ask {server} yet: {why}; it is asked from {when} on", until=until)


Held = TypeVar("Held")


@contextmanager
def patiently(
    opened: Callable[[], AbstractContextManager[Held]], *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Held]:
    """Enter a context whose lock others hold for moments only. Raises BusyError where they keep it for a minute."""
    until = time.monotonic() + _LOCK_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                held = stack.enter_context(opened())
                break
            except BusyError:
                if time.monotonic() > until:
                    raise
                sleep(_LOCK_STEP)
        yield held
