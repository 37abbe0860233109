"""Times at which something was so, as spans of seconds since 1970 (UTC): what two have in common, and how far apart.

A span is (begin, end), both included; an end without one is `math.inf`. Spans are sorted and do not touch. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, TypeAlias

Spans: TypeAlias = tuple[tuple[float, float], ...]

DAY: Final = 86_400.0
ALWAYS: Final[Spans] = ((-math.inf, math.inf),)


def joined(spans: Iterable[tuple[float, float]]) -> Spans:
    """The same times as sorted spans that do not touch."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return tuple(found)


def common(left: Spans, right: Spans) -> Spans:
    """The times of both."""
    return joined(
        (max(begin, other), min(end, last))
        for begin, end in left
        for other, last in right
        if max(begin, other) <= min(end, last)
    )


def widened(spans: Spans, days: float) -> Spans:
    """The same with so many days before and after: what was seen at a time was so around it."""
    return joined((begin - days * DAY, end + days * DAY) for begin, end in spans)


def length(spans: Spans, *, until: float) -> float:
    """Seconds in all; what has not ended is reckoned until `until`."""
    return sum(max(0.0, min(end, max(until, begin)) - begin) for begin, end in spans)


def overlap(left: Spans, right: Spans, *, now: float) -> float:
    """The share (0 to 1) of the shorter one's time in which the other had it, too; 1 where the shorter is a moment."""
    both = common(left, right)
    if not both:
        return 0.0
    shorter = min(length(left, until=now), length(right, until=now))
    return 1.0 if shorter <= 0 else min(1.0, length(both, until=now) / shorter)


def apart(left: Spans, right: Spans) -> float:
    """Seconds between the two where they are nearest; 0 where they meet, infinite where one is empty."""
    return min(
        (max(0.0, max(begin, other) - min(end, last)) for begin, end in left for other, last in right),
        default=math.inf,
    )
