"""Which names hold a watched keyword: keywords and a certificate's names in, keywords and names out.

Names of a certificate are searched together, joined by line feeds, which no keyword holds. Names with A-labels are
searched as they read as well, so that a keyword with accents is found.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate
from typing import Final

import msgspec

from intel.match.changes import ordinal
from intel.match.glyphs import printable, shown
from intel.match.words import WordSearch

MAX_FOUND: Final = 256
"""Keywords that one certificate holds at most."""
_TOGETHER: Final = 64  # names; what is found in them at once is kept in memory
_MAX_SPANS: Final = 100_000  # where a keyword may stand; a certificate of 16 MB made for it has a hundred times more


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword, and the first name that holds it."""

    keyword: str
    name: str
    why: str


class Keywords:
    """Watched keywords, canonical, ready to be looked for."""

    def __init__(self, keywords: AbstractSet[str]) -> None:
        self._keywords: Final = keywords
        self._search: Final = WordSearch(keywords)

    def find(self, names: Sequence[str]) -> list[Found]:
        """The keywords that the names hold, each once, in the order of the names. Names are lower-case."""
        found: dict[str, Found] = {}
        spans = 0
        for first in range(0, len(names), _TOGETHER):
            spans += self._search_some(names[first : first + _TOGETHER], found)
            if spans > _MAX_SPANS or len(found) >= MAX_FOUND:
                break
        return list(found.values())[:MAX_FOUND]

    def suspects(self, names: Sequence[str]) -> set[int]:
        """The places of those names that may hold a keyword: all that `find` has an answer for."""
        found = {place for place, name in enumerate(names) if "xn--" in name}
        text = "\n".join(names)
        starts: list[int] = []
        for start, end in self._search.spans(text):
            if text[start:end] in self._keywords:
                starts = starts or list(accumulate((len(name) + 1 for name in names), initial=0))
                found.add(bisect_right(starts, start) - 1)
        return found

    def _search_some(self, names: Sequence[str], found: dict[str, Found]) -> int:
        text = "\n".join(names)
        read: Sequence[tuple[str, str]] | None = None
        if "xn--" in text:
            read = [(name, name) for name in names]
            read += [(name, ".".join(map(shown, name.split(".")))) for name in names if "xn--" in name]
            text = "\n".join(reading for _, reading in read)
        spans = self._search.spans(text)
        places: dict[str, int] = {}
        for start, end in spans:
            word = text[start:end]
            if word in self._keywords and word not in found and word not in places:
                places[word] = start
        if places:
            found.update(_located(places, read or [(name, name) for name in names]))
        return len(spans)


def _located(places: dict[str, int], read: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Found]]:
    starts = list(accumulate((len(reading) + 1 for _, reading in read), initial=0))
    for keyword, place in places.items():
        number = bisect_right(starts, place) - 1
        name, reading = read[number]
        why = f"the keyword stands at the {ordinal(place - starts[number] + 1)} character"
        if reading != name:
            why = f"{why} of {printable(reading)}"
        yield keyword, Found(keyword=keyword, name=name, why=why)
