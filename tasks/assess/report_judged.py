"""The sections of a report on what it looks like: targeted or opportunistic, motivation, sophistication. Pure.

In: judgements. Out: lines of Markdown: the answer or "not enough evidence", what speaks for and against each, and what
would have to be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from intel.evidence import FAMILIES
from tasks.assess.judgement import Judgement, Point


def judged(question: str, found: Judgement) -> Iterator[str]:
    """A judgement in full. `question` is a noun: "the motivation"."""
    yield f"{summary(question, found)}."
    yield ""
    for option in found.options:
        yield f"- **{option.name}**"
        yield from _points("for", option.pro)
        yield from _points("against", option.contra)
    yield ""
    if found.lacking:
        yield f"To know more: {found.lacking}."
        yield ""


def summary(question: str, found: Judgement) -> str:
    """The answer in a sentence without its stop."""
    if found.chosen is None:
        return (
            f"Not enough evidence for {question}: an answer takes {FAMILIES} families of evidence, and more than its"
            " rivals"
        )
    return (
        f"It looks {_as(question, found.answer)}: {found.chosen.pro_families} families of evidence for it,"
        f" {found.chosen.contra_families} against"
    )


def _as(question: str, answer: str) -> str:
    if question == "targeted or opportunistic":
        return answer
    return f"like {answer} sophistication" if question == "the sophistication" else f"like {answer}"


def _points(side: str, points: Iterable[Point]) -> Iterator[str]:
    told = list(points)
    if not told:
        yield f"    - {side}: nothing that is known"
    yield from (f"    - {side} ({one.family}): {one.said}" for one in told)
