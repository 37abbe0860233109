"""What fuzzing begins with: well-formed octets for each target, of the invented world."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator

from intel.ct import EntryType, TimestampedEntry, vector24, write_leaf
from intel.merkle import EMPTY_ROOT, Frontier, leaf_hash
from intel.x509 import tbs_without_scts
from lab.certificates import Authority, Order, key_from_seed
from lab.certificates_bulk import made
from lab.fuzz.ber import BER_FORMS

_NAMES = ("www.example.com", "*.example.org", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7")


def seeds(target: str) -> list[bytes]:
    """Inputs for a target, small and different."""
    return list(
        {
            "certificate": _certificates,
            "leaf": _leaves,
            "tile": _tiles,
            "entries": _answers,
            "checkpoint": _checkpoints,
        }[target]()
    )


def _certificates() -> Iterator[bytes]:
    authority = Authority()
    order = Order(names=_NAMES, key=key_from_seed("seed"))
    final = authority.final(order, [b"one", b"two"])
    yield from (authority.issue(order), authority.precertificate(order), final, authority.certificate)
    yield tbs_without_scts(final)
    yield from (form(final) for form in BER_FORMS.values())
    yield from (one.signed for one in made(0, 24))


def _entries() -> Iterator[tuple[TimestampedEntry, bytes]]:
    for one in made(0, 12):
        kind = EntryType.PRECERT if one.precertificate else EntryType.X509
        entry = TimestampedEntry(
            timestamp=one.timestamp,
            entry_type=kind,
            signed=one.signed,
            issuer_key_hash=one.issuer.key_hash if one.precertificate else b"",
            extensions=b"\x00\x00\x05" + one.number.to_bytes(5, "big"),
        )
        yield entry, vector24(one.precertificate) if one.precertificate else b""


def _leaves() -> Iterator[bytes]:
    for entry, _ in _entries():
        yield write_leaf(entry)


def _tiles() -> Iterator[bytes]:
    tile = b""
    for entry, precertificate in _entries():
        tile += entry.to_bytes() + precertificate + b"\x00\x40" + bytes(64)
        if len(tile) < 8_000:
            yield tile


def _answers() -> Iterator[bytes]:
    for entry, precertificate in _entries():
        leaf, extra = (base64.b64encode(octets) for octets in (write_leaf(entry), precertificate + bytes(3)))
        yield b'{"entries":[{"leaf_input":"%b","extra_data":"%b"}]}' % (leaf, extra)


def _checkpoints() -> Iterator[bytes]:
    root = base64.b64encode(EMPTY_ROOT).decode()
    blob = base64.b64encode(b"\x01\x02\x03\x04" + struct.pack(">QBBH", 1_767_139_200_000, 4, 3, 8) + bytes(8)).decode()
    yield f"log.example\n0\n{root}\n\n\N{EM DASH} log.example {blob}\n".encode()
    yield Frontier().extend(leaf_hash(bytes([number])) for number in range(7)).to_bytes()
