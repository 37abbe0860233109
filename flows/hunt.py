"""When the archive is hunted through for what is watched since later: every ten minutes."""

from __future__ import annotations

from prefect import flow, get_run_logger

from flows.monitor import findings_of
from intel.errors import BusyError
from tasks.assess.task import when_free
from tasks.load.ct_hunt import Hunted
from tasks.load.ct_hunt_task import hunt as hunt_backwards
from tasks.watch.task import monitor_certificates


@flow(name="hunt", persist_result=False)
def hunt() -> int:
    """Hunt backwards: hunt -> monitor. Returns the number of entries that touch a watch.

    None where another process is at it, which is no failure of this run.
    """
    hunting = hunt_backwards.submit()
    ended: object = hunting.result(raise_on_failure=False)
    if isinstance(ended, BusyError):
        get_run_logger().info("%s", ended)
        return 0
    if not isinstance(ended, Hunted):
        return hunting.result().hits  # raises what went wrong
    for problem in ended.problems:
        get_run_logger().warning("%s", problem)
    if ended.batches:
        findings_of(when_free(monitor_certificates).submit(wait_for=[hunting], return_state=False))
    return ended.hits
