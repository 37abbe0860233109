"""What the benchmark `replay` says of a method: scores in, figures and tables out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from intel.patterns.records import Settings
from lab.bench.result import Table

_FIRST: Final = 50


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a method made of a campaign: for each domain its score less the threshold that held when it was judged."""

    campaign: Mapping[str, float]
    noise: Mapping[str, float]
    seized: frozenset[str]
    named: int = 0

    def figures(self) -> dict[str, int | float]:
        """The figures of the issue."""
        found, precision = _counted(self.campaign.values(), self.noise.values())
        live = [score for domain, score in self.campaign.items() if domain not in self.seized]
        found_live, precision_live = _counted(live, self.noise.values())
        scores = [(-score, domain, 1) for domain, score in self.campaign.items()]
        scores += [(-score, domain, 0) for domain, score in self.noise.items()]
        first = sorted(scores)[:_FIRST]
        return {
            "found": found,
            "of": len(self.campaign),
            "precision": precision,
            "precision_50": round(sum(right for _, _, right in first) / max(len(first), 1), 4),
            "found_unseized": found_live,
            "of_unseized": len(live),
            "precision_unseized": precision_live,
        }

    def oracle(self, precision: float) -> int:
        """How many the best cut would have found at that precision."""
        found = false = best = 0
        scores = [(score, 1) for score in self.campaign.values()] + [(score, 0) for score in self.noise.values()]
        for _, group in itertools.groupby(sorted(scores, reverse=True), key=lambda one: one[0]):
            for _, right in group:
                found, false = found + right, false + 1 - right
            if found >= precision * (found + false):
                best = found
        return best


def _counted(right: Iterable[float], wrong: Iterable[float]) -> tuple[int, float]:
    found, false = sum(score >= 0 for score in right), sum(score >= 0 for score in wrong)
    return found, round(found / (found + false), 4) if found + false else 1.0


def way_table(way: str, judged: Mapping[tuple[str, str, str], Judged], precision: float) -> Table:
    """What was found in one of the two ways."""
    rows: list[tuple[str | int | float, ...]] = []
    for (when, campaign, method), one in judged.items():
        if when != way:
            continue
        figures = one.figures()
        rows.append(
            (
                campaign,
                method,
                f"{figures['found']} of {figures['of']}",
                figures["precision"],
                figures["precision_50"],
                f"{figures['found_unseized']} of {figures['of_unseized']}",
                figures["precision_unseized"],
                one.oracle(precision),
            )
        )
    return Table(
        title=f"{way}: found at the operating point; seizures left out; what the best cut would have found",
        columns=("campaign", "method", "found", "precision", "of the first 50", "unseized", "precision ", "oracle"),
        rows=tuple(rows),
    )


def names_table(every: Sequence[tuple[str, int]], judged: Mapping[tuple[str, str, str], Judged]) -> Table:
    """How many names were shown; `every` is (campaign, names that were judged)."""
    rows = tuple((campaign, judged["split", campaign, "lapsewatch"].named, count) for campaign, count in every)
    return Table(
        title="Names of which nothing else is known, judged by what the first half taught",
        columns=("campaign", "shown", "of names"),
        rows=rows,
    )


def left_table(left: Mapping[str, Settings]) -> Table:
    """The settings by the campaign that they were not chosen on."""
    rows = tuple((name, one.half_life_days, one.shrink, one.against) for name, one in left.items())
    return Table(
        title="Settings that the other two campaigns chose",
        columns=("campaign left out", "half-life, days", "shrink", "against"),
        rows=rows,
    )


def tried_table(outcomes: Mapping[str, Sequence[Mapping[str, Judged]]]) -> Table:
    """What the settings that were tried come to at worst and at best, each campaign by itself."""
    rows = []
    for campaign, tried in outcomes.items():
        for way in ("split", "rolling"):
            figures = [one[way].figures() for one in tried]
            found = [one["found"] for one in figures]
            rows.append((campaign, way, min(found), max(found), min(one["precision"] for one in figures)))
    return Table(
        title="All settings that were tried",
        columns=("campaign", "way", "least found", "most found", "least precision"),
        rows=tuple(rows),
    )


def shuffled_table(figures: Mapping[str, int | float]) -> Table:
    """What shuffled labels gave."""
    return Table(
        title="Shuffled labels: what is shown where there is nothing to find",
        columns=tuple(figures),
        rows=(tuple(figures.values()),),
    )
