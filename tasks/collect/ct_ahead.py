"""Reads ahead with several threads and gives what they got in order.

In: jobs in order and how to do one. Out: an iterator of results in the same order, of which at most so many bytes lie
ready. An error comes at its place: what came before it is given first. Closing the iterator ends the threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from math import inf
from typing import Final, Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")

AHEAD_BYTES: Final = 24 << 20
"""Octets of answers that lie ready or are on their way."""
_USUAL_BYTES: Final = 1 << 20
_JOIN_SECONDS: Final = 2.0
_LONGEST_WAIT: Final = 86_400.0  # a wait of a year is more than the system's clocks take


def in_order(
    jobs: Iterator[J],
    work: Callable[[J, threading.Event], R],
    *,
    threads: int,
    weigh: Callable[[R], int],
    cut: Callable[[], None],
    most_bytes: int = AHEAD_BYTES,
    until: float = inf,
) -> Generator[R]:
    """The results of `work` for each job, in order.

    `work` is called from `threads` threads with an event that says that its result is no longer wanted; `cut` is called
    then, to wake those who wait for the network. `jobs` is advanced by one thread at a time, as late as possible. From
    `until` (of time.monotonic()) on, no result is waited for but the first.
    """
    return _Ahead(jobs, work, threads, weigh, most_bytes).results(cut, until)


class _Ahead(Generic[J, R]):
    def __init__(
        self,
        jobs: Iterator[J],
        work: Callable[[J, threading.Event], R],
        threads: int,
        weigh: Callable[[R], int],
        most_bytes: int,
    ) -> None:
        self._jobs, self._work, self._weigh = jobs, work, weigh
        self._most_bytes = most_bytes
        self._most_ready = 4 * threads
        self._threads = [
            threading.Thread(target=self._run, name=f"ct-ahead-{number}", daemon=True) for number in range(threads)
        ]
        self._stop = threading.Event()
        # Everything below is guarded by `_moved`.
        self._moved = threading.Condition()
        self._ready: dict[int, tuple[R | None, BaseException | None, int]] = {}
        self._begun = self._given = self._running = self._held = 0
        self._usual = _USUAL_BYTES
        self._over = False

    def results(self, cut: Callable[[], None], until: float) -> Generator[R]:
        try:
            for thread in self._threads:
                thread.start()
            while True:
                with self._moved:
                    while self._given not in self._ready and not (self._over and self._given == self._begun):
                        left = until - time.monotonic()
                        if left <= 0 and self._given:
                            return
                        self._moved.wait(left if 0 < left < _LONGEST_WAIT else None)
                    if self._given not in self._ready:
                        return
                    result, error, weight = self._ready.pop(self._given)
                    self._given += 1
                    self._held -= weight
                    self._moved.notify_all()
                if error is not None:
                    raise error
                yield result  # type: ignore[misc]  # it is R where there is no error; R may be an optional type
                # Held by nobody while the next one is waited for.
                del result
        finally:
            self._end(cut)

    def _end(self, cut: Callable[[], None]) -> None:
        with self._moved:
            self._stop.set()
            working = self._running
            self._ready.clear()
            self._moved.notify_all()
        if working:
            cut()
        for thread in self._threads:
            if thread.ident is not None:
                # One that is in the resolver's hands cannot be woken; it is a daemon, and its result goes nowhere.
                thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while (begun := self._begin()) is not None:
            number, job = begun
            result, error, weight = None, None, 0
            try:
                result = self._work(job, self._stop)
                weight = self._weigh(result)
            except BaseException as caught:  # noqa: BLE001 - it is raised where the result would have been given
                error = caught
            with self._moved:
                self._running -= 1
                self._over |= error is not None
                if not self._stop.is_set():
                    self._ready[number] = (result, error, weight)
                    self._held += weight
                    self._usual = max(weight, (7 * self._usual + weight) // 8) if error is None else self._usual
                self._moved.notify_all()
            del result, error

    def _begin(self) -> tuple[int, J] | None:
        """The next job, when there is room for what it brings; None where there is none."""
        with self._moved:
            while not self._stop.is_set() and not self._over:
                if self._has_room():
                    try:
                        job = next(self._jobs)
                    except StopIteration:
                        self._over = True
                        break
                    self._begun += 1
                    self._running += 1
                    return self._begun - 1, job
                self._moved.wait()
            self._moved.notify_all()
            return None

    def _has_room(self) -> bool:
        # The one that is waited for always has room, or nothing would move.
        if self._begun == self._given:
            return True
        expected = self._held + (self._running + 1) * self._usual
        return expected <= self._most_bytes and self._begun - self._given < self._most_ready
