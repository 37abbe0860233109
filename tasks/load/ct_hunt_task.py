"""Prefect's view of hunting backwards: one task for a hunt of at most eight minutes.

The event wakes the monitor and is a hint to look: the batch row is the truth.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from db.engine import LONG_PATIENCE, warehouse
from tasks.load import ct_hunt
from tasks.load.ct_hunt import Hunted
from tasks.load.task import say_loaded


@task(name="hunt", persist_result=False, cache_policy=NO_CACHE)
def hunt() -> Hunted:
    """Look in the archive for what is watched since later, then say what was committed."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        hunted = ct_hunt.hunt(engine, flow_run=str(flow_run.id or ""))
    for batch in hunted.batches:
        say_loaded(ct_hunt.ARCHIVE.name, batch)
    return hunted
