"""A log of hundreds of thousands of entries, for rates and memory: made once into a folder, served from it as it is.

In: how many distinct entries (a power of two), and what some of them name. Out: a folder with every answer ready, and a
server in a process of its own (`lab/ct_big_server.py`). `url(size)` is a log of `size` entries, over RFC 6962 and over
tiles alike: below its `ct/v1/` and beside its `checkpoint`. Over RFC 6962 the entries begin anew where they end, so
that it may have millions; leaves repeat then, and the tree is the tree of them all.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import subprocess
import sys
import time
import urllib.request
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from intel.ct import EntryType, TimestampedEntry, vector24, write_leaf
from intel.ct_static import TILE_WIDTH
from intel.errors import UnavailableError
from intel.merkle import leaf_hash
from intel.settings import CHECKOUT
from lab.certificates import key_from_seed, spki_der
from lab.certificates_bulk import Made, authorities, made

KEY_SEED: Final = "lab big log"
_START_SECONDS: Final = 30.0


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder holds. `special` are the numbers of entries that name something further, and what."""

    entries: int
    special: dict[int, str]
    tile_bytes: int
    """Octets of all data tiles, unpacked."""
    packed_bytes: int
    json_bytes: int
    seconds: float


def make_big(
    folder: Path, entries: int, *, seed: str = "bulk", special: Callable[[int], str] | None = None, level: int = 6
) -> About:
    """Write the log's answers into `folder`; `level` is gzip's. See `lab.certificates_bulk.made` for `special`."""
    if entries < TILE_WIDTH or entries & (entries - 1):
        raise ValueError("the number of distinct entries is a power of two, 256 at least")
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    named: dict[int, str] = {}
    raw = 0
    with _Pieces(folder / "entries") as listed, _Pieces(folder / "tiles") as tiles, _Leaves(folder) as leaves:
        tile: list[bytes] = []
        for one in made(0, entries, seed=seed, special=special):
            if special is not None and (name := special(one.number)):
                named[one.number] = name
            leaf, tiled = _leaves(one)
            leaves.add(leaf, tiled)
            listed.add(_entry_json(one, leaf))
            own = vector24(one.precertificate) if one.precertificate else b""
            tile.append(tiled[2:] + own + one.issuer.fingerprints)
            if len(tile) == TILE_WIDTH:
                body = b"".join(tile)
                raw += len(body)
                tiles.add(gzip.compress(body, level, mtime=0))
                tile.clear()
    about = About(
        entries=entries,
        special=named,
        tile_bytes=raw,
        packed_bytes=tiles.written,
        json_bytes=listed.written,
        seconds=round(time.monotonic() - began, 1),
    )
    for issuer in authorities(seed):
        for at, certificate in enumerate(issuer.chain):
            fingerprint = issuer.fingerprints[2 + 32 * at : 34 + 32 * at]
            (folder / f"issuer-{fingerprint.hex()}").write_bytes(certificate)
    (folder / "about.json").write_bytes(msgspec.json.encode(about))
    return about


def _leaves(one: Made) -> tuple[bytes, bytes]:
    """The MerkleTreeLeaf as a log of RFC 6962 has it, and as a tiled one, which states the index."""
    entry = TimestampedEntry(
        timestamp=one.timestamp,
        entry_type=EntryType.PRECERT if one.precertificate else EntryType.X509,
        signed=one.signed,
        issuer_key_hash=one.issuer.key_hash if one.precertificate else b"",
    )
    leaf = write_leaf(entry)
    return leaf, leaf[:-2] + b"\x00\x08\x00\x00\x05" + one.number.to_bytes(5, "big")


def _entry_json(one: Made, leaf: bytes) -> bytes:
    extra = (vector24(one.precertificate) if one.precertificate else b"") + one.issuer.chain_octets
    return b'{"leaf_input":"%b","extra_data":"%b"},' % (base64.b64encode(leaf), base64.b64encode(extra))


class _Pieces:
    """A file of pieces, one behind the other, and where each begins and the last one ends (u64, native)."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._path = path
        self._offsets = array("Q", [0])

    @property
    def written(self) -> int:
        return self._offsets[-1]

    def add(self, piece: bytes) -> None:
        self._file.write(piece)
        self._offsets.append(self._offsets[-1] + len(piece))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.with_suffix(".offsets").write_bytes(self._offsets.tobytes())


class _Leaves:
    """The leaf hashes of both trees, one behind the other."""

    def __init__(self, folder: Path) -> None:
        self._files = (folder / "leaves").open("wb"), (folder / "tiled-leaves").open("wb")

    def add(self, leaf: bytes, tiled: bytes) -> None:
        for file, octets in zip(self._files, (leaf, tiled), strict=True):
            file.write(leaf_hash(octets))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()


class BigLog:
    """A served folder."""

    def __init__(self, host: str, port: int, pid: int, about: About) -> None:
        self.address: Final = host, port
        self.pid: Final = pid
        self.about: Final = about
        self.key_der: Final = spki_der(key_from_seed(KEY_SEED))

    def url(self, size: int) -> str:
        """The prefix of the log of `size` entries, without a slash at its end. `size` is a multiple of 256."""
        return f"http://{self.address[0]}:{self.address[1]}/{size}"

    def stats(self) -> dict[str, Any]:
        """Since the last time it was asked: requests, entries, octets, and the server's CPU and wall seconds.

        `first` is when entries were asked for first, of time.monotonic(), which all processes share; 0 if never.
        """
        with urllib.request.urlopen(f"http://{self.address[0]}:{self.address[1]}/stats", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextlib.contextmanager
def serve_big(folder: Path, *, maximum: int = 1024) -> Iterator[BigLog]:
    """Serve the folder from a process of its own until the block ends; `maximum` entries an answer at most."""
    about = msgspec.json.decode((folder / "about.json").read_bytes(), type=About)
    command = (sys.executable, "-m", "lab.ct_big_server", str(folder), str(maximum))
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else b""
            if not line.strip().isdigit():
                raise UnavailableError("couldn't serve a big log: its process did not come up; nothing is measured")
            yield BigLog("127.0.0.1", int(line), process.pid, about)
        finally:
            # It ends when its standard input does.
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
