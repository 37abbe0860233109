"""Blocklists out of findings: names, addresses and URLs that may be blocked, and nothing else.

Comes in: findings, who we are. Goes out: lines, a head of comments first (RPZ: a zone). On a list is only what was
confirmed or is worth at least a severity, and never: what a list or configs/hubs* knows as good or shared, what has any
annotation that takes from its worth (a suppression, an expected certificate), a domain that ceased to be whose it was
(somebody else's now, or seized), a public suffix, an address that is nobody's on the internet, what is our own,
people's data, what is above the TLP ceiling.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from db.finding_export import Exported
from intel.config.organisation import Organisation
from intel.entities import Kind, entity
from intel.errors import ReadError
from intel.facts import TLP
from intel.hubs import HubClass
from intel.names import canonical_name, default_suffixes
from tasks.pivot.hubs import hubs_of
from tasks.publish.decide import holds_email
from tasks.publish.export import tlp_of

FORMATS: Final = ("blocklist-domains", "blocklist-ips", "blocklist-urls", "hosts", "rpz")
SEVERITY: Final = 70
"""What is worth this much is listed without being confirmed."""
_STANDING: Final = frozenset({"open", "acknowledged"})
_WIDEST: Final = {4: 24, 6: 48}
"""The widest network that is listed: what is wider is somebody's whole business."""
_NOBODYS: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/3", "::/127", "64:ff9b::/96", "2001::/32", "2002::/16",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
_LONGEST_NAME: Final = 187
"""Octets of a name in a zone: with `*.` before it and the zone's own name (up to 63 octets) after it, it is one still
(RFC 1035, section 2.3.4). One that is longer would make a server refuse the whole zone.
"""
_HARMLESS: Final = frozenset({HubClass.SPECIAL_USE})
"""What is reserved for documents says nothing about its owner; what is really nobody's stands in `_NOBODYS`."""
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Blocked(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing to block: a `kind` of domain, ip (with networks) or url."""

    kind: str
    value: str


def blocked(
    found: Iterable[Exported], organisation: Organisation, ceiling: TLP, *, severity: int = SEVERITY
) -> dict[Blocked, TLP]:
    """What of the findings may be blocked, sorted, each with the laxest TLP under which a finding says so."""
    ours = _Ours(organisation)
    taken: dict[Blocked, TLP] = {}
    for one in found:
        wanted = _wanted(one, ours) if _counts(one, ceiling, severity) else None
        if wanted is not None:
            taken[wanted] = min(taken.get(wanted, TLP.RED), tlp_of(one))
    return dict(sorted(taken.items()))


def lines(what: str, things: Mapping[Blocked, TLP], now: datetime) -> Iterator[str]:
    """A list in one of the `FORMATS`, line by line, the head first: when, its strictest TLP, how many. `now` is UTC."""
    kind = {"blocklist-ips": "ip", "blocklist-urls": "url"}.get(what, "domain")
    longest = _LONGEST_NAME if what == "rpz" else None
    values = [one.value for one in things if one.kind == kind and (longest is None or len(one.value) <= longest)]
    tlp = max((held for one, held in things.items() if one.kind == kind), default=TLP.CLEAR)
    mark = ";" if what == "rpz" else "#"
    head = f"Lapsewatch {what}, {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {tlp.label}, {len(values)} entries"
    yield f"{mark} {head}"
    if what == "rpz":
        # A response policy zone: the name, and all below it, do not exist (draft-vixie-dnsop-dns-rpz, section 3.1).
        yield "$TTL 300"
        yield f"@ SOA localhost. root.localhost. {int(now.timestamp())} 3600 600 86400 300"
        yield "@ NS localhost."
    for value in values:
        if what == "hosts":
            yield f"0.0.0.0 {value}"
        elif what == "rpz":
            yield f"{value} CNAME ."
            yield f"*.{value} CNAME ."
        else:
            yield value


def _counts(one: Exported, ceiling: TLP, severity: int) -> bool:
    record = one.record
    decided = record.status == "confirmed" or (record.status in _STANDING and record.severity >= severity)
    return (
        decided
        and record.released
        and bool(record.evidence)
        and tlp_of(one) <= ceiling
        and not one.ended
        and not any(said["takes"] for said in one.annotations)
    )


def _wanted(one: Exported, ours: _Ours) -> Blocked | None:
    kind, value = one.record.subject_kind, one.record.subject
    if kind == Kind.DOMAIN:
        return _domain(value, ours)
    if kind in {Kind.IP, Kind.NETWORK}:
        return _network(value, ours)
    if kind == Kind.ENDPOINT:
        host = value.rpartition(":")[0].removeprefix("[").removesuffix("]")
        return _network(host, ours) if _is_address(host) else _domain(host, ours)
    if kind == Kind.URL:
        return _url(value, ours)
    return None


def _domain(name: str, ours: _Ours) -> Blocked | None:
    registrable = default_suffixes().registrable(name)
    if (
        not registrable
        or ours.has_name(name)
        or _hits_strangers(Kind.DOMAIN, name)
        or _hits_strangers(Kind.DOMAIN, registrable)
    ):
        return None
    return Blocked(kind="domain", value=name)


def _network(value: str, ours: _Ours) -> Blocked | None:
    network = ipaddress.ip_network(value)
    nobodys = any(network.version == one.version and network.overlaps(one) for one in _NOBODYS)
    if nobodys or network.prefixlen < _WIDEST[network.version] or ours.has_network(network):
        return None
    kind = Kind.NETWORK if "/" in value else Kind.IP
    return None if _hits_strangers(kind, value) or _holds_hub(network) else Blocked(kind="ip", value=value)


def _url(value: str, ours: _Ours) -> Blocked | None:
    item = entity(Kind.URL, value)
    if holds_email(value) or "@" in value or not value.isprintable():
        return None
    if item.scope and (ours.has_name(item.scope) or _hits_strangers(Kind.DOMAIN, item.scope)):
        return None
    if item.address and _network(item.address, ours) is None:
        return None
    if _hits_strangers(Kind.URL, value):
        return None
    return Blocked(kind="url", value=value.removeprefix("//"))


def _hits_strangers(kind: str, value: str) -> bool:
    """Whether anything knows it as good or shared, so that blocking it would."""
    return any(hub.hub not in _HARMLESS for hub in hubs_of(entity(kind, value)))


def _holds_hub(network: _Network) -> bool:
    """Whether one of the addresses in a network is known as good or shared; of IPv6, which has too many, none is."""
    within = network if network.version == 4 and network.num_addresses > 1 else ()
    return any(_hits_strangers(Kind.IP, str(one)) for one in within)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class _Ours:
    """What is our own: configs/organisation.yaml."""

    def __init__(self, organisation: Organisation) -> None:
        self._names: list[str] = []
        self._networks: list[_Network] = []
        for name in organisation.domains:
            try:
                self._names.append(canonical_name(name))
            except ReadError:
                continue
        for network in organisation.networks:
            try:
                self._networks.append(ipaddress.ip_network(network, strict=False))
            except ValueError:
                continue

    def has_name(self, name: str) -> bool:
        """Whether a name is ours, stands below one of ours, or has ours below it."""
        return any(name == one or name.endswith(f".{one}") or one.endswith(f".{name}") for one in self._names)

    def has_network(self, network: _Network) -> bool:
        """Whether a network touches one of ours."""
        return any(network.version == one.version and network.overlaps(one) for one in self._networks)
