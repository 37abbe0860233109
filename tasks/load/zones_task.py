"""Prefect's view of zones: one task that sorts a zone file, one that compares it with the day before.

The event is a hint to look: the batch row is the truth.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import LONG_PATIENCE, warehouse
from tasks.collect.session import find_source
from tasks.collect.zones import ZoneFile
from tasks.load.name_ranking import open_ranker
from tasks.load.task import say_loaded
from tasks.load.zones import Compared, compare
from tasks.load.zones_snapshot import Snapshot, sort
from tasks.records import Run


@task(name="sort", task_run_name="sort {file.source}", persist_result=False, cache_policy=NO_CACHE)
def sort_zone(run: Run, file: ZoneFile) -> Snapshot:
    """Make a sorted snapshot of the file."""
    with warehouse() as engine:
        return sort(engine, find_source(run.source), run, file)


@task(name="compare", task_run_name="compare {snapshot.source}", persist_result=False, cache_policy=NO_CACHE)
def compare_snapshot(run: Run, snapshot: Snapshot) -> Compared:
    """Hold the snapshot against the last one and load what differs, then say what was committed."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        compared = compare(engine, find_source(run.source), run, snapshot, ranker=open_ranker(engine))
    for batch in compared.batches:
        say_loaded(compared.source, batch)
    return compared
