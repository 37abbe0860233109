"""Certificates of an invented world: a seed and names in, DER out, the same octets every time.

Keys come from seeds, signatures are deterministic (RFC 6979), serials and dates are given or derived.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from intel.der import OCTET_STRING, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

# The order of P-256 (FIPS 186-4 D.1.2.3).
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SCT_LIST: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_VALID_FOR: Final = timedelta(days=90)
_AUTHORITY_FROM: Final = datetime(2025, 1, 1, tzinfo=UTC)
_AUTHORITY_FOR: Final = timedelta(days=3650)


def key_from_seed(seed: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key that the seed fixes: for the lab only, anyone can compute it."""
    secret = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big") % (_ORDER - 1) + 1
    return ec.derive_private_key(secret, ec.SECP256R1())


def spki_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The SubjectPublicKeyInfo of a key's public half."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """ECDSA with SHA-256 and without chance (RFC 6979), as DER."""
    return key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def sct_list(scts: Sequence[bytes]) -> bytes:
    """SignedCertificateTimestampList (RFC 6962 3.3)."""
    body = b"".join(len(sct).to_bytes(2, "big") + sct for sct in scts)
    return len(body).to_bytes(2, "big") + body


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a certificate should say. `names` may hold addresses; the serial comes from the rest where not given."""

    names: Sequence[str]
    key: ec.EllipticCurvePrivateKey
    not_before: datetime = _EPOCH
    valid_for: timedelta = _VALID_FOR
    serial: int | None = None
    common_name: str | None = None

    def resolved_serial(self, issuer: str) -> int:
        """The serial: 16 octets, positive."""
        if self.serial is not None:
            return self.serial
        text = "\n".join((issuer, *self.names, self.not_before.isoformat(), spki_der(self.key).hex()))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big") >> 1 | 1


class Authority:
    """An invented certificate authority with a self-signed certificate."""

    def __init__(self, name: str = "Lab Authority", *, seed: str | None = None) -> None:
        self.key: Final = key_from_seed(seed or f"authority {name}")
        self.name: Final = _name(name, organisation="Lab")
        self._label = name
        builder = (
            _builder(self.name, self.name, self.key, not_before=_AUTHORITY_FROM, valid_for=_AUTHORITY_FOR, serial=1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )
        self.certificate: Final = _sealed(builder, self.key)

    @property
    def key_hash(self) -> bytes:
        """RFC 6962 3.2, issuer_key_hash: SHA-256 of the SPKI."""
        return hashlib.sha256(spki_der(self.key)).digest()

    def issue(self, order: Order) -> bytes:
        """A certificate without SCTs."""
        return _sealed(self._leaf(order), self.key)

    def precertificate(self, order: Order) -> bytes:
        """The same with the poison (RFC 6962 3.1)."""
        return _sealed(self._leaf(order).add_extension(x509.PrecertPoison(), critical=True), self.key)

    def final(self, order: Order, scts: Sequence[bytes]) -> bytes:
        """The same with its SCTs: what a server presents."""
        listed = x509.UnrecognizedExtension(_SCT_LIST, wrap(OCTET_STRING, sct_list(scts)))
        return _sealed(self._leaf(order).add_extension(listed, critical=False), self.key)

    def _leaf(self, order: Order) -> x509.CertificateBuilder:
        subject = _name(order.common_name or next(iter(order.names), "unnamed"))
        builder = _ordered(order, subject, self.name, order.resolved_serial(self._label))
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return builder.add_extension(issuer_key, critical=False).add_extension(_san(order.names), critical=False)


def self_signed(order: Order) -> bytes:
    """A certificate that vouches for itself, as C2 servers present."""
    subject = _name(order.common_name or next(iter(order.names), "unnamed"))
    builder = _ordered(order, subject, subject, order.resolved_serial("self"))
    return _sealed(builder.add_extension(_san(order.names), critical=False), order.key)


def _ordered(order: Order, subject: x509.Name, issuer: x509.Name, serial: int) -> x509.CertificateBuilder:
    return _builder(subject, issuer, order.key, not_before=order.not_before, valid_for=order.valid_for, serial=serial)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    not_before: datetime,
    valid_for: timedelta,
    serial: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_before + valid_for)
    )


def _sealed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def _name(common_name: str, *, organisation: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]
    if organisation is not None:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _san(names: Sequence[str]) -> x509.SubjectAlternativeName:
    general: list[x509.GeneralName] = []
    for name in names:
        try:
            general.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            general.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(general)
