"""Certificates of an invented Web PKI by the hundred thousand: a seed and a number in, DER out, always the same.

They have the shape and the sizes of real ones (RFC 5280, RFC 6962 3): precertificates and final ones, EC and RSA keys,
SCTs, AIA, policies, a revocation list, one name or a few. They are put together from octets, for the sake of speed: EC
keys are points of the curve, RSA keys and every signature are random octets. Names are reserved ones.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from intel.ct import vector24

BLOCK: Final = 256
"""Certificates that are made from one source of chance, so that a block can be made alone."""
FIRST: Final = datetime(2026, 6, 1, tzinfo=UTC)
_EVERY_MS: Final = 3

_EC_KEY: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_RSA_KEY: Final = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100")
_ECDSA_SHA384: Final = bytes.fromhex("300a06082a8648ce3d040303")
_RSA_SHA256: Final = bytes.fromhex("300d06092a864886f70d01010b0500")
_VERSION: Final = bytes.fromhex("a003020102")
_USAGE: Final = {
    True: bytes.fromhex("300e0603551d0f0101ff040403020780"),
    False: bytes.fromhex("300e0603551d0f0101ff0404030205a0"),
}
_SERVERS: Final = bytes.fromhex("30130603551d25040c300a06082b06010505070301")
_SERVERS_AND_CLIENTS: Final = bytes.fromhex("301d0603551d250416301406082b0601050507030106082b06010505070302")
_NO_AUTHORITY: Final = bytes.fromhex("300c0603551d130101ff04023000")
_AUTHORITY: Final = bytes.fromhex("300f0603551d130101ff040530030101ff")
_POISON: Final = bytes.fromhex("3013060a2b06010401d6790204030101ff04020500")
_WORDS: Final = (
    *("harbour", "parcel", "invoice", "garden", "bakery", "cloud", "mail", "portal", "shop", "school", "clinic"),
    *("studio", "music", "travel", "hotel", "news", "forum", "stats", "cdn", "static", "api", "login", "vpn", "office"),
    *("remote", "backup", "print", "photo", "video", "kitchen", "bike", "river", "stone", "field", "winter"),
)
_HOSTS: Final = ("www", "mail", "api", "cdn", "dev", "staging", "autodiscover", "cpanel", "webmail", "shop", "app")
_ZONES: Final = (".example", ".example", ".example", ".test")


class Made(msgspec.Struct, frozen=True):
    """A certificate as a log takes it. `signed` is the certificate, or a precertificate's bare TBSCertificate."""

    number: int
    timestamp: int
    """Milliseconds since 1970 UTC."""
    signed: bytes
    precertificate: bytes
    """b"" for a final certificate."""
    names: tuple[str, ...]
    issuer: Issuer


class Issuer(msgspec.Struct, frozen=True):
    """An authority: `chain` are its certificate and its root's. What every certificate of it repeats is ready."""

    label: str
    elliptic: bool
    name: bytes
    key_hash: bytes
    """SHA-256 of its SPKI (RFC 6962 3.2)."""
    chain: tuple[bytes, bytes]
    chain_octets: bytes
    """As extra_data holds the chain (RFC 6962 4.6)."""
    fingerprints: bytes
    """As a data tile holds the chain (static-ct-api): u16 length, SHA-256 of each."""
    extensions: bytes


def made(start: int, stop: int, *, seed: str = "bulk", special: Callable[[int], str] | None = None) -> Iterator[Made]:
    """The certificates from number `start` (a multiple of 256) to `stop`.

    `special` may give a further name that the certificate of that number has; "" is none.
    """
    if start % BLOCK:
        raise ValueError(f"blocks begin at multiples of {BLOCK}")
    issuers = authorities(seed)
    for block in range(start, stop, BLOCK):
        chance = random.Random(f"{seed} {block}")
        for number in range(block, min(block + BLOCK, stop)):
            yield _one(number, chance, issuers, special(number) if special is not None else "")


@cache
def authorities(seed: str = "bulk") -> tuple[Issuer, ...]:
    """Who issues: two with EC keys, two with RSA keys."""
    chance = random.Random(f"{seed} authorities")
    return tuple(
        _issuer(label, elliptic, chance)
        for label, elliptic in (("E1", True), ("E2", True), ("R1", False), ("R2", False))
    )


