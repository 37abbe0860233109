"""The lines of a WHOIS reply: the decoded text in, rows with key, value and place out; what they mean is told later.

Shapes of a row: "Key: value" (dots and spaces before the colon dropped, a full-width colon too), "[Key] value", a bare
"Key:", "Record created on 2001-02-03" without a colon, and any other text. RFC 3912 gives a reply no form. Linear in
the reply's size; what stands after 5,000 lines or 4,096 characters of a line is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from unicodedata import combining, normalize

LONGEST_KEY: Final = 64
MOST_LINES: Final = 5000
LONGEST_LINE: Final = 4096

# A key may carry an explanation: "Holder English Name (It should be the same as ...):".
_LONGEST_EXPLAINED: Final = 220
_LONGEST_HEAD: Final = 32
_BRACKETED: Final = re.compile(r"(?:[a-z]\.? ?)?\[([^\[\]]{1,64})\]")
_PREFIXED: Final = re.compile(r"\(([A-Za-z ]{1,40})\) ")
_SPACES: Final = re.compile(r"[\s_/-]+")
_COMMENTS: Final = "%#;"
# Old registrars' rows without a colon: the words, then the date.
_PHRASES: Final = tuple(
    f"{thing}{done} {when}"
    for thing in ("record ", "domain ", "")
    for done in ("created", "expires", "last updated", "registered", "activated", "updated")
    for when in ("on", "at")
    # "Last updated on ..." alone is the database's (.ru).
    if thing or done != "last updated"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line. `key` is folded and empty where there is none; `start` is where `value` begins, in characters of the
    text; `text` is the whole line, stripped, and begins at `at`; `indent` counts leading white space; `fresh` says that
    an empty line, or nothing, stands before it.
    """

    key: str
    value: str
    start: int
    text: str
    at: int
    indent: int
    fresh: bool


def read_rows(text: str) -> Iterator[Row]:
    """The lines that say something: empty ones and comments are left out."""
    position = 0
    fresh = True
    for number, raw in enumerate(text.splitlines(keepends=True)):
        if number >= MOST_LINES:
            return
        start, position = position, position + len(raw)
        line = raw[:LONGEST_LINE].rstrip()
        bare = line.lstrip()
        if not bare:
            fresh = True
            continue
        if bare[0] in _COMMENTS or bare.startswith(">>>"):
            # Some registries begin their sections in comments: "% Registrant:".
            head = bare.strip("%#; ")
            if head.endswith(":") and len(head) <= _LONGEST_HEAD and head[:1].isalpha():
                key, value, offset = _split(head)
                yield Row(key=key, value=value, start=start, text=head, at=start, indent=0, fresh=True)
                fresh = False
            continue
        # ".tr" marks its keys: "** Domain Name: ...".
        if bare.startswith("** "):
            bare = bare[3:].lstrip()
        indent = len(line) - len(bare)
        key, value, offset = _split(bare)
        yield Row(
            key=key,
            value=value,
            start=start + indent + offset,
            text=bare,
            at=start + indent,
            indent=indent,
            fresh=fresh,
        )
        fresh = False


def folded_key(text: str) -> str:
    """A key as the tables have it: lower case, no accents, single spaces, numbers at its end and "'s" dropped."""
    plain = text.partition("(")[0].casefold()
    if not plain.isascii():
        # "Fecha de Creación" and "Fecha de Creacion" are one key.
        plain = "".join(letter for letter in normalize("NFKD", plain) if not combining(letter))
    key = _SPACES.sub(" ", plain.replace("'s ", " ")).strip(" .:*")
    return key.rstrip("0123456789").rstrip(" .#")


def _split(line: str) -> tuple[str, str, int]:
    """A line's folded key, its value and where that starts; no key where it has none."""
    if match := _BRACKETED.match(line):
        return _parts(match[1], line, match.end())
    lowered = line[:40].casefold()
    for phrase in _PHRASES:
        if lowered.startswith(phrase) and line[len(phrase) : len(phrase) + 2].strip()[:1].isalnum():
            return _parts(phrase, line, len(phrase))
    at = _colon(line)
    if at < 0:
        return "", line, 0
    if match := _PREFIXED.match(line[at + 1 :].lstrip()):
        # "remarks: (Domain Holder) ..." names the key in the value.
        start = line.index(match[0], at)
        return _parts(match[1], line, start + len(match[0]))
    return _parts(line[:at], line, at + 1)


def _colon(line: str) -> int:
    at = line.find(":", 0, _LONGEST_EXPLAINED)
    wide = line.find("\uff1a", 0, LONGEST_KEY)  # full width, as Chinese and Korean registries write it
    at = wide if at < 0 or 0 <= wide < at else at
    if at < 0 or line[at : at + 3] == "://":
        return -1
    return at if at <= LONGEST_KEY or "(" in line[:LONGEST_KEY] else -1


def _parts(key: str, line: str, at: int) -> tuple[str, str, int]:
    rest = line[at:]
    value = rest.strip(" \t:")
    # Bilingual registries: "Data de registo / Creation Date (dd/mm/yyyy)".
    english = key.rpartition(" / ")[2] if key.isascii() or " / " in key else key
    return folded_key(english) or "?", value, at + (rest.index(value) if value else 0)
