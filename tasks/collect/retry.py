"""Tries again what may work later: bounded, with full jitter, and as patient as the server asks.

In: an attempt that raises from the tree of `intel.errors`. Out: its result, or the last error. UnreachableError and
5xx are tried again, ThrottledError after what the server said (RFC 9110 section 10.2.3); any other status is not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, TypeVar

from intel.errors import StatusError, ThrottledError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_random = SystemRandom()


class SpentError(UnreachableError):
    """Unreachable, and trying again at once would not help: the deadline passed, or the certificate is not trusted."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long to wait, in seconds: `max_retry_after` is the longest wait that a server may ask for."""

    retries: int = 3
    base_seconds: float = 1.0
    max_backoff_seconds: float = 30.0
    max_retry_after: float = 120.0


def _wait(error: Exception, attempt: int, policy: RetryPolicy) -> float | None:
    """Seconds to wait before the next attempt; None where there should be none."""
    if attempt >= policy.retries or isinstance(error, SpentError):
        return None
    if isinstance(error, ThrottledError) and error.retry_after is not None:
        return error.retry_after if error.retry_after <= policy.max_retry_after else None
    if isinstance(error, StatusError) and error.status < 500:
        return None
    # Full jitter: clients that failed together do not come back together.
    return _random.uniform(0.0, min(policy.max_backoff_seconds, policy.base_seconds * 2**attempt))


def retrying(
    attempt: Callable[[], T], *, policy: RetryPolicy | None = None, sleep: Callable[[float], None] = time.sleep
) -> T:
    """Call `attempt` until it returns or the policy ends; raises its last error."""
    policy = policy or RetryPolicy()
    tries = 0
    while True:
        try:
            return attempt()
        except (UnreachableError, StatusError, ThrottledError) as error:
            wait = _wait(error, tries, policy)
            if wait is None:
                raise
        tries += 1
        sleep(wait)
