"""A question with answers that exclude one another, what speaks for and against each, and which of them it comes to.

Pure. An answer is given where at least two families of evidence speak for it, more than speak against it, and no other
answer has as many; else there is not enough evidence. One family alone concludes nothing: its evidence may all come
from one mistake, one copied list or one forged habit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from intel.evidence import FAMILIES


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that speaks for or against an answer. `said` is Markdown, made by tasks/assess/wording.py."""

    family: str
    said: str


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what speaks for and against it."""

    name: str
    pro: tuple[Point, ...] = ()
    contra: tuple[Point, ...] = ()

    @property
    def pro_families(self) -> int:
        """How many families speak for it."""
        return len({one.family for one in self.pro})

    @property
    def contra_families(self) -> int:
        """How many families speak against it."""
        return len({one.family for one in self.contra})


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a question comes to: the name of an option, or empty where there is not enough evidence.

    `lacking` says what would have to be known.
    """

    options: tuple[Option, ...]
    answer: str = ""
    lacking: str = ""

    @property
    def chosen(self) -> Option | None:
        """The option that it comes to."""
        return next((one for one in self.options if one.name == self.answer), None)


def judge(options: Sequence[Option], *, lacking: str = "") -> Judgement:
    """Choose between options by the rule above. The order of options and points does not matter."""
    standing = [one for one in options if one.pro_families >= FAMILIES and one.pro_families > one.contra_families]
    standing.sort(key=lambda one: one.contra_families - one.pro_families)
    most = standing[0].pro_families - standing[0].contra_families if standing else 0
    best = [one for one in standing if one.pro_families - one.contra_families == most]
    answer = best[0].name if len(best) == 1 else ""
    return Judgement(options=tuple(options), answer=answer, lacking=lacking)


def points(family: str, said: Iterable[str]) -> tuple[Point, ...]:
    """Points of one family."""
    return tuple(Point(family=family, said=one) for one in said)
