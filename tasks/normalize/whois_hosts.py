"""Host names in the lines of a WHOIS reply: a text in, canonical names out, addresses and remarks left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from intel.errors import ReadError
from intel.names import canonical_name

MOST_NAMES: Final = 64
_MOST_WORDS: Final = 16
_BETWEEN: Final = re.compile(r"[\s,;()\[\]<>|]+")


def hosts_in(text: str) -> tuple[str, ...]:
    """The host names of a line ("ns1.example 192.0.2.1", "a.example NS ns1.example."), in its order."""
    words = [word for word in _BETWEEN.split(text[:1024])[:_MOST_WORDS] if word]
    kinds = [at for at, word in enumerate(words[:6]) if word.upper() == "NS"]
    if kinds:
        words = words[kinds[0] + 1 : kinds[0] + 2]
    return tuple(host for word in words if (host := _host(word)))


def begins_with_host(text: str) -> bool:
    """Whether a line of a list of name servers is one, and no prose after it."""
    return bool(hosts_in(text[:256].strip(" \t-*").partition(" ")[0])) or " NS " in text[:128].upper().replace(
        "\t", " "
    )


def host_set(texts: Iterable[str]) -> tuple[str, ...]:
    """The host names of many lines, sorted and unique."""
    return tuple(sorted({host for text in texts for host in hosts_in(text)})[:MOST_NAMES])


def _host(word: str) -> str:
    # "ns1.example./192.0.2.1" and "ns1.example:" bear more than the name.
    bare = word.partition("/")[0].rstrip(".:-")
    if "." not in bare or "@" in bare or ":" in bare:
        return ""
    try:
        name = canonical_name(bare)
    except ReadError:
        return ""
    return "" if name.rpartition(".")[2].isdigit() else name
