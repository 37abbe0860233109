"""Wire formats of tiled logs (C2SP static-ct-api, tlog-tiles, signed-note): a log's bytes in, frozen records out."""

from __future__ import annotations

import binascii
import hashlib
from typing import Final

import msgspec

from intel.ct import (
    LoggedEntry,
    SignedTreeHead,
    at_milliseconds,
    entry_in_frame,
    log_id,
    read_digitally_signed,
)
from intel.ct_frames import EntryFrame, read_entry_frame
from intel.errors import OversizedError, ReadError, VerificationError
from intel.merkle import HASH_SIZE

TILE_WIDTH: Final = 256
_MAX_CHECKPOINT: Final = 16_384
_MAX_SIGNATURES: Final = 64
_RFC6962_NOTE: Final = b"\x05"  # the signature type of a tree head in a note (static-ct-api)
_LEAF_INDEX: Final = 0  # the one extension of static-ct-api


class NoteSignature(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a signed note: whose name, which key (4 octets) and the signature's octets."""

    name: str
    key_id: bytes
    blob: bytes


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A tiled log's signed tree head, as read: nothing in it is true before `tree_head` has checked it."""

    origin: str
    tree_size: int
    root_hash: bytes
    signatures: tuple[NoteSignature, ...]

    def tree_head(self, key_spki_der: bytes) -> SignedTreeHead:
        """The tree head that the log's key signed. Raises VerificationError where it signed none.

        The origin is bound by the key id alone: a note from another origin has another one. Signatures by others
        (witnesses) are passed over.
        """
        key_id = hashlib.sha256(self.origin.encode() + b"\n" + _RFC6962_NOTE + log_id(key_spki_der)).digest()[:4]
        for signature in self.signatures:
            if (signature.name, signature.key_id) != (self.origin, key_id) or len(signature.blob) < 8:
                continue
            timestamp = int.from_bytes(signature.blob[:8], "big")
            at_milliseconds(timestamp)
            head = SignedTreeHead(
                tree_size=self.tree_size,
                timestamp=timestamp,
                root_hash=self.root_hash,
                signature=read_digitally_signed(signature.blob[8:]),
            )
            head.verify(key_spki_der)
            return head
        raise VerificationError(f"couldn't verify a checkpoint of {self.tree_size} leaves: the log's key signed none")


def read_checkpoint(body: bytes) -> Checkpoint:
    """Read /checkpoint. Raises ReadError."""
    if len(body) > _MAX_CHECKPOINT:
        raise OversizedError(f"couldn't read a checkpoint: {len(body)} octets")
    try:
        text, separator, notes = body.decode("utf-8").partition("\n\n")
        origin, size, root = text.split("\n")
        if not separator or not origin or not size.isascii() or not size.isdigit() or str(int(size)) != size:
            raise ReadError("couldn't read a checkpoint: its lines are not origin, size and root")
        root_hash = binascii.a2b_base64(root, strict_mode=True)
    except ValueError as error:
        raise ReadError("couldn't read a checkpoint: its lines are not origin, size and root") from error
    if len(root_hash) != HASH_SIZE or int(size) >= 1 << 63:
        raise ReadError("couldn't read a checkpoint: its size or its root is out of range")
    lines = notes.split("\n")
    if lines.pop() != "" or not 0 < len(lines) <= _MAX_SIGNATURES:
        raise ReadError("couldn't read a checkpoint: its signatures are not lines")
    signatures = tuple(_note_signature(line) for line in lines)
    return Checkpoint(origin=origin, tree_size=int(size), root_hash=root_hash, signatures=signatures)


def _note_signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    try:
        blob = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError as error:
        raise ReadError("couldn't read a checkpoint: a signature is not base64") from error
    if dash != "\N{EM DASH}" or not name or len(blob) < 5:
        raise ReadError("couldn't read a checkpoint: a line is no signature")
    return NoteSignature(name=name, key_id=blob[:4], blob=blob[4:])


def tile_path(level: int | None, index: int, width: int = TILE_WIDTH) -> str:
    """The path below the monitoring prefix of a tile of hashes, or of entries where `level` is None.

    `width` below 256 asks for a partial tile, which exists only while a checkpoint implies it.
    """
    groups = f"{index % 1000:03d}"
    rest = index // 1000
    while rest:
        groups = f"x{rest % 1000:03d}/{groups}"
        rest //= 1000
    part = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{'data' if level is None else level}/{groups}{part}"


def read_hash_tile(data: bytes) -> list[bytes]:
    """The hashes of a tile, at most 256. Raises ReadError."""
    if not 0 < len(data) <= TILE_WIDTH * HASH_SIZE or len(data) % HASH_SIZE:
        raise ReadError(f"couldn't read a tile of hashes: {len(data)} octets is no length that one has")
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]


