"""When the channels of new domains that nobody collects are looked at: names of certificates, and, where watches have
changed, all that was seen before; every half hour.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.futures import PrefectFuture

from flows.monitor import findings_of
from intel.errors import BusyError
from tasks.assess.task import when_free
from tasks.load.new_domain_ct import Looked
from tasks.load.new_domain_hunt import Hunted
from tasks.load.new_domains_task import certificate_names, hunt_first_sights
from tasks.watch.task import monitor_registrations


@flow(name="new-domains", persist_result=False)
def new_domains() -> int:
    """Take in what was archived since, look backwards where watches have changed: certificate names, then hunt first
    sights, then monitor. Returns the number of names that are new.

    Where one fails the other is done. Another process at the same is no failure of this run.
    """
    looking: PrefectFuture[Any] = certificate_names.submit()
    looking.wait()
    hunting: PrefectFuture[Any] = hunt_first_sights.submit()
    hunting.wait()
    looked, hunted = _ended(looking), _ended(hunting)
    batches: list[object] = []
    if isinstance(looked, Looked):
        for problem in looked.problems:
            get_run_logger().warning("%s", problem)
        batches += looked.arrived.batches
    if isinstance(hunted, Hunted):
        batches += hunted.batches
    if batches:
        findings_of(when_free(monitor_registrations).submit(wait_for=[looking, hunting], return_state=False))
    for future in (looking, hunting):
        if not isinstance(future.result(raise_on_failure=False), BusyError):
            future.result()  # raises what went wrong
    return looked.arrived.new if isinstance(looked, Looked) else 0


def _ended(future: PrefectFuture[Any]) -> object:
    """What came of it; where another process is at it, that is said."""
    ended: object = future.result(raise_on_failure=False)
    if isinstance(ended, BusyError):
        get_run_logger().info("%s", ended)
    return ended
