"""The gate that every question passes before it leaves the machine: reach, TLP, budget, pace, and the log.

In: what would be asked, of whom, why. Out: the id of its row in table `query`, written before anything is sent, or a
RefusedError that says which bound it met.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy import Engine

from db import lookups as log
from intel.config.lookups import Lookups, Reach
from intel.entities import Entity
from intel.errors import BusyError, RefusedError
from intel.facts import TLP
from tasks.collect.fetched import utc_now

_LOCK_SECONDS: Final = 60.0
_LOCK_STEP: Final = 0.2


@dataclass(kw_only=True)
class Asker:
    """Who asks: `reason` is written in the log (`incident 7`), `ceiling` how far its questions may reach.

    `entity_ids` are those whose questions count against the budget together.
    """

    engine: Engine
    lookups: Lookups
    reason: str
    ceiling: Reach
    entity_ids: Sequence[int] = ()
    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    _asked: dict[str, float] = field(default_factory=dict)

    def refuse_secret(self, subject: str, entities: Sequence[Entity]) -> None:
        """Raise RefusedError where a value is marked so that it leaves the machine for no look-up."""
        with self.engine.connect() as connection:
            strictest = log.strictest_tlp(connection, entities)
        if strictest >= TLP.AMBER_STRICT:
            raise RefusedError(
                f"couldn't ask about {subject}: it is marked {TLP(strictest).label}, and such values leave the machine"
                " for no look-up; nothing was sent"
            )

    def begin(self, *, protocol: str, server: str, reach: Reach, entity_id: int) -> int:
        """Write a question down; it may then be asked. Waits where the same server was asked a moment ago.

        Raises RefusedError where it reaches too far or the budget is spent.
        """
        if reach > self.ceiling:
            raise RefusedError(
                f"couldn't ask {server}: that reaches the {reach.label}, and what is asked for {self.reason} may reach"
                f" the {self.ceiling.label}; raise `reach` in configs/lookups.yaml to ask it"
            )
        with self.engine.begin() as connection:
            spent = log.questions(connection, entity_ids=self.entity_ids or [entity_id], reason=self.reason)
            if spent >= self.lookups.budget:
                raise RefusedError(
                    f"couldn't ask {server}: {self.reason} has spent its {self.lookups.budget} questions; raise"
                    " `budget` in configs/lookups.yaml to go on"
                )
            number = log.log_question(
                connection,
                protocol=protocol,
                server=server,
                reach=reach.label,
                entity_id=entity_id,
                reason=self.reason,
                asked_at=self.clock(),
            )
        self._pace(server)
        return number

    def end(self, number: int, outcome: str) -> None:
        """Write down how a question ended."""
        with self.engine.begin() as connection:
            log.log_answer(connection, number, outcome=outcome)

    def recent(self, *, protocol: str, entity_id: int) -> dict[str, str]:
        """Reach -> outcome of what was asked so lately that its answer is used again."""
        since = self.clock() - timedelta(days=self.lookups.reuse_days)
        with self.engine.connect() as connection:
            return log.last_outcomes(connection, entity_id=entity_id, protocol=protocol, since=since)

    def has_asked(self, entity_id: int) -> bool:
        """Whether it ever asked anything about an entity."""
        with self.engine.connect() as connection:
            return log.questions(connection, entity_ids=[entity_id], reason=self.reason) > 0

    def _pace(self, server: str) -> None:
        last = self._asked.get(server)
        if last is not None and (wait := last + self.lookups.pause_seconds - time.monotonic()) > 0:
            self.sleep(wait)
        self._asked[server] = time.monotonic()


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
