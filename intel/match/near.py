"""Indexes of words: words with numbers in, the numbers of the same or of near words out.

Each entry is one 64-bit number, a part of a word's hash and the number of the word, in one sorted array; a sieve of
bits in front of it answers most questions. 100,000 words take 1 MB, and with all that they become when one character is
left out 13 MB, where sets would take 10 and 120. What is found are candidates: to be verified.

Python's `hash` of a text differs from process to process: an index is built where it is used, and nobody outside can
choose words that collide.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_PARTS_LOG2: Final = 4
_SIEVE: Final = 24  # bits for each entry: one question in 25 passes without reason


class WordIndex:
    """Which words are the same. `words` are pairs of a number, from 0 to less than `count`, and a word."""

    __slots__ = ("_bits", "_keys", "_mask", "_shift", "_top")

    def __init__(self, words: Iterable[tuple[int, str]], count: int) -> None:
        shift = max(count - 1, 1).bit_length()
        top = (1 << 64 - shift) - 1
        # Sorted in parts: a list of all the numbers as Python's integers would take four times what is kept.
        parts = [array("Q") for _ in range(1 << _PARTS_LOG2)]
        for number, word in words:
            key = (hash(word) & top) << shift | number
            parts[key >> 64 - _PARTS_LOG2].append(key)
        keys = array("Q")
        for place, part in enumerate(parts):
            keys.extend(sorted(set(part)))
            parts[place] = array("Q")
        mask = (1 << max(len(keys) * _SIEVE, 64).bit_length() - 3) - 1
        bits = bytearray(mask + 1)
        # The sieve takes a hash's lowest bits, which the key has too.
        for key in keys:
            value = key >> shift
            bits[value >> 3 & mask] |= 1 << (value & 7)
        self._keys, self._bits, self._mask, self._shift, self._top = keys, bits, mask, shift, top

    def at(self, word: str) -> Sequence[int]:
        """The numbers of the words that are probably this one, in order."""
        value = hash(word)
        if self._bits[value >> 3 & self._mask] >> (value & 7) & 1:
            return self._numbers(value)
        return ()

    def _numbers(self, value: int) -> list[int]:
        keys, shift = self._keys, self._shift
        value &= self._top
        low = (1 << shift) - 1
        found: list[int] = []
        place = bisect_left(keys, value << shift)
        while place < len(keys) and keys[place] >> shift == value:
            found.append(keys[place] & low)
            place += 1
        return found


class NearIndex(WordIndex):
    """Which words are the same or one edit away.

    Two words one edit apart, or with two neighbours swapped, become the same when each loses at most one character: so
    the words are entered with all that is left of them then. `at` finds, besides a word itself, those that become it.
    """

    __slots__ = ()

    def __init__(self, words: Iterable[tuple[int, str]], count: int) -> None:
        super().__init__(((number, left) for number, word in words for left in remainders(word)), count)

    def near(self, word: str) -> list[int]:
        """The numbers of the words that may be at most one edit away, every one that is, some of them twice."""
        bits, mask = self._bits, self._mask
        found: list[int] = []
        value = hash(word)
        if bits[value >> 3 & mask] >> (value & 7) & 1:
            found += self._numbers(value)
        # The hottest loop of all that looks at names: two slices, a hash and a bit for each character.
        for place in range(len(word)):
            value = hash(word[:place] + word[place + 1 :])
            if bits[value >> 3 & mask] >> (value & 7) & 1:
                found += self._numbers(value)
        return found

    def has_near(self, words: Iterable[str], halves: Halves) -> Iterator[int]:
        """The places of those words that have one at most one edit away, in order, and of a few that do not."""
        bits, mask, numbers = self._bits, self._mask, self._numbers
        for number, word in halves.pass_through(words):
            value = hash(word)
            if bits[value >> 3 & mask] >> (value & 7) & 1 and numbers(value):
                yield number
                continue
            for place in range(len(word)):
                value = hash(word[:place] + word[place + 1 :])
                if bits[value >> 3 & mask] >> (value & 7) & 1 and numbers(value):
                    yield number
                    break


class Halves:
    """Which words may have one at most one edit away: a sieve in front of `NearIndex.has_near`.

    One edit, or two neighbours swapped, leaves the beginning or the end of a word as it was, the half of it less one
    character: so the words are entered with those halves, for each length that a near one may have.
    """

    __slots__ = ("_bits", "_mask")

    def __init__(self, words: Iterable[str]) -> None:
        values = {
            value
            for word in words
            for size in range(max(len(word) - 1, 1), len(word) + 2)
            if (half := (size - 1) // 2)
            for value in (hash(word[:half]) + size, hash(word[-half:]) - size)
        }
        mask = (1 << max(len(values) * _SIEVE, 64).bit_length() - 3) - 1
        bits = bytearray(mask + 1)
        for value in values:
            bits[value >> 3 & mask] |= 1 << (value & 7)
        self._bits, self._mask = bits, mask

    def pass_through(self, words: Iterable[str]) -> Iterator[tuple[int, str]]:
        """Those of the words that may have a near one, each with its place."""
        bits, mask = self._bits, self._mask
        for number, word in enumerate(words):
            size = len(word)
            half = (size - 1) // 2
            if half <= 0:
                yield number, word
                continue
            value = hash(word[:half]) + size
            if bits[value >> 3 & mask] >> (value & 7) & 1:
                yield number, word
                continue
            value = hash(word[-half:]) - size
            if bits[value >> 3 & mask] >> (value & 7) & 1:
                yield number, word


def remainders(word: str) -> Iterator[str]:
    """The word, and what is left of it without each of its characters, each once."""
    yield word
    for place in range(len(word)):
        # Of a run of equal characters, leaving out any gives the same.
        if not place or word[place] != word[place - 1]:
            yield word[:place] + word[place + 1 :]
