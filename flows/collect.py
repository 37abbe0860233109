"""When sources are asked: one by name, or all of a cadence class."""

from __future__ import annotations

import logging

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from db.engine import warehouse
from intel.config.sources import read_sources
from intel.settings import settings
from tasks.collect.session import find_source, open_run
from tasks.collect.task import collect
from tasks.load.task import load
from tasks.normalize.task import normalize

log = logging.getLogger(__name__)


@flow(name="collect-source", flow_run_name="collect {source}", persist_result=False)
def collect_source(source: str) -> int:
    """Collect everything that is new from one source: collect -> normalize -> load, slice by slice.

    Returns the number of new facts. A failure is on the run and in `lapsewatch status`; the cursor has not moved.
    """
    entry = find_source(source)
    new = 0
    with warehouse() as engine, open_run(engine, entry, flow_run=str(flow_run.id or "")) as run:
        more = True
        while more:
            collected = collect.submit(run).result()
            if not collected.documents and collected.cursor is None and not collected.problems:
                break
            batch = normalize.submit(collected).result()
            loaded = load.submit(batch).result()
            new += loaded.facts_new
            more = not loaded.last
    return new


@flow(name="collect-cadence", flow_run_name="collect {cadence}", persist_result=False)
def collect_cadence(cadence: str) -> None:
    """Collect from every enabled source of a cadence class; one that fails spares the others."""
    logger = get_run_logger()
    rows: list[dict[str, str | int]] = []
    failed: list[str] = []
    for name, entry in read_sources(settings().configs).items():
        if not entry.enabled or entry.cadence != cadence or entry.transport == "ct":
            continue
        state: State[int] = collect_source(name, return_state=True)
        result = state.result(raise_on_failure=False)
        new = result if isinstance(result, int) else 0
        rows.append({"source": name, "outcome": str(state.name), "new facts": new, "said": (state.message or "")[:200]})
        if not state.is_completed():
            failed.append(name)
    if rows:
        create_table_artifact(key=f"collect-{cadence}", table=rows)
    if failed:
        logger.warning(
            "%s of %s sources failed: %s; see `lapsewatch status`", len(failed), len(rows), ", ".join(failed)
        )
