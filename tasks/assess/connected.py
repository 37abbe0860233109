"""What stands around an incident: names, addresses, and the domains that it is connected with. Pure.

In: the records of tasks/enrich/. Out: canonical values, each with how it came in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import ip_address
from typing import Final

from intel.entities import Kind
from intel.names import default_suffixes
from tasks.enrich.records import Case, Certificates, Known, Network, PassiveDns

FEW: Final = 10
"""Names on one address up to which it may be one holder's; more is hosting."""


def is_name(text: str) -> bool:
    """Whether a name of a certificate or resolution is a host's: not an address, and of two labels at least."""
    try:
        ip_address(text)
    except ValueError:
        return "." in text and "@" not in text
    return False


def connected_domains(
    case: Case,
    certificates: Certificates,
    resolved: PassiveDns,
    network: Network,
    *,
    shared: Collection[str] = (),
) -> tuple[str, ...]:
    """The registrable domains, not the case's own, that share a certificate, a key or an address with it.

    An address that more than a few names led to connects none of them, nor does one that is known to be shared.
    """
    own = {subject.scope for subject in case.subjects if subject.scope}
    crowded = {one.address for one in network.addresses if one.names_total > FEW} | set(shared)
    names = [name for one in certificates.certificates for name in one.names]
    names += [one.name for one in resolved.resolutions if one.target not in crowded]
    domains = dict.fromkeys(default_suffixes().registrable(name) for name in names if is_name(name))
    return tuple(domain for domain in domains if domain not in own)


def names_seen(known: Known, certificates: Certificates, resolved: PassiveDns) -> list[tuple[str, str]]:
    """All names around the incident, with how each came in first."""
    found = [
        (one.value, "stands on the same domain or address")
        for _, one in known.near
        if one.kind in {Kind.DOMAIN, Kind.NAME_SERVER}
    ]
    found += [(one.scope, "is the domain of an indicator or of its neighbour") for _, one in known.near if one.scope]
    found += [(name, "is named by a certificate") for one in certificates.certificates for name in one.names]
    found += [(one.name, "led to an address of it") for one in resolved.resolutions]
    return _first(found)


def addresses_seen(known: Known, network: Network) -> list[tuple[str, str]]:
    """All addresses around the incident, with how each came in first."""
    standing = (one for _, one in known.near if one.address and one.kind != Kind.NETWORK)
    found = [(one.address, "an indicator's address") for one in standing]
    found += [(one.address, "an address that its names led to") for one in network.addresses]
    return _first(found)


def _first(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    kept: dict[str, str] = {}
    for value, where in found:
        kept.setdefault(value, where)
    return list(kept.items())
