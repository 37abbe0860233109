"""The operating point: above how many bits a domain is worth a look.

In: scores of known domains, each by what was known before its day, and scores of the background, each by a background
without itself. Out: the lowest threshold at which the share of right ones, with one more false one than was counted, is
as high as asked; None where there is none: then nothing is shown, because nothing is known to be right.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

MARGIN: Final = 1.5
"""Bits that the threshold lies above the highest stranger that it keeps out, where no right one is lost by that."""
_TINY: Final = 0.01


def threshold(right: Iterable[float], wrong: Iterable[float], precision: float) -> float | None:
    """The threshold in bits, above 0; scores at or above it are shown."""
    known, strangers = sorted(right), sorted(wrong)
    best = None
    for kept_out in sorted({0.0, *(one for one in strangers if one > 0)}, reverse=True):
        score = kept_out + _TINY
        at = bisect_left(known, score)
        found = len(known) - at
        false = len(strangers) - bisect_left(strangers, score)
        if found >= precision * (found + false + 1):
            best = max(score, min(kept_out + MARGIN, (kept_out + known[at]) / 2))
        elif best is not None:
            break
    return best
