"""Registrars: many names, one registrar. IANA's number comes first; a name that could be two registrars' stays itself.

In: a registrar as facts name it (`iana:146`, or a name), names known by hand (configs/registrars.yaml) and names that
registries gave along with a number. Out: one identity, and the name that is shown. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

PREFIX: Final = "iana:"
RESERVED: Final = frozenset({1, 8, 119, 365, 376, *range(9994, 10000)})
"""Numbers of IANA's registry of registrar ids that are many registries' own, test accounts or nobody's: names that came
with them say nothing."""

_LONGEST: Final = 256
_FORMS: Final = frozenset(
    {
        "ab", "ag", "aps", "as", "bv", "co", "company", "corp", "corporation", "eurl", "gmbh", "inc",
        "incorporated", "jsc", "kft", "kg", "limited", "llc", "llp", "ltd", "ltda", "oao", "ooo", "oy", "oyj",
        "plc", "pte", "pty", "pvt", "sa", "sal", "sarl", "sas", "sasu", "sl", "spa", "srl", "sro", "ug", "zrt"
    }
)  # fmt: skip
# One class per run, so that it is linear.
_SEPARATORS: Final = re.compile(r"[^\w./]+")
_INNER: Final = re.compile(r"[./_]+")


class Registrars(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of registrars: number -> the name shown, and folded name -> number where it is one registrar's.

    `ambiguous` are folded names that more than one number bears: these say nothing without their legal form.
    """

    names: Mapping[int, str] = {}
    numbers: Mapping[str, int] = {}
    exact: Mapping[str, int] = {}
    ambiguous: frozenset[str] = frozenset()

    def identity(self, value: str) -> str:
        """What makes two names one registrar: `iana:N` where the number is known, else the folded name."""
        number = number_of(value)
        if number is not None:
            return f"{PREFIX}{number}"
        known = self.exact.get(plain(value))
        if known is None:
            known = self.numbers.get(fold(value))
        if known is not None:
            return f"{PREFIX}{known}"
        folded = fold(value)
        return f"name:{plain(value) if not folded or folded in self.ambiguous else folded}"

    def same(self, one: str, other: str) -> bool:
        """Whether two values of facts name the same registrar."""
        return one == other or self.identity(one) == self.identity(other)

    def shown(self, value: str) -> str:
        """The registrar as people read it: `GoDaddy.com, LLC (IANA 146)`."""
        identity = self.identity(value)
        number = number_of(identity)
        if number is None:
            return value
        name = self.names.get(number, "" if value.startswith(PREFIX) else value)
        return f"{name} (IANA {number})" if name else f"IANA {number}"


def registrars(by_hand: Mapping[int, Iterable[str]], learned: Iterable[tuple[str, str]] = ()) -> Registrars:
    """Names by number as a hand-made list has them (the first is shown), and (`iana:N`, name) as registries gave them.

    A name that is listed by hand is what that list says, whatever came with another number.
    """
    names = {number: next(iter(known)) for number, known in by_hand.items() if known}
    exact: dict[str, set[int]] = {}
    numbers: dict[str, set[int]] = {}

    def add(name: str, number: int) -> None:
        exact.setdefault(plain(name), set()).add(number)
        if folded := fold(name):
            numbers.setdefault(folded, set()).add(number)

    for number, known in by_hand.items():
        for name in known:
            add(name, number)
    listed = frozenset(exact)
    for value, name in learned:
        given = number_of(value)
        if given is None or not name.strip():
            continue
        names.setdefault(given, name[:_LONGEST])
        if given not in RESERVED and plain(name) not in listed:
            add(name, given)
    return Registrars(
        names=names,
        exact={name: one for name, (one, *more) in exact.items() if not more},
        numbers={name: one for name, (one, *more) in numbers.items() if not more},
        ambiguous=frozenset(name for name, found in numbers.items() if len(found) > 1),
    )


def number_of(value: str) -> int | None:
    """IANA's number in `iana:146`; None for a name."""
    digits = value.removeprefix(PREFIX)
    return int(digits) if digits != value and digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def plain(name: str) -> str:
    """A name without case, accents and punctuation: `key systems llc`."""
    return " ".join(part for word in _words(name) for part in word)


def fold(name: str) -> str:
    """A name as it is compared: as `plain` has it, without the legal forms that it ends in; empty where it is one."""
    words = _words(name)
    while words and len(words[-1]) == 1 and words[-1][0] in _FORMS:
        words.pop()
    return " ".join(part for word in words for part in word)


def _words(name: str) -> list[list[str]]:
    """The words of a name, each in its parts: the last part of `name.co` is no legal form."""
    text = unicodedata.normalize("NFKD", name[:_LONGEST]).casefold()
    text = "".join(mark for mark in text if not unicodedata.combining(mark))
    return [parts for word in _SEPARATORS.split(text) if (parts := _parts(word))]


def _parts(word: str) -> list[str]:
    """`godaddy.com` is two words; `s.r.l.` and `d/b/a` are one."""
    parts = [part for part in _INNER.split(word) if part]
    return ["".join(parts)] if len(parts) > 1 and all(len(part) == 1 for part in parts) else parts
