from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import (
    DigitallySigned,
    EntryType,
    TimestampedEntry,
    checked_precertificate,
    log_id,
    tree_head_message,
    vector24,
)
from intel.ct_static import (
    NoteSignature,
    leaf_index,
    read_checkpoint,
    read_data_tile,
    read_hash_tile,
    tile_path,
)
from intel.errors import ReadError, VerificationError
from intel.merkle import EMPTY_ROOT, Frontier
from intel.x509 import tbs_without_scts
from lab.certificates import Authority, Order, key_from_seed, sign, spki_der

ORIGIN = "log.example/2026h1"
KEY = key_from_seed("tiled log")
AUTHORITY = Authority()
PRECERTIFICATE = AUTHORITY.precertificate(Order(names=("www.example.com",), key=key_from_seed("server")))


def checkpoint(*, size: str = "0", root: bytes = EMPTY_ROOT, signed_size: int = 0, origin: str = ORIGIN) -> bytes:
    import hashlib

    timestamp = 1_767_312_000_000
    signature = sign(KEY, tree_head_message(timestamp, signed_size, root))
    blob = DigitallySigned(hash_algorithm=4, signature_algorithm=3, signature=signature).to_bytes()
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x05" + log_id(spki_der(KEY))).digest()[:4]
    line = base64.b64encode(key_id + timestamp.to_bytes(8, "big") + blob).decode()
    witness = base64.b64encode(b"\1\2\3\4" + bytes(72)).decode()
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n\n"
    return (text + f"— witness.example {witness}\n— {origin} {line}\n").encode()


def test_a_checkpoint_is_verified_among_the_signatures_of_witnesses() -> None:
    read = read_checkpoint(checkpoint())
    assert (read.origin, read.tree_size, read.root_hash) == (ORIGIN, 0, EMPTY_ROOT)
    assert [signature.name for signature in read.signatures] == ["witness.example", ORIGIN]
    head = read.tree_head(spki_der(KEY))
    assert (head.tree_size, head.timestamp) == (0, 1_767_312_000_000)


def test_a_checkpoint_that_the_log_did_not_sign_is_refused() -> None:
    for body, key in (
        (checkpoint(size="5"), KEY),
        (checkpoint(), key_from_seed("another log")),
        (checkpoint(origin="other.example"), KEY),
    ):
        with pytest.raises(VerificationError):
            read_checkpoint(body).tree_head(spki_der(key))
    read = read_checkpoint(checkpoint())
    cut = tuple(NoteSignature(name=one.name, key_id=one.key_id, blob=one.blob[:9]) for one in read.signatures)
    with pytest.raises(ReadError):
        msgspec.structs.replace(read, signatures=cut).tree_head(spki_der(KEY))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        checkpoint(size="-1"),
        checkpoint(size="007"),
        checkpoint(size="1_0"),
        checkpoint(size="٣"),
        checkpoint(size="9" * 5000),
        checkpoint(root=b"short"),
        checkpoint().replace(b"\n\n", b"\nextension\n\n"),
        checkpoint().replace("—".encode(), b"--"),
        checkpoint()[:-1],
        checkpoint() + b"\n",
        checkpoint().partition(b"\n\n")[0] + b"\n\n",
        checkpoint() + "— a AAAA\n".encode(),
        checkpoint() + "— a !\n".encode(),
        checkpoint() * 100,
    ],
)
def test_a_malformed_checkpoint_is_refused(body: bytes) -> None:
    with pytest.raises(ReadError):
        read_checkpoint(body)


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (1, 999, 256, "tile/1/999"),
        (0, 1000, 256, "tile/0/x001/000"),
        (0, 1234067, 256, "tile/0/x001/x234/067"),
        (None, 1_000_000, 256, "tile/data/x001/x000/000"),
        (None, 5, 44, "tile/data/005.p/44"),
    ],
)
def test_tile_paths(level: int | None, index: int, width: int, path: str) -> None:
    assert tile_path(level, index, width) == path


def entry_at(index: int, kind: EntryType, signed: bytes) -> TimestampedEntry:
    return TimestampedEntry(
        timestamp=index,
        entry_type=kind,
        signed=signed,
        issuer_key_hash=AUTHORITY.key_hash if kind else b"",
        extensions=b"\0\0\5" + index.to_bytes(5, "big"),
    )


