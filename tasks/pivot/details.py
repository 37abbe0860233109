"""What is asked of the few things that a pivot found: who registered them and through whom, and what sources claim.

In: ids. Out: `Held`, from which come evidence to the contrary, the registrar that two have in common, and claims. None
of it leads to more things.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from db import pivot as sql
from db.pivot import Reader
from db.registrars import known_registrars
from intel.config.evidence import ContraryEntry
from intel.config.registrars import read_registrars
from intel.entities import Entity, Kind, masked
from intel.evidence import Evidence, Family
from intel.facts import Predicate
from intel.settings import settings
from intel.spans import Spans, common, widened
from tasks.pivot.expand import Surroundings
from tasks.pivot.rows import Linked, read_links
from tasks.pivot.weights import hub_of

_MOST: Final = 40
"""Links of a kind that are read of one thing."""
_EXCLUSIVE: Final = (Kind.REGISTRANT, Kind.PHONE, Kind.EMAIL)
"""What a registrant has one of at a time."""
_FULL: Final = 2
"""Fields that two have differently, from which on each has an identity of its own."""
_SLACK: Final = 60.0
"""Days around a look-up for which what it said may be taken to be so."""


@dataclass(slots=True)
class Held:
    """What one thing has: registrants by kind and value, registrars by what makes them one, actors by source."""

    registrants: dict[str, dict[str, Spans]] = field(default_factory=lambda: defaultdict(dict))
    registrars: dict[str, Linked] = field(default_factory=dict)
    actors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def claims(self) -> tuple[str, ...]:
        """What sources claim of it."""
        return tuple(f"{actor}, by {', '.join(sources)}" for actor, sources in sorted(self.actors.items()))


class Details:
    """What things have. `spans` of a thing are when it was whose it was."""

    def __init__(
        self, connection: Connection, reader: Reader, around: Surroundings, own: Mapping[int, tuple[Entity, Spans]]
    ) -> None:
        self._around = around
        self._own = own
        self._held: dict[int, Held] = defaultdict(Held)
        ids = list(own)
        predicates = [Predicate.REGISTERED_BY.value, Predicate.REGISTERED_THROUGH.value]
        rows = list(read_links(reader.rows(sql.OUT, ids=ids, predicates=predicates, most=_MOST), out=True))
        registrars = [one for one in rows if one.predicate == Predicate.REGISTERED_THROUGH]
        names = known_registrars(connection, {one.entity.value for one in registrars}, _registrars(settings().configs))
        for one in rows:
            self._add(one, names.identity)
        for row in reader.rows(sql.CLAIMS, ids=ids, until=around.until):
            self._held[row.id].actors[row.value].append(row.source)
        self._degrees = around.degrees([(one.far, one.predicate, False) for one in registrars])
        self._counted = around.counted(list({("registrar", one.entity.digest): None for one in registrars}))

    def held(self, number: int) -> Held:
        """What one thing has."""
        return self._held[number]

    def more(self, left: int, right: int) -> list[Evidence]:
        """Evidence about two things besides what leads from one to the other."""
        one, other = self._held[left], self._held[right]
        return [*self._registrar(one, other), *self._identities(one, other), *self._actors(one, other)]

    def separate(self, left: int, right: int) -> bool:
        """Whether each has a registrant of its own at the same time: a mailbox that they share is an agent's."""
        return len(_differing(self._held[left], self._held[right])) >= _FULL

    def _add(self, link: Linked, identity: Callable[[str], str]) -> None:
        spans = common(link.spans, self._own[link.near][1])
        if not spans:
            return
        held = self._held[link.near]
        if link.predicate == Predicate.REGISTERED_THROUGH:
            held.registrars[identity(link.entity.value)] = link
        elif link.entity.kind in _EXCLUSIVE and _somebodys(link.entity):
            held.registrants[link.entity.kind][link.entity.value] = widened(spans, _SLACK)

    def _registrar(self, one: Held, other: Held) -> Iterable[Evidence]:
        file = self._around.file
        entry = file.link(Predicate.REGISTERED_THROUGH, Kind.REGISTRAR)
        if entry is None:
            return
        for identity in sorted(one.registrars.keys() & other.registrars.keys()):
            worths = [
                self._around.end(
                    entry,
                    link.entity,
                    link.predicate,
                    shared=True,
                    degree=self._degrees.get((link.far, link.predicate, False), 1),
                    counted=self._counted.get(("registrar", link.entity.digest)),
                )
                for link in (one.registrars[identity], other.registrars[identity])
            ]
            least = min(worths, key=lambda worth: worth.bits)
            if least.bits > 0:
                yield Evidence(
                    family=entry.family,
                    trait=Predicate.REGISTERED_THROUGH,
                    what=one.registrars[identity].entity.value,
                    bits=least.bits,
                    hub=least.hub,
                    why=least.why,
                    prevalence=least.prevalence,
                    echo=f"registrar {identity}",
                )

    def _identities(self, one: Held, other: Held) -> Iterable[Evidence]:
        differing = _differing(one, other)
        contrary = self._around.file.contrary
        if len(differing) >= _FULL:
            yield _against(contrary.registrants, differing, one, other)
        elif Kind.REGISTRANT in differing:
            yield _against(contrary.names, differing, one, other)

    def _actors(self, one: Held, other: Held) -> Iterable[Evidence]:
        """Only names of one authority can differ: two authorities name one actor differently."""
        for authority in sorted(
            {_authority(actor) for actor in one.actors} & {_authority(actor) for actor in other.actors}
        ):
            left = {actor for actor in one.actors if _authority(actor) == authority}
            right = {actor for actor in other.actors if _authority(actor) == authority}
            if not left & right:
                entry = self._around.file.contrary.actors
                what = f"{min(left)}, {min(right)}"
                yield Evidence(
                    family=Family.REPORT, trait=Predicate.ATTRIBUTED_TO, what=what, bits=entry.bits, why=entry.why
                )


def _somebodys(item: Entity) -> bool:
    """Whether it may name a registrant. A made-up number links none, but is another than a number of one's own."""
    hub = hub_of(item, Predicate.REGISTERED_BY)
    return item.kind == Kind.PHONE or hub is None or hub.links


def _differing(one: Held, other: Held) -> list[str]:
    """The kinds of which both have a value at the same time, and none in common at all."""
    found = []
    for kind in _EXCLUSIVE:
        left, right = one.registrants.get(kind, {}), other.registrants.get(kind, {})
        if left.keys() & right.keys():
            continue
        if any(common(first, second) for first in left.values() for second in right.values()):
            found.append(str(kind))
    return found


def _against(entry: ContraryEntry, kinds: list[str], one: Held, other: Held) -> Evidence:
    shown = []
    for kind in kinds:
        left, right = (masked(kind, min(held.registrants[kind])) for held in (one, other))
        shown.append(f"{left} and {right}")
    return Evidence(
        family=Family.REGISTRANT,
        trait=Predicate.REGISTERED_BY,
        what="; ".join(shown),
        bits=entry.bits,
        why=entry.why,
    )


def _authority(actor: str) -> str:
    return actor.partition(":")[0]


@cache
def _registrars(configs: Path) -> Mapping[int, tuple[str, ...]]:
    return read_registrars(configs).by_number
