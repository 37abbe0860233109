"""How registration servers keep people off: limits that are counted, and the many ways of saying "too fast".

In: when a server was asked. Out: whether it answers, and what it says instead where it does not. RFC 6585 section 4
(429), RFC 9110 section 10.2.3 (Retry-After); the other forms are those that registries are known for.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from lab.registration_replies import THROTTLED_FORM
from lab.registries_serving import Reply, json_reply, text_reply

Verdict = Literal["answered", "too fast", "crossing", "impatient"]
"""`impatient`: asked again before the time was up that the server had asked for. `crossing`: so soon after it asked for
that, that the question may have been on its way."""
CROSSING_SECONDS: Final = 0.5


class TooFast(enum.StrEnum):
    """How a server says "too fast"."""

    STATUS_429 = "429 with Retry-After"
    STATUS_429_BARE = "429 without more"
    STATUS_403 = "403 with a page"
    STATUS_422 = "422 with JSON"
    NOTICE = "200 with a notice"
    PROSE = "WHOIS prose"
    CLOSE = "the connection closed"
    BAN = "a ban for some time"


_STATED: Final = frozenset({TooFast.STATUS_429, TooFast.BAN})
_PAGE: Final = b"<html><head><title>403</title></head><body><h1>Too many requests</h1>Rate limit.</body></html>"
_TOLD: Final = "You have exceeded the query limit. Please try again in a moment."


def refused(form: TooFast, domain: str, seconds: float) -> Reply:
    """What is said in place of an answer; `seconds` is the patience that is asked for."""
    if form is TooFast.STATUS_429:
        body = {"errorCode": 429, "title": "Rate limit", "description": [_TOLD]}
        return json_reply(body, 429, Retry_After=f"{max(1, round(seconds))}")
    if form is TooFast.STATUS_429_BARE:
        return json_reply({"errorCode": 429, "title": "Rate limit"}, 429)
    if form is TooFast.STATUS_403:
        return Reply(body=_PAGE, status=403, media_type="text/html")
    if form is TooFast.STATUS_422:
        return json_reply({"msg": "rate limit exceeded", "code": 422}, 422)
    if form is TooFast.NOTICE:
        # `notices` as one object is what a server of this kind sends (RFC 9083 asks for an array).
        notice = {"title": "Query limit", "description": [_TOLD]}
        return json_reply({"objectClassName": "domain", "ldhName": domain, "notices": notice})
    if form is TooFast.CLOSE:
        return Reply(silent=True)
    if form is TooFast.BAN:
        return text_reply(f"%% Too many requests: please go away for {seconds:.0f} seconds.\r\n")
    return text_reply(THROTTLED_FORM)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """At most `queries` in any `seconds`; who exceeds it is asked for `patience` seconds, and a ban answers nothing
    at all meanwhile. `told`: whether the operator says so in public, so that the asker can know it beforehand.
    """

    queries: int
    seconds: float
    form: TooFast = TooFast.STATUS_429
    patience: float = 1.0
    told: bool = True


@dataclass(kw_only=True)
class Gate:
    """Keeps one server's limit; `now` is a monotonic clock in seconds."""

    limit: Limit
    now: Callable[[], float]
    _asked: deque[float] = field(default_factory=deque)
    _until: float = 0.0

    def verdict(self) -> Verdict:
        """Whether the question that comes now is answered."""
        at = self.now()
        while self._asked and self._asked[0] <= at - self.limit.seconds:
            self._asked.popleft()
        if at < self._until:
            if at < self._until - self.limit.patience + CROSSING_SECONDS:
                return "crossing"
            return "impatient" if self.limit.form in _STATED else "too fast"
        if len(self._asked) >= self.limit.queries:
            self._until = at + self.limit.patience
            return "too fast"
        self._asked.append(at)
        return "answered"
