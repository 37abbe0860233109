"""The processes that `lapsewatch up` runs: started in order, each waited for until it is healthy, stopped in reverse.

Every process is in a group of its own, so that Ctrl-C reaches us alone and we stop the others one after another; its
output goes to a file of its own below `home`/log, the one before it to NAME.log.1.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Self
from urllib.parse import urlsplit

import httpx

from apps.cli import interrupts
from intel.errors import UnavailableError

LOG_BYTES: Final = 32 << 20
"""How long a service's log may become before it is moved aside."""


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
    """Services that were started. Use as a context manager: leaving it stops them all, as do the usual signals."""

    log_folder: Path
    log_bytes: int = LOG_BYTES
    started: list[tuple[Service, subprocess.Popen[bytes], IO[bytes]]] = field(default_factory=list)

    _signals: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.log_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._signals.enter_context(interrupts.stoppable())
        return self

    def __exit__(self, *_: object) -> None:
        with self._signals:
            self.stop()

    def start(self, service: Service) -> None:
        """Start a service and wait until it is healthy.

        Raises UnavailableError where something else answers at its address, and with the end of its log where it does
        not come up.
        """
        if _taken(service.address):
            raise UnavailableError(
                f"couldn't start {service.name}: something answers at {service.address} already (another"
                " `lapsewatch up`?); stop that, or set another port"
            )
        path = self.log_folder / f"{service.name}.log"
        if path.exists():
            path.replace(_before(path))
        # A signal between the process and the note of it would leave the process behind.
        with interrupts.unbroken():
            log = path.open("ab")
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
        while True:
            healthy = service.healthy()
            # Asked afterwards: what answered may be a stranger who took the port from one that has ended for it.
            if process.poll() is not None:
                raise UnavailableError(
                    f"couldn't start {service.name}: it ended with code {process.returncode}; the end of {path} says:"
                    f"\n{_tail(path)}"
                )
            if healthy:
                return
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"couldn't start {service.name}: not ready after {service.patience:.0f} s; the end of {path} says:"
                    f"\n{_tail(path)}"
                )
            time.sleep(0.1)

    def check(self) -> None:
        """Raise UnavailableError where one has ended by itself; move logs aside that have become long."""
        for service, process, log in self.started:
            path = self.log_folder / f"{service.name}.log"
            if process.poll() is not None:
                raise UnavailableError(
                    f"{service.name} ended by itself with code {process.returncode}; {path} ends with:\n{_tail(path)}"
                )
            if os.fstat(log.fileno()).st_size > self.log_bytes:
                # The service holds the file open for appending, so it is copied and emptied, not renamed; a line
                # written between the two is lost.
                shutil.copyfile(path, _before(path))
                log.truncate(0)

    def stop(self) -> None:
        """Stop them all, the last one first: SIGTERM, and SIGKILL to the group of one that does not hear it.

        Signals do nothing from here on: a second Ctrl-C must not leave the rest running.
        """
        interrupts.ignore()
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


def _taken(address: str) -> bool:
    """Whether something answers at the host and port of `address` (a URL); nothing does at an empty one."""
    where = urlsplit(address)
    if where.hostname is None or where.port is None:
        return False
    try:
        socket.create_connection((where.hostname, where.port), timeout=1).close()
    except OSError:
        return False
    return True


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what a service left behind: it led a session of its own, so its group is its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(5)


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
