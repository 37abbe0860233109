"""Which of many words stand in a text: words and a text in, places out; found by Aho and Corasick's automaton.

The automaton knows only the first characters of each word, and the set of words the rest: 100,000 words then take a
few megabytes where whole words take 33, and twice as many candidates cost less than the memory that is not touched.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

from ahocorasick_rs import AhoCorasick

MAX_WORD: Final = 63
"""Characters of a word: the lengths of the words of one beginning are bits of one number of 64."""
_BEGINNING: Final = 8


class WordSearch:
    """Finds where words may stand. Words of no character, or of more than 63, are not looked for."""

    __slots__ = ("_automaton", "_lengths")

    def __init__(self, words: Iterable[str]) -> None:
        lengths: dict[str, int] = {}
        for word in words:
            if 0 < len(word) <= MAX_WORD:
                beginning = word[:_BEGINNING]
                lengths[beginning] = lengths.get(beginning, 0) | 1 << len(word)
        self._lengths = array("Q", lengths.values())
        self._automaton = AhoCorasick(list(lengths), store_patterns=False) if lengths else None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where a word may stand: (start, end). Whether the text there is a word is for the caller to look up.

        Every place where a word does stand is among them, overlapping or not.
        """
        if self._automaton is None:
            return []
        found: list[tuple[int, int]] = []
        for number, start, _ in self._automaton.find_matches_as_indexes(text, overlapping=True):
            lengths = self._lengths[number]
            while lengths:
                least = lengths & -lengths
                lengths ^= least
                end = start + least.bit_length() - 1
                if end <= len(text):
                    found.append((start, end))
        return found
