"""What surrounds some things: their ids in, links with what each end is worth out, in a few statements for all of them.

What is free (a certificate's key, a name and what stands on it) is asked for alone at the rim of a pivot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from db import pivot as sql
from db.pivot import Reader, uuids
from db.prevalence import PREVALENCE
from intel.config.evidence import EvidenceFile, LinkEntry, read_evidence
from intel.entities import LITERALS, Entity, Kind, entity
from intel.errors import ReadError
from intel.evidence import Prevalence
from intel.facts import Predicate
from intel.hubs import Hub
from intel.settings import settings
from tasks.pivot.lives import Lives
from tasks.pivot.rows import Linked, read_links
from tasks.pivot.weights import Worth, hub_of, known_here, worth

ON: Final = "stands-on"
"""A name and what stands on it: no fact, but what names are."""
_NEVER: Final = LITERALS | {Kind.ACTOR, Kind.CAMPAIGN}
"""Literals are no pivot; an actor is what somebody calls others."""
_NAMES: Final = frozenset({Kind.DOMAIN, Kind.URL, Kind.ENDPOINT})
_KEEPS_FREE: Final = {
    Kind.CERTIFICATE: (Predicate.HAS_KEY, Predicate.SAME_AS),
    Kind.PUBLIC_KEY: (Predicate.HAS_KEY,),
    Kind.FILE: (Predicate.SAME_AS,),
}
"""What is free about kinds that have something free, besides what they stand on."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """A link, what is said of its kind, and what its two ends are worth; `near` first where they are equal."""

    link: Linked
    entry: LinkEntry
    near: Worth
    far: Worth

    @property
    def limit(self) -> tuple[Worth, bool]:
        """The end that is worth less, and whether it is the far one."""
        return (self.far, True) if self.far.bits < self.near.bits else (self.near, False)


@dataclass(frozen=True, slots=True)
class Group:
    """All links of one kind from one thing. `more` says that there are more than were read: none of them is given."""

    near: int
    predicate: str
    out: bool
    count: int
    more: bool
    links: Sequence[Weighted]


class Surroundings:
    """Reads what surrounds things, within `width`. Entities of things that are asked about are given with their ids.

    `until` leaves out ends of ownership that came later (event time).
    """

    def __init__(self, reader: Reader, width: int, until: datetime | None = None) -> None:
        self._reader = reader
        self.until = until
        self._width = width
        self.file = rules()
        self._walked = [one for one in self.file.predicates if one != ON and _leads(self.file, one)]
        self._entities: int = reader.rows(sql.KNOWN)[0][0]
        self.lives: dict[str, Lives] = {}
        self._asked: dict[tuple[int, str, bool], int] = {}
        self._hubs: dict[tuple[bytes, str], Hub | None] = {}

    def around(self, things: Mapping[int, Entity], *, free: bool = False) -> list[Group]:
        """All links around things, in groups. Raises RushedError where time is over."""
        groups = _grouped(self._links(things, free=free))
        near = Counter({key: len(links) for key, links in groups.items()})
        usable = {key: links for key, links in groups.items() if near[key] <= self._width}
        known = [(one, things[one.near]) for links in usable.values() for one in links]
        worths = _Worths(self, known, near)
        found = []
        for (thing, predicate, out), links in groups.items():
            more = (thing, predicate, out) not in usable
            weighted = [] if more else [worths.weighted(one, things[thing]) for one in links]
            found.append(
                Group(thing, predicate, out, min(len(links), self._width), more, [one for one in weighted if one])
            )
        self.read_lives(one.entity for one, _ in known)
        return found

    def read_lives(self, items: Iterable[Entity]) -> None:
        """Learn when the domains that things stand on were no longer whose they were."""
        scopes = sorted({one.scope for one in items if one.scope and one.kind in _NAMES} - set(self.lives))
        if not scopes:
            return
        digests = uuids(entity(Kind.DOMAIN, scope).digest for scope in scopes)
        ends: dict[str, list[tuple[float, str]]] = {scope: [] for scope in scopes}
        for row in self._reader.rows(sql.ENDS, scopes=scopes, digests=digests, until=self.until):
            ends[row.scope].append((row.ended_at.timestamp(), row.reason))
        self.lives |= {scope: Lives(tuple(said)) for scope, said in ends.items()}

    def hub(self, item: Entity, predicate: str) -> Hub | None:
        """What shared thing a value is; nothing of what a list cannot read."""
        key = (item.digest, predicate)
        if key not in self._hubs:
            self._hubs[key] = _hub(item, predicate)
        return self._hubs[key]

    def degrees(self, asked: Sequence[tuple[int, str, bool]]) -> dict[tuple[int, str, bool], int]:
        """How many links of a kind things have, as subjects where `out`, up to one more than the width."""
        if not asked:
            return {}
        ids, predicates, outs = ([one[place] for one in asked] for place in range(3))
        rows = self._reader.rows(sql.DEGREES, ids=ids, predicates=predicates, outs=outs, most=self._width)
        found = {asked[row.place - 1]: row.degree for row in rows}
        self._asked |= found
        return found

    def degree(self, number: int, predicate: str, *, subject: bool) -> int:
        """The same of one that was asked for before; 0 for a hub, of which nobody asks."""
        return self._asked.get((number, predicate, subject), 0)

    def counted(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], Prevalence]:
        """How common values are in reference populations, by trait and digest."""
        if not wanted:
            return {}
        rows = self._reader.rows(
            PREVALENCE, traits=[trait for trait, _ in wanted], digests=uuids(digest for _, digest in wanted)
        )
        found = {}
        for row in rows:
            place, name, as_of, total, count = tuple(row)
            said = Prevalence(count=count, total=max(total, count), population=name, as_of=as_of.date())
            found[wanted[place - 1]] = said
        return found

    def end(
        self, entry: LinkEntry, item: Entity, predicate: str, *, shared: bool, degree: int, counted: Prevalence | None
    ) -> Worth:
        """What one end of a link is worth: its object, which subjects may share, or its subject."""
        chance = entry.shared if shared else entry.sharing
        if chance is None:
            return Worth()
        hub = self.hub(item, predicate)
        known = known_here(self.file, self._entities, chance)
        return worth(chance, hub, degree=degree, width=self._width, counted=counted, known=known)

    def _links(self, things: Mapping[int, Entity], *, free: bool) -> Iterable[Linked]:
        if free:
            for kind, predicates in _KEEPS_FREE.items():
                ids = [one for one, item in things.items() if item.kind == kind]
                yield from self._linked(ids, predicates)
            yield from self._above(things)
            return
        yield from self._linked(list(things), self._walked)
        yield from self._above(things)
        # What stands on a mail provider's or shortener's own name is strangers', and may be millions of mailboxes.
        bases = {
            one: item.value
            for one, item in things.items()
            if item.kind == Kind.DOMAIN
            and item.value == item.scope
            and ((hub := self.hub(item, ON)) is None or hub.links)
        }
        if bases:
            rows = self._reader.rows(sql.BELOW, ids=list(bases), scopes=list(bases.values()), most=self._width)
            yield from read_links(rows, out=False)

    def _linked(self, ids: Sequence[int], predicates: Sequence[str]) -> Iterable[Linked]:
        if ids and predicates:
            asked = {"ids": list(ids), "predicates": [str(one) for one in predicates], "most": self._width}
            yield from read_links(self._reader.rows(sql.OUT, **asked), out=True)
            yield from read_links(self._reader.rows(sql.INTO, **asked), out=False)

    def _above(self, things: Mapping[int, Entity]) -> Iterable[Linked]:
        hosts = {
            one: entity(Kind.DOMAIN, item.scope).digest
            for one, item in things.items()
            if item.kind in _NAMES and item.scope and item.value != item.scope
        }
        if hosts:
            rows = self._reader.rows(sql.ABOVE, ids=list(hosts), digests=uuids(hosts.values()))
            yield from read_links(rows, out=True)


class _Worths:
    """What the ends of some links are worth, with what they need asked for at once."""

    def __init__(
        self, of: Surroundings, links: Sequence[tuple[Linked, Entity]], near: Counter[tuple[int, str, bool]]
    ) -> None:
        self._of = of
        self._near = near
        self._made: dict[tuple[int, str, bool], Worth] = {}
        degrees: dict[tuple[int, str, bool], None] = {}
        counted: dict[tuple[str, bytes], None] = {}
        for link, item in links:
            entry = of.file.link(link.predicate, (link.entity if link.out else item).kind)
            if entry is None:
                continue
            for number, thing, subject in ((link.near, item, link.out), (link.far, link.entity, not link.out)):
                if subject and entry.sharing is None:
                    continue
                hub = of.hub(thing, link.predicate)
                if hub is not None and not hub.links:
                    continue
                trait = trait_of(entry, link.predicate, shared=not subject)
                if trait:
                    counted[trait, thing.digest] = None
                if number == link.far and link.predicate != ON:
                    degrees[number, link.predicate, subject] = None
        self._degrees = of.degrees(list(degrees))
        self._counted = of.counted(list(counted))

    def weighted(self, link: Linked, item: Entity) -> Weighted | None:
        """A link with what its ends are worth; None for one that says nothing of the hand."""
        kinds = (item.kind, link.entity.kind) if link.out else (link.entity.kind, item.kind)
        entry = self._of.file.link(link.predicate, kinds[1])
        if entry is None or link.entity.kind in _NEVER or item.kind in _NEVER:
            return None
        if entry.subjects and kinds[0] not in entry.subjects:
            return None
        near = self._end(entry, link.near, item, link.predicate, subject=link.out)
        far = self._end(entry, link.far, link.entity, link.predicate, subject=not link.out)
        return Weighted(link, entry, near, far)

    def _end(self, entry: LinkEntry, number: int, item: Entity, predicate: str, *, subject: bool) -> Worth:
        key = (number, predicate, subject)
        if key not in self._made:
            trait = trait_of(entry, predicate, shared=not subject)
            self._made[key] = self._of.end(
                entry,
                item,
                predicate,
                shared=not subject,
                degree=self._near.get(key) or self._degrees.get(key, 1),
                counted=self._counted.get((trait, item.digest)),
            )
        return self._made[key]


def trait_of(entry: LinkEntry, predicate: str, *, shared: bool) -> str:
    """What populations call a value at one end of a link; empty where none counts it."""
    if predicate == ON:
        return ""
    return (entry.trait or predicate) if shared else entry.sharing_trait


def rules() -> EvidenceFile:
    """configs/evidence.yaml. Raises ConfigError where it is wrong."""
    return _rules(str(settings().configs))


@cache
def _rules(configs: str) -> EvidenceFile:
    return read_evidence(Path(configs))


def _hub(item: Entity, predicate: str) -> Hub | None:
    try:
        return hub_of(item, predicate)
    except ReadError:
        return None


def _leads(file: EvidenceFile, predicate: str) -> bool:
    return any(entry.leads for name, entry in file.links.items() if name.partition(" ")[0] == predicate)


def _grouped(links: Iterable[Linked]) -> dict[tuple[int, str, bool], list[Linked]]:
    groups: dict[tuple[int, str, bool], list[Linked]] = {}
    for one in links:
        groups.setdefault((one.near, one.predicate, one.out), []).append(one)
    return groups
