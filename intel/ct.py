"""Certificate Transparency's wire formats (RFC 6962 3 and 4): a log's bytes in, frozen records out, and back.

`intel/ct_static.py` has those of tiled logs. What is read here is not yet evidence: `tasks/normalize/ct.py` checks it
against a signed tree head.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from intel.ct_frames import NOT_JSON, EntryFrame, read_leaf_frame, read_raw_entries
from intel.errors import ReadError, VerificationError
from intel.merkle import HASH_SIZE, leaf_hash
from intel.x509 import tbs_without_scts

_MAX_CHAIN: Final = 64  # certificates; real chains have fewer than ten
_MILLISECONDS_IN_YEAR_9999: Final = 253_402_300_799_999
NOT_THE_LEAFS: Final = "it is not the leaf's"
"""What is said of a precertificate that is another than what the tree covers."""
_SHA256: Final = 4  # RFC 5246 7.4.1.4.1
_RSA: Final = 1
_ECDSA: Final = 3


class EntryType(IntEnum):
    """RFC 6962 3.1, LogEntryType."""

    X509 = 0
    PRECERT = 1


class DigitallySigned(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 5246 4.7: the algorithms by their TLS numbers, and the signature."""

    hash_algorithm: int
    signature_algorithm: int
    signature: bytes

    def to_bytes(self) -> bytes:
        """u8 hash, u8 algorithm, u16<signature>."""
        head = struct.pack(">BBH", self.hash_algorithm, self.signature_algorithm, len(self.signature))
        return head + self.signature

    def verify(self, message: bytes, key_spki_der: bytes, what: str) -> None:
        """Raises VerificationError unless the key signed `message`; `what` is named in it."""
        try:
            key = load_der_public_key(key_spki_der)
            # RFC 6962 2.1.4 leaves no choice but these two, with SHA-256.
            if isinstance(key, ec.EllipticCurvePublicKey) and self._is(_ECDSA):
                key.verify(self.signature, message, ec.ECDSA(hashes.SHA256()))
            elif isinstance(key, rsa.RSAPublicKey) and self._is(_RSA):
                key.verify(self.signature, message, padding.PKCS1v15(), hashes.SHA256())
            else:
                raise VerificationError(f"couldn't verify {what}: signed with another algorithm than the log's key has")
        except InvalidSignature as error:
            raise VerificationError(f"couldn't verify {what}: the log's key did not sign it") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise VerificationError(f"couldn't verify {what}: unreadable key ({error})") from error

    def _is(self, signature_algorithm: int) -> bool:
        return (self.hash_algorithm, self.signature_algorithm) == (_SHA256, signature_algorithm)


class SignedTreeHead(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 6962 3.5: what a log says its tree is. `timestamp` is event time, in milliseconds since 1970 UTC."""

    tree_size: int
    timestamp: int
    root_hash: bytes
    signature: DigitallySigned

    @property
    def signed_at(self) -> datetime:
        """The timestamp, in UTC."""
        return at_milliseconds(self.timestamp)

    def verify(self, key_spki_der: bytes) -> None:
        """Raises VerificationError unless the log's key signed this head."""
        message = tree_head_message(self.timestamp, self.tree_size, self.root_hash)
        self.signature.verify(message, key_spki_der, f"the tree head of {self.tree_size} leaves")


class TimestampedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 6962 3.4: what the tree covers of an entry.

    `signed` is the certificate, or a precertificate's bare TBSCertificate; `issuer_key_hash` (SHA-256 of the issuer's
    SPKI) is b"" for a certificate. `timestamp` is event time, in milliseconds since 1970 UTC.
    """

    timestamp: int
    entry_type: EntryType
    signed: bytes
    issuer_key_hash: bytes = b""
    extensions: bytes = b""

    @property
    def logged_at(self) -> datetime:
        """The timestamp, in UTC."""
        return at_milliseconds(self.timestamp)

    def to_bytes(self) -> bytes:
        """The entry on the wire; MerkleTreeLeaf is this behind two zero octets."""
        head = struct.pack(">QH", self.timestamp, self.entry_type) + self.issuer_key_hash
        return head + vector24(self.signed) + struct.pack(">H", len(self.extensions)) + self.extensions


class LoggedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as a log gave it. `entry` is None where the leaf cannot be read, and `fault` says why.

    Only `leaf_input` is covered by the tree. `extra_data` (RFC 6962) or `precertificate` and `issuers` (tiled logs:
    SHA-256 of the chain's certificates) are the log's word; see `checked_precertificate`.
    """

    index: int
    leaf_input: bytes
    entry: TimestampedEntry | None
    fault: str = ""
    extra_data: bytes = b""
    precertificate: bytes = b""
    issuers: tuple[bytes, ...] = ()

    @property
    def leaf_hash(self) -> bytes:
        """The leaf's hash in the tree."""
        return leaf_hash(self.leaf_input)


