"""When Certificate Transparency logs are followed: one by name, or all that are chosen, a slice at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple, cast

from prefect import flow, get_run_logger
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from db.engine import warehouse, what_failed
from flows.collect import tell
from flows.monitor import findings_of
from intel.errors import BusyError
from tasks.assess.task import when_free
from tasks.collect.session import find_source, open_run
from tasks.load.ct import Followed, Head
from tasks.load.ct_task import SLICE, chosen_logs, follow, head
from tasks.load.task import said_together
from tasks.watch.task import monitor_certificates

AT_ONCE: Final = 4
"""Logs that are followed side by side: a slow one does not hold up the others."""


class _Started(NamedTuple):
    name: str
    run: ExitStack
    shown: PrefectFuture[Head]
    following: PrefectFuture[Followed]


@flow(name="follow-log", flow_run_name="follow {source}", persist_result=False)
def follow_log(source: str) -> int:
    """Follow one log: head -> follow -> monitor. Returns the number of entries read.

    A failure is on the run and in `lapsewatch ct status`; the cursor is behind the last chunk that was committed, and
    what was committed is judged all the same.
    """
    entry = find_source(source)
    ended: list[PrefectFuture[Followed]] = []
    begun = False
    try:
        with warehouse() as engine, open_run(engine, entry, flow_run=str(flow_run.id or "")) as run:
            shown = head.submit(run).result()
            begun = True
            following = follow.submit(run, shown)
            followed = following.result()
            ended.append(following)
    finally:
        if begun:
            # The event of what was committed wakes the same monitor: one of the two finds the other at it. Waiting for
            # a task that failed would keep it from running.
            findings_of(when_free(monitor_certificates).submit(wait_for=ended, return_state=False))
    return followed.entries


# Its kind of future is not the one that the decorator's type names, though it is a subclass of it.
_SIDE_BY_SIDE: Final[Any] = ThreadPoolTaskRunner(max_workers=AT_ONCE)


@flow(name="follow-logs", persist_result=False, task_runner=_SIDE_BY_SIDE)
def follow_logs(only: Sequence[str] = ("*",)) -> int:
    """Follow the logs that are chosen, those whose source fits a shell pattern of `only`: head -> follow for each, side
    by side, then monitor. Returns the number of entries read; one that fails spares the others.

    Raises CollectError where all of them failed. One that another process follows now has not.
    """
    chosen = chosen_logs.submit()
    names = [name for name in chosen.result() if any(fnmatchcase(name, pattern) for pattern in only)]
    # A run takes ten minutes at most, however many logs there are.
    seconds = SLICE / max(1, -(-len(names) // AT_ONCE))
    started: list[_Started] = []
    ended: list[PrefectFuture[Followed]] = []
    failed: list[str] = []
    with said_together(), warehouse() as engine, ExitStack() as runs:
        for name in names:
            run_of = runs.enter_context(ExitStack())
            try:
                run = run_of.enter_context(open_run(engine, find_source(name), flow_run=str(flow_run.id or "")))
            except BusyError as error:
                get_run_logger().info("%s", error)
                continue
            except Exception as error:  # noqa: BLE001 - those that were begun go on, and this would end their runs
                get_run_logger().warning("%s: %s", name, what_failed(error))
                failed.append(name)
                continue
            shown = head.submit(run, wait_for=[chosen], return_state=False)
            # Prefect takes a future in the place of what it will hold, and draws the edge.
            following = follow.submit(run, cast("Head", shown), seconds)
            started.append(_Started(name, run_of, shown, following))
        entries = 0
        for name, run_of, shown, following in started:
            try:
                with run_of:  # so that what went wrong with it is written on its own run
                    shown.result()  # where this failed, what follows it was never begun
                    entries += following.result().entries
                    ended.append(following)
            except Exception as error:  # noqa: BLE001 - one log must not stop the others, whatever it ran into
                get_run_logger().warning("%s: %s", name, what_failed(error))
                failed.append(name)
    # Waiting for one that failed would keep it from running.
    findings_of(when_free(monitor_certificates).submit(wait_for=ended, return_state=False))
    tell(failed, len(names))
    return entries
