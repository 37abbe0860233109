"""Prefect's view of loading: one task for one batch, and the event that wakes the monitors.

The event is a hint to look: the batch row is the truth, and the monitors sweep on a schedule as well.
"""

from __future__ import annotations

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


def say_loaded(source: str, batch_id: int) -> None:
    """Tell whoever listens that a batch is in the warehouse."""
    emit_event(
        event="lapsewatch.batch.loaded",
        resource={"prefect.resource.id": f"lapsewatch.source.{source}"},
        payload={"batch": batch_id},
    )