def log_id(key_spki_der: bytes) -> bytes:
    """RFC 6962 3.2: SHA-256 of the log's key."""
    return hashlib.sha256(key_spki_der).digest()


def at_milliseconds(timestamp: int) -> datetime:
    """Milliseconds since 1970 as a UTC datetime; beyond the year 9999 raises ReadError."""
    if not 0 <= timestamp <= _MILLISECONDS_IN_YEAR_9999:
        raise ReadError(f"couldn't read a log's timestamp: {timestamp} lies outside of the calendar")
    return datetime.fromtimestamp(timestamp // 1000, UTC).replace(microsecond=timestamp % 1000 * 1000)


def vector24(content: bytes) -> bytes:
    """u24<content>."""
    return len(content).to_bytes(3, "big") + content


def read_vector24(data: bytes, pos: int) -> tuple[bytes, int]:
    """The content of a u24<..> at `pos`, and where it ends. Raises ReadError where it runs past the end."""
    start = pos + 3
    end = start + int.from_bytes(data[pos:start], "big")
    if start > len(data) or end > len(data):
        raise ReadError("couldn't read a log's entry: it ends early; it is kept as unreadable")
    return data[start:end], end


def tree_head_message(timestamp: int, tree_size: int, root_hash: bytes) -> bytes:
    """What a tree head's signature covers (RFC 6962 3.5, TreeHeadSignature)."""
    return struct.pack(">BBQQ", 0, 1, timestamp, tree_size) + root_hash


def read_digitally_signed(data: bytes) -> DigitallySigned:
    """Read a DigitallySigned that fills `data`. Raises ReadError."""
    if len(data) < 4 or len(data) != 4 + int.from_bytes(data[2:4], "big"):
        raise ReadError("couldn't read a log's signature: its length is not what it says")
    return DigitallySigned(hash_algorithm=data[0], signature_algorithm=data[1], signature=data[4:])


class _HeadJson(msgspec.Struct):
    tree_size: int
    timestamp: int
    sha256_root_hash: bytes
    tree_head_signature: bytes


def read_signed_tree_head(body: bytes) -> SignedTreeHead:
    """Read the answer to get-sth (RFC 6962 4.3). Raises ReadError; the signature is not checked here."""
    try:
        head = msgspec.json.decode(body, type=_HeadJson)
    except NOT_JSON as error:
        raise ReadError(f"couldn't read a tree head: {error}") from error
    if not 0 <= head.tree_size < 1 << 63 or len(head.sha256_root_hash) != HASH_SIZE:
        raise ReadError("couldn't read a tree head: its size or its root is out of range")
    at_milliseconds(head.timestamp)
    return SignedTreeHead(
        tree_size=head.tree_size,
        timestamp=head.timestamp,
        root_hash=head.sha256_root_hash,
        signature=read_digitally_signed(head.tree_head_signature),
    )


_ENTRY_TYPES: Final = (EntryType.X509, EntryType.PRECERT)


def entry_in_frame(data: bytes, frame: EntryFrame) -> TimestampedEntry:
    """The entry that stands in its frame."""
    at = frame.signed_at
    return TimestampedEntry(
        timestamp=frame.timestamp,
        entry_type=_ENTRY_TYPES[frame.entry_type],
        signed=data[at : frame.signed_end],
        issuer_key_hash=data[at - 3 - HASH_SIZE : at - 3] if frame.entry_type else b"",
        extensions=data[frame.extensions_at : frame.end],
    )


def write_leaf(entry: TimestampedEntry) -> bytes:
    """MerkleTreeLeaf (RFC 6962 3.4): version 1, timestamped entry."""
    return b"\x00\x00" + entry.to_bytes()


def read_leaf(leaf_input: bytes) -> TimestampedEntry:
    """Read a MerkleTreeLeaf. Raises ReadError."""
    return entry_in_frame(leaf_input, read_leaf_frame(leaf_input))


def read_entries(body: bytes, start: int) -> list[LoggedEntry]:
    """Read the answer to get-entries (RFC 6962 4.6) that was asked for from index `start` on.

    A leaf that cannot be read costs that entry only. Raises ReadError where the answer as a whole cannot be read.
    """
    raw_entries = read_raw_entries(body, start)
    return [logged_entry(at, raw.leaf_input, raw.extra_octets()) for at, raw in enumerate(raw_entries, start)]


def logged_entry(index: int, leaf_input: bytes, extra_data: bytes) -> LoggedEntry:
    """The entry at `index`, readable or not."""
    try:
        entry = read_leaf(leaf_input)
    except ReadError as error:
        return LoggedEntry(index=index, leaf_input=leaf_input, entry=None, fault=str(error), extra_data=extra_data)
    return LoggedEntry(index=index, leaf_input=leaf_input, entry=entry, extra_data=extra_data)


class _EntryAndProofJson(msgspec.Struct):
    leaf_input: bytes
    extra_data: bytes = b""
    audit_path: list[bytes] = []  # msgspec copies an empty list for each record


def read_entry_and_proof(body: bytes, index: int) -> tuple[LoggedEntry, list[bytes]]:
    """Read the answer to get-entry-and-proof (RFC 6962 4.8): the entry and its audit path. Raises ReadError."""
    try:
        answer = msgspec.json.decode(body, type=_EntryAndProofJson)
    except NOT_JSON as error:
        raise ReadError(f"couldn't read a log's entry {index} and its proof: {error}") from error
    return logged_entry(index, answer.leaf_input, answer.extra_data), answer.audit_path


class _ConsistencyJson(msgspec.Struct):
    consistency: list[bytes]


def read_consistency(body: bytes) -> list[bytes]:
    """Read the answer to get-sth-consistency (RFC 6962 4.4). Raises ReadError."""
    try:
        return msgspec.json.decode(body, type=_ConsistencyJson).consistency
    except NOT_JSON as error:
        raise ReadError(f"couldn't read a log's consistency proof: {error}") from error


def read_extra_data(logged: LoggedEntry) -> tuple[bytes, tuple[bytes, ...]]:
    """The precertificate (b"" for a certificate) and the chain without the leaf. Raises ReadError.

    The tree does not cover either: they are what the log says.
    """
    if logged.entry is None:
        raise ReadError("couldn't read an entry's chain: its leaf cannot be read")
    data = logged.extra_data
    precertificate, pos = b"", 0
    if logged.entry.entry_type is EntryType.PRECERT:
        precertificate, pos = read_vector24(data, 0)
    chain_octets, end = read_vector24(data, pos)
    if end != len(data):
        raise ReadError("couldn't read an entry's chain: octets after its end")
    chain: list[bytes] = []
    pos = 0
    while pos < len(chain_octets):
        if len(chain) == _MAX_CHAIN:
            raise ReadError(f"couldn't read an entry's chain: more than {_MAX_CHAIN} certificates")
        certificate, pos = read_vector24(chain_octets, pos)
        chain.append(certificate)
    return precertificate, tuple(chain)


def checked_precertificate(logged: LoggedEntry) -> bytes:
    """The precertificate of a precert entry, checked against what the tree covers.

    Its contents are then the leaf's; its signature's octets, and so its fingerprint, are still the log's word.

    Raises VerificationError where its TBSCertificate is not the leaf's once the poison is out. That is so too for
    one issued through a precertificate signing certificate. Raises ReadError where it cannot be read.
    """
    if logged.entry is None or logged.entry.entry_type is not EntryType.PRECERT:
        raise ReadError(f"couldn't check the precertificate of entry {logged.index}: the entry has none")
    precertificate = logged.precertificate or read_extra_data(logged)[0]
    if tbs_without_scts(precertificate) != logged.entry.signed:
        raise VerificationError(f"couldn't check the precertificate of entry {logged.index}: {NOT_THE_LEAFS}")
    return precertificate