def _one(number: int, chance: random.Random, issuers: Sequence[Issuer], special: str) -> Made:
    # With these shares a data tile holds about 1,590 octets an entry, as real ones do.
    elliptic, precert = chance.random() < 0.7, chance.random() < 0.7
    issuer = issuers[(0 if elliptic else 2) + (number & 1)]
    names = _names(number, chance)
    if special:
        names = (special, *names)
    timestamp = int(FIRST.timestamp() * 1000) + number * _EVERY_MS
    not_before = FIRST + timedelta(milliseconds=number * _EVERY_MS) - timedelta(hours=1)
    head = b"".join(
        (
            _VERSION,
            b"\x02\x12\x04" + chance.randbytes(17),
            _ECDSA_SHA384 if issuer.elliptic else _RSA_SHA256,
            issuer.name,
            _validity(not_before, timedelta(days=90)),
            _distinguished((_COMMON_NAME, names[0][:64])),
            _ec_key(chance) if elliptic else _rsa_key(chance),
        )
    )
    extensions = b"".join(
        (
            _USAGE[elliptic],
            _SERVERS if number % 4 else _SERVERS_AND_CLIENTS,
            _NO_AUTHORITY,
            _extension("551d0e", tlv(0x04, chance.randbytes(20))),
            issuer.extensions,
            _extension("551d11", tlv(0x30, *(tlv(0x82, name.encode()) for name in names))),
        )
    )
    if precert:
        # The same octets with the poison, and signed; what the tree covers is without it.
        tbs = tlv(0x30, head, tlv(0xA3, tlv(0x30, extensions)))
        poisoned = tlv(0x30, head, tlv(0xA3, tlv(0x30, extensions, _POISON)))
        return Made(number, timestamp, tbs, _sealed(poisoned, issuer.elliptic, chance), names, issuer)
    scts = _sct(chance, timestamp) + _sct(chance, timestamp + 7)
    listed = _extension("2b06010401d679020402", tlv(0x04, len(scts).to_bytes(2, "big") + scts))
    tbs = tlv(0x30, head, tlv(0xA3, tlv(0x30, extensions, listed)))
    return Made(number, timestamp, _sealed(tbs, issuer.elliptic, chance), b"", names, issuer)


def _names(number: int, chance: random.Random) -> tuple[str, ...]:
    label = f"{chance.choice(_WORDS)}-{chance.choice(_WORDS)}-{_base36(number)}"
    if chance.random() < 0.01:
        label = f"xn--{label}-q9a"
    domain = label + chance.choice(_ZONES)
    draw = chance.random()
    if draw < 0.1:
        return (f"*.{domain}", domain)
    if draw < 0.45:
        return (domain, f"www.{domain}")
    if draw < 0.6:
        return (domain,)
    if draw < 0.96:
        return (f"{chance.choice(_HOSTS)}.{domain}",)
    count = 30 if draw > 0.996 else 3 + number % 3
    return (domain, *(f"{_HOSTS[at % len(_HOSTS)]}{at}.{domain}" for at in range(1, count)))


def _base36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def _ec_key(chance: random.Random) -> bytes:
    key = ec.derive_private_key(chance.getrandbits(255) + 1, _CURVE).public_key()
    return _EC_KEY + key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


_CURVE: Final = ec.SECP256R1()


def _rsa_key(chance: random.Random) -> bytes:
    modulus = bytes((0x80 | chance.getrandbits(7),)) + chance.randbytes(254) + bytes((chance.getrandbits(8) | 1,))
    return _RSA_KEY + modulus + b"\x02\x03\x01\x00\x01"


def _sealed(tbs: bytes, elliptic: bool, chance: random.Random) -> bytes:
    if elliptic:
        numbers = (bytes((1 + chance.getrandbits(6),)) + chance.randbytes(47) for _ in range(2))
        signature = tlv(0x30, *(tlv(0x02, number) for number in numbers))
        return tlv(0x30, tbs, _ECDSA_SHA384, tlv(0x03, b"\x00" + signature))
    return tlv(0x30, tbs, _RSA_SHA256, tlv(0x03, b"\x00" + chance.randbytes(256)))


