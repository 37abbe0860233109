"""When a Certificate Transparency log is followed: one source, one slice of at most ten minutes, from its cursor on."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from db.engine import warehouse
from flows.collect import tell
from flows.monitor import findings_of
from intel.config.sources import read_sources
from intel.errors import BusyError
from intel.settings import settings
from tasks.assess.task import when_free
from tasks.collect.session import find_source, open_run
from tasks.load.ct_task import follow, head
from tasks.watch.task import monitor_certificates


@flow(name="follow-log", flow_run_name="follow {source}", persist_result=False)
def follow_log(source: str) -> int:
    """Follow one log: head -> follow -> monitor. Returns the number of entries read.

    A failure is on the run and in `lapsewatch status`; the cursor is behind the last chunk that was committed.
    """
    entry = find_source(source)
    with warehouse() as engine, open_run(engine, entry, flow_run=str(flow_run.id or "")) as run:
        shown = head.submit(run).result()
        following = follow.submit(run, shown)
        followed = following.result()
    # The event of what was committed wakes the same monitor: one of the two finds the other at it.
    findings_of(when_free(monitor_certificates).submit(wait_for=[following], return_state=False))
    return followed.entries


@flow(name="follow-logs", persist_result=False)
def follow_logs() -> None:
    """Follow every log whose source is switched on, one after another; one that fails spares the others.

    Raises CollectError where all of them failed. One that another process follows now has not.
    """
    logs = [
        name for name, entry in read_sources(settings().configs).items() if entry.enabled and entry.transport == "ct"
    ]
    failed: list[str] = []
    for name in logs:
        state: State[int] = follow_log(name, return_state=True)
        if not state.is_completed() and not isinstance(state.result(raise_on_failure=False), BusyError):
            failed.append(name)
    tell(failed, len(logs))
