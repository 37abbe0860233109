"""Prefect's view of collection: one task for one slice of one source."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import warehouse
from tasks.collect.session import find_source
from tasks.collect.slices import collect_slice
from tasks.records import Collected, Run


@task(name="collect", task_run_name="collect {run.source}", persist_result=False, cache_policy=NO_CACHE)
def collect(run: Run) -> Collected:
    """Ask the world for the next slice of the run's source. Retries are the HTTP client's, not Prefect's."""
    with warehouse() as engine:
        return collect_slice(engine, find_source(run.source), run)