def _sct(chance: random.Random, timestamp: int) -> bytes:
    """One SCT (RFC 6962 3.2), its length in front, of a log that states indexes."""
    first, second = (bytes((1 + chance.getrandbits(6),)) + chance.randbytes(31) for _ in range(2))
    signature = tlv(0x30, tlv(0x02, first), tlv(0x02, second))
    body = b"".join(
        (
            b"\x00",
            hashlib.sha256(bytes((chance.getrandbits(3),))).digest(),
            timestamp.to_bytes(8, "big"),
            b"\x00\x08\x00\x00\x05" + chance.randbytes(5),
            b"\x04\x03" + len(signature).to_bytes(2, "big") + signature,
        )
    )
    return len(body).to_bytes(2, "big") + body


def _issuer(label: str, elliptic: bool, chance: random.Random) -> Issuer:
    root_name = _distinguished((_COUNTRY, "XX"), (_ORGANISATION, "Invented Trust"), (_COMMON_NAME, "Invented Root X1"))
    name = _distinguished((_COUNTRY, "XX"), (_ORGANISATION, "Invented Trust"), (_COMMON_NAME, label))
    key = _ec_key(chance) if elliptic else _rsa_key(chance)
    key_identifier = chance.randbytes(20)
    root = _authority(root_name, root_name, _rsa_key(chance), chance, chance.randbytes(20))
    own = _authority(name, root_name, key, chance, key_identifier)
    locations = tlv(
        0x30,
        tlv(
            0x30, bytes.fromhex("06082b06010505073002"), tlv(0x86, f"http://{label}.i.trust.example/".lower().encode())
        ),
    )
    revoked = tlv(0x86, f"http://{label}.c.trust.example/37.crl".lower().encode())
    return Issuer(
        label=label,
        elliptic=elliptic,
        name=name,
        key_hash=hashlib.sha256(key).digest(),
        chain=(own, root),
        chain_octets=vector24(vector24(own) + vector24(root)),
        fingerprints=b"\x00\x40" + hashlib.sha256(own).digest() + hashlib.sha256(root).digest(),
        extensions=_extension("551d23", tlv(0x30, tlv(0x80, key_identifier)))
        + _extension("2b06010505070101", locations)
        + _policies()
        + _extension("551d1f", tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA0, revoked))))),
    )


def _authority(subject: bytes, issuer: bytes, key: bytes, chance: random.Random, key_identifier: bytes) -> bytes:
    extensions = _AUTHORITY + _extension("551d0e", tlv(0x04, key_identifier)) + _policies()
    tbs = tlv(
        0x30,
        _VERSION,
        b"\x02\x10\x04" + chance.randbytes(15),
        _RSA_SHA256,
        issuer,
        _validity(FIRST - timedelta(days=700), timedelta(days=3650)),
        subject,
        key,
        tlv(0xA3, tlv(0x30, extensions)),
    )
    return tlv(0x30, tbs, _RSA_SHA256, tlv(0x03, b"\x00" + chance.randbytes(512)))


def _policies() -> bytes:
    """Domain validated (2.23.140.1.2.1), and the authority's own with the page of its practices (RFC 5280 4.2.1.4)."""
    page = tlv(0x30, bytes.fromhex("06082b06010505070201"), tlv(0x16, b"https://practices.trust.example/"))
    own = tlv(0x30, bytes.fromhex("06092b0601040184879f01"), tlv(0x30, page))
    return _extension("551d20", tlv(0x30, tlv(0x30, bytes.fromhex("060667810c010201")), own))


_COUNTRY: Final = bytes.fromhex("0603550406")
_ORGANISATION: Final = bytes.fromhex("060355040a")
_COMMON_NAME: Final = bytes.fromhex("0603550403")


def _distinguished(*attributes: tuple[bytes, str]) -> bytes:
    return tlv(0x30, *(tlv(0x31, tlv(0x30, oid, tlv(0x0C, text.encode()))) for oid, text in attributes))


def _validity(not_before: datetime, length: timedelta) -> bytes:
    return tlv(0x30, *(tlv(0x17, f"{moment:%y%m%d%H%M%SZ}".encode()) for moment in (not_before, not_before + length)))


def _extension(oid: str, value: bytes) -> bytes:
    return tlv(0x30, tlv(0x06, bytes.fromhex(oid)), tlv(0x04, value))


def tlv(tag: int, *parts: bytes) -> bytes:
    """A DER element: tag, length, contents (X.690 8.1)."""
    body = b"".join(parts)
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + body
