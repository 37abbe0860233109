"""Prefect's server and worker, as `lapsewatch up` runs them: on PostgreSQL, telemetry off, behind a password.

The password is random, made once per installation, in a file that only its owner reads; `lapsewatch env` shows it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

from apps.cli.services import Service, answers
from intel.errors import UnavailableError
from intel.settings import CHECKOUT, settings

POOL: Final = "lapsewatch"
WORKER_LIMIT: Final = 4
_SCRIPTS: Final = Path(sys.executable).parent


def auth_string(home: Path) -> str:
    """`user:password` of this installation's Prefect server, made at the first call."""
    path = home / "prefect" / "auth"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_suffix(f".{os.getpid()}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"lapsewatch:{secrets.token_urlsafe(24)}")
        # link() instead of rename(): two that start at once agree on the first one's password.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(beside)
        beside.unlink()
    return path.read_text("utf-8").strip()


def client_environment() -> dict[str, str]:
    """What a Prefect client or worker of this installation needs in its environment."""
    home = settings().home
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{settings().prefect_port}/api",
        "PREFECT_API_AUTH_STRING": auth_string(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "intel,db,tasks,flows,apps",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_CLI_COLORS": "false",
    }


def server_environment(database_url: str) -> dict[str, str]:
    """The server's own settings, besides the client's. `database_url` is for asyncpg, and Prefect's alone."""
    return {
        **client_environment(),
        "PREFECT_SERVER_API_AUTH_STRING": auth_string(settings().home),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P7D",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(settings().prefect_port),
    }


def headers() -> dict[str, str]:
    """The authorization header of this installation's server."""
    token = base64.b64encode(auth_string(settings().home).encode()).decode("ascii")
    return {"Authorization": f"Basic {token}"}


def api(path: str, body: Mapping[str, object] | None = None) -> object:
    """Ask the server's API: GET, or POST where there is a body. Raises UnavailableError."""
    try:
        answer = _ask("GET" if body is None else "POST", path, body)
        answer.raise_for_status()
        return answer.json()
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        raise UnavailableError(f"couldn't ask Prefect's server: {error}; is `lapsewatch up` running?") from error


def _ask(method: str, path: str, body: Mapping[str, object] | None = None) -> httpx.Response:
    with httpx.Client(headers=headers(), timeout=10, trust_env=False) as client:
        return client.request(method, f"http://127.0.0.1:{settings().prefect_port}/api{path}", json=body)


def server(database_url: str) -> Service:
    """Prefect's server."""
    address = f"http://127.0.0.1:{settings().prefect_port}"
    return Service(
        name="prefect-server",
        command=[
            str(_SCRIPTS / "prefect"),
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            address.rpartition(":")[2],
        ],
        environment=server_environment(database_url),
        healthy=answers(f"{address}/api/ready", headers=headers()),
        address=address,
    )


def worker() -> Service:
    """The worker that runs the flows, each in a process of its own."""
    return Service(
        name="prefect-worker",
        command=[
            str(_SCRIPTS / "prefect"), "worker", "start",
            "--pool", POOL, "--type", "process", "--name", "lapsewatch", "--limit", str(WORKER_LIMIT),
        ],
        environment={**client_environment(), "PREFECT_WORKER_QUERY_SECONDS": "2"},
        healthy=_worker_online,
    )  # fmt: skip


def _worker_online() -> bool:
    try:
        workers = api(f"/work_pools/{POOL}/workers/filter", {})
    except UnavailableError:
        return False
    return isinstance(workers, list) and any(one.get("status") == "ONLINE" for one in workers)


def deploy() -> None:
    """Create the work pool and deploy the timetable of prefect.yaml. Raises UnavailableError with Prefect's words."""
    _make_pool()
    _prefect("--no-prompt", "deploy", "--all")


def _make_pool() -> None:
    """The work pool, made or brought up to date.

    Its template is that of Prefect's process pools, with one default: the command. Without one a worker starts two
    interpreters for each flow run, the first of which only finds out where the code is, at 1.6 s of processor time.
    """
    variables = {
        "command": {"type": "string", "default": shlex.join([sys.executable, "-m", "prefect.engine"])},
        "env": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "name": {"type": ["string", "null"], "default": None},
        "stream_output": {"type": "boolean", "default": True},
        "working_dir": {"type": ["string", "null"], "default": None},
    }
    template = {
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in variables},
        "variables": {"type": "object", "properties": variables},
    }
    try:
        answer = _ask("POST", "/work_pools/", {"name": POOL, "type": "process", "base_job_template": template})
        if answer.status_code == httpx.codes.CONFLICT:
            answer = _ask("PATCH", f"/work_pools/{POOL}", {"base_job_template": template})
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise UnavailableError(f"couldn't make the work pool {POOL}: {error}; nothing was deployed") from error


def _prefect(*arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [str(_SCRIPTS / "prefect"), *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **client_environment()},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"couldn't run `prefect {' '.join(arguments)}`:\n{(done.stdout + done.stderr)[-2000:]}")
