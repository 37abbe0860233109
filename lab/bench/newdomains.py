"""`newdomains`: ten daily lists of new domains against the actors of Maltrail, and what a name alone can tell.

Rate: names through all matchers, one process on one core, with 100,000 watched items: the actors' registrable domains
as subtrees and as names that others imitate, and invented keywords for the rest; then the same lists through
`load_arrivals` into an empty warehouse, with everything that is written.

Ranking: 187 names of the lists were attributed later (`KEY_*`), 1.9 in 1,000. A model is made for each day from all
names that any source of `actors/` and `feeds/` lists, less what is registered under a name of the key, against the
other nine days' lists; so no list is scored by a model that has seen it, and no model has seen the key. All ten days'
names are then one ranking. Beside it stand chance, the suffix alone (how often it is listed against how often it is
new), and the length of the label alone.

Figures: `names_per_s` (matchers alone), `loaded_per_s`, `precision_100`, `found_100`, `found_1000`, `found_10000`,
`auc`, and `matched` by what is watched; `chance_1000` and `suffix_1000` are the baselines' at 1,000.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from intel.errors import ReadError
from intel.match.certificates import WatchSet
from intel.match.hits import By, Hit
from intel.match.new_names import NameMatcher
from intel.match.patterns import pattern
from intel.new_domains import Arrival, Channel
from intel.settings import settings
from lab.bench._newdomains_data import LISTS, Data, read_data
from lab.bench.lookalikes import invented
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from tasks.collect.session import open_run
from tasks.load.new_domain_work import Work
from tasks.load.new_domains import load_arrivals
from tasks.upkeep.name_model import Examples

WATCHED: Final = 100_000
_DEPTHS: Final = (100, 1_000, 10_000)
_LEAST_SUFFIX: Final = 5
_TIMES: Final = 3
FIRST: Final = datetime(2024, 5, 16, tzinfo=UTC)
_AT_LEAST: Final = 5  # letters of an invented keyword


def run(root: Path | None = None, watched: int = WATCHED) -> Result:
    """Measure everything. Raises ConfigError where the real data or scikit-learn is missing."""
    place = root or settings().data
    data = read_data(place)
    watch = watch_set(data, watched)
    rate, matched = _rate(watch, data)
    loaded = _loaded(watch, data, place)
    rankings = {
        "the model": rank(data),
        "suffix alone": _by_suffix(data),
        "length alone": {name: float(len(name.partition(".")[0])) for day in data.days for name in day},
        "chance": _by_chance(data),
    }
    judgements = {title: judged(scores, data.key) for title, scores in rankings.items()}
    best = judgements["the model"]
    rows: list[tuple[str | int | float, ...]] = [(title, one.auc, *one.found) for title, one in judgements.items()]
    names = len({name for day in data.days for name in day})
    share = len(data.key) / names
    return Result(
        tables=(
            Table(
                title=f"{names:,} names against {watched:,} watched items, one process",
                columns=("what", "names/s"),
                rows=(("matchers", rate), ("into the warehouse", loaded)),
            ),
            _matched_table(matched, data.key),
            Table(
                title=f"{len(data.key)} later attributed names among {names:,} ({1000 * share:.1f} per 1,000)",
                columns=("ranked by", "AUC", *(f"in the first {depth:,}" for depth in _DEPTHS)),
                rows=(*rows, ("expected by chance", 0.5, *(round(share * depth, 1) for depth in _DEPTHS))),
            ),
        ),
        figures={
            "names_per_s": rate,
            "loaded_per_s": loaded,
            "watched": watched,
            "names": names,
            "matched": sum(len(found) for found in matched.values()),
            "precision_100": round(best.found[0] / 100, 4),
            "found_100": best.found[0],
            "found_1000": best.found[1],
            "found_10000": best.found[2],
            "auc": best.auc,
            "chance_1000": round(share * 1_000, 2),
            "suffix_1000": judgements["suffix alone"].found[1],
        },
    )


def watch_set(data: Data, watched: int) -> WatchSet:
    """The actors' names and what imitates them, a third each at most, and invented keywords: `watched` in all."""
    actors = sorted(data.actors)[: watched // 3]
    imitated: set[str] = set()
    for name in actors:
        try:
            imitated.add(pattern(By.LOOKALIKE, name))
        except ReadError:
            continue
    words: dict[str, None] = {}
    wanted = watched - len(actors) - len(imitated)
    for name in invented(2 * wanted + 10):
        word = name.partition(".")[0]
        if len(word) >= _AT_LEAST and len(words) < wanted:
            words[word] = None
    return WatchSet(subtrees=frozenset(actors), lookalikes=frozenset(imitated), keywords=frozenset(words))


def _rate(watch: WatchSet, data: Data) -> tuple[int, dict[str, list[str]]]:
    """(names per second of processor time, the median of three cold matchers; the names that matched by what)."""
    names = [name for day in data.days for name in day]
    met: list[tuple[str, tuple[Hit, ...]]] = []
    rates = []
    for _ in range(_TIMES):
        matcher = NameMatcher(watch)
        started = time.process_time()
        met = list(matcher.match(names))
        rates.append(len(names) / (time.process_time() - started))
    found: dict[str, list[str]] = {}
    for name, hits in met:
        for by in sorted({hit.by.value for hit in hits}):
            found.setdefault(by, []).append(name)
    return round(statistics.median(rates)), found


def _loaded(watch: WatchSet, data: Data, root: Path) -> int:
    """Names per second of wall time, from arrivals to committed rows, day by day."""
    work = Work(matcher=NameMatcher(watch))
    with fresh_warehouse(root) as engine:
        started = time.perf_counter()
        count = 0
        for number, names in enumerate(data.days):
            at = FIRST + timedelta(days=number)
            with open_run(engine, LISTS) as run_:
                load_arrivals(
                    engine, LISTS, run_, Channel.LIST, (Arrival(name=name, seen_at=at) for name in names), work=work
                )
            count += len(names)
        return round(count / (time.perf_counter() - started))


def rank(data: Data) -> dict[str, float]:
    """The score of each name of the lists, each day by a model that has not seen that day."""
    names = sorted({name for day in data.days for name in day})
    suffixes = Counter(name.partition(".")[2] for name in names)
    bad = sorted(name for name in set(data.listed) - set(names) if suffixes[name.partition(".")[2]] >= _LEAST_SUFFIX)
    table = Examples([*bad, *names], [data.listed[name] for name in bad])
    row_of = {name: number for number, name in enumerate(names, len(bad))}
    found: dict[str, float] = {}
    for day in data.days:
        today = set(day)
        others = [row_of[name] for name in names if name not in today and name not in data.listed]
        fitted = table.weigh(range(len(bad)), others)
        rows = [row_of[name] for name in day if name not in found]
        found.update(zip((name for name in day if name not in found), table.scores(rows, *fitted), strict=True))
    return found


def _by_suffix(data: Data) -> dict[str, float]:
    """The logarithm of how much oftener a suffix is listed than new; ties by name, as chance would have it."""
    names = {name for day in data.days for name in day}
    new = Counter(name.partition(".")[2] for name in names)
    listed = Counter(name.partition(".")[2] for name in data.listed)
    return {name: math.log((listed[name.partition(".")[2]] + 1) / (new[name.partition(".")[2]] + 1)) for name in names}


def _by_chance(data: Data) -> dict[str, float]:
    draw = random.Random(1)
    return {name: draw.random() for name in sorted({name for day in data.days for name in day})}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How well a ranking finds the key's names: the area under its curve, and how many are in the first `_DEPTHS`."""

    auc: float
    found: tuple[int, ...]


def judged(scores: Mapping[str, float], key: frozenset[str]) -> Judged:
    """The ranking against the key. Equal scores are shuffled, always the same way."""
    draw = random.Random(2)
    order = sorted(scores, key=lambda name: (-scores[name], draw.random()))
    ranks = [number for number, name in enumerate(order, 1) if name in key]
    others = len(order) - len(ranks)
    above = sum(rank - number for number, rank in enumerate(ranks, 1))
    auc = 1 - above / (len(ranks) * others) if ranks and others else 0.5
    return Judged(auc=round(auc, 4), found=tuple(sum(rank <= depth for rank in ranks) for depth in _DEPTHS))


def _matched_table(matched: Mapping[str, Sequence[str]], key: frozenset[str]) -> Table:
    rows = [(by, len(found), sum(name in key for name in found)) for by, found in sorted(matched.items())]
    return Table(title="Names that touch what is watched", columns=("by", "names", "of the key"), rows=tuple(rows))
