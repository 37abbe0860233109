"""When facts are judged against the watches: woken by a load, and swept on a schedule."""

from __future__ import annotations

from prefect import allow_failure, flow, get_run_logger
from prefect.futures import PrefectFuture

from intel.errors import BusyError
from tasks.assess.task import when_free
from tasks.watch import task as watch
from tasks.watch.monitor import Monitored


@flow(name="monitor-registrations", persist_result=False)
def monitor_registrations() -> int:
    """Judge names, addresses and registration; returns the number of new findings."""
    return findings_of(when_free(watch.monitor_registrations).submit())


@flow(name="monitor-certificates", persist_result=False)
def monitor_certificates() -> int:
    """Judge certificates and keys; returns the number of new findings."""
    return findings_of(when_free(watch.monitor_certificates).submit())


@flow(name="monitor-rules", persist_result=False)
def monitor_rules() -> int:
    """Judge against the rules of watches' own, and by the habits of their known domains; returns the new findings.

    What is known of an actor may have grown by what was judged: patterns are learned anew, and then habits.
    """
    judged = when_free(watch.monitor_rules).submit()
    relearned = watch.relearn.submit(return_state=False, wait_for=[allow_failure(judged)])
    habits = when_free(watch.monitor_habits).submit(return_state=False, wait_for=[allow_failure(relearned)])
    # Each fails by itself, and the flow by the first of them.
    for step in (judged.wait, relearned.wait, habits.wait):
        step()
    found = findings_of(judged) + findings_of(habits)
    relearned.result()
    return found


def findings_of(judging: PrefectFuture[Monitored]) -> int:
    """How many findings it made; none where another process stayed at it, which is no failure of this run.

    A monitor looks for work again until there is none, so the one that was at it for all that time takes over.
    """
    ended: object = judging.result(raise_on_failure=False)
    if isinstance(ended, BusyError):
        get_run_logger().info("%s", ended)
        return 0
    if isinstance(ended, BaseException):
        raise ended
    return judging.result().findings
