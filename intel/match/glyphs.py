"""What letters are mistaken for: a label in, what a reader takes it for out (Unicode Technical Standard 39, RFC 5890).

Three forms of a label, each coarser than the one before: what is *shown* (A-labels decoded), its *plain* form in
ASCII (no accents, no foreign letters that look Latin), and its *folded* form, in which letters and digits that are
mistaken for each other are one. Two labels that look alike have the same folded form; the opposite need not be true.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Final

MAX_LABEL: Final = 63  # RFC 1035 2.3.4

_TWINS: Final = ("o0", "li1", "s5", "a4", "ec3", "bd8", "gq9", "t7", "uv", "z2")
"""Single characters taken for each other, the one that stands for them all first."""
_STRONG: Final = ("o0", "li1", "s5", "a4", "e3", "b8", "g9", "t7", "z2")
"""Of them, those that a reader does not notice, or reads as the letter."""
_PAIRS: Final = {"rn": "m", "nn": "m", "vv": "w", "cl": "d"}
"""Two letters taken for one."""

_FOLD: Final = str.maketrans({twin: group[0] for group in _TWINS for twin in group[1:]})
_STRONG_PAIRS: Final = frozenset((one, other) for group in _STRONG for one in group for other in group if one != other)
_COLLAPSE: Final = re.compile("|".join(_PAIRS))
# "LATIN SMALL LETTER D WITH STROKE" and "LATIN LETTER SMALL CAPITAL G" say by their name what they look like.
_LATIN: Final = re.compile(r"LATIN (?:SMALL LETTER|LETTER SMALL CAPITAL) ([A-Z]{1,2})(?: WITH .+)?")


def shown(label: str) -> str:
    """The label as a browser may show it: an A-label is decoded, anything else comes back.

    What cannot be decoded, or decodes to what cannot be printed or needs no decoding, comes back as it is.
    """
    if not label.startswith("xn--") or len(label) > MAX_LABEL:
        return label
    try:
        text = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    text = unicodedata.normalize("NFC", text.lower())
    return text if text.isprintable() and not text.isascii() else label


def printable(text: str) -> str:
    """The text, each character that cannot be printed replaced."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in text)


def plain(text: str) -> str:
    """The text without accents, with letters that look Latin made so; what looks like nothing in ASCII stays."""
    if text.isascii():
        return text
    bare = unicodedata.normalize("NFD", text)
    return "".join(mark if mark.isascii() else stands_for(mark) for mark in bare)


def folded(text: str) -> str:
    """The plain text with all that is mistaken for each other made one, character by character."""
    return text.translate(_FOLD)


def collapsed(text: str) -> str:
    """The plain text with pairs of letters that are taken for one made that one; itself where there are none."""
    return _COLLAPSE.sub(lambda found: _PAIRS[found[0]], text) if _COLLAPSE.search(text) else text


def are_twins(one: str, other: str) -> bool:
    """Whether two different characters are ever mistaken for each other."""
    return one != other and one.translate(_FOLD) == other.translate(_FOLD)


def are_alike(one: str, other: str) -> bool:
    """Whether two characters are mistaken for each other without a second look."""
    return (one, other) in _STRONG_PAIRS


def is_pair(two: str, one: str) -> bool:
    """Whether these two letters are taken for that one."""
    return _PAIRS.get(two) == one


@lru_cache(maxsize=4096)
def stands_for(mark: str) -> str:
    """What one character outside ASCII is taken for: ASCII, "" for a mark upon a letter, itself where nothing is."""
    if unicodedata.category(mark).startswith("M"):
        return ""
    listed = _confusables().get(mark)
    if listed is not None:
        return listed
    base = unicodedata.normalize("NFD", mark)
    if base[0].isascii():
        return base[0]
    latin = _LATIN.fullmatch(unicodedata.name(mark, ""))
    return latin[1].lower() if latin is not None else mark


@lru_cache(maxsize=1)
def _confusables() -> dict[str, str]:
    """The table beside this module: each line is ASCII text and the code points taken for it, `#` begins a comment."""
    found: dict[str, str] = {}
    for line in Path(__file__).with_name("confusables.txt").read_text("ascii").splitlines():
        row = line.partition("#")[0].split()
        if row:
            target, *points = row
            found.update((chr(int(point, 16)), target) for point in points)
    return found
