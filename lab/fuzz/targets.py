"""What is fuzzed: a name for each reader, and a function that takes any octets and raises for a flaw alone.

`intel.errors.ReadError` is how a reader refuses; everything else that one raises is a flaw, and so are two readings
that differ.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from intel.ct import read_entries, read_leaf, write_leaf
from intel.ct_answer import Answer, AnswerFormat
from intel.ct_frames import read_leaf_frame
from intel.ct_static import TILE_WIDTH, read_checkpoint, read_data_tile, read_hash_tile
from intel.errors import ReadError
from intel.match.certificates import WatchSet
from intel.match.entries import judge
from intel.merkle import Frontier
from intel.x509 import read_certificate, read_tbs, tbs_without_scts
from intel.x509_fast import read_fast_certificate, read_fast_tbs
from intel.x509_raw import MAX_RAW_NAMES, raw_names
from lab.certificates import key_from_seed, spki_der
from lab.fuzz.oracle import agree, in_bounds, same_judgement

WATCH: Final = WatchSet(
    scopes=frozenset({"example.com", "harbour.example"}),
    subtrees=frozenset({"www.example.org"}),
    names=frozenset({"shop.example.net"}),
    addresses=frozenset({"192.0.2.0/24", "2001:db8::7"}),
    certificates=frozenset({bytes(32)}),
    keys=frozenset({bytes(32)}),
)
_LOG_KEY: Final = spki_der(key_from_seed("fuzzed log"))


def certificate(data: bytes) -> None:
    """The walks over certificates, leniently and fast, with anything before and behind."""
    for read, fast in ((read_certificate, read_fast_certificate), (read_tbs, read_fast_tbs)):
        with suppress(ReadError):
            tbs_without_scts(data)
        answered = fast(data, 0, len(data))
        try:
            view = read(data)
        except ReadError:
            assert answered is None
            continue
        in_bounds(view)
        if answered is not None:
            agree(answered, view, data)
        amid = fast(b"\x30\x82" + data + data, 2, 2 + len(data))
        assert (amid is None) == (answered is None)
        if answered is not None and amid is not None:
            assert (amid.names, amid.spki_sha256, amid.serial_hex) == (
                answered.names,
                answered.spki_sha256,
                answered.serial_hex,
            )
    found = raw_names(data)
    assert len(found) <= MAX_RAW_NAMES
    assert all("." in name and name == name.lower() for name in found)


def leaf(data: bytes) -> None:
    """MerkleTreeLeaf (RFC 6962 3.4)."""
    try:
        entry = read_leaf(data)
    except ReadError:
        return
    assert write_leaf(entry) == data
    frame = read_leaf_frame(data)
    assert data[frame.signed_at : frame.signed_end] == entry.signed


def tile(data: bytes) -> None:
    """Data tiles and tiles of hashes (static-ct-api); the entries of a tile are all of its octets."""
    with suppress(ReadError):
        assert b"".join(read_hash_tile(data)) == data
    try:
        entries = read_data_tile(data, 0)
    except ReadError:
        return
    again = b""
    for logged in entries:
        assert logged.entry is not None
        precertificate = logged.precertificate
        own = len(precertificate).to_bytes(3, "big") + precertificate if logged.entry.entry_type else b""
        issuers = b"".join(logged.issuers)
        again += logged.leaf_input[2:] + own + len(issuers).to_bytes(2, "big") + issuers
    assert again == data
    _judged(Answer(format=AnswerFormat.TILE, begins=0, first=0, next=TILE_WIDTH, body=data))
    _judged(Answer(format=AnswerFormat.TILE, begins=0, first=1, next=2, body=data))


def entries(data: bytes) -> None:
    """The answer to get-entries (RFC 6962 4.6)."""
    try:
        read_entries(data, 7)
    except ReadError:
        return
    _judged(Answer(format=AnswerFormat.ENTRIES, begins=7, first=7, next=7 + TILE_WIDTH, body=data))


def checkpoint(data: bytes) -> None:
    """Checkpoints (tlog-checkpoint, signed-note) and what we keep of a tree."""
    with suppress(ReadError):
        read_checkpoint(data).tree_head(_LOG_KEY)
    with suppress(ReadError):
        assert Frontier.from_bytes(data).to_bytes() == data


def _judged(answer: Answer) -> None:
    same_judgement(judge(answer, WATCH, archive=True), answer, WATCH)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "certificate": certificate,
    "leaf": leaf,
    "tile": tile,
    "entries": entries,
    "checkpoint": checkpoint,
}
