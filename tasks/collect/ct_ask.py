"""Asks one log, at its pace and with patience; and lets go of what nobody wants any more.

In: a client and the log's pace. Out: the results of calls that ask once (`tasks/collect/ct.py`, `ct_tiles.py`).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Callable
from random import SystemRandom
from typing import Any, Final, TypeVar

import httpx

from intel.errors import OversizedError, StatusError, ThrottledError, UnreachableError
from tasks.collect.ct_pace import Pace
from tasks.collect.http import HttpLimits
from tasks.collect.retry import RetryPolicy, SpentError

T = TypeVar("T")

PATIENCE: Final = RetryPolicy(retries=5, base_seconds=1.0, max_backoff_seconds=20.0, max_retry_after=120.0)
USUAL: Final = HttpLimits(max_bytes=8 << 20, max_seconds=120.0, read_seconds=60.0)
"""256 to 1,024 entries take 0.4 to 2.7 MB."""
LARGEST: Final = HttpLimits(max_bytes=64 << 20, max_seconds=300.0, read_seconds=60.0)
_TURNS: Final = 60
"""A single request that is turned away so often while others are answered has something about it."""

_random = SystemRandom()


class StoppedError(Exception):
    """Nobody wants the answer any more; never seen outside of the reader."""


class Asker:
    """One log, being asked."""

    def __init__(self, client: httpx.Client, pace: Pace, patience: RetryPolicy) -> None:
        self.client = client
        self.pace = pace
        self._patience = patience
        self._large = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._guard = threading.Lock()
        self._asking = threading.local()
        client.event_hooks = {"request": [self._watch], "response": []}

    def ask(self, call: Callable[[], T], stop: threading.Event | None = None) -> T:
        """What `call` gives, called again where that may help.

        Raises what it raises last, ThrottledError where the log wants more patience than we have, StoppedError.
        """
        failed = turned_away = 0
        self._asking.stop = stop
        while True:
            began = self.pace.turn(stop)
            if began is None:
                raise StoppedError
            try:
                result = call()
            except ThrottledError as error:
                turned_away += 1
                useful = self.pace.slowed(began, retry_after=error.retry_after)
                if not useful or turned_away > _TURNS:
                    raise
            except StatusError as error:
                if error.status < 500:
                    self.pace.done()
                    raise
                failed += 1
                if not self.pace.slowed(began) or failed > self._patience.retries:
                    raise
            except UnreachableError as error:
                failed += 1
                self.pace.slowed(began, told=False)
                if stop is not None and stop.is_set():
                    raise StoppedError from error
                if isinstance(error, SpentError) or failed > self._patience.retries:
                    raise
                self._wait(failed, stop)
            except BaseException:
                self.pace.done()
                raise
            else:
                self.pace.succeeded()
                return result

    def ask_sized(self, call: Callable[[HttpLimits], T], stop: threading.Event | None = None) -> T:
        """`ask` for something of the usual size; what is larger is asked for alone, so that memory stays bounded."""
        try:
            return self.ask(lambda: call(USUAL), stop)
        except OversizedError:
            with self._large:
                return self.ask(lambda: call(LARGEST), stop)

    def _wait(self, failed: int, stop: threading.Event | None) -> None:
        # Full jitter: threads that failed together do not come back together.
        longest = min(self._patience.max_backoff_seconds, self._patience.base_seconds * 2 ** (failed - 1))
        (stop or threading.Event()).wait(_random.uniform(0.0, longest))

    def cut(self) -> None:
        """End every transfer that is under way, and let those who wait for their turn look up.

        A thread that waits for a slow log would not notice otherwise that its answer is no longer wanted. The client
        can be used afterwards: its pool drops connections that are closed.
        """
        with self._guard:
            sockets = list(self._sockets)
        for sock in sockets:
            with contextlib.suppress(OSError):  # closed already
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # an SSLSocket's own would take its state away
        self.pace.wake()

    def _watch(self, request: httpx.Request) -> None:
        request.extensions["trace"] = self._trace

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            sock = info["return_value"].get_extra_info("socket")
            with self._guard:
                self._sockets.add(sock)
            stop = getattr(self._asking, "stop", None)
            if stop is not None and stop.is_set():  # `cut` came while it was being connected
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
