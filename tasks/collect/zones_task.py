"""Prefect's view of collecting zones: one task for one zone file."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import warehouse
from tasks.collect.session import find_source
from tasks.collect.zones import ZoneFile, next_zone
from tasks.records import Run


@task(name="zone file", task_run_name="zone file {run.source}", persist_result=False, cache_policy=NO_CACHE)
def zone_file(run: Run) -> ZoneFile | None:
    """Bring the source's next zone file to this machine. Retries are the HTTP client's, not Prefect's."""
    with warehouse() as engine:
        return next_zone(engine, find_source(run.source), run)
