"""When zone files are compared with the day before: of one source, or of all that are enabled."""

from __future__ import annotations

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from db.engine import warehouse, what_failed
from flows.collect import tell
from intel.config.sources import Format, read_sources
from intel.errors import BusyError, ConfigError
from intel.settings import settings
from tasks.collect.session import find_source, open_run
from tasks.collect.zones_task import zone_file
from tasks.load.zones_task import compare_snapshot, sort_zone


@flow(name="compare-zone", flow_run_name="compare {source}", persist_result=False)
def compare_zone(source: str) -> int:
    """Compare what is new of one source's zone: zone file -> sort -> compare, one file after another.

    Returns the number of names that came, left or moved. A failure is on the run and in `lapsewatch status`; the next
    run goes on where this one ended. Raises ConfigError where the source is no zone.
    """
    entry = find_source(source)
    if entry.format is not Format.ZONE:
        raise ConfigError(f"couldn't compare {source}: its format is {entry.format}, not zone; nothing was asked")
    differing = 0
    with warehouse() as engine, open_run(engine, entry, flow_run=str(flow_run.id or "")) as run:
        while (file := zone_file.submit(run).result()) is not None:
            snapshot = sort_zone.submit(run, file).result()
            compared = compare_snapshot.submit(run, snapshot).result()
            if compared.alarm:
                get_run_logger().warning("%s", compared.alarm)
            differing += compared.added + compared.removed + compared.changed
    return differing


@flow(name="compare-zones", persist_result=False)
def compare_zones() -> None:
    """Compare the zones of all enabled sources, one after another; one that fails spares the others.

    Raises CollectError where all of them failed. One that another process compares now has not.
    """
    failed: list[str] = []
    total = 0
    for name, entry in read_sources(settings().configs).items():
        if not entry.enabled or entry.format is not Format.ZONE:
            continue
        total += 1
        state: State[int] = compare_zone(name, return_state=True)
        result: object = state.result(raise_on_failure=False)
        if not state.is_completed() and not isinstance(result, BusyError):
            said = what_failed(result) if isinstance(result, BaseException) else str(state.name)
            get_run_logger().warning("%s: %s", name, said)
            failed.append(name)
    tell(failed, total)
