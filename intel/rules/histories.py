"""Histories: what was stated of subjects and of what they lead to, as the matcher reads it.

A `Stated` is a fact with its times; `Histories` holds those of many subjects and, where rules ask for it, of their
neighbours. Who fills it loads, for each subject, every fact that the rule's conditions can read (`needs`); facts that
were only ever ended are left out. All times are event times, UTC.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from intel.entities import Entity, Kind
from intel.facts import Predicate, State
from intel.rules import records
from intel.rules.records import Condition, Link, Rule, Tests

FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)


class Thing(msgspec.Struct, frozen=True):
    """An entity with its id in the warehouse."""

    id: int
    entity: Entity


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """A fact and when it was so.

    `begin`: when it was first stated. `gone`: its first end from then on, None where it has none. `spans`: by a
    source that states all it knows each time, so that it is so until it ends; else a point of a stream.
    """

    fact_id: int
    subject: Thing
    predicate: str
    object: Thing | None
    state: str = State.VALUE.value
    source_id: int = 0
    role: str = ""
    type: str = ""
    field: str = ""
    tier: str = ""
    begin: datetime
    gone: datetime | None = None
    spans: bool = False


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a watch looks for. `entities` are (kind, value); name servers are watched as domains are."""

    entities: frozenset[tuple[str, str]] = frozenset()
    scopes: frozenset[str] = frozenset()
    subtrees: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def __contains__(self, item: Entity) -> bool:
        """Whether an item of the watch is the entity, or it stands on one."""
        kind = Kind.DOMAIN.value if item.kind == Kind.NAME_SERVER else item.kind
        if (kind, item.value) in self.entities or (item.scope and item.scope in self.scopes):
            return True
        if item.address and any(within(item.address, network) for network in self.networks):
            return True
        # A name below which strangers hold names is watched as it stands, not with theirs.
        host = host_of(item)
        return bool(host) and any(
            is_below(host, name) and is_below(name, item.scope) for name in self.subtrees if item.scope
        )


class Histories(msgspec.Struct, frozen=True, kw_only=True):
    """What was stated, by who says it and of whom, and what the conditions must know besides.

    `rarity`: how many of a million have a value, by (predicate, entity id); None where nobody counted such values.
    `as_of`: until when an absence has been waited for.
    """

    subjects: tuple[Thing, ...]
    of: Mapping[tuple[int, str], list[Stated]]
    naming: Mapping[tuple[int, str], list[Stated]]
    watched: Watched = Watched()
    rarity: Mapping[tuple[str, int], float | None] = {}
    as_of: datetime


def gather(
    subjects: Iterable[Thing],
    facts: Iterable[Stated],
    *,
    as_of: datetime,
    watched: Watched | None = None,
    rarity: Mapping[tuple[str, int], float | None] | None = None,
) -> Histories:
    """Histories of facts in any order, each of which may be given more than once."""
    of: dict[tuple[int, str], list[Stated]] = {}
    naming: dict[tuple[int, str], list[Stated]] = {}
    for fact in {fact.fact_id: fact for fact in facts}.values():
        of.setdefault((fact.subject.id, fact.predicate), []).append(fact)
        if fact.object is not None:
            naming.setdefault((fact.object.id, fact.predicate), []).append(fact)
    return Histories(
        subjects=tuple(subjects), of=of, naming=naming, watched=watched or Watched(), rarity=rarity or {}, as_of=as_of
    )


class Step(msgspec.Struct, frozen=True, order=True):
    """Facts that a condition reads: by predicate, of the one at hand, or (`inverse`) naming it."""

    predicate: str
    inverse: bool = False


RENEWED: Final = (
    (Step(Predicate.HAS_KEY.value), Step(Predicate.HAS_KEY.value, True), Step(Predicate.NAMES.value)),
    (Step(Predicate.HAS_KEY.value), Step(Predicate.HAS_KEY.value, True), Step(Predicate.VALID_FROM.value)),
    (Step(Predicate.NAMES.value),),
    (Step(Predicate.VALID_FROM.value),),
)
"""From a certificate to those with its key, and their names and times."""


def needs(rule: Rule) -> frozenset[tuple[Step, ...]]:
    """The paths, from a subject, of the facts that a rule reads."""
    found: set[tuple[Step, ...]] = set()
    for one in (*rule.when, *rule.timed):
        for part in records.parts(one):
            found.update(_paths(part))
    return frozenset(found)


def _paths(condition: Condition) -> Iterator[tuple[Step, ...]]:
    if isinstance(condition, Link):
        yield from _of_link(condition, ())
    elif isinstance(condition, records.Dated | records.Changed | records.Hidden):
        yield (Step(condition.predicate),)
    elif isinstance(condition, records.Renewed):
        yield from RENEWED
    elif isinstance(condition, records.Burst):
        yield from ((Step(predicate),) for predicate in condition.sharing)
        if condition.created:
            yield (Step(Predicate.CREATED.value),)


def _of_link(link: Link, before: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    path = (*before, Step(link.predicate, link.inverse))
    yield path
    if link.where is not None:
        yield from _of_link(link.where, path)


def tested(rule: Rule) -> Iterator[tuple[str, Tests]]:
    """All tests of a rule's links, each with the predicate."""
    for one in (*rule.when, *rule.timed):
        for part in records.parts(one):
            if isinstance(part, records.Changed):
                yield from ((part.predicate, part.old), (part.predicate, part.new))
            elif isinstance(part, records.Own):
                yield "", part.tests
            elif isinstance(part, Link):
                link: Link | None = part
                while link is not None:
                    yield link.predicate, link.tests
                    link = link.where


def shifted(at: datetime, by: timedelta) -> datetime:
    """So much later (or earlier), as far as the calendar goes: facts may state any time in it."""
    try:
        return at + by
    except OverflowError:
        return LAST if by > timedelta() else FIRST


def host_of(item: Entity) -> str:
    """The host that an entity stands on; empty for one that stands on no name. The monitors' SQL says the same."""
    if not item.scope:
        return ""
    if item.kind == Kind.EMAIL:
        return item.value.rpartition("@")[2]
    if item.kind == Kind.ENDPOINT:
        return item.value.partition(":")[0]
    if item.kind == Kind.URL:
        rest = item.value[item.value.find("//") + 2 :]
        for mark in "/?#":
            rest = rest.partition(mark)[0]
        return rest.rpartition("@")[2].partition(":")[0]
    return item.value


def is_below(host: str, name: str) -> bool:
    """Whether a host is that name or stands below it."""
    return host == name or host.endswith("." + name)


@lru_cache(maxsize=65_536)
def within(address: str, network: str) -> bool:
    """Whether an address or network lies in a network."""
    inner, outer = ipaddress.ip_network(address), _network(network)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # same version


@lru_cache(maxsize=4_096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)
