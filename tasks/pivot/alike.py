"""Forms of one thing: two hashes of a certificate are one piece of evidence, however many of them two things have."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from intel.entities import Entity
from intel.evidence import Evidence


def echo_of(item: Entity) -> str:
    """What pieces of evidence that rest on a value have in common."""
    return f"{item.kind} {item.digest.hex()}"


class Alike:
    """What was found to be the same as something else, in whatever order that was learnt."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}

    def add(self, one: Entity, other: Entity) -> None:
        """Learn that two values are forms of one thing."""
        first, second = sorted((self._root(echo_of(one)), self._root(echo_of(other))))
        if first != second:
            self._first[second] = first

    def told(self, pieces: Iterable[Evidence]) -> list[Evidence]:
        """The pieces, with one echo for all forms of a thing."""
        return [structs.replace(one, echo=self._root(one.echo)) if one.echo in self._first else one for one in pieces]

    def _root(self, echo: str) -> str:
        while echo in self._first:
            echo = self._first[echo]
        return echo
