"""When somebody reports an incident: what is known of it, what it leads to, what that leads to, into one report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from prefect import Task, allow_failure, flow, get_run_logger
from prefect.futures import PrefectFuture

from db.engine import warehouse
from tasks.assess.investigation import opened
from tasks.assess.task import patterns, record, report, watch, watch_leads, when_free
from tasks.enrich.task import certificates, known, network, passive_dns, registration
from tasks.pivot.task import pivot, pivot_again, second_look_ups
from tasks.publish.task import publish as publish_findings
from tasks.watch.task import monitor_certificates, monitor_registrations, monitor_rules

Record = TypeVar("Record")


@flow(name="investigate", flow_run_name="investigate {incident}", persist_result=False)
def investigate(incident: int, publish: bool = False) -> str:
    """Investigate an incident that is in the warehouse, and publish what was found where that is asked for.

    A branch that fails spares the others and is named in the report. Run again it adds only what is new. Returns a
    sentence; the report is with the incident, and an artifact of the run.
    """
    with warehouse() as engine, opened(engine, incident, publish=publish):
        case = _submit(record, incident)
        watched = _submit(watch, case)
        told = _submit(known, case)
        branches: dict[str, PrefectFuture[Any]] = {
            "registered": _submit(registration, case, allow_failure(told)),
            "certificates": _submit(certificates, case, allow_failure(told)),
            "passive_dns": _submit(passive_dns, case, allow_failure(told)),
            "network": _submit(network, case, allow_failure(told)),
        }
        # Each of these goes on from what the warehouse holds by then, whatever became of the step before.
        first = _submit(pivot, case, wait_for=[allow_failure(branch) for branch in branches.values()])
        followed = _submit(second_look_ups, case, allow_failure(first))
        led = _submit(pivot_again, case, allow_failure(followed))
        more = _submit(watch_leads, case, wait_for=[allow_failure(watched), allow_failure(led)])
        # They look back for what is watched from now on, and judge what the look-ups brought.
        looked_back: dict[str, PrefectFuture[Any]] = {
            "monitor_registrations": _submit(when_free(monitor_registrations), wait_for=[allow_failure(more)]),
            "monitor_certificates": _submit(when_free(monitor_certificates), wait_for=[allow_failure(more)]),
            "monitor_rules": _submit(when_free(monitor_rules), wait_for=[allow_failure(more)]),
        }
        learned = _submit(patterns, case, wait_for=[allow_failure(one) for one in looked_back.values()])
        ended = {
            "watched": watched,
            "known": told,
            **branches,
            "pivot": first,
            "followed": followed,
            "led": led,
            "new_watches": more,
            **looked_back,
            "patterns": learned,
        }
        written = _submit(report, case, **{name: allow_failure(future) for name, future in ended.items()})
        done = written.result()
        if publish:
            _submit(publish_findings, wait_for=[written]).result()
    for name in done.failed:
        get_run_logger().warning("%s failed; the report of incident %s says why", name, incident)
    return f"incident {incident}: {done.leads} leads, {done.findings} findings, {done.lapses} of them lapses"


def _submit(
    step: Task[..., Record], *inputs: object, wait_for: Sequence[object] = (), **named: object
) -> PrefectFuture[Record]:
    """Submit a step with futures in the place of its records: Prefect draws the edges from them."""
    return step.submit(*inputs, return_state=False, wait_for=list(wait_for) or None, **named)
