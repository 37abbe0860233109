"""The addresses of a case and of its names: what holds them, and how many other names stand on them.

In: a `Case` and what is `Known` of it. Out: `Network`. The number registries are asked who holds the addresses, and the
case's own networks and AS, within configs/lookups.yaml; names on them are those that sources named. Reach: registry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from sqlalchemy import Connection, Engine

from db import enrich
from db.entities import find_entities
from intel.config.lookups import Reach, read_lookups
from intel.entities import Entity, Kind, digest, entity
from intel.errors import ConfigError
from intel.facts import Predicate
from intel.settings import settings
from tasks.collect.fetched import utc_now
from tasks.enrich.known import thing
from tasks.enrich.numbers import Numbers, ask_numbers
from tasks.enrich.passive_dns import passive_dns
from tasks.enrich.questions import Asker
from tasks.enrich.records import Address, Case, Known, Network, Subject, Thing

TOP: Final = 20
TOP_NAMES: Final = 10
_WIDEST: Final = {4: 8, 6: 16}
"""Shortest prefix, by IP version, that still says who holds an address."""


_NETWORKS: Final = 16
_STATED: Final = 8
_SUBJECTS: Final = (Kind.NETWORK, Kind.AS)


def network(
    engine: Engine,
    case: Case,
    known: Known,
    *,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Network:
    """The addresses: the case's own first, then those that its names led to.

    `clock` gives recorded time (aware UTC). Raises WarehouseError; what a question comes to, a refusal included, is in
    the result.
    """
    own = [subject.address for subject in case.subjects if subject.address and subject.kind != Kind.NETWORK]
    led = [
        one.target for one in passive_dns(engine, case, known).resolutions if one.forward and one.target_kind == Kind.IP
    ]
    addresses = list(dict.fromkeys([*own, *led]))
    wanted = [entity(one.kind, one.value) for one in case.subjects if one.kind in _SUBJECTS]
    wanted += [entity(Kind.IP, address) for address in addresses[:TOP]]
    asked = _ask(engine, case, wanted[:TOP], clock=clock, sleep=sleep)
    with engine.connect() as connection:
        found = tuple(_address(connection, address) for address in addresses[:TOP])
    return Network(addresses=found, total=len(addresses), lookups=asked.lookups, batch=asked.batch)


def _ask(
    engine: Engine,
    case: Case,
    wanted: Sequence[Entity],
    *,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> Numbers:
    """Ask who holds them. Wrong settings cost the asking, which the registration branch names, and not the branch."""
    try:
        lookups = read_lookups(settings().configs)
        if not wanted or not lookups.rdap or lookups.reach.incident < Reach.REGISTRY:
            return Numbers()
        asker = Asker(
            engine=engine,
            lookups=lookups,
            reason=f"incident {case.incident}",
            ceiling=lookups.reach.incident,
            clock=clock,
            sleep=sleep,
        )
        marked = {one.digest: _standing_on(one, case.subjects) for one in wanted}
        return ask_numbers(engine, asker, wanted, marked=marked)
    except ConfigError:
        return Numbers()


def _standing_on(one: Entity, subjects: Sequence[Subject]) -> list[Entity]:
    """The case's own entities that stand on an address: any of them may be marked."""
    return [entity(subject.kind, subject.value) for subject in subjects if subject.address == one.value]


def _address(connection: Connection, address: str) -> Address:
    digests = [digest(Kind.NETWORK, prefix) for prefix in prefixes(address)]
    here = digest(Kind.IP, address)
    named = [thing(row.kind, row.value) for row in enrich.networks(connection, digests)]
    part_of = [thing(row.kind, row.value) for row in enrich.holders(connection, [here, *digests], top=TOP_NAMES)]
    names = enrich.names_on(connection, here, top=TOP_NAMES)
    total = names[0].total if names else 0
    around = _distinct([*named, *part_of])
    return Address(
        address=address,
        holders=_distinct([*around, *_registered_to(connection, around)]),
        names=tuple(row.value for row in names),
        names_total=total,
        capped=total >= enrich.SCAN,
    )


def _registered_to(connection: Connection, around: Sequence[Thing]) -> list[Thing]:
    """Who holds the networks and AS around an address, as registries name them: companies, and people masked."""
    things = [entity(one.kind, one.value) for one in around if one.kind in _SUBJECTS][:_NETWORKS]
    ids = list(find_entities(connection, things).values())
    rows = enrich.facts(connection, [(one, one) for one in ids], (Predicate.REGISTERED_BY,), top=_STATED)
    found: list[Thing] = []
    for row in rows:
        if row.ended or row.object is None or row.object_kind != Kind.REGISTRANT:
            continue
        kind = "registrant" if row.personal else "organisation"
        found.append(Thing(kind=kind, value=row.object, personal=row.personal))
    return found


def _distinct(things: Sequence[Thing]) -> tuple[Thing, ...]:
    return tuple(dict.fromkeys(things))


def prefixes(address: str) -> tuple[str, ...]:
    """The networks that hold an address, the narrowest first, down to a /8 (IPv4) or /16 (IPv6)."""
    ip: IPv4Address | IPv6Address = ip_address(address)
    widest = _WIDEST[ip.version]
    whole = int(ip)
    kind = type(ip)
    return tuple(
        f"{kind((whole >> (ip.max_prefixlen - length)) << (ip.max_prefixlen - length))}/{length}"
        for length in range(ip.max_prefixlen, widest - 1, -1)
    )
