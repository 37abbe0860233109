"""Which patterns a distinguished name's text matches: patterns with `*` and `?`, and a text in, patterns out.

Each pattern is entered by one of its parts without wildcards, the one that it shares with the fewest others; those
parts are looked for together, and only the patterns whose part is there are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from intel.match.near import WordIndex
from intel.match.words import MAX_WORD, WordSearch

MAX_MATCHED: Final = 64
"""Patterns that one text matches at most."""
MIN_LITERAL: Final = 4
"""Characters in a row without a wildcard that every pattern has."""
_REMEMBERED: Final = 4096  # texts; few issuers make most certificates
_WILDCARDS: Final = re.compile(r"[*?]+")


class TextPatterns:
    """Patterns, canonical (`patterns.py`), ready to be compared with texts."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns: Final = sorted(patterns)
        uses = Counter(part for pattern in self._patterns for part in set(literals(pattern)))
        parts = [
            min(literals(pattern), key=lambda part: (uses[part], -len(part)), default="")[:MAX_WORD]
            for pattern in self._patterns
        ]
        self._index: Final = WordIndex(enumerate(parts), len(parts))
        self._search: Final = WordSearch(parts)
        # `patterns.py` lets none through that has no such part.
        self._always: Final = frozenset(number for number, part in enumerate(parts) if not part)
        self._known: dict[str, tuple[str, ...]] = {}

    def find(self, text: str) -> tuple[str, ...]:
        """The patterns that match the whole text, in the order of the alphabet. Letters' case does not count."""
        lowered = text.lower()
        candidates = set(self._always)
        for start, end in self._search.spans(lowered):
            candidates.update(self._index.at(lowered[start:end]))
        if not candidates:
            return ()
        matched = (self._patterns[number] for number in sorted(candidates) if fits(self._patterns[number], lowered))
        return tuple(pattern for pattern, _ in zip(matched, range(MAX_MATCHED), strict=False))

    def remembered(self, text: str) -> tuple[str, ...]:
        """The same for texts that come again and again."""
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[text] = self.find(text)
        return known


def literals(pattern: str) -> Iterator[str]:
    """The parts of a pattern without wildcards that are long enough to be looked for."""
    return (part for part in _WILDCARDS.split(pattern) if len(part) >= MIN_LITERAL)


def fits(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text: `*` any characters, `?` one. Time: the product of the lengths."""
    place = at = 0
    star = resume = -1
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in {"?", text[at]}:
            place += 1
            at += 1
        elif star >= 0:
            # Only the last star need give way: what an earlier one would take, this one can take as well.
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return not pattern[place:].strip("*")
