"""Which certificates touch what is watched: a certificate's view in, hits out (RFC 5280 4.2.1.6, RFC 6125 6.4.3).

A hit is a candidate: what it is worth is judged later, over the warehouse. So this errs towards matching. Every
question is a look-up in a set, so 100,000 watched things cost what ten do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from intel.names import default_suffixes
from intel.x509 import CertificateView

MAX_COVERED: Final = 16
"""Hits that one wildcard name makes at most by covering watched names."""
_MAX_NAME: Final = 253  # RFC 1035 2.3.4; more octets would only make the walk over the parents long


class By(StrEnum):
    """What of the watch set was met."""

    SCOPE = "scope"
    SUBTREE = "subtree"
    ZONE = "zone"
    NAME = "name"
    WILDCARD = "wildcard"
    ADDRESS = "address"
    NETWORK = "network"
    CERTIFICATE = "certificate"
    KEY = "key"


_TEACHES: Final = frozenset({By.SCOPE, By.SUBTREE, By.NAME, By.ADDRESS, By.CERTIFICATE})


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One match: `watched` is the watched thing, `named` what the certificate says. Digests are hexadecimal."""

    by: By
    watched: str
    named: str

    @property
    def teaches(self) -> bool:
        """Whether the certificate's key is now worth watching.

        A wildcard that merely covers a watched name, or a network or zone that others share, may be a stranger's; a
        known key teaches nothing.
        """
        return self.by in _TEACHES


@dataclass(frozen=True, kw_only=True)
class WatchSet:
    """What is watched of certificates. It never changes: a new one takes its place, in one assignment.

    `scopes` are registrable domains, met by every name that somebody holds under exactly that one. `subtrees` are
    names, met by themselves and by all below. `zones` are the same where strangers hold what is below (a public or
    dynamic-DNS suffix). `names` are met by themselves alone. Names are canonical, addresses and networks (CIDR) too.
    `certificates` are SHA-256 of the DER, `keys` SHA-256 of the SPKI, 32 octets each.
    """

    scopes: frozenset[str] = frozenset()
    subtrees: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    certificates: frozenset[bytes] = frozenset()
    keys: frozenset[bytes] = frozenset()
    _below: frozenset[str] = field(init=False, repr=False, compare=False)
    _covered: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _widths: dict[int, tuple[tuple[int, dict[int, str]], ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_below", self.scopes | self.subtrees | self.zones)
        object.__setattr__(self, "_covered", _by_parent(self.scopes | self.subtrees | self.names))
        object.__setattr__(self, "_widths", _by_width(self.addresses))

    def match(
        self, view: CertificateView, digests: Collection[bytes] = (), *, learned: AbstractSet[bytes] = frozenset()
    ) -> tuple[Hit, ...]:
        """What of the set the certificate touches, each once.

        `digests` are the SHA-256 that the certificate goes by, `learned` further keys that count as watched.
        """
        hits: dict[Hit, None] = {}
        for name in view.names:
            self._name(name, hits)
        if self._widths:
            for address in view.ip_addresses:
                self._address(address, hits)
        for digest in digests:
            if digest in self.certificates:
                hits[Hit(by=By.CERTIFICATE, watched=digest.hex(), named=digest.hex())] = None
        key = view.spki_sha256
        if key is not None and (key in self.keys or key in learned):
            hits[Hit(by=By.KEY, watched=key.hex(), named=key.hex())] = None
        return tuple(hits)

    def _name(self, name: str, hits: dict[Hit, None]) -> None:
        tail = name if len(name) <= _MAX_NAME else name[-_MAX_NAME:].partition(".")[2]
        if "*" in tail or "?" in tail:
            # A star may stand anywhere in real certificates: what is behind the last one is certain.
            tail = tail[max(tail.rfind("*"), tail.rfind("?")) :].partition(".")[2]
            for watched in self._covered.get(tail, ()):
                hits[Hit(by=By.WILDCARD, watched=watched, named=name)] = None
        if tail in self.names:
            hits[Hit(by=By.NAME, watched=tail, named=name)] = None
        bare, below = tail, self._below
        while tail:
            if tail in below:
                self._under(tail, bare, name, hits)
            tail = tail.partition(".")[2]

    def _under(self, watched: str, bare: str, name: str, hits: dict[Hit, None]) -> None:
        if watched in self.subtrees:
            hits[Hit(by=By.SUBTREE, watched=watched, named=name)] = None
        if watched in self.zones:
            hits[Hit(by=By.ZONE, watched=watched, named=name)] = None
        if watched in self.scopes and default_suffixes().registrable(bare) == watched:
            hits[Hit(by=By.SCOPE, watched=watched, named=name)] = None

    def _address(self, text: str, hits: dict[Hit, None]) -> None:
        address = ipaddress.ip_address(text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        number = int(address)
        for shift, networks in self._widths.get(address.version, ()):
            watched = networks.get(number >> shift)
            if watched is not None:
                hits[Hit(by=By.NETWORK if shift else By.ADDRESS, watched=watched, named=text)] = None


def _by_parent(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each parent of a watched name, with the first few in the order of the alphabet that a wildcard there covers."""
    children: dict[str, list[str]] = {}
    for name in sorted(names):
        children.setdefault(name.partition(".")[2], []).append(name)
    children.pop("", None)
    return {parent: tuple(found[:MAX_COVERED]) for parent, found in children.items()}


def _by_width(addresses: Iterable[str]) -> dict[int, tuple[tuple[int, dict[int, str]], ...]]:
    """For each IP version: (bits to drop, the networks of that width by what is left of their address)."""
    found: dict[int, dict[int, dict[int, str]]] = {}
    for text in addresses:
        network = ipaddress.ip_network(text, strict=False)
        shift = network.max_prefixlen - network.prefixlen
        found.setdefault(network.version, {}).setdefault(shift, {})[int(network.network_address) >> shift] = text
    return {version: tuple(sorted(widths.items(), key=lambda pair: pair[0])) for version, widths in found.items()}
