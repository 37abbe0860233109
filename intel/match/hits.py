"""What is looked at and what comes out when certificates are matched: a certificate's view, a hit."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol

import msgspec


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
    LOOKALIKE = "lookalike"
    KEYWORD = "keyword"
    ISSUER = "issuer"
    SUBJECT = "subject"
    SERIAL = "serial"


PATTERNS: Final = frozenset({By.LOOKALIKE, By.KEYWORD, By.ISSUER, By.SUBJECT, By.SERIAL})
"""What is watched by a pattern, which is no entity."""
_TEACHES: Final = frozenset({By.SCOPE, By.SUBTREE, By.NAME, By.ADDRESS, By.CERTIFICATE})


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One match: `watched` is the watched thing, `named` what the certificate says, `why` in words where that differs.

    Digests are hexadecimal.
    """

    by: By
    watched: str
    named: str
    why: str = ""

    @property
    def pattern(self) -> str:
        """The value of the pattern's entity (`lookalike:example.com`); "" where an entity is watched."""
        return f"{self.by.value}:{self.watched}" if self.by in PATTERNS else ""

    @property
    def teaches(self) -> bool:
        """Whether the certificate's key is now worth watching.

        A wildcard that merely covers a watched name, a network or zone that others share, or what a pattern meets, may
        be a stranger's; a known key teaches nothing.
        """
        return self.by in _TEACHES


class Certificate(Protocol):
    """What is looked at: `intel.x509.CertificateView`, or what says the same of a certificate."""

    @property
    def names(self) -> tuple[str, ...]:
        """DNS names, lower-case."""

    @property
    def ip_addresses(self) -> tuple[str, ...]:
        """Addresses."""

    @property
    def issuer(self) -> str:
        """The issuer's name (RFC 4514)."""

    @property
    def subject(self) -> str:
        """The subject's name (RFC 4514)."""

    @property
    def issuer_der(self) -> bytes:
        """The issuer's name as the certificate has it."""

    @property
    def serial_hex(self) -> str:
        """The serial number: lower-case, an even number of digits."""

    @property
    def spki_sha256(self) -> bytes | None:
        """SHA-256 of the key, 32 octets."""
