"""What is killed: a process that plays a day of the story, and an embedded PostgreSQL.

In: where they live. Out: what they say and how they end. Processes are forked from one that has read everything they
need, so that a kill hits work and no imports.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from db import embedded
from lab.bench._faults_child import DONE, FAILED, PHASES, play

_SILENCE_SECONDS: Final = 120.0


class Server:
    """An embedded PostgreSQL that may be killed and stopped."""

    def __init__(self, data: Path, settings: Mapping[str, str]) -> None:
        self._data = data
        self._settings = settings
        self._lease = embedded.acquire(data, databases=(), settings=settings)

    def url(self, database: str) -> str:
        """Of a database on it; the same after every start."""
        return self._lease.server.url(database)

    def administer(self, statement: str) -> None:
        """Run a statement that belongs to no database."""
        engine = create_engine(self.url("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))

    def kill(self) -> None:
        """SIGKILL to the postmaster; its backends go by themselves."""
        pid = embedded.status(self._data).pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """A fast shutdown."""
        embedded.stop(self._data)

    def start(self) -> None:
        """Start it again, through recovery where it was killed."""
        before, self._lease = self._lease, embedded.acquire(self._data, databases=(), settings=self._settings)
        before.release()

    def leave(self) -> None:
        """Stop it for good."""
        self._lease.release()


@contextmanager
def running_server(data: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    server = Server(data, settings)
    try:
        yield server
    finally:
        server.leave()


class Child:
    """A process that plays a day. `phase` is the last that it said it began; `failure` its traceback."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([play.__module__])
        self._said, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=play, args=(dict(environment), theirs))
        self._process.start()
        theirs.close()
        self.phase = ""
        self.failure = ""
        self.ended = False

    def reach(self, phase: str) -> None:
        """Wait until it begins `phase`, or ends."""
        until = time.monotonic() + _SILENCE_SECONDS
        while not self.ended and self.phase != phase and time.monotonic() < until:
            self._read(until - time.monotonic())

    def read_for(self, seconds: float) -> None:
        """Listen for so long, or until it ends."""
        until = time.monotonic() + seconds
        while not self.ended and (left := until - time.monotonic()) > 0:
            self._read(left)

    def kill(self) -> str:
        """SIGKILL; the phase that it was in, empty where it had ended."""
        self._process.kill()
        self._process.join()
        self.read_for(0.5)
        killed = self._process.exitcode == -signal.SIGKILL and not self.failure
        self._said.close()
        return self.phase if killed and self.phase != DONE else ""

    def wait(self) -> bool:
        """Wait for its end; whether it came. One that does not come is killed."""
        self._process.join(_SILENCE_SECONDS)
        came = self._process.exitcode is not None
        if not came:
            self._process.kill()
            self._process.join()
        self.read_for(0.5)
        self._said.close()
        return came

    def finish(self) -> dict[str, float]:
        """Let it play to the end; how long each phase took, in seconds. Where `phase` is not DONE then, it failed."""
        took = {}
        for phase, following in itertools.pairwise((*PHASES, DONE)):
            self.reach(phase)
            began = time.monotonic()
            self.reach(following)
            took[phase] = time.monotonic() - began
        self.wait()
        return took

    def _read(self, seconds: float) -> None:
        try:
            if not self._said.poll(max(seconds, 0.0)):
                return
            phase, failure = self._said.recv()
        except (EOFError, OSError):
            self.ended = True
            return
        if phase == FAILED:
            self.failure = failure
        else:
            self.phase = phase
        self.ended = phase in {FAILED, DONE}
