"""The processes that read what a log gives: answers in, what was read of them out, in the order of the log.

Reading and matching is where the time goes, and Python does it in one thread at a time, so it is done in processes of
their own (tasks/load/ct_reader.py); where none are wanted, here. The one that follows adds up, verifies and commits.

The watch set is swapped while they run: an answer is matched with the set that was in force when it was handed in, and
says so by `watched_at`.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import msgspec

from intel.ct_answer import Answer
from intel.errors import LapsewatchError, ReadError, UnavailableError
from intel.match.entries import Judged
from tasks.load.ct_reader import Reader, Reply, Watching, frame_of, read_frame, read_reply, write_frame

_AHEAD: Final = 2
"""Answers for each process that wait to be read or to be taken."""


HANGS: Final = 240.0
"""Seconds in which a process has read an answer, however large and malformed: it takes well under one for most."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """An answer and what was read of it. `watched_at` is when the watch set was loaded (recorded time)."""

    answer: Answer
    judged: Judged
    rows: bytes
    watched_at: datetime


class _Set(msgspec.Struct, frozen=True, kw_only=True):
    """What is matched: as it is sent to processes, or as it is where none of them reads."""

    number: int
    at: datetime
    frame: bytes = b""
    watching: Watching | None = None


class _Here:
    """Reads in this process."""

    def __init__(self) -> None:
        self._reader = Reader()
        self.number = -1

    def ask(self, answer: Answer, current: _Set) -> Reply:
        if self.number != current.number and current.watching is not None:
            self._reader.watch(current.watching)
            self.number = current.number
        return self._reader.read(answer)

    def stop(self) -> None:
        """Nothing to stop."""


class _Child:
    """Reads in a process of its own. One question at a time: both pipes can never be full at once."""

    def __init__(self) -> None:
        self.number = -1
        self._hung = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.load.ct_reader"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=-1
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def ask(self, answer: Answer, current: _Set) -> Reply:
        frame: bytes | None = None
        # Both pipes end with the process, and so does waiting for it.
        patience = threading.Timer(HANGS, self._give_up)
        patience.daemon = True
        patience.start()
        try:
            if self.number != current.number:
                write_frame(self._in, current.frame)
                self.number = current.number
            write_frame(self._in, frame_of(answer))
            frame = read_frame(self._out)
        except OSError:
            pass  # told below, with the status
        finally:
            patience.cancel()
        if frame is None:
            status = self._process.wait()
            what = f"gave no answer for {HANGS:.0f} s" if self._hung else f"ended with status {status}"
            raise UnavailableError(
                f"couldn't read entries from {answer.first} on: the process that reads them {what}; the next run goes"
                " on from the position"
            )
        return read_reply(frame)

    def _give_up(self) -> None:
        self._hung = True
        self._process.kill()

    def stop(self) -> None:
        """End it: at once, since nothing that it does is of use without us."""
        self._process.kill()
        self._process.wait()
        for stream in (self._in, self._out):
            with suppress(OSError):  # what was not sent has nobody to go to
                stream.close()


class Readers:
    """`count` processes that read, 0 for none but this one. `watch` has to be called before `read`."""

    def __init__(self, count: int) -> None:
        self._idle: queue.SimpleQueue[_Here | _Child] = queue.SimpleQueue()
        self._all: list[_Here | _Child] = [_Child() for _ in range(count)] if count else [_Here()]
        for reader in self._all:
            self._idle.put(reader)
        self._threads = ThreadPoolExecutor(max_workers=len(self._all), thread_name_prefix="reader")
        self._set: _Set | None = None
        self._processes = count > 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The processes first: a thread that waits for one of them ends with it.
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in self._all:
            reader.stop()
        self._threads.shutdown(wait=True)

    def watch(self, watching: Watching, at: datetime) -> None:
        """Match what is handed in from now on with this set, loaded at `at` (recorded time)."""
        number = 0 if self._set is None else self._set.number + 1
        if self._processes:
            # Only as it is sent: a set of a million things takes a tenth of a gigabyte.
            self._set = _Set(number=number, at=at, frame=frame_of(watching))
        else:
            self._set = _Set(number=number, at=at, watching=watching)

    def read(self, answers: Iterator[Answer]) -> Iterator[Read]:
        """What is read of the answers, in their order, some of them ahead.

        An error of `answers` comes after all that came before it was read. Raises ReadError for an answer that cannot
        be read, UnavailableError where a process ended.
        """
        pending: deque[Future[Read]] = deque()
        ahead = _AHEAD * len(self._all)
        late: LapsewatchError | None = None
        try:
            while True:
                try:
                    answer = next(answers, None)
                except LapsewatchError as error:
                    late, answer = error, None
                if answer is None:
                    break
                assert self._set is not None, "watch() comes first"
                pending.append(self._threads.submit(self._read, answer, self._set))
                while len(pending) > ahead or (pending and pending[0].done()):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
            if late is not None:
                raise late
        finally:
            for future in pending:
                future.cancel()

    def _read(self, answer: Answer, current: _Set) -> Read:
        reader = self._idle.get()
        try:
            reply = reader.ask(answer, current)
        finally:
            self._idle.put(reader)
        if current.frame and self._set is current and all(one.number == current.number for one in self._all):
            self._set = msgspec.structs.replace(current, frame=b"")  # all have it; it may take 40 MB
        if reply.judged is None:
            raise ReadError(reply.fault)
        return Read(answer=answer, judged=reply.judged, rows=reply.rows, watched_at=current.at)
