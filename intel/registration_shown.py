"""Fields of a registration in words: people's data masked, a registrar with its number, a state with its wording. Pure.

In: what a voice says in a field. Out: one line of printable text, for a terminal or a report.
"""

from __future__ import annotations

from typing import Final

from intel.entities import Kind, masked
from intel.facts import State
from intel.registrars import Registrars
from intel.registration_versions import DATES, REGISTRAR, SOA_CONTACT, Said

LONGEST: Final = 80
"""Characters of the wording that stood in a value's place."""

_KINDS: Final = {
    "registrant name": Kind.REGISTRANT,
    "registrant organisation": Kind.REGISTRANT,
    "registrant email": Kind.EMAIL,
    "registrant phone": Kind.PHONE,
    "registrant handle": Kind.HANDLE,
    SOA_CONTACT: Kind.EMAIL,
}
_STATES: Final = {
    State.REDACTED: "redacted",
    State.PLACEHOLDER: "a placeholder",
    State.PROXY: "a privacy proxy",
    State.ABSENT: "nothing",
    State.UNPARSED: "something unreadable",
}


def in_words(field: str, said: Said, book: Registrars, *, reveal: bool = False) -> str:
    """What is said in a field, as people read it; dates are UTC. People's data is masked unless it may be revealed."""
    if said.state is State.VALUE:
        if field == REGISTRAR:
            return printable(", ".join(book.shown(value) for value in said.values))
        if field in DATES:
            return printable(_date(said))
        return printable(", ".join(shown(field, value, personal=said.personal, reveal=reveal) for value in said.values))
    # What could not be read may be a person's data: its wording is not shown.
    wording = printable(said.text)[:LONGEST] if said.state is not State.UNPARSED else ""
    return f"{_STATES[said.state]}{f' ({wording})' if wording else ''}"


def shown(field: str, value: str, *, personal: bool, reveal: bool) -> str:
    """A value of a field as it is shown: people's data masked, unless it may be revealed."""
    if reveal or not value:
        return value
    return masked(_KINDS.get(field, Kind.LABEL), value, personal=personal)


def printable(text: str) -> str:
    """A server's words without what a terminal would act on."""
    return "".join(mark if mark.isprintable() else " " for mark in text)


def _date(said: Said) -> str:
    at = said.at
    if at is None:
        return said.value
    return said.value[:10] if said.until != at else f"{at:%Y-%m-%d %H:%M} UTC"