def tile_leaf(entry: TimestampedEntry, precertificate: bytes = b"", issuers: bytes = b"") -> bytes:
    middle = vector24(precertificate) if entry.entry_type is EntryType.PRECERT else b""
    return entry.to_bytes() + middle + len(issuers).to_bytes(2, "big") + issuers


def test_a_data_tile_is_read() -> None:
    first = entry_at(256, EntryType.X509, b"certificate")
    second = entry_at(257, EntryType.PRECERT, tbs_without_scts(PRECERTIFICATE))
    tile = tile_leaf(first, issuers=b"a" * 32 + b"b" * 32) + tile_leaf(second, PRECERTIFICATE)
    read = read_data_tile(tile, 256)
    assert [logged.entry for logged in read] == [first, second]
    assert [logged.fault for logged in read] == ["", ""]
    assert read[0].issuers == (b"a" * 32, b"b" * 32)
    assert checked_precertificate(read[1]) == PRECERTIFICATE


def test_an_entry_in_another_place_keeps_a_fault() -> None:
    (read,) = read_data_tile(tile_leaf(entry_at(3, EntryType.X509, b"certificate")), 2)
    assert read.fault == "couldn't place entry 2: it says that it is 3"


@pytest.mark.parametrize(
    "tile",
    [
        b"\0",
        tile_leaf(entry_at(0, EntryType.X509, b"x"))[:-1],
        tile_leaf(entry_at(0, EntryType.X509, b"x"), issuers=b"short"),
        tile_leaf(entry_at(0, EntryType.X509, b"")) * 257,
    ],
)
def test_a_broken_data_tile_is_refused(tile: bytes) -> None:
    with pytest.raises(ReadError):
        read_data_tile(tile, 0)


def test_a_tile_of_hashes_has_whole_hashes() -> None:
    assert read_hash_tile(b"a" * 32 + b"b" * 32) == [b"a" * 32, b"b" * 32]
    for data in (b"", b"a" * 33, bytes(257 * 32)):
        with pytest.raises(ReadError):
            read_hash_tile(data)


def test_the_leaf_index_among_extensions() -> None:
    assert leaf_index(b"\0\0\5\0\0\0\1\0") == 256
    assert leaf_index(b"\7\0\1x\0\0\5\0\0\0\0\2") == 2
    for extensions in (b"", b"\0", b"\0\0\5\0", b"\7\0\1x", b"\0\0\4\0\0\0\0"):
        assert leaf_index(extensions) is None


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    leaf_index(data)
    for read in (read_checkpoint, read_hash_tile):
        with contextlib.suppress(ReadError):
            read(data)
    with contextlib.suppress(ReadError):
        read_data_tile(data, 0)


@settings(max_examples=100)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_lines_are_a_checkpoint_or_refused(text: str, notes: str) -> None:
    body = f"{ORIGIN}\n0\n{base64.b64encode(EMPTY_ROOT).decode()}{text}\n\n— {notes}\n"
    with contextlib.suppress(ReadError):
        read_checkpoint(body.encode())


@pytest.mark.data
def test_real_tiles_hash_to_the_published_ones(data_dir: Path) -> None:
    tiles = data_dir / "certificates" / "sunlight" / "navigli2025h2" / "tile"
    published: list[bytes] = []
    frontier = Frontier()
    for index in range(2):
        read = read_data_tile((tiles / "data" / f"{index:03d}").read_bytes(), 256 * index)
        published += read_hash_tile((tiles / "0" / f"{index:03d}").read_bytes())
        frontier = frontier.extend(logged.leaf_hash for logged in read)
        assert all(not logged.fault for logged in read)
        for logged in read:
            assert logged.entry is not None
            if logged.entry.entry_type is EntryType.PRECERT:
                assert checked_precertificate(logged) == logged.precertificate
    assert frontier == Frontier().extend(published)
    assert frontier.size == 512


@pytest.mark.data
def test_a_checkpoint_of_another_implementation_is_verified(data_dir: Path) -> None:
    folder = data_dir / "certificates" / "sunlight" / "skylight_tree"
    log = json.loads((folder / "log.v3.json").read_bytes())
    key = base64.b64decode(log["key"])
    assert base64.b64encode(log_id(key)).decode() == log["log_id"]
    head = read_checkpoint((folder / "checkpoint").read_bytes()).tree_head(key)
    assert head.tree_size == log["final_tree_head"]["tree_size"]
    assert base64.b64encode(head.root_hash).decode() == log["final_tree_head"]["sha256_root_hash"]
