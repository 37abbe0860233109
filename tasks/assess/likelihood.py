"""How likely something is, in the words of ICD 203, and, apart from it, how much confidence the evidence deserves.

Pure. The two never stand in one sentence (ICD 203, D.6.e.(2)(a)): likelihood is about the thing, confidence about what
we have to go by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from intel.evidence import Evidence

_BANDS: Final = (
    (0.05, "almost no chance"),
    (0.20, "very unlikely"),
    (0.45, "unlikely"),
    (0.55, "roughly even chance"),
    (0.80, "likely"),
    (0.95, "very likely"),
)
_HIGHEST: Final = "almost certain"
WORDS: Final = (*(word for _, word in _BANDS), _HIGHEST)
_ENOUGH: Final = 3
"""Families from which evidence may deserve high confidence."""


class Confidence(msgspec.Struct, frozen=True, kw_only=True):
    """How much the evidence deserves: high, moderate or low, and why not more."""

    level: str
    why: tuple[str, ...] = ()


def in_words(chance: float) -> str:
    """The ICD 203 term of a chance from 0 to 1."""
    return next((word for upper, word in _BANDS if chance < upper), _HIGHEST)


def percent(chance: float) -> str:
    """A chance in percent, never 0 or 100: nothing here is certain."""
    if chance < 0.01:
        return "under 1 %"
    return f"{math.floor(chance * 100 + 0.5)} %" if chance < 0.99 else "over 99 %"


def confidence(evidence: Sequence[Evidence]) -> Confidence:
    """What pieces of evidence deserve: by their families, by what was counted, by the times that are known."""
    speaking = [one for one in evidence if one.bits > 0]
    families = {one.family for one in speaking}
    why: list[str] = []
    if len(families) < _ENOUGH:
        why.append(f"evidence of {_families(len(families))}")
    uncounted = sum(one.bits for one in speaking if one.prevalence is None or not one.prevalence.population)
    if uncounted > sum(one.bits for one in speaking) / 2:
        why.append("most of it is weighed by assumption: nobody has counted how common it is")
    if any(one.family == "hosting" and one.overlap is None for one in speaking):
        why.append("when hosting was shared is not known")
    if any(one.bits < 0 for one in evidence):
        why.append("some of it speaks against")
    if len(families) < 2:
        return Confidence(level="low", why=tuple(why))
    return Confidence(level=("high", "moderate")[bool(why)] if len(why) < _ENOUGH else "low", why=tuple(why))


def _families(count: int) -> str:
    return {0: "no family", 1: "one family alone"}.get(count, f"{count} families")
