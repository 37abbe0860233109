"""When it is counted how common values are: daily, a reference population beside the other."""

from __future__ import annotations

from typing import Any

from prefect import allow_failure, flow, get_run_logger
from prefect.futures import PrefectFuture, wait

from tasks.pivot.prevalence_records import Done
from tasks.pivot.prevalence_task import (
    choose_sample,
    count_certificates,
    count_new_domains,
    count_sample,
    count_zones,
    take_newer_lists,
)


@flow(name="prevalence", persist_result=False)
def prevalence() -> int:
    """Take newer lists, count zones, new domains, certificates and the sample, then let chance choose new ones for it.

    Returns how many values are counted. A population that fails keeps its old figures, and spares the others.
    """
    lists: PrefectFuture[Any] = take_newer_lists.submit()
    counting: list[PrefectFuture[Any]] = [
        count_zones.submit(),
        count_new_domains.submit(),
        count_certificates.submit(),
        count_sample.submit(),
    ]
    # The sample is counted before another is chosen: what was chosen just now has no answer yet.
    choosing: PrefectFuture[Any] = choose_sample.submit(wait_for=[allow_failure(counting[-1])], return_state=False)
    wait([lists, *counting, choosing])
    values = 0
    for future in (lists, *counting):
        done = future.result(raise_on_failure=False)
        if isinstance(done, Done):
            for problem in done.problems:
                get_run_logger().warning("%s", problem)
            for part in done.parts:
                get_run_logger().info("%s: %s counted, %s values", part.population, part.total, part.values)
            values += sum(part.values for part in done.parts)
    for future in (lists, *counting, choosing):
        future.result()  # raises what went wrong
    return values
