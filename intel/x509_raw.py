"""What may be a DNS name among octets that nobody can parse: bytes in, names out.

A certificate that cannot be read was issued all the same. So its octets are searched for text that looks like a name,
as `strings` would, in ASCII and in the wide encodings of X.680 (BMPString, UniversalString).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MAX_RAW_NAMES: Final = 4096
"""Names that are given at most."""
_MAX_RUNS: Final = 65_536
_MAX_NAME: Final = 253  # RFC 1035 2.3.4
_LETTERS: Final = rb"[A-Za-z0-9_*.-]"
# Octets that are one letter each, two (big-endian) and four. Runs are maximal: a match never gives back what it took.
_RUNS: Final = tuple(
    (width, re.compile(rb"(?:" + rb"\x00" * (width - 1) + _LETTERS + rb"){4,}+")) for width in (1, 2, 4)
)
_NEXT: Final = re.compile(r"(?<=[a-z])[01]")
_TAGS: Final = frozenset({0x82, 0x0C, 0x13, 0x16, 0x1E, 0x1C})  # dNSName and the strings of a common name


def raw_names(data: bytes) -> tuple[str, ...]:
    """Every maximal run of letters, digits and `-_*.` that holds a dot: lower-case, each once, at most 4,096.

    The octet before a name is its length, and may look like a letter, as may the first of what comes behind it: where
    tag and length frame a part of a run, that part is given too. So is the name without what begins with the tag of a
    SEQUENCE or SET (0x30, 0x31: the digits 0 and 1) in the last label, should its own tag or length be what is broken.
    """
    found: dict[str, None] = {}
    for width, pattern in _RUNS:
        for number, match in enumerate(pattern.finditer(data)):
            if number == _MAX_RUNS:
                break
            for start, end in _readings(data, match.start(), match.end(), width):
                text = data[start + width - 1 : end : width].decode("ascii").lower()
                for name in (text.strip("."), _without_next(text).strip(".")):
                    if "." in name[-_MAX_NAME:]:
                        found[name[-_MAX_NAME:]] = None
            if len(found) >= MAX_RAW_NAMES:
                return tuple(found)[:MAX_RAW_NAMES]
    return tuple(found)


def _without_next(text: str) -> str:
    """The text without what begins with 0 or 1 behind a letter in its last label."""
    before, dot, last = text.rpartition(".")
    found = _NEXT.search(last)
    return text if found is None else f"{before}{dot}{last[: found.start()]}"


def _readings(data: bytes, start: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    yield start, end
    if start >= 2 and data[start - 2] in _TAGS and data[start - 1] < end - start:
        yield start, start + data[start - 1]
    if width == 1 and start >= 1 and data[start - 1] in _TAGS:  # the length is itself a letter
        yield start + 1, min(start + 1 + data[start], end)
