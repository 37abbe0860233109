"""How fast one log is asked: as fast as it likes, found out by asking (RFC 9110 10.2.3, RFC 6585 4).

In: what became of each request. Out: when the next may be sent, and how many at once. One more at once for each round
that went well, half of that where the log says 429 or 503 or falls silent; where one at a time is still too much, fewer
a second. A `Retry-After` holds for the whole log, and for the next run as well, whose pace begins with `state`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from random import SystemRandom
from typing import Any, Final

from intel.errors import ThrottledError
from tasks.collect.retry import RetryPolicy

MOST_AT_ONCE: Final = 8
"""Requests in flight; the client keeps ten connections open."""
_AT_FIRST: Final = 2.0
_FIRST_INTERVAL: Final = 0.1
_GROWTH: Final = 0.5  # requests a second more for each second that went well
_UNLIMITED: Final = 50.0  # requests a second from which on no limit is kept
_LONGEST_WAIT: Final = 3600.0
"""What an older run was told is believed for no longer than this: clocks jump."""

_random = SystemRandom()


class Pace:
    """The pace of one log; one for all threads that ask it.

    `patience` says how long a pause the log may ask for (`max_retry_after`), how long pauses are where it does not say
    (`base_seconds`, `max_backoff_seconds`), and how many rounds in a row it may turn us away (`retries`).
    """

    def __init__(
        self,
        *,
        patience: RetryPolicy,
        state: Mapping[str, Any] | None = None,
        most: int = MOST_AT_ONCE,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._patience = patience
        self._most = max(1, most)
        self._now, self._wall = now, wall
        self._moved = threading.Condition()
        self._limit = min(_AT_FIRST, self._most)
        self._interval = 0.0
        self._running = 0
        self._rounds = 0  # slow-downs since the last success
        self._slowed_at = float("-inf")
        self._next_start = self._not_before = float("-inf")
        self.throttled = 0
        """How often the log said that it was too much."""
        if state:
            self._take_up(state)

    def _take_up(self, state: Mapping[str, Any]) -> None:
        self._limit = min(max(1.0, _number(state.get("in_flight"), _AT_FIRST)), self._most)
        self._interval = min(max(0.0, _number(state.get("delay"), 0.0)), self._patience.max_backoff_seconds)
        self.throttled = max(0, int(_number(state.get("throttled"), 0)))
        wait = _number(state.get("wait_until"), 0.0) - self._wall()
        if wait > 0:
            self._not_before = self._now() + min(wait, _LONGEST_WAIT)

    def state(self) -> dict[str, Any]:
        """For the next run, and for people: `in_flight` requests at once, `delay` seconds between two, `throttled` how
        often it was too much, and until when (seconds since 1970 UTC) the log wants to be left alone, if it does.
        """
        with self._moved:
            shown: dict[str, Any] = {
                "in_flight": int(self._limit),
                "delay": round(self._interval, 3),
                "throttled": self.throttled,
            }
            if self._not_before > self._now():
                shown["wait_until"] = round(self._wall() + self._not_before - self._now(), 1)
            return shown

    @property
    def most(self) -> int:
        """How many requests are ever in flight."""
        return self._most

    def turn(self, stop: threading.Event | None = None) -> float | None:
        """Wait for leave to send a request; the time (monotonic) at which it came, None where `stop` came first.

        Whoever has a turn ends it with `succeeded`, `slowed` or `done`. Raises ThrottledError where the log wants more
        patience than we have; nothing was sent then.
        """
        with self._moved:
            while stop is None or not stop.is_set():
                now = self._now()
                if self._not_before - now > self._patience.max_retry_after:
                    raise ThrottledError(
                        f"couldn't ask the log: it wants to be left alone for {self._not_before - now:.0f} s; the next"
                        " run asks it then",
                        retry_after=self._not_before - now,
                    )
                wait = max(self._not_before, self._next_start) - now
                if wait <= 0 and self._running < int(self._limit):
                    self._running += 1
                    self._next_start = now + self._interval
                    return now
                self._moved.wait(wait if wait > 0 else None)
            return None

    def wake(self) -> None:
        """Let those who wait see that they were stopped."""
        with self._moved:
            self._moved.notify_all()

    def succeeded(self) -> None:
        """The request was answered well: a little faster."""
        with self._moved:
            self._running -= 1
            self._rounds = 0
            self._limit = min(self._most, self._limit + 1 / self._limit)
            if self._interval:
                rate = 1 / self._interval + _GROWTH * max(self._interval, 0.02)
                self._interval = 0.0 if rate > _UNLIMITED else 1 / rate
            self._moved.notify_all()

    def done(self) -> None:
        """The request was answered with something else, which says nothing about the pace."""
        with self._moved:
            self._running -= 1
            self._moved.notify_all()

    def slowed(self, began: float, *, retry_after: float | None = None, told: bool = True) -> bool:
        """The log had too much of the request that began at `began` (`told`), or fell silent: half as fast.

        Returns whether it is any use to go on: not where it wants more patience than we have.
        """
        with self._moved:
            self._running -= 1
            self.throttled += told
            now = self._now()
            # What was sent before the last slow-down says nothing new: one cut for all that were in flight together.
            if began >= self._slowed_at:
                self._slowed_at = now
                self._rounds += 1
                if self._limit >= 2:
                    self._limit /= 2
                else:
                    self._limit = 1.0
                    slower = max(2 * self._interval, _FIRST_INTERVAL)
                    self._interval = min(slower, self._patience.max_backoff_seconds)
                if told and retry_after is None:
                    pause = self._patience.base_seconds * 2 ** (self._rounds - 1) * _random.uniform(0.5, 1.0)
                    self._not_before = max(self._not_before, now + min(pause, self._patience.max_backoff_seconds))
            if retry_after is not None:
                self._not_before = max(self._not_before, now + retry_after)
            self._moved.notify_all()
            return self._rounds <= self._patience.retries and (retry_after or 0) <= self._patience.max_retry_after


def _number(value: Any, otherwise: float) -> float:
    """A number of a stored state, or `otherwise`: what an older version wrote is no reason to stop."""
    # NaN is not below anything, and integers may be too large for a float.
    return float(value) if isinstance(value, int | float) and abs(value) < 1e15 else otherwise
