"""Names that other readers find in odd certificates, and how many of them ours misses: zlint, x509-limbo, ct-go.

In: the folder of real data. Out: a table, and the number of names missed. OpenSSL is a process for each certificate.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from intel.errors import ReadError
from intel.x509 import read_certificate
from intel.x509_fast import read_fast_certificate
from lab.bench._reading_peers import Peer, could_be_a_name, peers
from lab.bench.result import Table

FAMILIES: Final = ("zlint", "x509-limbo", "ct-go")
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]+)-----END")


def certificates(data: Path) -> Iterator[tuple[str, bytes]]:
    """The DER of every certificate below `data`, with the name of its corpus; a file may hold several."""
    for family in FAMILIES:
        for path in sorted((data / "certificates" / family).rglob("*")):
            if not path.is_file():
                continue
            octets = path.read_bytes()
            if path.suffix == ".der" and not path.name.startswith("ocsp"):
                yield family, octets
            # In JSON, PEM's line feeds are escaped.
            for match in _PEM.finditer(octets.replace(b"\\n", b"\n")):
                yield family, base64.b64decode(match.group(1))


def comparable(name: str) -> str:
    """A name as ours are written, an address in its short form."""
    text = name.strip().lower().strip(".")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def missed(peer: Peer, der: bytes) -> set[str]:
    """What the peer reads as a name and we do not."""
    found = {name for name in peer(der) or () if could_be_a_name(name)}
    try:
        view = read_certificate(der)
    except ReadError:
        return found
    ours = {*map(comparable, view.names), *view.ip_addresses}
    return {name for name in found if comparable(name) not in ours}


def compare(data: Path) -> tuple[Table, int]:
    """Every certificate, by every reader at hand."""
    readers = peers()
    counts: Counter[tuple[str, str]] = Counter()
    for family, der in certificates(data):
        counts[family, "certificates"] += 1
        counts[family, "fast"] += read_fast_certificate(der, 0, len(der)) is not None
        try:
            view = read_certificate(der)
        except ReadError:
            counts[family, "refused by us"] += 1
        else:
            counts[family, "names by us"] += len(view.names) + len(view.ip_addresses)
        for name, peer in readers.items():
            found = peer(der)
            counts[family, f"refused by {name}"] += found is None
            counts[family, f"names by {name}"] += sum(map(could_be_a_name, found or ()))
            counts[family, f"missed, read by {name}"] += len(missed(peer, der))
    columns = ["certificates", "fast", "names by us", "refused by us"]
    columns += [f"{what} {name}" for name in readers for what in ("names by", "refused by", "missed, read by")]
    rows: list[tuple[str | int | float, ...]] = [
        (what, *(counts[family, what] for family in FAMILIES)) for what in columns
    ]
    total = sum(count for (_, what), count in counts.items() if what.startswith("missed"))
    return Table(title="Names in odd certificates", columns=("", *FAMILIES), rows=tuple(rows)), total
