"""When sources are asked: one by name, or all of a cadence class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from db import status
from db.engine import warehouse, what_failed
from db.load import Loaded
from intel.config.sources import Format, read_sources
from intel.errors import BusyError, CollectError, ConfigError
from intel.settings import settings
from tasks.collect.session import find_source, open_run
from tasks.collect.task import collect
from tasks.load.new_domains import Arrived
from tasks.load.new_domains_task import new_domains
from tasks.load.task import load, said_together
from tasks.normalize.task import normalize


@flow(name="collect-source", flow_run_name="collect {source}", persist_result=False)
def collect_source(source: str) -> int:
    """Collect everything that is new from one source: collect -> normalize -> load, slice by slice; of lists of new
    domains, collect -> new domains.

    Returns the number of new facts. A failure is on the run and in `lapsewatch status`; the cursor has not moved.
    Raises ConfigError for a zone, which is too large to be a document: `compare-zone` takes it.
    """
    entry = find_source(source)
    if entry.format is Format.ZONE:
        raise ConfigError(f"couldn't collect {source}: its format is zone; start compare-zone/zone with it")
    new = 0
    with warehouse() as engine, open_run(engine, entry, flow_run=str(flow_run.id or "")) as run:
        more = True
        while more:
            collected = collect.submit(run).result()
            if not collected.documents and collected.cursor is None and not collected.problems:
                break
            loaded: Loaded | Arrived
            if entry.format is Format.DOMAINS:
                loaded = new_domains.submit(collected).result()
            else:
                loaded = load.submit(normalize.submit(collected).result()).result()
            new += loaded.facts_new
            more = not loaded.last
    return new


# The run of a cadence has a heart that beats for those of its sources. Each of theirs would cost a second, since a run
# ends with the next beat.
_ONE_HEART: Final[Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}


@flow(name="collect-cadence", flow_run_name="collect {cadence}", persist_result=False)
def collect_cadence(cadence: str) -> None:
    """Collect from every enabled source of a cadence class; one that fails spares the others.

    Raises CollectError where all of them failed. One that another process collects from now has not. Logs and zones
    have flows of their own (follow_log.py, zones.py).
    """
    rows: list[dict[str, str | int]] = []
    failed: list[str] = []
    with said_together(), temporary_settings(_ONE_HEART):
        for name, entry in read_sources(settings().configs).items():
            if not entry.enabled or entry.cadence != cadence or entry.transport == "ct" or entry.format is Format.ZONE:
                continue
            state: State[int] = collect_source(name, return_state=True)
            result: object = state.result(raise_on_failure=False)
            new = result if isinstance(result, int) else 0
            rows.append(
                {"source": name, "outcome": str(state.name), "new facts": new, "said": _said(name, state, result)}
            )
            if not state.is_completed() and not isinstance(result, BusyError):
                failed.append(name)
    if rows:
        create_table_artifact(key=f"collect-{cadence}", table=rows)
    tell(failed, len(rows))


def tell(failed: Sequence[str], total: int) -> None:
    """Warn of the sources that failed. Raises CollectError where that is all of them: such a run is not a good one."""
    if not failed:
        return
    said = f"{len(failed)} of {total} sources failed: {', '.join(failed)}; `lapsewatch status` says why"
    get_run_logger().warning("%s", said)
    if len(failed) == total:
        raise CollectError(f"couldn't collect anything: {said}")


def _said(source: str, state: State[int], result: object) -> str:
    """What the run says went wrong or lacked; of one that never began, what our own error says."""
    with warehouse() as engine, engine.connect() as connection:
        said = status.said(connection, source, str(state.state_details.flow_run_id))
    if said is None:
        said = what_failed(result) if isinstance(result, BaseException) else ""
    return said[:200]
