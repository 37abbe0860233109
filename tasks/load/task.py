"""Prefect's view of loading: one task for one batch, and the event that wakes the monitors.

The event is a hint to look: the batch row is the truth, and the monitors sweep on a schedule as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from db.engine import LONG_PATIENCE, warehouse
from db.load import Batch, Loaded
from tasks.load.load import load_batch


@task(name="load", task_run_name="load {batch.source}", persist_result=False, cache_policy=NO_CACHE)
def load(batch: Batch) -> Loaded:
    """Commit the batch, then say so."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        loaded = load_batch(engine, batch)
    if loaded.batch_id is not None:
        say_loaded(loaded.source, loaded.batch_id)
    return loaded


TOGETHER: Final = 30.0
"""Seconds for which what is loaded one after another may wait to be said together."""


class _Held:
    """What was loaded and is not said yet: the last batch, which a timer says where nobody does before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._last: tuple[str, int] | None = None
        self._timer: threading.Timer | None = None

    def hold(self, source: str, batch_id: int) -> bool:
        """Whether it is held; outside of `said_together` nothing is."""
        with self._lock:
            if not self._within:
                return False
            self._last = source, batch_id
            if self._timer is None:
                self._timer = threading.Timer(TOGETHER, self.say)
                self._timer.daemon = True
                self._timer.start()
            return True

    def say(self) -> None:
        """Say what is held."""
        with self._lock:
            last, timer, self._last, self._timer = self._last, self._timer, None, None
        if timer is not None:
            timer.cancel()
        if last is not None:
            _say(*last)

    def enter(self, by: int) -> None:
        """So many more hold, or fewer."""
        with self._lock:
            self._within += by


_HELD: Final = _Held()


@contextmanager
def said_together() -> Iterator[None]:
    """Wake the monitors once for all that is loaded in here, or twice a minute while that takes longer.

    Each event starts a process for each monitor, which finds what all loads have brought by then. A process that dies
    in here says nothing: the next load does, or the monitors' own sweep finds it.
    """
    _HELD.enter(1)
    try:
        yield
    finally:
        _HELD.enter(-1)
        _HELD.say()


def say_loaded(source: str, batch_id: int) -> None:
    """Tell whoever listens that a batch is in the warehouse."""
    if not _HELD.hold(source, batch_id):
        _say(source, batch_id)


def _say(source: str, batch_id: int) -> None:
    emit_event(
        event="lapsewatch.batch.loaded",
        resource={"prefect.resource.id": f"lapsewatch.source.{source}"},
        payload={"batch": batch_id},
    )
