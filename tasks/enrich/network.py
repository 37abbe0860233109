"""The addresses of a case and of its names: what holds them, and how many other names stand on them.

In: a `Case` and what is `Known` of it. Out: `Network`. Nothing leaves the machine: networks and AS are those that
sources named.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from sqlalchemy import Connection, Engine

from db import enrich
from intel.entities import Kind, digest
from tasks.enrich.known import thing
from tasks.enrich.passive_dns import passive_dns
from tasks.enrich.records import Address, Case, Known, Network, Thing

TOP: Final = 20
TOP_NAMES: Final = 10
_WIDEST: Final = {4: 8, 6: 16}
"""Shortest prefix, by IP version, that still says who holds an address."""


def network(engine: Engine, case: Case, known: Known) -> Network:
    """The addresses: the case's own first, then those that its names led to. Raises WarehouseError."""
    own = [subject.address for subject in case.subjects if subject.address and subject.kind != Kind.NETWORK]
    led = [
        one.target for one in passive_dns(engine, case, known).resolutions if one.forward and one.target_kind == Kind.IP
    ]
    addresses = list(dict.fromkeys([*own, *led]))
    with engine.connect() as connection:
        found = tuple(_address(connection, address) for address in addresses[:TOP])
    return Network(addresses=found, total=len(addresses))


def _address(connection: Connection, address: str) -> Address:
    digests = [digest(Kind.NETWORK, prefix) for prefix in prefixes(address)]
    here = digest(Kind.IP, address)
    named = [thing(row.kind, row.value) for row in enrich.networks(connection, digests)]
    part_of = [thing(row.kind, row.value) for row in enrich.holders(connection, [here, *digests], top=TOP_NAMES)]
    names = enrich.names_on(connection, here, top=TOP_NAMES)
    total = names[0].total if names else 0
    return Address(
        address=address,
        holders=_distinct([*named, *part_of]),
        names=tuple(row.value for row in names),
        names_total=total,
        capped=total >= enrich.SCAN,
    )


def _distinct(things: list[Thing]) -> tuple[Thing, ...]:
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