class TileLeaf(msgspec.Struct, gc=False):
    """Where an entry of a data tile stands: its TimestampedEntry from `start` on, its precertificate, its issuers.

    The precertificate (empty for a certificate) is `precertificate_at` to `precertificate_end`, the fingerprints of the
    chain are `issuers_at` to `end`.
    """

    start: int
    entry: EntryFrame
    precertificate_at: int
    precertificate_end: int
    issuers_at: int
    end: int


def read_tile_leaves(data: bytes, first_index: int) -> list[TileLeaf]:
    """Where the entries of a data tile (unpacked) stand. Raises ReadError where the framing breaks."""
    leaves: list[TileLeaf] = []
    pos, size = 0, len(data)
    while pos < size:
        if len(leaves) == TILE_WIDTH:
            raise ReadError(f"couldn't read the tile of entries from {first_index} on: more than {TILE_WIDTH}")
        try:
            leaf = _read_tile_leaf(data, pos)
        except (IndexError, ReadError) as error:
            index = first_index + len(leaves)
            raise ReadError(
                f"couldn't read the tile of entries from {first_index} on: its frame breaks at entry {index}; none of"
                " it is taken"
            ) from error
        leaves.append(leaf)
        pos = leaf.end
    return leaves


def _read_tile_leaf(data: bytes, pos: int) -> TileLeaf:
    """Raises ReadError and IndexError."""
    frame = read_entry_frame(data, pos)
    at = stop = frame.end
    if frame.entry_type:
        at += 3
        stop = at + (data[at - 3] << 16 | data[at - 2] << 8 | data[at - 1])
    octets = data[stop] << 8 | data[stop + 1]
    end = stop + 2 + octets
    if end > len(data) or octets % HASH_SIZE:
        raise ReadError("couldn't read a tile's entry: it ends early")
    return TileLeaf(pos, frame, at, stop, stop + 2, end)


def read_data_tile(data: bytes, first_index: int) -> list[LoggedEntry]:
    """The entries of a data tile (unpacked), whose first stands at `first_index`.

    An entry of another index than it stands at keeps a fault. Raises ReadError where the framing breaks: what comes
    after cannot be told apart.
    """
    leaves = read_tile_leaves(data, first_index)
    return [_tile_entry(data, leaf, index) for index, leaf in enumerate(leaves, first_index)]


def _tile_entry(data: bytes, leaf: TileLeaf, index: int) -> LoggedEntry:
    entry = entry_in_frame(data, leaf.entry)
    stated = leaf_index(entry.extensions)
    return LoggedEntry(
        index=index,
        leaf_input=b"\x00\x00" + data[leaf.start : leaf.entry.end],
        entry=entry,
        fault="" if stated == index else f"couldn't place entry {index}: it says that it is {stated}",
        precertificate=data[leaf.precertificate_at : leaf.precertificate_end],
        issuers=tuple(data[at : at + HASH_SIZE] for at in range(leaf.issuers_at, leaf.end, HASH_SIZE)),
    )


def leaf_index(extensions: bytes) -> int | None:
    """The index that an entry's extensions state (u8 type 0, u16 length 5, u40), None where they state none."""
    pos = 0
    while pos + 3 <= len(extensions):
        length = int.from_bytes(extensions[pos + 1 : pos + 3], "big")
        if extensions[pos] == _LEAF_INDEX and length == 5 and pos + 8 <= len(extensions):
            return int.from_bytes(extensions[pos + 3 : pos + 8], "big")
        pos += 3 + length
    return None
