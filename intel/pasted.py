"""Indicators in a text that somebody pasted: a list, a table's column, a mail, a report's appendix. Pure.

In: text as it is, defanged or not. Out: indicators as they stand in it, each once. A line that is one word is one
indicator, readable or not, so that nothing of a list is lost. Of other lines only what is an indicator beyond doubt
is taken: a sentence's words are not. E-mail addresses within sentences are left: a mail names its receivers as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address
from typing import Final

from publicsuffixlist import PublicSuffixList

from intel.entities import Entity, Kind, guess, refang
from intel.errors import ReadError

LONGEST: Final = 5_000_000
"""Characters that are read of one text."""
_LONGEST_WORD: Final = 4_096
_BETWEEN: Final = re.compile(r"[\s,;|<>\"'`\u201c\u201d\u2018\u2019]+")
_EDGES: Final = "()[]{}.,;:!?*_-=\u2022\u00b7"
_DEFANGED: Final = ("[.]", "(.)", "{.}", "[:", "hxxp", "[dot]", "(dot)")
_CLOSES: Final = {")": "(", "]": "[", "}": "{"}
_PORT: Final = re.compile(r":\d{1,5}$")
_KINDS: Final = frozenset(str(kind) for kind in Kind)
_TAKEN: Final = frozenset(
    {Kind.DOMAIN, Kind.IP, Kind.ENDPOINT, Kind.NETWORK, Kind.URL, Kind.FILE, Kind.CERTIFICATE, Kind.VULNERABILITY}
)


def indicators_in(text: str) -> tuple[str, ...]:
    """The indicators of a text, in their order. Lines that begin with `#` are comments."""
    found: dict[str, None] = {}
    for line in text[:LONGEST].splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        words = [word for word in _BETWEEN.split(stripped) if word]
        if len(words) == 1 or _names_kind(stripped):
            found.setdefault(_alone(words[0]) if len(words) == 1 else stripped)
            continue
        for word in words:
            found.update(dict.fromkeys(_of_word(word)))
    return tuple(found)


def _alone(word: str) -> str:
    """A word that is a line: as it stands where it is one indicator, else the one in it, in brackets or with a full
    stop, say; else as it stands, so that it is told as what could not be read.
    """
    return word if _read(word) is not None else next(iter(_of_word(word)), word)


def _names_kind(line: str) -> bool:
    """Whether a line is written `kind:value`; `file: see below` is a sentence."""
    kind, colon, value = line.partition(":")
    return bool(colon) and kind.lower() in _KINDS and not value[:1].isspace()


def _of_word(word: str) -> Iterator[str]:
    if len(word) > _LONGEST_WORD:
        return
    bare = word.strip(_EDGES)
    ended = _without_end(word)
    for form in dict.fromkeys((ended, word, bare, word.lstrip("([{").rstrip(")]}.,;:!?"), _PORT.sub("", bare))):
        read = _read(form)
        if read is not None and read.kind in _TAKEN and _beyond_doubt(form, read):
            yield form
            return


def _without_end(word: str) -> str:
    """A word without what ends a sentence or closes what was opened before it: a URL may end in either."""
    ended = word.lstrip("([{").rstrip(".,;:!?")
    while ended[-1:] in _CLOSES and ended.count(ended[-1]) > ended.count(_CLOSES[ended[-1]]):
        ended = ended[:-1].rstrip(".,;:!?")
    return ended


def _read(word: str) -> Entity | None:
    try:
        return guess(word)
    except ReadError:
        return None


def _beyond_doubt(word: str, read: Entity) -> bool:
    """Whether a sentence's word is an indicator: `e.g` and `report.pdf` look like names, and 1.2.3 like nothing."""
    if any(mark in word.lower() for mark in _DEFANGED):
        return True
    if read.kind == Kind.DOMAIN:
        ending = read.value.rpartition(".")[2]
        return ending in _RESERVED or (ending not in _ENDINGS and _known().publicsuffix(read.value) is not None)
    if read.kind == Kind.NETWORK:
        return "/" in word
    return read.kind != Kind.IP or _is_whole_address(word)


@cache
def _known() -> PublicSuffixList:
    """Suffixes that there are: a name below another is a file, a version or a slip."""
    return PublicSuffixList(accept_unknown=False)


def _is_whole_address(word: str) -> bool:
    try:
        ip_address(refang(word))
    except ValueError:
        return False
    return True


_RESERVED: Final = frozenset({"example", "test"})
"""Top-level domains that nobody can register (RFC 2606)."""
_ENDINGS: Final = frozenset({"zip", "mov", "sh", "py", "pl", "rs", "md", "ps", "ai", "app", "so", "cab", "jar"})
"""Endings of files that are top-level domains as well: defanged or alone in its line, such a name is taken."""
