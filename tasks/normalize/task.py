"""Prefect's view of normalisation: one task for one slice."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import warehouse
from db.load import Batch
from tasks.collect.session import find_source
from tasks.normalize.stage import stage
from tasks.records import Collected


@task(name="normalize", task_run_name="normalize {collected.source}", persist_result=False, cache_policy=NO_CACHE)
def normalize(collected: Collected) -> Batch:
    """Turn the slice's documents into staged facts."""
    with warehouse() as engine:
        return stage(engine, find_source(collected.source), collected)
