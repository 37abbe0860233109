"""Runs a lab application on loopback, in a thread, on a free port.

In: an ASGI application. Out: its address, until the block ends; then it is stopped and its thread joined.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from intel.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """Where a lab application listens; `url` has no slash at its end."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """The pair that `network.allow` takes."""
        return self.host, self.port


@contextlib.contextmanager
def serve(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Served]:
    """Serve an application until the block ends; port 0 takes a free one."""
    listener = socket.create_server((host, port), backlog=128)
    # Accepted sockets inherit it. Without it, an answer in two writes waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="lab-server", daemon=True)
    thread.start()
    try:
        until = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > until:
                raise UnavailableError("couldn't start a lab server: it did not come up; the lab ends")
            time.sleep(0.005)
        yield Served(host=host, port=int(listener.getsockname()[1]))
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)
        listener.close()
