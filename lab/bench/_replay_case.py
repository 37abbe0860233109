"""One campaign among the others and the noise, and the same on labels that say nothing: for the benchmark `replay`."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import msgspec

from intel.patterns.background import Names
from intel.patterns.records import Settings
from intel.patterns.rolling import Strangers
from intel.traits import Trait
from lab.bench._replay_data import CAMPAIGNS, Replay, Row, half_of
from lab.bench._replay_methods import Replayed, noise_of, seen_of


@dataclass(frozen=True, kw_only=True)
class Case:
    """One campaign among the others and the noise."""

    campaign: str
    first: tuple[Row, ...]
    second: tuple[Row, ...]
    background: tuple[Row, ...]
    strangers: tuple[Row, ...]
    seen: Mapping[int, frozenset[Trait]]
    noise: Strangers
    names: tuple[str, ...] = ()

    @property
    def seized(self) -> frozenset[str]:
        """The domains of the second half that are seizures."""
        return frozenset(row.profile.domain for row in self.second if row.seized)


def cases(replay: Replay, campaigns: Sequence[str] = CAMPAIGNS) -> list[Case]:
    """Each campaign with all else as noise."""
    names = Names(name for name in replay.names if half_of(name) == 1)
    judged = tuple(name for name in replay.names if half_of(name) == 2)
    seen = seen_of((*replay.rows, *replay.noise))
    found = []
    for campaign in campaigns:
        mine = [row for row in replay.rows if row.campaign == campaign]
        others = [*(row for row in replay.rows if row.campaign != campaign), *replay.noise]
        background = tuple(row for row in others if half_of(row.profile.domain) == 1)
        found.append(
            Case(
                campaign=campaign,
                first=tuple(row for row in mine if row.half == 1),
                second=tuple(row for row in mine if row.half == 2),
                background=background,
                strangers=tuple(row for row in others if half_of(row.profile.domain) == 2),
                seen=seen,
                noise=noise_of(background, names),
                names=judged,
            )
        )
    return found


def shuffled(every: Sequence[Case], chosen: Settings, times: int = 5) -> dict[str, int | float]:
    """The same on labels that say nothing: as many strangers as a campaign has, drawn by chance, with its days.

    `found` of `of` drawn for the second half, `elsewhere` of `elsewhere_of` strangers that were not drawn: what the
    method finds by chance. `abstained`: of `trials`, those in which there was no operating point, so nothing is shown.
    """
    counts: Counter[str] = Counter()
    for case in every:
        draw = random.Random(case.campaign)
        everyone = sorted((*case.background, *case.strangers), key=lambda row: row.profile.domain)
        days = [row.day for row in case.first]
        for _ in range(times):
            drawn = draw.sample(everyone, 2 * len(days))
            known = tuple(_dated(row, day) for row, day in zip(drawn, days, strict=False))
            taken = {row.profile.domain for row in drawn}
            rest = tuple(row for row in case.background if row.profile.domain not in taken)
            learned = Replayed(noise_of(rest, case.noise.names), chosen, case.seen)
            limit, ranker = learned.limit(known), learned.ranker(known)
            elsewhere = [row for row in case.strangers if row.profile.domain not in taken]
            counts["trials"] += 1
            counts["abstained"] += math.isinf(limit)
            counts["of"] += len(days)
            counts["found"] += sum(learned.bits(ranker, row) >= limit for row in drawn[len(days) :])
            counts["elsewhere_of"] += len(elsewhere)
            counts["elsewhere"] += sum(learned.bits(ranker, row) >= limit for row in elsewhere)
    return {name: counts[name] for name in ("found", "of", "elsewhere", "elsewhere_of", "abstained", "trials")}


def _dated(row: Row, day: date | None) -> Row:
    created = None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
    profile = msgspec.structs.replace(row.profile, created=created)
    return Row(campaign=row.campaign, half=1, day=day, profile=profile, raw=row.raw)
