"""Where a log's entries stand in its answers (RFC 6962 3.4 and 4.6): bytes in, offsets out.

Every entry of every log comes through here, and few are looked at further. So nothing is copied: `intel/ct.py` makes
records of the entries that are wanted.
"""

from __future__ import annotations

import binascii
import struct
from typing import Final

import msgspec

from intel.errors import ReadError

NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a log's JSON raises: a value that is nested ten thousand deep is one of its ways to be wrong."""


class EntryFrame(msgspec.Struct, gc=False):
    """Where a TimestampedEntry (RFC 6962 3.4) stands in octets: its certificate, its extensions, its end (exclusive).

    The entry type is the wire's number. `signed_at` to `signed_end` is the certificate or bare TBSCertificate;
    `extensions_at` to `end` are the extensions.
    """

    timestamp: int
    entry_type: int
    signed_at: int
    signed_end: int
    extensions_at: int
    end: int


def read_entry_frame(data: bytes, pos: int) -> EntryFrame:
    """The frame of the TimestampedEntry at `pos`. Raises ReadError."""
    try:
        timestamp, entry_type, high, low = _ENTRY_HEAD.unpack_from(data, pos)
        if entry_type == 0:
            start = pos + 13
        elif entry_type == 1:
            start = pos + 45
            high, low = _U24.unpack_from(data, start - 3)
        else:
            raise ReadError(f"couldn't read a log's entry: type {entry_type} is unknown; it is kept as unreadable")
        stop = start + (high << 16 | low)
        end = stop + 2 + (data[stop] << 8 | data[stop + 1])
    except (struct.error, IndexError) as error:
        raise ReadError("couldn't read a log's entry: it ends early; it is kept as unreadable") from error
    if end > len(data):
        raise ReadError("couldn't read a log's entry: its extensions end early; it is kept as unreadable")
    return EntryFrame(timestamp, entry_type, start, stop, stop + 2, end)


_ENTRY_HEAD: Final = struct.Struct(">QHBH")  # u64 timestamp, u16 type, and a certificate's u24 length
_U24: Final = struct.Struct(">BH")


def read_leaf_frame(leaf_input: bytes) -> EntryFrame:
    """The frame of the entry in a MerkleTreeLeaf (RFC 6962 3.4). Raises ReadError."""
    if leaf_input[:2] != b"\x00\x00":
        raise ReadError("couldn't read a log's entry: unknown version or leaf type; it is kept as unreadable")
    frame = read_entry_frame(leaf_input, 2)
    if frame.end != len(leaf_input):
        raise ReadError("couldn't read a log's entry: octets after its end; it is kept as unreadable")
    return frame


class RawEntry(msgspec.Struct, gc=False):
    """An entry of get-entries (RFC 6962 4.6): the leaf's octets, and what is beside it, still in base64."""

    leaf_input: bytes
    extra_data: str = ""

    def extra_octets(self) -> bytes:
        """What is beside the leaf; b"" where it is no base64, for the tree does not cover it."""
        try:
            return binascii.a2b_base64(self.extra_data, strict_mode=True) if self.extra_data else b""
        except ValueError:  # binascii.Error is one; so is a text that is not ASCII
            return b""

    def precertificate(self) -> bytes:
        """The precertificate that stands first in `extra_data`; b"" where it cannot be read."""
        try:
            length = int.from_bytes(binascii.a2b_base64(self.extra_data[:4]), "big")
            octets = binascii.a2b_base64(self.extra_data[: (length + 5) // 3 * 4])[: 3 + length]
        except ValueError:
            return b""
        return octets[3:] if len(octets) == 3 + length else b""


class _EntriesJson(msgspec.Struct):
    entries: list[RawEntry]


_ENTRIES: Final = msgspec.json.Decoder(_EntriesJson)


def read_raw_entries(body: bytes, start: int) -> list[RawEntry]:
    """Read the answer to get-entries that was asked for from index `start` on. Raises ReadError."""
    try:
        return _ENTRIES.decode(body).entries
    except NOT_JSON as error:
        raise ReadError(f"couldn't read a log's entries from {start} on: {error}") from error
