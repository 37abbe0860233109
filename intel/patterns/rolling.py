"""How well an actor's habits would have told his domains from strangers so far: known domains in, `Learned` out.

Each day's known domains are scored by what was created on earlier days, as if it had been known by then, and each
stranger by a background without the fold that it is in. `operate.threshold` makes the operating point of both. Nothing
that is judged afterwards is looked at. The product (tasks/watch/alike.py) and the benchmark `replay` call the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date
from typing import Final

import msgspec

from intel.evidence import Prevalence
from intel.patterns.background import FEW, Background, Names
from intel.patterns.operate import threshold
from intel.patterns.rank import Factor, Ranker
from intel.patterns.records import Settings
from intel.traits import Profile, Trait, traits

FOLDS: Final = 5
MOST_DAYS: Final = 60
"""Days that are lived through again, the last ones."""
MOST_KNOWN: Final = 2_000
"""Known domains that are learned from, the newest."""


class Strangers:
    """The background, whole and in folds, each fold with the background of the others."""

    def __init__(
        self,
        profiles: Sequence[Profile],
        names: Names,
        counted: Mapping[Trait, Prevalence] | None = None,
        *,
        called: str = "",
        daily: float | None = None,
    ) -> None:
        self.total: Final = len(profiles)
        self.names: Final = names
        self.whole: Final = Background(profiles, names, counted, called=called, daily=daily)
        self.profiles: Final = profiles
        self._counted: Final = counted
        self._folds: list[tuple[list[tuple[Profile, frozenset[Trait]]], Background]] = []

    @property
    def folds(self) -> Sequence[tuple[list[tuple[Profile, frozenset[Trait]]], Background]]:
        """(what is in the fold, with its traits; the background of all others); made when it is first asked for."""
        if not self._folds:
            for fold in range(FOLDS):
                apart = [(one, traits(one)) for one in self.profiles[fold::FOLDS]]
                rest = (one for number, one in enumerate(self.profiles) if number % FOLDS != fold)
                background = Background(rest, self.names, self._counted, called=self.whole.called)
                self._folds.append((apart, background))
        return self._folds


class Rolling:
    """Scores of days that have passed: of the known, and the highest of each stranger."""

    def __init__(self, strangers: Strangers, settings: Settings, factor: Factor) -> None:
        self._strangers = strangers
        self._settings = settings
        self._factor = factor
        self._right: list[float] = []
        self._wrong: dict[str, float] = {}

    def ranker(self, known: Sequence[Profile], background: Background | None = None) -> Ranker:
        """The habits of what is known now."""
        return Ranker(known, background or self._strangers.whole, self._settings, self._factor)

    def learn(self, known: Sequence[Profile], then: Sequence[Profile]) -> None:
        """A day has passed: what was known before it would have scored its domains, and the strangers, so."""
        if len(known) < self._settings.least_known:
            return
        ranker = self.ranker(known)
        self._right += [ranker.score(one).bits for one in then]
        for apart, background in self._strangers.folds:
            without = self.ranker(known, background)
            for one, found in apart:
                score = without.score(one, found).bits
                self._wrong[one.domain] = max(score, self._wrong.get(one.domain, -math.inf))

    def threshold(self) -> float | None:
        """The operating point by what has passed, in bits; None where there is none."""
        return threshold(self._right, self._wrong.values(), self._settings.precision)

    @property
    def judged(self) -> int:
        """Known domains that were scored by what was known before them."""
        return len(self._right)


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be shown: domains of at least `limit` bits; None: nothing is, for the reason `why`."""

    limit: float | None
    why: str


def operating_point(known: Sequence[Profile], strangers: Strangers, settings: Settings, factor: Factor) -> Learned:
    """Above how many bits a domain is worth a look, from the known ones and the strangers alone."""
    if len(known) < settings.least_known:
        return too_few(len(known), settings)
    if strangers.total < FEW:
        why = f"only {strangers.total} domains of the reference sample to compare with, and {FEW} are needed"
        return Learned(limit=None, why=why)
    rolling = Rolling(strangers, settings, factor)
    for earlier, today in [day for day in days_of(known) if len(day[0]) >= settings.least_known][-MOST_DAYS:]:
        rolling.learn(earlier, today)
    limit = rolling.threshold()
    if limit is not None:
        return Learned(limit=limit, why="")
    if not rolling.judged:
        why = f"no known domain was created after {settings.least_known} others, so nothing shows what would be found"
    else:
        why = (
            f"no number of bits would have told enough of {rolling.judged} known domains from {strangers.total:,}"
            f" strangers for {settings.precision:.0%} to be right"
        )
    return Learned(limit=None, why=why)


def too_few(known: int, settings: Settings) -> Learned:
    """What so few known domains teach."""
    return Learned(limit=None, why=f"{known} domains are known, and {settings.least_known} are needed")


def newest(known: Sequence[Profile]) -> list[Profile]:
    """The known domains that are learned from, each once, in an order that depends on nothing else."""
    listed = sorted(known, key=lambda one: (-(one.created.timestamp() if one.created else 0.0), one.domain))
    return list({one.domain: one for one in listed}.values())[:MOST_KNOWN]


def days_of(known: Sequence[Profile]) -> Iterator[tuple[list[Profile], list[Profile]]]:
    """(all of earlier days, those of a day), day by day (UTC); those whose creation is unknown are on no day."""
    of_day: dict[date, list[Profile]] = {}
    for one in sorted(known, key=lambda one: one.domain):
        if one.created is not None:
            of_day.setdefault(one.created.astimezone(UTC).date(), []).append(one)
    earlier: list[Profile] = []
    for day in sorted(of_day):
        yield list(earlier), of_day[day]
        earlier += of_day[day]
