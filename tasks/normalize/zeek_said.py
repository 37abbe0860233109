"""What the rows of a log state: each statement once, with its first and last time, however many rows make it.

In: statements as text, with times in seconds since 1970. Out: facts; a statement whose entities cannot be made is a
reject.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.facts import Fact, Predicate, Reject
from tasks.normalize import dns_names
from tasks.normalize.lines import printable
from tasks.normalize.sightings import Sighting, Sightings, Window, facts_at


class Said(NamedTuple):
    """A statement before its entities are made: many rows make the same one."""

    subject: tuple[Kind, str]
    predicate: Predicate
    object: tuple[Kind, str]
    qualifiers: tuple[tuple[str, str], ...] = ()


class Stating:
    """A log whose rows make such statements; to be drained when `full` and at the end."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._said: Sightings[Said] = Sightings()

    @property
    def full(self) -> bool:
        return self._said.full

    def add(self, said: Said, at: float, line: int) -> None:
        """A row at `line`, of `at` (seconds since 1970), states this."""
        self._said.add(said, at, at, line)

    def facts(self) -> Iterator[Fact | Reject]:
        for said, sighting in self._said.drain():
            try:
                subject, thing = _made(*said.subject), _made(*said.object)
            except ReadError as error:
                yield _reject(said, sighting, error)
                continue
            yield from facts_at(
                sighting.times, subject, said.predicate, thing, qualifiers=said.qualifiers, locator=sighting.place
            )


def _made(kind: Kind, text: str) -> Entity:
    return dns_names.name(kind, text) if kind in (Kind.DOMAIN, Kind.NAME_SERVER) else entity(kind, text)


def _reject(said: Said, sighting: Sighting, error: ReadError) -> Reject:
    """Quotes the name that was asked for, never mail addresses or what a client calls itself."""
    shown = said.subject[1] if said.subject[0] == Kind.DOMAIN else ""
    return Reject(locator=sighting.place, reason=str(error), excerpt=printable(shown))
