"""Words that an actor's names have in common: labels in, pieces that more than one of them holds out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

SHORTEST: Final = 4
LONGEST: Final = 10
COINCIDENCE: Final = 0.01
MOST: Final = 5_000
"""Pieces that are looked up among strangers' names, those that most labels hold: long labels share a great many."""
_LABEL: Final = 63


def pieces(name: str) -> Iterator[str]:
    """The pieces of a label of `SHORTEST` to `LONGEST` characters, some of them twice; none of an A-label's code."""
    text = "" if name.startswith("xn--") else name[:_LABEL]
    for size in range(SHORTEST, min(LONGEST, len(text)) + 1):
        for at in range(len(text) - size + 1):
            yield text[at : at + size]


def shared(labels: Mapping[str, float], share: Callable[[str], float]) -> dict[str, tuple[float, int]]:
    """Piece -> (the weights of the labels that hold it, how many do), for those that are no coincidence.

    Thousands of pieces are looked at, so that some are held by two labels by chance: one counts only where so many
    labels as hold it would, among all those pieces, not once in a hundred cases. `share` is a name's chance to hold it.
    Of more than `MOST` pieces those that most labels hold are taken.
    """
    weights: dict[str, float] = {}
    holders: dict[str, int] = {}
    for name, weight in labels.items():
        for piece in set(pieces(name)):
            weights[piece] = weights.get(piece, 0.0) + weight
            holders[piece] = holders.get(piece, 0) + 1
    allowed = math.log(COINCIDENCE / max(len(holders), 1))
    held = [(piece, count) for piece, count in holders.items() if count > 1]
    if len(held) > MOST:
        held = sorted(held, key=lambda one: (-one[1], -len(one[0]), one[0]))[:MOST]
    return {
        piece: (weights[piece], count)
        for piece, count in held
        if count * math.log(len(labels) * share(piece)) - math.lgamma(count + 1) < allowed
    }


def longest(found: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Of (piece, labels that hold it) those that stand in no longer piece of as many labels."""
    ordered = sorted(found, key=lambda one: (-len(one[0]), one[0]))
    kept: list[tuple[str, int]] = []
    for piece, count in ordered:
        if not any(piece in other and count == held for other, held in kept):
            kept.append((piece, count))
    return kept
