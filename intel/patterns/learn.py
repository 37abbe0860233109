"""The learner: profiles of known domains in, patterns out.

Combinations that known domains have in common are found as closed sets: the traits that some of them share, all of
them. Of each the fewest traits are kept that keep its expected false positives under the limit, the rarest first: a
rule of nine conditions finds nothing new. Those that explain most known domains that none before did come first.

Support alone proposes nothing: what is common everywhere is left out, however many known domains have it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from intel.patterns.background import Background
from intel.patterns.burst import burst_of
from intel.patterns.rank import Factor, weights_of
from intel.patterns.records import MILLION, Pattern, Settings
from intel.patterns.words import longest, shared
from intel.traits import Name, Profile, Trait, label, traits

MOST_KNOWN: Final = 2_000
MOST_SETS: Final = 5_000
MOST_WORDS: Final = 30
SHORTEST_WORD: Final = 4
_LEFT_OUT: Final = frozenset({Name.CERTIFICATE, Name.KEY, Name.WORD, Name.BURST})
"""Values that say which one it is rather than what it is like: exact pivots go over them."""
_EXAMPLES: Final = 5


def learn(
    known: Sequence[Profile], background: Background, settings: Settings | None = None, factor: Factor | None = None
) -> list[Pattern]:
    """The patterns, the one that explains most first; none of the values that `factor` says are hubs'.

    Deterministic: the order in which the domains are given does not matter. Of more than `MOST_KNOWN` domains the
    newest are taken.
    """
    chosen = settings or Settings()
    listed = sorted(known, key=lambda one: (-(one.created.timestamp() if one.created else 0.0), one.domain))
    listed = list({one.domain: one for one in listed}.values())[:MOST_KNOWN]
    if len(listed) < chosen.least_support:
        return []
    sets = [_habits(one, factor) for one in listed]
    for words, traits_of in zip(_words(listed, background), sets, strict=True):
        traits_of.update(words)
    frozen = [frozenset(one) for one in sets]
    rows = _rows(frozen)
    patterns: dict[tuple[Trait, ...], Pattern] = {}
    held: dict[tuple[Trait, ...], int] = {}
    for closed in _closed(frozen, rows, chosen.least_support):
        kept = _fewest(closed, rows, background, chosen)
        found = _support(kept, rows)
        if kept:
            kept, found = _in_bursts(kept, found, listed, background, chosen)
        if kept and kept not in patterns:
            patterns[kept] = _pattern(kept, found, listed, background, chosen)
            held[kept] = found
    return _covering([one for one in patterns.values() if one.bits > 0], listed, held, chosen)


def _in_bursts(
    kept: tuple[Trait, ...], found: int, listed: Sequence[Profile], background: Background, settings: Settings
) -> tuple[tuple[Trait, ...], int]:
    """With a burst besides, where too many strangers have the traits, and the known ones that do came in bursts."""
    expected, _ = background.per_million(kept)
    if expected is None or expected <= settings.per_million or background.daily is None:
        return kept, found
    came = burst_of(listed, found)
    if came is None:
        return kept, found
    burst, among = came
    more = tuple(sorted([*kept, burst.trait]))
    fewer, _ = background.per_million(more)
    return (more, among) if fewer is not None and fewer < expected * 0.9 else (kept, found)


def _habits(profile: Profile, factor: Factor | None) -> set[Trait]:
    return {one for one in traits(profile) if one.name not in _LEFT_OUT and (factor is None or factor(one))}


def _words(listed: Sequence[Profile], background: Background) -> list[set[Trait]]:
    """The words that labels share, for each domain those that stand in its label."""
    if not background.names.total:
        return [set() for _ in listed]
    labels = {label(one.domain): 1.0 for one in listed}
    counted = [(piece, count) for piece, (_, count) in shared(labels, background.names.share).items()]
    rare = [(piece, count) for piece, count in counted if background.names.share(piece) < count / len(labels) / 4]
    best = sorted(rare, key=lambda one: (-one[1] * len(one[0]), one[0]))[: MOST_WORDS * 10]
    chosen = [piece for piece, _ in longest(best)][:MOST_WORDS]
    return [{Trait(Name.WORD.value, piece) for piece in chosen if piece in label(one.domain)} for one in listed]


def _rows(sets: Sequence[frozenset[Trait]]) -> dict[Trait, int]:
    """For each trait the domains that have it, as bits of a number."""
    rows: dict[Trait, int] = {}
    for number, one in enumerate(sets):
        for trait in one:
            rows[trait] = rows.get(trait, 0) | 1 << number
    return rows


def _support(combination: Iterable[Trait], rows: dict[Trait, int]) -> int:
    """The domains that have them all, as bits of a number."""
    found = -1
    for trait in combination:
        found &= rows[trait]
    return found


def _closed(sets: Sequence[frozenset[Trait]], rows: dict[Trait, int], least: int) -> list[frozenset[Trait]]:
    """Closed sets: what two domains share, and what those share with a third, as far as `MOST_SETS` goes.

    The newest domains come first, so that what is cut off is old.
    """
    frequent = [frozenset(trait for trait in one if rows[trait].bit_count() >= least) for one in sets]
    found: dict[frozenset[Trait], None] = {}
    for number, one in enumerate(frequent):
        for other in frequent[number + 1 :]:
            if common := one & other:
                found.setdefault(common)
            if len(found) >= MOST_SETS:
                return list(found)
    for one in list(found)[: MOST_SETS // 10]:
        for other in list(found)[: MOST_SETS // 10]:
            if len(found) >= MOST_SETS:
                return list(found)
            if common := one & other:
                found.setdefault(common)
    return list(found)


def _fewest(
    closed: Collection[Trait], rows: dict[Trait, int], background: Background, settings: Settings
) -> tuple[Trait, ...]:
    """The fewest of its traits that keep the expected false positives under the limit; all that help, where none do."""
    shares = [(share, trait) for trait in closed if (share := background.share(trait)) is not None]
    kept: list[Trait] = []
    reached: float | None = None
    # The rarest first; of equals a word, which says most, then what more known domains have.
    for _, trait in sorted(
        shares, key=lambda one: (one[0], one[1].name != Name.WORD, -rows[one[1]].bit_count(), one[1])
    ):
        expected, _ = background.per_million([*kept, trait])
        if expected is None or (reached is not None and expected >= reached * 0.9):
            continue
        kept.append(trait)
        reached = expected
        if expected <= settings.per_million or len(kept) == settings.most_traits:
            break
    if not kept:
        # Nobody counted any of them: it is said that this is unknown, and a person has to say more.
        kept = sorted(closed, key=lambda one: (-rows[one].bit_count(), one))[:2]
    return tuple(sorted(kept))


def _pattern(
    kept: tuple[Trait, ...], found: int, listed: Sequence[Profile], background: Background, settings: Settings
) -> Pattern:
    expected, basis = background.per_million(kept)
    weights = weights_of(listed, settings)
    held = sum(weight for number, weight in enumerate(weights) if found >> number & 1)
    share = 1.0 if expected is None else min(expected / MILLION, 1.0)
    m = (held + settings.shrink * share) / (sum(weights) + settings.shrink)
    support = found.bit_count()
    # One in support + 1 as an upper bound of what m may really be: two known domains are no habit yet.
    bits = math.log2(m * support / (support + 1) / share) if support >= settings.least_support else 0.0
    return Pattern(
        traits=kept,
        known=len(listed),
        support=support,
        per_million=expected,
        basis=basis,
        bits=0.5 if expected is None and bits <= 0 else bits,
        examples=tuple(one.domain for number, one in enumerate(listed) if found >> number & 1)[:_EXAMPLES],
    )


def _covering(
    found: Sequence[Pattern], listed: Sequence[Profile], held_by: dict[tuple[Trait, ...], int], settings: Settings
) -> list[Pattern]:
    """Those that explain most that none before did, weighed by rarity; at most `most_patterns`."""
    weights = weights_of(listed, settings)
    left = (1 << len(listed)) - 1
    chosen: list[Pattern] = []
    rest = {one.traits: (one, held_by[one.traits]) for one in found}
    while rest and left and len(chosen) < settings.most_patterns:

        def gain(item: tuple[Pattern, int]) -> float:
            one, held = item
            new = held & left  # noqa: B023 - called before the loop goes on
            return one.bits * sum(weight for number, weight in enumerate(weights) if new >> number & 1)

        best = min(rest.values(), key=lambda item: (-gain(item), item[0].traits))
        if gain(best) <= 0:
            break
        chosen.append(best[0])
        left &= ~best[1]
        del rest[best[0].traits]
    return chosen
