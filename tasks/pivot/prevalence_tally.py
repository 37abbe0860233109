"""Counts the values of traits in bounded memory: traits of things in, how many have each value out.

Where a trait has more values than are kept, those that the fewest had so far are let go, and begin again at nothing:
what is left out is rare, and what is kept is counted at most that much too low (lossy counting, Manku and Motwani
2002).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from intel.entities import Kind, entity, literal
from intel.errors import ReadError
from intel.facts import Predicate
from intel.traits import Name, Trait, trait_digest

OBJECTS: Final[dict[str, Kind]] = {
    Predicate.USES_NAME_SERVER: Kind.NAME_SERVER,
    Predicate.USES_NAME_SERVERS: Kind.NAME_SERVER_SET,
    Predicate.USES_MAIL_HOST: Kind.DOMAIN,
    Predicate.HAS_SOA_CONTACT: Kind.EMAIL,
    Predicate.REGISTERED_THROUGH: Kind.REGISTRAR,
    Predicate.RESOLVES_TO: Kind.IP,
    Predicate.HAS_KEY: Kind.PUBLIC_KEY,
    Predicate.PRESENTS: Kind.CERTIFICATE,
    Predicate.ISSUED_BY: Kind.TEXT,
    Predicate.PART_OF: Kind.AS,
}
"""The predicates that are counted beside traits, and the kind of what they say."""
_NAMES: Final = frozenset(name.value for name in Name)

Value = TypeVar("Value")


class Tally:
    """How many things have each value of each trait, and for how many a trait is known."""

    def __init__(self, most_values: int) -> None:
        self.total = 0
        self.known: Counter[str] = Counter()
        self._most = most_values
        self._counts: dict[str, Counter[str]] = {}

    def add(self, traits: Iterable[Trait]) -> None:
        """Count one thing by its traits."""
        self.total += 1
        found = set(traits)
        self.known.update({trait.name for trait in found})
        for trait in found:
            counts = self._counts.setdefault(trait.name, Counter())
            counts[trait.value] += 1
            if len(counts) > 2 * self._most:
                let_go(counts, self._most)

    def rows(self, least: int) -> Iterator[tuple[str, bytes, int]]:
        """(trait, digest, count) of every value that at least so many things have."""
        for name, counts in self._counts.items():
            let_go(counts, self._most)
            for value, count in counts.items():
                if count >= least and (digest := digest_of(name, value)):
                    yield name, digest, count


def digest_of(trait: str, value: str) -> bytes:
    """What stands for a value in populations, by its trait or predicate; empty for what is no value of that."""
    if trait in _NAMES:
        return trait_digest(Trait(trait, value))
    kind = OBJECTS.get(trait)
    if kind is None:
        return b""
    try:
        return literal(kind, value).digest if kind == Kind.TEXT else entity(kind, value).digest
    except ReadError:
        return b""


def let_go(counts: Counter[Value], most: int) -> Counter[Value]:
    """Remove all but the `most` that count most, and return what was removed."""
    if len(counts) <= most:
        return Counter()
    least = sorted(counts.values(), reverse=True)[most - 1]
    # Among equals there may be too many: they go as well, but where all are equal some have to stay.
    gone = Counter({value: count for value, count in counts.items() if count < least})
    for value in [value for value, count in counts.items() if count == least][: len(counts) - len(gone) - most]:
        gone[value] = counts[value]
    for value in gone:
        del counts[value]
    return gone
