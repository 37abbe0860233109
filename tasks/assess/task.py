"""Prefect's view of an investigation's beginning and end: its entities, its watch, what it teaches, its report."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from prefect import Task, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from db.engine import warehouse
from intel.errors import BusyError
from tasks.assess import investigation, learned
from tasks.assess.branches import branches
from tasks.assess.investigation import Watched
from tasks.assess.learned import Learned
from tasks.assess.report import Report, write_report
from tasks.enrich.records import Case

Record = TypeVar("Record")
TRIES: Final = 10
PAUSE: Final = 3
"""Seconds between two tries."""


def when_free(step: Task[..., Record]) -> Task[..., Record]:
    """The step, tried again for half a minute where another process is at it: waiting helps then, and only then."""
    return step.with_options(retries=TRIES, retry_delay_seconds=PAUSE, retry_condition_fn=_is_busy)


def _is_busy(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), BusyError)


@task(name="normalize", persist_result=False, cache_policy=NO_CACHE)
def record(incident: int) -> Case:
    """The entities that the incident's indicators were read as."""
    with warehouse() as engine:
        return investigation.record(engine, incident)


@task(name="watch", persist_result=False, cache_policy=NO_CACHE)
def watch(case: Case) -> Watched:
    """Watch for them from now on."""
    with warehouse() as engine:
        return investigation.watch(engine, case)


@task(name="new watches", persist_result=False, cache_policy=NO_CACHE)
def watch_leads(case: Case) -> Watched:
    """Watch for what it leads to as well, where that is strong enough."""
    with warehouse() as engine:
        return investigation.watch(engine, case)


@task(name="patterns", persist_result=False, cache_policy=NO_CACHE)
def patterns(case: Case) -> Learned:
    """Propose registration patterns of what its watch knows, where that is enough."""
    with warehouse() as engine:
        return learned.learn(engine, case)


@task(name="report", persist_result=False, cache_policy=NO_CACHE)
def report(case: Case, **results: object) -> Report:
    """Write the report from what the branches found, or why they failed; it is kept with the incident and shown."""
    with warehouse() as engine:
        written = write_report(engine, case, branches(results))
    create_markdown_artifact(key=f"incident-{case.incident}", markdown=written.markdown, description="Incident report")
    return written
