"""Flows become facts: who talked to which service, from when until when; whatever exporter saw them.

In: flows one by one (zeek's conn.log, nfdump). Out: for each client and each endpoint `communicates-with`, once at the
first and once at the last time in the document, with the number of flows and bytes in the locator, so that a million
flows are as many facts as there are pairs. Qualifiers: `proto`; `service` where the exporter recognised one;
`answered: no` where nothing came back, in which case the object is the address alone: nothing is known of the port.

Neither fact nor reject are flows that say nothing of infrastructure: between internal addresses, which mean another
host in each network, and those that never leave a link or a host (multicast, link-local, loopback).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.facts import Fact, Predicate, Reject
from tasks.normalize.sightings import MOST_KEYS, Sighting, Sightings, facts_at

MOST_ATTEMPTS: Final = 256
"""Addresses that one client tried in vain; one that tried more was looking around, and the others are counted."""
MOST_PAIRS: Final = MOST_KEYS
ANSWERED: Final = 1

Standing = Literal["outside", "internal", "nowhere", "wrong"]
Pair = tuple[str, str, int, str, str]
"""Client, host, port (0 for none), protocol, service."""

_PORTED: Final = frozenset({"tcp", "udp", "sctp", "dccp"})
_INTERNAL: Final = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)
_NOWHERE: Final = tuple(
    map(
        ipaddress.ip_network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"),
    )
)
# Ports from 1024 on that serve more often than they ask.
_SERVICES: Final = frozenset(
    {
        *(1080, 1194, 1433, 1521, 1701, 1723, 1883, 2049, 2082, 2083, 2086, 2087, 2222, 3128, 3268, 3306, 3389),
        *(3478, 4500, 5060, 5061, 5222, 5269, 5432, 5900, 5938, 5985, 5986, 6379, 6667, 6697, 8000, 8008, 8080),
        *(8081, 8443, 8883, 8888, 9001, 9030, 9050, 9090, 9200, 9443, 11211, 27017, 50050, 51820),
    }
)
_EPHEMERAL: Final = 32_768
_LONGEST_ADDRESS: Final = 45


def standing(address: str) -> Standing:
    """Where an address stands: outside, in some internal network, nowhere (it leads nowhere), or that it is none."""
    return _standing(address) if len(address) <= _LONGEST_ADDRESS and "%" not in address else "wrong"


@lru_cache(maxsize=65_536)
def _standing(address: str) -> Standing:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "wrong"
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    one = mapped or parsed
    if any(one in network for network in _NOWHERE):
        return "nowhere"
    return "internal" if any(one in network for network in _INTERNAL) else "outside"


def tells(client: str, host: str) -> bool:
    """Whether two ends that talk say something of infrastructure. Raises ReadError where one is no address."""
    ends = standing(client), standing(host)
    if "wrong" in ends:
        raise ReadError("couldn't read a flow: an end that is no IP address")
    return "outside" in ends and "nowhere" not in ends


def asks(source: str, source_port: int, target: str, target_port: int) -> bool:
    """Whether the source is the client, by ports and addresses alone.

    Both directions of a conversation have the same answer, so that they need not be held until they meet.
    """
    ranks = _rank(source_port), _rank(target_port)
    if ranks[0] != ranks[1]:
        return ranks[0] > ranks[1]
    ends = standing(source), standing(target)
    if ("internal" in ends) and ends[0] != ends[1]:
        return ends[0] == "internal"
    return source_port > target_port if source_port != target_port else source < target


def _rank(port: int) -> int:
    """The lower, the more likely it serves."""
    if 0 < port < 1024:
        return 0
    if port in _SERVICES:
        return 1
    return 2 if 0 < port < _EPHEMERAL else 3


def endpoint_text(host: str, port: object) -> str:
    """Address and port as an endpoint is written."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def port_number(text: str) -> int:
    """A port. Raises ReadError where it is none."""
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or int(text) > 65_535:
        raise ReadError("couldn't read a port: not a number up to 65535")
    return int(text)


class Flows:
    """Flows of one document, by client, endpoint and protocol; to be drained when `full` and at the end."""

    def __init__(self) -> None:
        self._pairs: Sightings[Pair] = Sightings(MOST_PAIRS)

    @property
    def full(self) -> bool:
        return self._pairs.full

    def add(
        self,
        pair: Pair,
        first: float,
        last: float,
        line: int,
        *,
        amount: int,
        answered: bool,
    ) -> None:
        """One flow, of either direction, whose pair names the client first. Raises ReadError for what are no ends."""
        if tells(pair[0], pair[1]):
            self._pairs.add(pair, first, last, line, amount=amount, seen=ANSWERED if answered else 0)

    def facts(self) -> Iterator[Fact | Reject]:
        """What the flows so far say; afterwards there are none."""
        attempts: Sightings[tuple[str, str, str]] = Sightings()
        for (client, host, port, proto, service), sighting in self._pairs.drain():
            if not sighting.seen & ANSWERED:
                _add(attempts, (client, host, proto), sighting)
                continue
            qualifiers = (("proto", proto), ("service", service)) if service else (("proto", proto),)
            ported = port and proto in _PORTED
            far = entity(Kind.ENDPOINT, endpoint_text(host, port)) if ported else entity(Kind.IP, host)
            yield from _fact(client, far, qualifiers, sighting)
        yield from _attempts(attempts)


def _add(attempts: Sightings[tuple[str, str, str]], key: tuple[str, str, str], one: Sighting) -> None:
    attempts.add(key, one.first, one.last, one.line, amount=one.amount)


def _attempts(attempts: Sightings[tuple[str, str, str]]) -> Iterator[Fact | Reject]:
    tried: Counter[str] = Counter()
    for (client, host, proto), sighting in attempts.drain():
        tried[client] += 1
        if tried[client] <= MOST_ATTEMPTS:
            yield from _fact(client, entity(Kind.IP, host), (("proto", proto), ("answered", "no")), sighting)
    for client, count in tried.items():
        if count > MOST_ATTEMPTS:
            reason = f"not kept: {count - MOST_ATTEMPTS} more addresses that one client tried in vain"
            yield Reject(locator=f"client {client}", reason=reason)


def _fact(client: str, far: Entity, qualifiers: tuple[tuple[str, str], ...], sighting: Sighting) -> Iterator[Fact]:
    return facts_at(
        sighting.times,
        entity(Kind.IP, client),
        Predicate.COMMUNICATES_WITH,
        far,
        qualifiers=qualifiers,
        locator=sighting.place,
    )
