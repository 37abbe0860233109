"""Prefect's view of following logs: which there are, the head of each, a slice of at most ten minutes of each.

The event wakes the monitor and is a hint to look: the batch row is the truth.
"""

from __future__ import annotations

from typing import Final

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import LONG_PATIENCE, warehouse
from tasks.collect.ct_list import chosen_names
from tasks.collect.session import find_source
from tasks.load import ct
from tasks.load.ct import Followed, Head
from tasks.load.task import say_loaded
from tasks.records import Run

SLICE: Final = 600.0
"""Seconds that a run follows at most."""


@task(name="logs", persist_result=False, cache_policy=NO_CACHE)
def chosen_logs() -> list[str]:
    """The names of the logs to follow; the list of logs is fetched first, where it is a day old."""
    with warehouse() as engine:
        return chosen_names(engine)


@task(name="head", task_run_name="head {run.source}", persist_result=False, cache_policy=NO_CACHE)
def head(run: Run) -> Head:
    """Ask the log for its signed head. Retries are the client's, not Prefect's."""
    with warehouse() as engine:
        return ct.head(engine, find_source(run.source), run)


@task(name="follow", task_run_name="follow {head.source}", persist_result=False, cache_policy=NO_CACHE)
def follow(run: Run, head: Head, seconds: float = SLICE) -> Followed:
    """Read, verify, match, archive and commit, in chunks; then say what was committed."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        followed = ct.follow(engine, find_source(run.source), run, head, max_seconds=seconds)
    for batch in followed.batches:
        say_loaded(followed.source, batch)
    return followed
