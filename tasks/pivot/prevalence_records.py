"""What counting a population leaves: small frozen records, for the flow and the command."""

from __future__ import annotations

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A population that was counted: its name, how many things, how many values are kept."""

    population: str
    total: int
    values: int


class Done(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What was counted, and what could not be; the old figures of that stand."""

    parts: tuple[Part, ...] = ()
    problems: tuple[str, ...] = ()
