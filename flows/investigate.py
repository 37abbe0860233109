"""When somebody reports an incident: everything that is known of it, looked up side by side, into one report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from prefect import Task, allow_failure, flow, get_run_logger
from prefect.futures import PrefectFuture

from db.engine import warehouse
from tasks.assess.investigation import opened
from tasks.assess.task import record, report, watch, when_free
from tasks.enrich.task import certificates, known, network, passive_dns, registration
from tasks.publish.task import publish as publish_findings
from tasks.watch.task import monitor_certificates, monitor_registrations

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
        # They look back for what is watched from now on, and judge what registration brought, whatever became of it.
        first = [allow_failure(watched), allow_failure(branches["registered"])]
        looked_back: dict[str, PrefectFuture[Any]] = {
            "monitor_registrations": _submit(when_free(monitor_registrations), wait_for=first),
            "monitor_certificates": _submit(when_free(monitor_certificates), wait_for=first),
        }
        ended = {"watched": watched, "known": told, **branches, **looked_back}
        written = _submit(report, case, **{name: allow_failure(future) for name, future in ended.items()})
        done = written.result()
        if publish:
            _submit(publish_findings, wait_for=[written]).result()
    for name in done.failed:
        get_run_logger().warning("%s failed; the report of incident %s says why", name, incident)
    return f"incident {incident}: {done.findings} findings, {done.lapses} of them lapses"


def _submit(
    step: Task[..., Record], *inputs: object, wait_for: Sequence[object] = (), **named: object
) -> PrefectFuture[Record]:
    """Submit a step with futures in the place of its records: Prefect draws the edges from them."""
    return step.submit(*inputs, return_state=False, wait_for=list(wait_for) or None, **named)
