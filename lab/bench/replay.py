"""Benchmark `replay`: from the first half of a real campaign, by creation date, to its second half among strangers.

*Split*: learned from the first half alone. *Rolling*: each domain of the second half is judged from all that were
created on earlier days. The noise, whatever has attributes of registration and is of no such campaign or of another
one, is split by hash: half is the background and sets thresholds, half is judged. In the rolling run a stranger is
judged anew on every day and is a false positive if any day shows it. Names of which nothing else is known are judged
too and reported apart: no figure of precision rests on them.

What a domain's exports say is of the day of the export, after a seizing party may have taken it: its values are then no
trait of the actor's. A seized row can be found by its name and suffix, or by the action itself, as it was taken by who
took known ones. The export does not date the action, which came after the registrations: in the rolling run an analyst
would not have known of it yet, so that the figures without the rows that are seizures are those of the rolling run that
stand. The first three methods see the exported values, the seizing party's among them.

No absolute date is a feature, as the noise is of 2026 and the campaigns of 2023 to 2025. What remains of the years: the
mix of suffixes and registrars moves; and what the noise's source never gives (e-mail, mail hosts, SOA, certificates)
can match no stranger but those of the other campaigns, for any of the methods: to have such a value in common is
then nearly enough. `lapsewatch, common attributes` (`common` among the figures) is the same method on nothing but what
the noise has too, without seizing parties.

Precision is over the half of the noise that is judged; over all of it about twice as many strangers would be shown.

`lapsewatch` has the settings of configs/patterns.yaml, which were chosen after all three campaigns had been seen, the
second halves too. `lapsewatch_left_out` takes half-life, shrink and against from the grid around them that is best on
the other two campaigns: it is unseen in these three alone. Caps, priors, the margin and the method itself were made
by people who had seen all three. Thresholds come from what was known before, and from the background. `oracle` is what
the best cut would have given, for comparison only.

Figures: `{split: {campaign: {method: {found, of, precision, precision_50}}}, rolling: ...}`, with `found_unseized` of
`of_unseized` and `precision_unseized` besides; `common` is `{split: {campaign: ...}, rolling: ...}`.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from intel.config.patterns import read_settings
from intel.patterns.records import Settings
from intel.settings import CHECKOUT, settings
from intel.traits import Profile
from lab.bench._replay_case import Case, cases, shuffled
from lab.bench._replay_data import Row, read_replay
from lab.bench._replay_judged import Judged, left_table, names_table, shuffled_table, tried_table, way_table
from lab.bench._replay_methods import Replayed, counts_of, days_of, noise_of, seen_of, shared_method
from lab.bench.result import Result

METHODS: Final = ("exact", "flat500", "counted", "lapsewatch", "lapsewatch_left_out")
COMMON: Final = "lapsewatch, common attributes"
_HALF_LIVES: Final = (30.0, 60.0)
_SHRINKS: Final = (1.0, 3.0)
_AGAINST: Final = (-1.0, -2.0)


def shared(case: Case, method: str) -> dict[str, Judged]:
    """`exact`, `flat500` and `counted`, split and rolling; what scores more than 0 is shown."""
    at_hand = counts_of((*case.first, *case.second, *case.background, *case.strangers))
    tiny = 1e-9

    def judge(known: Sequence[Row], rows: Iterable[Row]) -> dict[str, float]:
        one = shared_method(method, known, at_hand)
        return {row.profile.domain: one.score(row.raw) - tiny for row in rows}

    rolled: dict[str, float] = {}
    strangers: dict[str, float] = {}
    for earlier, today in days_of((*case.first, *case.second)):
        then = [row for row in today if row.half == 2]
        if then:
            rolled.update(judge(earlier, then))
            for domain, score in judge(earlier, case.strangers).items():
                strangers[domain] = max(score, strangers.get(domain, -1.0))
    split = Judged(campaign=judge(case.first, case.second), noise=judge(case.first, case.strangers), seized=case.seized)
    return {"split": split, "rolling": Judged(campaign=rolled, noise=strangers, seized=case.seized)}


def lapsewatch(case: Case, chosen: Settings, *, names: bool = False) -> dict[str, Judged]:
    """Our own, split and rolling; scores are above or below the operating point of that time."""
    learned = Replayed(case.noise, chosen, case.seen)
    ranker, limit = learned.ranker(case.first), learned.limit(case.first)
    named = 0
    if names:
        named = sum(ranker.score(Profile(domain=name)).bits >= limit for name in case.names)
    split = Judged(
        campaign={row.profile.domain: _above(learned.bits(ranker, row), limit) for row in case.second},
        noise={row.profile.domain: _above(learned.bits(ranker, row), limit) for row in case.strangers},
        seized=case.seized,
        named=named,
    )
    return {"split": split, "rolling": _rolling(case, chosen)}


def _rolling(case: Case, chosen: Settings) -> Judged:
    learned = Replayed(case.noise, chosen, case.seen)
    found: dict[str, float] = {}
    strangers: dict[str, float] = {}
    for earlier, today in days_of((*case.first, *case.second)):
        then = [row for row in today if row.half == 2]
        if then:
            ranker, limit = learned.ranker(earlier), learned.threshold()
            found.update((row.profile.domain, _above(learned.bits(ranker, row), limit)) for row in then)
            for row in case.strangers:
                score = _above(learned.bits(ranker, row), limit)
                strangers[row.profile.domain] = max(score, strangers.get(row.profile.domain, -math.inf))
        learned.learn(earlier, today)
    return Judged(campaign=found, noise=strangers, seized=case.seized)


def _above(score: float, limit: float) -> float:
    return score - limit if math.isfinite(limit) else score - 1e6


def grid(base: Settings) -> list[Settings]:
    """The settings that are tried; the first of equals is taken."""
    return [
        msgspec.structs.replace(base, half_life_days=half_life, shrink=shrink, against=against)
        for half_life, shrink, against in itertools.product(_HALF_LIVES, _SHRINKS, _AGAINST)
    ]


def worth(judged: Mapping[str, Judged], precision: float) -> float:
    """What settings are worth on a campaign: the share that is found, where it is as right as asked, else less.

    Of equals those that keep the campaign and the highest stranger furthest apart are worth a little more.
    """
    total = 0.0
    for one in judged.values():
        figures = one.figures()
        short = max(0.0, precision - figures["precision"])
        apart = statistics.median(one.campaign.values()) - max(one.noise.values())
        total += figures["found"] / figures["of"] - 10 * short + apart / 1000
    return total


def run(root: Path | None = None, *, tried: Sequence[Settings] | None = None) -> Result:
    """Measure everything. Raises ConfigError where the real data is missing."""
    started = time.perf_counter()
    chosen = read_settings(CHECKOUT / "configs")
    every = cases(read_replay(root or settings().data))
    options = list(grid(chosen)) if tried is None else list(tried)
    outcomes = {case.campaign: [lapsewatch(case, one) for one in options] for case in every}
    judged: dict[tuple[str, str, str], Judged] = {}
    left: dict[str, Settings] = {}
    for case in every:
        by_method = {method: shared(case, method) for method in METHODS[:3]}
        by_method["lapsewatch"] = lapsewatch(case, chosen, names=True)
        best = max(
            range(len(options)),
            key=lambda at: (
                round(
                    sum(worth(outcomes[other][at], chosen.precision) for other in outcomes if other != case.campaign), 6
                ),
                -at,
            ),
        )
        left[case.campaign] = options[best]
        by_method["lapsewatch_left_out"] = outcomes[case.campaign][best]
        by_method[COMMON] = lapsewatch(common(case), chosen)
        for method, ways in by_method.items():
            judged.update(((way, case.campaign, method), one) for way, one in ways.items())
    figures: dict[str, Any] = {
        way: {
            campaign: {method: judged[way, campaign, method].figures() for method in METHODS} for campaign in outcomes
        }
        for way in ("split", "rolling")
    }
    figures["common"] = {
        way: {campaign: judged[way, campaign, COMMON].figures() for campaign in outcomes}
        for way in ("split", "rolling")
    }
    figures["shuffled"] = shuffled(every, chosen)
    figures["seconds"] = round(time.perf_counter() - started, 1)
    tables = [way_table(way, judged, chosen.precision) for way in ("split", "rolling")]
    return Result(
        tables=(
            *tables,
            names_table([(case.campaign, len(case.names)) for case in every], judged),
            left_table(left),
            tried_table(outcomes),
            shuffled_table(figures["shuffled"]),
        ),
        figures=figures,
    )


def common(case: Case) -> Case:
    """The same with nothing but what the noise has as well: registrar, name servers, addresses, networks, the name."""

    def less(row: Row) -> Row:
        profile = msgspec.structs.replace(
            row.profile,
            emails=(),
            registrants=(),
            mail_hosts=(),
            soa_contacts=(),
            certificates=(),
            issuers=(),
            keys=(),
            ended_by="",
        )
        return Row(campaign=row.campaign, half=row.half, day=row.day, profile=profile, raw=row.raw, seized=row.seized)

    first, second = tuple(map(less, case.first)), tuple(map(less, case.second))
    background, strangers = tuple(map(less, case.background)), tuple(map(less, case.strangers))
    return Case(
        campaign=case.campaign,
        first=first,
        second=second,
        background=background,
        strangers=strangers,
        seen=seen_of((*first, *second, *background, *strangers)),
        noise=noise_of(background, case.noise.names),
    )
