"""Registrars in rules by all that facts call them: a rule as its author wrote it in, one that knows the numbers out.

An analyst writes a registrar's name; a registry's facts name it by IANA's number, a WHOIS server's by one of its names
(intel/registrars.py). The rule itself is stored as it was written: what is learned of names later counts from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection

from db.registrars import known_registrars, names_of
from intel.config.registrars import read_registrars
from intel.entities import Kind, entity
from intel.registrars import PREFIX, Registrars, number_of
from intel.rules.histories import tested
from intel.rules.records import Rule
from intel.settings import settings

_Called: TypeAlias = Mapping[int, Sequence[str]]


def with_registrars(connection: Connection, rule: Rule) -> Rule:
    """The rule with every registrar by its number and all its names besides. Raises ConfigError."""
    named = {value for _, tests in tested(rule) for kind, value in tests.values if kind == Kind.REGISTRAR}
    if not named:
        return rule
    by_hand = read_registrars(settings().configs).by_number
    known = known_registrars(connection, named, by_hand)
    numbers = {number for value in named if (number := number_of(known.identity(value))) is not None}
    names = names_of(connection, numbers)
    called = {
        number: sorted({f"{PREFIX}{number}", *by_hand.get(number, ()), *names.get(number, ())}) for number in numbers
    }
    return msgspec.convert(_walk(msgspec.to_builtins(rule), known, called), Rule)


def _walk(node: Any, known: Registrars, called: _Called) -> Any:
    if isinstance(node, list | tuple):
        return [_walk(one, known, called) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _values(one, known, called) if key == "values" else _walk(one, known, called) for key, one in node.items()
    }


def _values(values: Any, known: Registrars, called: _Called) -> list[tuple[str, str]]:
    found: dict[tuple[str, str], None] = {}
    for kind, value in values:
        found[kind, value] = None
        if kind == Kind.REGISTRAR:
            number = number_of(known.identity(value))
            for name in called.get(number, ()) if number is not None else ():
                # A name that others bear too says nothing of which it is.
                if number_of(known.identity(name)) == number:
                    found[kind, entity(kind, name).value] = None
    return list(found)
