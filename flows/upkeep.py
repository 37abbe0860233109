"""When the house is tidied: nightly, and the archive every half hour, since it grows by gigabytes an hour."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.futures import PrefectFuture, wait

from intel.errors import BusyError
from tasks.upkeep.task import (
    analyze,
    close_dead_runs,
    compact_archive,
    learn_names,
    prune_first_sights,
    sweep_documents,
    sweep_staging,
    tidy_archive,
    tidy_zones,
)


@flow(name="upkeep", persist_result=False)
def upkeep() -> None:
    """Close the runs of dead processes, drop what they staged and half wrote, refresh statistics; drop old first sights
    of new domains, then learn from what is left.
    """
    closed = close_dead_runs.submit()
    swept = sweep_staging.submit(closed)  # type: ignore[call-overload]  # Prefect resolves the future
    pruned = prune_first_sights.submit()
    learnt: PrefectFuture[Any] = learn_names.submit(wait_for=[pruned], return_state=False)
    wait([swept, sweep_documents.submit(), tidy_zones.submit(), analyze.submit(), pruned, learnt])
    if _done(learnt) and learnt.result().why_not:
        get_run_logger().info("the model of names is left as it is: %s", learnt.result().why_not)


@flow(name="upkeep-archive", persist_result=False)
def upkeep_archive() -> None:
    """Merge small segments of the archive, then keep it within its limits. Where one fails the other is done.

    Another process at the same is no failure of this run.
    """
    tidied: PrefectFuture[Any] = tidy_archive.submit()
    compacted: PrefectFuture[Any] = compact_archive.submit()
    wait([tidied, compacted])
    for problem in compacted.result().problems if _done(compacted) else ():
        get_run_logger().warning("%s", problem)
    _done(tidied)


def _done(future: PrefectFuture[Any]) -> bool:
    """Whether it was done; False where another process was at it. Raises what went wrong with it."""
    ended: object = future.result(raise_on_failure=False)
    if isinstance(ended, BusyError):
        get_run_logger().info("%s", ended)
        return False
    future.result()
    return True
