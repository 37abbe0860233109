"""New domains that touch what is watched, as facts: an arrival and its hits in, facts out. Pure.

A pattern's hit says that the domain matches it, with the reason. A hit of something watched itself says that the domain
is newly registered, as the channel shows. Where a channel says which name servers a name is delegated to, they are
stated of every name that touches a watch, or did, and what its source stated of them before ends when they change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import Fact, Predicate, fact_key
from intel.match.hits import Hit
from intel.new_domains import Arrival

LABEL: Final = "newly registered"
"""What a channel of new domains says of a watched one."""


def facts_of(
    arrival: Arrival, hits: Sequence[Hit], standing: Iterable[Fact], *, source: str, locator: str
) -> Iterator[Fact]:
    """What the arrival of a name with these hits states.

    `standing` are the facts of its name servers that `source` still states. Nothing is said of who holds a name.
    """
    subject = entity(Kind.DOMAIN, arrival.name)
    stated = [] if arrival.change == "removed" else list(_servers(subject, arrival.name_servers))
    if arrival.change == "added":
        stated += _of_hits(subject, hits)
    else:
        keys = {fact_key(source, fact) for fact in stated}
        for fact in standing:
            if fact_key(source, fact) not in keys:
                yield msgspec.structs.replace(fact, event_time=arrival.seen_at, ends=True, locator=locator)
    for fact in stated:
        yield msgspec.structs.replace(fact, event_time=arrival.seen_at, locator=locator)


def _of_hits(subject: Entity, hits: Sequence[Hit]) -> Iterator[Fact]:
    for hit in hits:
        if hit.pattern:
            yield Fact(
                subject=subject,
                predicate=Predicate.MATCHES,
                object=literal(Kind.PATTERN, hit.pattern),
                qualifiers=(("name", hit.named), ("why", hit.why)),
            )
    # A hit by its name servers is about them, and stated with them.
    if any(not hit.pattern and hit.named == subject.value for hit in hits):
        yield Fact(subject=subject, predicate=Predicate.LISTED, object=literal(Kind.LABEL, LABEL))


def _servers(subject: Entity, names: Sequence[str]) -> Iterator[Fact]:
    hosts = []
    for name in names:
        try:
            hosts.append(entity(Kind.NAME_SERVER, name))
        except ReadError:
            continue
    for host in hosts:
        yield Fact(subject=subject, predicate=Predicate.USES_NAME_SERVER, object=host)
    if hosts:
        together = entity(Kind.NAME_SERVER_SET, " ".join(host.value for host in hosts))
        yield Fact(subject=subject, predicate=Predicate.USES_NAME_SERVERS, object=together)
