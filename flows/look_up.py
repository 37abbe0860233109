"""When registries are asked: what is due, the most urgent first, and in its time whatever is watched."""

from __future__ import annotations

from prefect import flow, get_run_logger
from prefect.futures import wait

from tasks.enrich.task import keep_timetable, look_up
from tasks.load.task import said_together


@flow(name="look-up", persist_result=False)
def look_up_due(seconds: float = 240, ahead_days: float = 0) -> int:
    """Ask about what is due, for so many seconds at most; `ahead_days` takes what is due so much later for due now.

    timetable -> look up. Returns how many things were answered; the monitors are woken by what was loaded.
    """
    timetable = keep_timetable.submit()
    wait([timetable])
    with said_together():
        looked = look_up.submit(timetable.result(), seconds=seconds, ahead_days=ahead_days).result()
    get_run_logger().info(
        "%s answered, %s later, %s given up; %s facts new, %s ended",
        looked.answered,
        looked.later,
        looked.given_up,
        looked.facts_new,
        looked.facts_ended,
    )
    return looked.answered
