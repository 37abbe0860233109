"""The processes that `lapsewatch up` runs: started in order, each waited for until it is healthy, stopped in reverse.

Every process is in a group of its own, so that Ctrl-C reaches us alone and we stop the others one after another; its
output goes to a file of its own below `home`/log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import httpx

from intel.errors import UnavailableError


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process, and how to tell that it is ready. `grace` is how long it may take to stop, in seconds."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    healthy: Callable[[], bool]
    address: str = ""
    patience: float = 120
    grace: float = 20


@dataclass
class Running:
    """Services that were started. Use as a context manager: leaving it stops them all."""

    log_folder: Path
    started: list[tuple[Service, subprocess.Popen[bytes], IO[bytes]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.log_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, service: Service) -> None:
        """Start a service and wait until it is healthy. Raises UnavailableError with the end of its log."""
        path = self.log_folder / f"{service.name}.log"
        log = path.open("wb")
        process = subprocess.Popen(  # noqa: S603 - our own commands
            list(service.command),
            env={**os.environ, **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started.append((service, process, log))
        deadline = time.monotonic() + service.patience
        while not service.healthy():
            if process.poll() is not None:
                raise UnavailableError(
                    f"couldn't start {service.name}: it ended with code {process.returncode}; the end of {path} says:"
                    f"\n{_tail(path)}"
                )
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"couldn't start {service.name}: not ready after {service.patience:.0f} s; the end of {path} says:"
                    f"\n{_tail(path)}"
                )
            time.sleep(0.1)

    def check(self) -> None:
        """Raise UnavailableError where one has ended by itself."""
        for service, process, _ in self.started:
            if process.poll() is not None:
                path = self.log_folder / f"{service.name}.log"
                raise UnavailableError(
                    f"{service.name} ended by itself with code {process.returncode}; {path} ends with:\n{_tail(path)}"
                )

    def stop(self) -> None:
        """Stop them all, the last one first: SIGTERM, and SIGKILL to the group of one that does not hear it."""
        while self.started:
            service, process, log = self.started.pop()
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(service.grace)
            _kill_group(process)
            log.close()


def answers(url: str, *, headers: Mapping[str, str] | None = None) -> Callable[[], bool]:
    """Whether `url` answers with success."""

    def healthy() -> bool:
        try:
            return httpx.get(url, headers=dict(headers or {}), timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    return healthy


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what a service left behind: it led a session of its own, so its group is its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(5)


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
