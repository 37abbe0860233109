"""Starting deployments on demand, and waiting for their flow runs, through the server's API."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from apps.cli.prefect_server import api
from intel.errors import UnavailableError

_ENDED: Final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True, kw_only=True)
class FlowRun:
    """A flow run as the server knows it. `seconds` is how long it ran."""

    id: str
    name: str
    deployment: str
    state: str
    message: str
    seconds: float

    @property
    def completed(self) -> bool:
        """Whether it went well."""
        return self.state == "COMPLETED"


def start(deployment: str, parameters: Mapping[str, Any] | None = None, *, key: str = "") -> str:
    """Start `flow/deployment`; returns the flow run's id. The same `key` starts nothing twice."""
    flow, _, name = deployment.partition("/")
    found = api(f"/deployments/name/{quote(flow)}/{quote(name)}")
    body: dict[str, Any] = {"parameters": dict(parameters or {}), "state": {"type": "SCHEDULED"}}
    if key:
        body["idempotency_key"] = key
    run = api(f"/deployments/{_text(found, 'id')}/create_flow_run", body)
    return _text(run, "id")


def wait(started: Sequence[tuple[str, str]], *, patience: float = 150) -> list[FlowRun]:
    """Wait until the flow runs (deployment, id) have ended. Raises UnavailableError where one does not."""
    deadline = time.monotonic() + patience
    done: dict[str, FlowRun] = {}
    while len(done) < len(started):
        for deployment, run_id in started:
            if run_id not in done:
                run = _read(deployment, run_id)
                if run.state in _ENDED:
                    done[run_id] = run
        if time.monotonic() > deadline:
            late = ", ".join(sorted(deployment for deployment, run_id in started if run_id not in done))
            raise UnavailableError(f"couldn't wait for {late}: not ended after {patience:.0f} s; see the worker's log")
        time.sleep(0.25)
    return [done[run_id] for _, run_id in started]


def run_all(wanted: Sequence[tuple[str, Mapping[str, Any]]]) -> list[FlowRun]:
    """Start deployments side by side and wait for all of them; one may be there more than once."""
    return wait([(name, start(name, parameters)) for name, parameters in wanted])


def _read(deployment: str, run_id: str) -> FlowRun:
    value = api(f"/flow_runs/{run_id}")
    if not isinstance(value, dict):
        raise UnavailableError("couldn't read a flow run: Prefect's server answered with something else")
    state = value.get("state") or {}
    return FlowRun(
        id=run_id,
        name=str(value.get("name")),
        deployment=deployment,
        state=str(state.get("type")),
        message=str(state.get("message") or ""),
        seconds=float(value.get("total_run_time") or 0),
    )


def _text(value: object, name: str) -> str:
    if not isinstance(value, dict) or not isinstance(value.get(name), str):
        raise UnavailableError("couldn't use Prefect's server: it answered with something else than it should")
    return str(value[name])
