"""python-whois where it can be killed: a reply in, the library's reading out, always within a deadline.

One persistent child in a process group of its own (`whois_child.py`), spoken to over pipes in length-prefixed JSON.
A reply that costs more than its CPU or wall time, or more memory than allowed, costs that child; the next reply gets
a new one. What the library says about absence is passed on as a status and is not to be believed: it takes throttled
replies for unregistered names.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

import msgspec

from intel.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

_CHILD: Final = Path(__file__).with_name("whois_child.py")
_LONGEST_FRAME: Final = 4 << 20
_START_SECONDS: Final = 20.0

Status = Literal["ok", "not_found", "error", "killed"]


@dataclass(frozen=True, kw_only=True)
class LibraryReading:
    """What python-whois made of a reply: attribute -> ((kind, text), ...), kind "t" (ISO 8601 time) or "s" (string).

    `detail` is the class of an error, or why the child was killed.
    """

    status: Status
    fields: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    detail: str = ""


class _Ended(Exception):  # noqa: N818  not an error of the tree: it never leaves this module
    """The child went, or its time was up."""


class WhoisWorker:
    """A child that reads replies one at a time; safe to share between threads, closed by `close` or as a context."""

    def __init__(
        self, *, cpu_seconds: float = 0.25, wall_seconds: float = 1.5, command: Sequence[str] = (str(_CHILD),)
    ) -> None:
        """`command` is what the interpreter runs: another reader of the same frames may take the child's place."""
        self._cpu = cpu_seconds
        self._wall = wall_seconds
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._child.pid if self._child else None

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._kill()

    def read(self, domain: str, text: str) -> LibraryReading:
        """Have the library read `text` as a reply about `domain`. Never raises; takes at most the wall deadline, and
        the start of a child where there is none.
        """
        message = msgspec.json.encode({"domain": domain, "text": text, "cpu": self._cpu})
        if len(message) > _LONGEST_FRAME:
            return LibraryReading(status="error", detail="OversizedError")
        with self._lock:
            try:
                child = self._started()
                deadline = time.monotonic() + self._wall
                _write(child, struct.pack(">I", len(message)) + message, deadline)
                return _reading(_frame(child, deadline))
            except (_Ended, OSError, ReadError) as error:
                detail = self._kill()
                return LibraryReading(status="killed", detail=detail or str(error) or type(error).__name__)
            except BaseException:
                # An interrupted exchange leaves half a frame in the pipe: that child cannot be spoken to again.
                self._kill()
                raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._kill()
        # No environment: the child has no business with the project's settings, and none of its secrets.
        self._child = subprocess.Popen(  # noqa: S603  our own interpreter and our own file
            [sys.executable, "-I", *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
        )
        assert self._child.stdin
        os.set_blocking(self._child.stdin.fileno(), False)
        _frame(self._child, time.monotonic() + _START_SECONDS)
        return self._child

    def _kill(self) -> str:
        """End the child and its group; why it had already gone, empty where it is we who ended it."""
        child, self._child = self._child, None
        if child is None:
            return ""
        # A timer's signal may be on its way still when the pipe closes.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.05)
        gone = child.returncode
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if gone is None:
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        if gone is None:
            return ""
        return "CPU time" if gone == -signal.SIGPROF else f"exit {gone}"


def _ready(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise _Ended("wall time")


def _write(child: subprocess.Popen[bytes], data: bytes, deadline: float) -> None:
    assert child.stdin
    view = memoryview(data)
    while view:
        _ready(child.stdin.fileno(), select.POLLOUT, deadline)
        with contextlib.suppress(BlockingIOError):
            view = view[os.write(child.stdin.fileno(), view[:65536]) :]


def _frame(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    (length,) = struct.unpack(">I", _exactly(child, 4, deadline))
    if length > _LONGEST_FRAME:
        raise _Ended("an oversized frame")
    return _exactly(child, length, deadline)


def _exactly(child: subprocess.Popen[bytes], length: int, deadline: float) -> bytes:
    assert child.stdout
    data = bytearray()
    while len(data) < length:
        _ready(child.stdout.fileno(), select.POLLIN, deadline)
        chunk = os.read(child.stdout.fileno(), min(65536, length - len(data)))
        if not chunk:
            raise _Ended("the child went")
        data += chunk
    return bytes(data)


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["ok", "not_found", "error"]
    fields: dict[str, tuple[tuple[str, str], ...]]
    error: str = ""


def _reading(body: bytes) -> LibraryReading:
    # The child has parsed hostile text: what it writes is checked like anything else from outside.
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except msgspec.MsgspecError as error:
        raise ReadError("couldn't read the WHOIS child's answer: not the agreed form; the child is ended") from error
    return LibraryReading(status=reply.status, fields=reply.fields, detail=reply.error)
