"""Which certificates touch what is watched: a certificate's view in, hits out (RFC 5280 4.2.1.6, RFC 6125 6.4.3).

A hit is a candidate: what it is worth is judged later, over the warehouse. So this errs towards matching. Every
question is a look-up, so 100,000 watched things cost what ten do.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

from intel.match.hits import PATTERNS, By, Certificate, Hit
from intel.match.keywords import Keywords
from intel.match.lookalikes import Lookalikes
from intel.match.near import WordIndex
from intel.match.texts import TextPatterns
from intel.names import default_suffixes

__all__ = ["MAX_COVERED", "PATTERNS", "By", "Certificate", "Hit", "WatchSet"]

MAX_COVERED: Final = 16
"""Hits that one wildcard name makes at most by covering watched names."""
_LONGEST_ISSUER: Final = 1024  # octets; real ones have a tenth
_MAX_NAME: Final = 253  # RFC 1035 2.3.4; more octets would only make the walk over the parents long
_ISSUERS: Final = 4096  # issuers whose digest is remembered


@dataclass(frozen=True, kw_only=True)
class WatchSet:
    """What is watched of certificates. It never changes: a new one takes its place, in one assignment.

    `scopes` are registrable domains, met by every name that somebody holds under exactly that one. `subtrees` are
    names, met by themselves and by all below. `zones` are the same where strangers hold what is below (a public or
    dynamic-DNS suffix). `names` are met by themselves alone. Names are canonical, addresses and networks (CIDR) too.
    `certificates` are SHA-256 of the DER, `keys` SHA-256 of the SPKI, 32 octets each.

    `lookalikes` are registrable domains and labels that others imitate, `keywords` parts of names, `issuers` and
    `subjects` patterns of distinguished names, `serials` an issuer's digest and a serial number; all in the form of
    `intel.match.patterns`.

    The indexes are built when they are first asked: about 3 s and 90 MB with 100,000 in each list. Pickled, and
    compared, a set is its lists alone.
    """

    scopes: frozenset[str] = frozenset()
    subtrees: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    certificates: frozenset[bytes] = frozenset()
    keys: frozenset[bytes] = frozenset()
    lookalikes: frozenset[str] = frozenset()
    keywords: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    serials: frozenset[str] = frozenset()

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @cached_property
    def _below(self) -> frozenset[str]:
        return self.scopes | self.subtrees | self.zones

    @cached_property
    def _covered(self) -> _Covered:
        return _Covered(self.scopes | self.subtrees | self.names)

    @cached_property
    def _widths(self) -> dict[int, tuple[tuple[int, dict[int, str]], ...]]:
        return _by_width(self.addresses)

    @cached_property
    def imitated(self) -> Lookalikes | None:
        """The index of `lookalikes`; None where there are none."""
        return Lookalikes(self.lookalikes) if self.lookalikes else None

    @cached_property
    def words(self) -> Keywords | None:
        """The index of `keywords`; None where there are none."""
        return Keywords(self.keywords) if self.keywords else None

    @cached_property
    def _issuers(self) -> TextPatterns:
        return TextPatterns(self.issuers)

    @cached_property
    def _subjects(self) -> TextPatterns:
        return TextPatterns(self.subjects)

    @cached_property
    def _issuer_digests(self) -> dict[bytes, str]:
        return {}

    def prepare(self) -> WatchSet:
        """Build every index now, rather than when it is first asked; returns itself."""
        for name, member in vars(WatchSet).items():
            if isinstance(member, cached_property):
                getattr(self, name)
        return self

    def match(
        self, view: Certificate, digests: Collection[bytes] = (), *, learned: AbstractSet[bytes] = frozenset()
    ) -> tuple[Hit, ...]:
        """What of the set the certificate touches, each once.

        `digests` are the SHA-256 that the certificate goes by, `learned` further keys that count as watched.
        """
        hits: dict[Hit, None] = {}
        bare = [self._name(name, hits) for name in view.names]
        if self.imitated is not None:
            self._lookalikes(self.imitated, view.names, bare, hits)
        if self.addresses:
            for address in view.ip_addresses:
                self._address(address, hits)
        for digest in digests:
            if digest in self.certificates:
                hits[Hit(by=By.CERTIFICATE, watched=digest.hex(), named=digest.hex())] = None
        key = view.spki_sha256
        if key is not None and (key in self.keys or key in learned):
            hits[Hit(by=By.KEY, watched=key.hex(), named=key.hex())] = None
        if self.words is not None:
            for one in self.words.find(view.names):
                hits[Hit(by=By.KEYWORD, watched=one.keyword, named=one.name, why=one.why)] = None
        if self.issuers:
            for pattern in self._issuers.remembered(view.issuer):
                hits[Hit(by=By.ISSUER, watched=pattern, named=view.issuer)] = None
        if self.subjects:
            for pattern in self._subjects.find(view.subject):
                hits[Hit(by=By.SUBJECT, watched=pattern, named=view.subject)] = None
        if self.serials:
            serial = f"{self._issuer_digest(view.issuer_der)}/{view.serial_hex}"
            if serial in self.serials:
                hits[Hit(by=By.SERIAL, watched=serial, named=view.serial_hex)] = None
        return tuple(hits)

    def _name(self, name: str, hits: dict[Hit, None]) -> str:
        """Look a name up; returns what of it is one name."""
        tail, starred = _certain(name)
        if starred:
            for watched in self._covered.under(tail):
                hits[Hit(by=By.WILDCARD, watched=watched, named=name)] = None
        if tail in self.names:
            hits[Hit(by=By.NAME, watched=tail, named=name)] = None
        bare, below = tail, self._below
        while tail:
            if tail in below:
                self._under(tail, bare, name, hits)
            tail = tail.partition(".")[2]
        return bare

    def _under(self, watched: str, bare: str, name: str, hits: dict[Hit, None]) -> None:
        if watched in self.subtrees:
            hits[Hit(by=By.SUBTREE, watched=watched, named=name)] = None
        if watched in self.zones:
            hits[Hit(by=By.ZONE, watched=watched, named=name)] = None
        if watched in self.scopes and default_suffixes().registrable(bare) == watched:
            hits[Hit(by=By.SCOPE, watched=watched, named=name)] = None

    def _lookalikes(
        self, imitated: Lookalikes, names: Sequence[str], bare: Sequence[str], hits: dict[Hit, None]
    ) -> None:
        asked: set[str] = set()
        judged: set[tuple[str, str]] = set()
        registrable = default_suffixes().registrable
        for name, tail in zip(names, bare, strict=True):
            # Most certificates name a domain, and the same behind "www." or "*.".
            one = tail.removeprefix("www.")
            if one in asked or "." not in one:
                continue
            asked.add(one)
            for found in imitated.find(one, registrable(one)):
                # Of names that imitate in one way, as all below one domain may, the first stands for the rest.
                if (found.watched, found.why) not in judged:
                    judged.add((found.watched, found.why))
                    hits[Hit(by=By.LOOKALIKE, watched=found.watched, named=name, why=found.why)] = None

    def _address(self, text: str, hits: dict[Hit, None]) -> None:
        address = ipaddress.ip_address(text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        number = int(address)
        for shift, networks in self._widths.get(address.version, ()):
            watched = networks.get(number >> shift)
            if watched is not None:
                hits[Hit(by=By.NETWORK if shift else By.ADDRESS, watched=watched, named=text)] = None

    def _issuer_digest(self, der: bytes) -> str:
        if len(der) > _LONGEST_ISSUER:  # nothing that is worth keeping
            return hashlib.sha256(der).hexdigest()
        known = self._issuer_digests.get(der)
        if known is None:
            if len(self._issuer_digests) >= _ISSUERS:
                self._issuer_digests.clear()
            known = self._issuer_digests[der] = hashlib.sha256(der).hexdigest()
        return known


def _certain(name: str) -> tuple[str, bool]:
    """What of a name is one name, and whether a wildcard stands directly before it.

    A wildcard may stand anywhere in real certificates: what is behind the last one is certain.
    """
    tail = name if len(name) <= _MAX_NAME else name[-_MAX_NAME:].partition(".")[2]
    if "*" in tail or "?" in tail:
        return tail[max(tail.rfind("*"), tail.rfind("?")) :].partition(".")[2], True
    return tail, False


class _Covered:
    """Watched names by their parent: the first few of each, in the order of the alphabet, that a wildcard covers."""

    def __init__(self, names: Iterable[str]) -> None:
        kept: list[str] = []
        last, count = "", 0
        for name in sorted(sorted(names), key=lambda name: name.partition(".")[2]):
            parent = name.partition(".")[2]
            count = count + 1 if parent == last else 1
            last = parent
            if parent and count <= MAX_COVERED:
                kept.append(name)
        self._names: Final = kept
        self._index: Final = WordIndex(
            ((number, name.partition(".")[2]) for number, name in enumerate(kept)), len(kept)
        )

    def under(self, parent: str) -> Iterable[str]:
        """What stands directly below."""
        for number in self._index.at(parent):
            name = self._names[number]
            if name.partition(".")[2] == parent:
                yield name


def _by_width(addresses: Iterable[str]) -> dict[int, tuple[tuple[int, dict[int, str]], ...]]:
    """For each IP version: (bits to drop, the networks of that width by what is left of their address)."""
    found: dict[int, dict[int, dict[int, str]]] = {}
    for text in addresses:
        network = ipaddress.ip_network(text, strict=False)
        shift = network.max_prefixlen - network.prefixlen
        found.setdefault(network.version, {}).setdefault(shift, {})[int(network.network_address) >> shift] = text
    return {version: tuple(sorted(widths.items(), key=lambda pair: pair[0])) for version, widths in found.items()}
