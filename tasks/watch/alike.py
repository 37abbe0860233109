"""The monitor of habits: what is known of a watch's domains in, findings on domains that were registered as they were.

For each watch with enough known domains their habits are learned (intel/patterns/rank.py) and an operating point is
made of them and of strangers alone (intel/patterns/rolling.py). Where there is none, nothing is shown, and the watch's
cursor says why. Else every registrable domain of which a batch says something is scored, and all of history once when
what is learned from changed.

- Work is a chunk of domains at a time, in one transaction with its findings and its cursor or mark; at most `most`
  domains a run, the rest in the next. Kill it anywhere: what was not committed is done again.
- Pending batches are listed before anything is learned. One that commits later is judged by the next run, which learns
  anew if it speaks of a known domain. A sweep that begins after a batch was judged sees its facts.
- What is known, or how it is registered, changes what is learned at once; strangers alone once a day: they change with
  each list of new domains, and a change looks through all of history.
- Domains whose ownership ended since, and what was found and is open, are scored again in each run that has work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, text

from db import alike, runs
from tasks.watch.alike_found import Model, judge
from tasks.watch.alike_learn import glance, learn, read_state, write_state
from tasks.watch.monitor import PENDING, Monitored, prepare
from tasks.watch.pieces import Pieces, in_transaction

CHUNK: Final = 2_000
"""Domains whose profiles are in memory at once."""
MOST: Final = 50_000
"""Domains that a run scores."""
_BATCH: Final = f"{alike.NAME}:batch"
_ENDS: Final = f"{alike.NAME}:ends"


def monitor(engine: Engine, *, chunk: int = CHUNK, most: int = MOST) -> Monitored:
    """Score what is due: `items` of what is returned are domains.

    Raises BusyError where another process is at it, and WarehouseError where batches could not be judged: by then
    everything else that was due is done.
    """
    with runs.exclusive(engine, f"monitor:{alike.NAME}"):
        with engine.connect() as connection:
            pending = alike.ids(connection, PENDING, monitor=alike.NAME)
            seen = glance(connection)
            before = runs.read_cursor(connection, _ENDS) or {}
            unfinished = alike.unfinished(connection)
            if not pending and not unfinished and before.get("glance") == seen:
                return Monitored(monitor=alike.NAME)
        return _Run(engine, learn(engine), chunk, most).all(pending, before.get("since"), seen)


class _Run:
    """One run: its models, and what is left of the domains that it may score."""

    def __init__(self, engine: Engine, models: Sequence[Model], chunk: int, most: int) -> None:
        self._engine = engine
        self._models = models
        self._chunk = chunk
        self._left = most
        self._findings = 0
        self._domains = 0
        self._pieces = Pieces(engine, alike.NAME)

    def all(self, pending: Sequence[int], since: str | None, seen: str) -> Monitored:
        """What ended or is open, then the batches, then history."""
        self._pieces.judge("what was found", partial(self._again, since=since, seen=seen))
        judged = 0
        if not self._models:
            in_transaction(self._engine, partial(_judged, batch_ids=pending))
            judged = len(pending)
        else:
            for batch_id in pending:
                judged += self._chunks(f"batch {batch_id}", partial(self._batch, batch_id=batch_id))
            for model in self._models:
                self._chunks(f"watch {model.watch_id}", partial(self._sweep, model=model))
        self._pieces.tell("batches or watches")
        return Monitored(monitor=alike.NAME, batches=judged, items=self._domains, findings=self._findings)

    def _chunks(self, what: str, work: Callable[[Connection], bool]) -> bool:
        """Do the work, a transaction for each chunk, while domains may be scored; whether it came to its end."""
        ended: bool | None = False
        while ended is False and self._left > 0:
            ended = self._pieces.judge(what, work)
        return bool(ended)

    def _again(self, connection: Connection, *, since: str | None, seen: str) -> bool:
        values = {"rule": alike.RULE, "since": since or "-infinity", "watches": [one.watch_id for one in self._models]}
        ids = alike.ids(connection, alike.AGAIN, **values)[: self._left] if self._models else []
        for start in range(0, len(ids), self._chunk):
            self._judge(connection, self._models, ids[start : start + self._chunk])
        now = alike.clock(connection).isoformat()
        runs.write_cursor(connection, _ENDS, {"since": now, "glance": seen}, None)
        return True

    def _batch(self, connection: Connection, *, batch_id: int) -> bool:
        """A chunk of what a batch touches; whether it was the last."""
        size = min(self._chunk, self._left)
        cursor = runs.read_cursor(connection, _BATCH) or {}
        after = cursor["after"] if cursor.get("batch") == batch_id else 0
        values = {"batch_id": batch_id, "after": after, "most": size, "hub": alike.MOST_OF_ADDRESS}
        ids = alike.ids(connection, alike.TOUCHED, **values)
        self._judge(connection, self._models, ids)
        if len(ids) < size:
            _judged(connection, batch_ids=[batch_id])
            return True
        runs.write_cursor(connection, _BATCH, {"batch": batch_id, "after": ids[-1]}, None)
        return False

    def _sweep(self, connection: Connection, *, model: Model) -> bool:
        """A chunk of history for one watch; whether it was the last."""
        state = read_state(connection, model.watch_id)
        if state is None or state.done:
            return True
        size = min(self._chunk, self._left)
        ids = alike.ids(connection, alike.ALL, after=state.at, most=size)
        self._judge(connection, [model], ids)
        last = len(ids) < size
        at = ids[-1] if ids else state.at
        if last and state.again:
            state = msgspec.structs.replace(state, at=0, until=state.again, again=0)
        else:
            done = last or (state.until > 0 and at >= state.until)
            state = msgspec.structs.replace(state, at=at, done=done)
        write_state(connection, model.watch_id, state)
        return state.done

    def _judge(self, connection: Connection, models: Sequence[Model], ids: Sequence[int]) -> None:
        self._left -= len(ids)
        self._domains += len(ids)
        if models and ids:
            if not connection.execute(text("SELECT to_regclass('pg_temp.watch_found') IS NOT NULL")).scalar_one():
                prepare(connection)
            self._findings += judge(connection, models, ids)


def _judged(connection: Connection, *, batch_ids: Sequence[int]) -> None:
    connection.execute(text(alike.JUDGED), {"monitor": alike.NAME, "ids": list(batch_ids)})
