"""What is watched of certificates: fields of a watched item in, items out.

A certificate given as PEM is one watched certificate and several items, since logs and feeds call it by different
values: its fingerprints, the SHA-256 of its TBSCertificate (which its precertificate has too), its key, its issuer and
serial number.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from db.watching import Item
from intel.entities import Kind, entity
from intel.errors import ReadError
from intel.match.certificates import By
from intel.match.patterns import pattern
from intel.x509 import read_certificate, tbs_without_scts_sha256

PATTERNS: Final = {
    "lookalike": By.LOOKALIKE,
    "keyword": By.KEYWORD,
    "issuer": By.ISSUER,
    "subject": By.SUBJECT,
    "serial": By.SERIAL,
}
HASHES: Final = {"certificate": Kind.CERTIFICATE, "tbs": Kind.CERTIFICATE, "key": Kind.PUBLIC_KEY}
FIELDS: Final = ("certificate", "tbs", "key", "serial", "pem", "lookalike", "keyword", "issuer", "subject")

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
_LONGEST: Final = 200_000


def certificate_items(field: str, value: str, since: datetime | None) -> Iterator[Item]:
    """The items that a field (`FIELDS`) stands for. Raises ReadError where its value cannot be read."""
    if field == "pem":
        yield from _of_pem(value, since)
    elif field in PATTERNS:
        yield _pattern(PATTERNS[field], value, since)
    else:
        yield _hash(HASHES[field], value, since)


def expected_items(match: str, value: str) -> Iterator[Item]:
    """The item that lets findings on what has this SHA-256 say that it is expected. Raises ReadError."""
    named = entity(Kind.CERTIFICATE, value).value
    if not named.startswith("sha256:"):
        raise ReadError("couldn't read what is expected: it takes the SHA-256 of a certificate, its TBS or a key")
    yield Item(match=match, value=named)


def _of_pem(text: str, since: datetime | None) -> Iterator[Item]:
    der = _der(text)
    view = read_certificate(der)
    if view.spki_sha256 is None or not view.issuer_der or not view.serial_hex:
        raise ReadError("couldn't read a certificate: key, issuer or serial number are missing")
    yield _hash(Kind.CERTIFICATE, f"sha256:{hashlib.sha256(der).hexdigest()}", since)
    yield _hash(Kind.CERTIFICATE, f"sha1:{hashlib.sha1(der, usedforsecurity=False).hexdigest()}", since)
    yield _hash(Kind.CERTIFICATE, f"sha256:{tbs_without_scts_sha256(der).hex()}", since)
    yield _hash(Kind.PUBLIC_KEY, f"sha256:{view.spki_sha256.hex()}", since)
    yield _pattern(By.SERIAL, f"{hashlib.sha256(view.issuer_der).hexdigest()}/{view.serial_hex}", since)


def _der(text: str) -> bytes:
    """The one certificate of a PEM text (RFC 7468 5)."""
    if len(text) > _LONGEST:
        raise ReadError(f"couldn't read a PEM: {len(text)} characters are too many")
    if text.count(_BEGIN) != 1 or text.count(_END) != 1:
        raise ReadError("couldn't read a PEM: it takes exactly one certificate")
    body = text.partition(_BEGIN)[2].partition(_END)[0]
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReadError("couldn't read a PEM: it is not base64") from error


def _hash(kind: str, value: str, since: datetime | None) -> Item:
    return Item(match="entity", kind=str(kind), value=entity(kind, value).value, since=since)


def _pattern(by: By, value: str, since: datetime | None) -> Item:
    return Item(match="entity", kind=str(Kind.PATTERN), value=f"{by}:{pattern(by, value)}", since=since)
