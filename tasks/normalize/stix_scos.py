"""What a STIX observable as an object (STIX 2.1 section 6) names, and what it says by its references.

Comes in: an observable as a dict, a SCO or a member of STIX 2.0 observed data. Goes out: `Observables`, as of a
pattern: its properties are read as the comparisons that a pattern for it would make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.facts import Predicate
from intel.stix_pattern import Comparison, Group, Pattern
from tasks.normalize.stix_observables import (
    HASHED,
    KINDS,
    OBSERVABLE_TYPES,
    Link,
    Observables,
    endpoint,
    of_pattern,
    resolution,
)


def name_object(item: Mapping[str, Any]) -> tuple[Entity, ...]:
    """What an observable names by itself, whatever it refers to; nothing where it names none."""
    object_type = item.get("type")
    if not isinstance(object_type, str) or object_type not in OBSERVABLE_TYPES:
        return ()
    return of_pattern(Pattern((Group(tuple(_properties(object_type, item)), "AND"),))).entities


def of_object(item: Mapping[str, Any], find: Callable[[str], tuple[Entity, ...]]) -> Observables:
    """What an observable (a SCO, or a member of observed data) names. `find` gives the entities of a reference.

    Raises ReadError where it names none.
    """
    object_type = str(item.get("type"))
    comparisons = tuple(_properties(object_type, item))
    found = of_pattern(Pattern((Group(comparisons, "AND"),)))
    links = [*found.links, *_references(item, found.entities, find)]
    entities = found.entities
    if object_type == "network-traffic":
        ends, between = _traffic(item, find)
        entities, links = entities + ends, links + between
    if not entities and not links:
        raise ReadError(found.refused[0] if found.refused else f"not an entity: type {object_type[:100]}")
    return Observables(entities=entities, links=tuple(links), refused=found.refused)


def _properties(object_type: str, item: Mapping[str, Any]) -> Iterator[Comparison]:
    hashes = item.get("hashes")
    if object_type in HASHED and isinstance(hashes, dict):
        for algorithm, value in hashes.items():
            if isinstance(value, str):
                yield Comparison(object_type, ("hashes", algorithm), "=", (value,))
    if object_type == "user-account":
        names = [name for name in ("account_login", "user_id", "display_name") if isinstance(item.get(name), str)]
        if names:
            yield Comparison(object_type, (names[0],), "=", (item[names[0]],))
        return
    for kind_type, path in KINDS:
        if kind_type != object_type:
            continue
        member: Any = item
        for step in path:
            member = member.get(step) if isinstance(member, dict) else None
        if isinstance(member, str) or (isinstance(member, int) and not isinstance(member, bool)):
            yield Comparison(object_type, path, "=", (str(member),))


def _references(
    item: Mapping[str, Any], entities: tuple[Entity, ...], find: Callable[[str], tuple[Entity, ...]]
) -> Iterator[Link]:
    if not entities:
        return
    subject = entities[0]
    if subject.kind == Kind.DOMAIN:
        for target in _targets(item, "resolves_to_refs", find):
            if target.kind in {Kind.IP, Kind.DOMAIN} and target != subject:
                yield resolution(subject, target)
    if subject.kind in {Kind.IP, Kind.NETWORK}:
        for target in _targets(item, "belongs_to_refs", find):
            if target.kind == Kind.AS:
                yield Link(subject=subject, predicate=Predicate.PART_OF, object=target)


def _targets(item: Mapping[str, Any], name: str, find: Callable[[str], tuple[Entity, ...]]) -> Iterator[Entity]:
    references = item.get(name)
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, str):
            yield from find(reference)


def _traffic(
    item: Mapping[str, Any], find: Callable[[str], tuple[Entity, ...]]
) -> tuple[tuple[Entity, ...], list[Link]]:
    """The far end, with its port where one is given, and who spoke to it."""
    source, target = (
        [host for host in _targets({"refs": [item.get(f"{end}_ref")]}, "refs", find) if host.kind in _ENDS]
        for end in ("src", "dst")
    )
    port = item.get("dst_port")
    far = [
        entity(Kind.ENDPOINT, endpoint(host.value, str(port)))
        if isinstance(port, int) and host.kind != Kind.NETWORK
        else host
        for host in target
    ]
    links = [Link(subject=near, predicate=Predicate.COMMUNICATES_WITH, object=end) for near in source for end in far]
    return tuple(far), links


_ENDS: Final = frozenset({Kind.DOMAIN, Kind.IP, Kind.NETWORK})
