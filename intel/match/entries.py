"""Judges what a log answered: an answer and a watch set in, hashes, keys, hits and the archive's columns out.

This is the loop that every entry of every log goes through (RFC 6962 3.4, static-ct-api). It is pure, and runs in the
processes of the readers: nothing that it says is evidence before the leaf hashes have met a signed tree head. It keeps
no entry: whoever wants one that was hit reads the answer again (`read_answer`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from intel.ct_answer import Answer, AnswerFormat
from intel.ct_frames import EntryFrame, RawEntry, read_leaf_frame, read_raw_entries
from intel.ct_static import TileLeaf, leaf_index, read_tile_leaves
from intel.errors import ReadError
from intel.match.certificates import Hit, WatchSet
from intel.merkle import HASH_SIZE
from intel.x509 import CertificateView, read_certificate, read_tbs, tbs_without_scts
from intel.x509_fast import read_fast_certificate, read_fast_tbs
from intel.x509_raw import raw_names

FOUND_RAW: Final = "found in the raw bytes"
MAX_TIMESTAMP: Final = 253_402_300_799_999
"""Milliseconds in the year 9999: a later timestamp is written as this one."""
_HARMLESS: Final = ("validity:", "certificate: no signature")
"""Beginnings of faults that hide no name."""
_NO_KEY: Final = bytes(HASH_SIZE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_sha256 = hashlib.sha256


class Columns(msgspec.Struct, kw_only=True):
    """What the archive keeps of entries, a list for each column, all of one length.

    `timestamp` is milliseconds, `not_before` and `not_after` are seconds since 1970 UTC, all event time. `tbs` is the
    SHA-256 of the TBSCertificate without SCTs and poison, `fingerprint` that of a certificate's DER, None for a
    precertificate. `names` and `addresses` are joined by line feeds; names that hold control characters are left out.
    An entry whose leaf cannot be read has no row; one whose certificate cannot be read has a row without names.
    """

    index: list[int] = []  # msgspec copies an empty list for each record
    timestamp: list[int] = []
    leaf_hash: list[bytes] = []
    tbs: list[bytes] = []
    fingerprint: list[bytes | None] = []
    key: list[bytes | None] = []
    names: list[str] = []
    addresses: list[str | None] = []
    issuer: list[str] = []
    not_before: list[int | None] = []
    not_after: list[int | None] = []


class Judged(msgspec.Struct, kw_only=True):
    """What an answer's entries from `first` to `next` (not included) came to; `next` is lower where it is short.

    `leaf_hashes` and `keys` (SHA-256 of the SPKI, zeros where there is none) hold 32 octets for each. `hits` and
    `unreadable` (leaf or certificate) are by index, in order; an unreadable entry may have hits. `misplaced` are the
    entries of a tiled log that state another index than they stand at.
    """

    first: int
    next: int
    leaf_hashes: bytes
    keys: bytes
    hits: list[tuple[int, tuple[Hit, ...]]]
    unreadable: list[int]
    misplaced: list[int]
    columns: Columns | None = None


class _Leaf(msgspec.Struct, gc=False):
    """An entry where it stands: its certificate is octets[frame.signed_at : frame.signed_end].

    Where the leaf cannot be read, `frame` is None and `octets` are the leaf. What the tree does not cover is `beside`.
    """

    octets: bytes
    leaf_hash: bytes
    frame: EntryFrame | None
    beside: RawEntry | TileLeaf
    misplaced: bool = False

    def precertificate(self) -> bytes:
        """What the log says that the precertificate is; b"" where it says nothing that can be read."""
        if isinstance(self.beside, RawEntry):
            return self.beside.precertificate()
        return self.octets[self.beside.precertificate_at : self.beside.precertificate_end]


def judge(answer: Answer, watch: WatchSet, *, archive: bool) -> Judged:
    """Read, hash and match the wanted entries of an answer; with `archive`, the columns too.

    Raises ReadError where the answer as a whole cannot be read, as `read_answer` does.
    """
    leaves = _tile_leaves(answer) if answer.format is AnswerFormat.TILE else _json_leaves(answer)
    hashes: list[bytes] = []
    keys: list[bytes] = []
    found = _Found(watch, archive=archive)
    for index, leaf in enumerate(leaves, answer.first):
        hashes.append(leaf.leaf_hash)
        keys.append(found.judge(index, leaf) or _NO_KEY)
    return Judged(
        first=answer.first,
        next=answer.first + len(hashes),
        leaf_hashes=b"".join(hashes),
        keys=b"".join(keys),
        hits=found.hits,
        unreadable=found.unreadable,
        misplaced=found.misplaced,
        columns=found.columns,
    )


def _tile_leaves(answer: Answer) -> Iterator[_Leaf]:
    body = answer.body
    leaves = read_tile_leaves(body, answer.begins)[answer.first - answer.begins : answer.next - answer.begins]
    for index, leaf in enumerate(leaves, answer.first):
        frame = leaf.entry
        # MerkleTreeLeaf is the TimestampedEntry behind two zero octets, and a leaf is hashed behind one more.
        leaf_hash = _sha256(b"\x00\x00\x00" + body[leaf.start : frame.end]).digest()
        stated = body[frame.extensions_at : frame.end]
        misplaced = stated != b"\x00\x00\x05" + index.to_bytes(5, "big") and leaf_index(stated) != index
        yield _Leaf(body, leaf_hash, frame, leaf, misplaced)


def _json_leaves(answer: Answer) -> Iterator[_Leaf]:
    entries = read_raw_entries(answer.body, answer.begins)
    for raw in entries[answer.first - answer.begins : answer.next - answer.begins]:
        octets = raw.leaf_input
        try:
            frame = read_leaf_frame(octets)
        except ReadError:
            frame = None
        yield _Leaf(octets, _sha256(b"\x00" + octets).digest(), frame, raw)


class _Found:
    """What the entries of one answer come to, put down one after another."""

    def __init__(self, watch: WatchSet, *, archive: bool) -> None:
        self.hits: list[tuple[int, tuple[Hit, ...]]] = []
        self.unreadable: list[int] = []
        self.misplaced: list[int] = []
        self.columns = Columns() if archive else None
        self._watch = watch
        self._digested = archive or bool(watch.certificates)

    def judge(self, index: int, leaf: _Leaf) -> bytes | None:
        """Put down what an entry comes to; its key's digest."""
        frame = leaf.frame
        if leaf.misplaced:
            self.misplaced.append(index)
        if frame is None:
            self.unreadable.append(index)
            self._add_hits(index, _raw_hits(leaf.octets, self._watch, ()))
            return None
        octets, at, end = leaf.octets, frame.signed_at, frame.signed_end
        view = read_fast_tbs(octets, at, end) if frame.entry_type else read_fast_certificate(octets, at, end)
        if view is None:
            return self._leniently(index, leaf, frame)
        digest = joined = b""
        if self._digested:
            digest = _sha256(octets[at:end]).digest()
            joined = digest if frame.entry_type else view.joined_sha256()
        hits = self._watch.match(view, self._watched(leaf, frame, digest, joined))
        if hits:
            self.hits.append((index, hits))
        if self.columns is not None:
            row = _Row(view.joined_names, view.ip_addresses, view.issuer, view.not_before, view.not_after)
            _add_row(self.columns, index, leaf, row, digests=(digest, joined, view.spki_sha256))
        return view.spki_sha256

    def _leniently(self, index: int, leaf: _Leaf, frame: EntryFrame) -> bytes | None:
        """The same for a certificate that is not plain, whose octets are searched too where something is wrong."""
        signed = leaf.octets[frame.signed_at : frame.signed_end]
        try:
            view = read_tbs(signed) if frame.entry_type else read_certificate(signed)
        except ReadError:
            view = CertificateView(faults=("unreadable",))
        if not view.is_whole:
            self.unreadable.append(index)
        digest = _sha256(signed).digest()
        joined = digest if frame.entry_type else _joined(signed, digest)
        hits = self._watch.match(view, self._watched(leaf, frame, digest, joined))
        if any(not fault.startswith(_HARMLESS) for fault in view.faults):
            hits += _raw_hits(signed, self._watch, hits)
        self._add_hits(index, hits)
        if self.columns is not None:
            names = "\n".join(name for name in view.names if _CONTROL.search(name) is None)
            row = _Row(names, view.ip_addresses, view.issuer, _seconds(view.not_before), _seconds(view.not_after))
            _add_row(self.columns, index, leaf, row, digests=(digest, joined, view.spki_sha256))
        return view.spki_sha256

    def _watched(self, leaf: _Leaf, frame: EntryFrame, digest: bytes, joined: bytes) -> tuple[bytes, ...]:
        """Which watched SHA-256 the certificate goes by."""
        watched = self._watch.certificates
        if not watched:
            return ()
        found: tuple[bytes, ...] = ()
        if digest in watched:
            found = (digest,)
        if frame.entry_type:
            precertificate = leaf.precertificate()
            own = _sha256(precertificate).digest()
            # The tree does not cover a precertificate: its fingerprint counts once its contents are the leaf's.
            if own in watched and _is_precertificate_of(
                precertificate, leaf.octets[frame.signed_at : frame.signed_end]
            ):
                found += (own,)
        elif joined in watched and joined != digest:
            found += (joined,)
        return found

    def _add_hits(self, index: int, hits: tuple[Hit, ...]) -> None:
        if hits:
            self.hits.append((index, hits))


class _Row(msgspec.Struct, gc=False):
    """What a certificate says for the archive."""

    names: str
    addresses: tuple[str, ...]
    issuer: str
    not_before: int | None
    not_after: int | None


def _add_row(
    columns: Columns, index: int, leaf: _Leaf, row: _Row, *, digests: tuple[bytes, bytes, bytes | None]
) -> None:
    """Put down an entry; `digests` are of its certificate, of that without SCTs, and of its key."""
    frame = leaf.frame
    assert frame is not None  # only what can be read has a row
    digest, joined, key = digests
    columns.index.append(index)
    columns.timestamp.append(min(frame.timestamp, MAX_TIMESTAMP))
    columns.leaf_hash.append(leaf.leaf_hash)
    columns.tbs.append(joined)
    columns.fingerprint.append(None if frame.entry_type else digest)
    columns.key.append(key)
    columns.names.append(row.names)
    columns.addresses.append("\n".join(row.addresses) if row.addresses else None)
    columns.issuer.append(row.issuer)
    columns.not_before.append(row.not_before)
    columns.not_after.append(row.not_after)


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _joined(certificate: bytes, otherwise: bytes) -> bytes:
    try:
        return _sha256(tbs_without_scts(certificate)).digest()
    except ReadError:
        return otherwise


def _is_precertificate_of(precertificate: bytes, leaf_tbs: bytes) -> bool:
    try:
        return tbs_without_scts(precertificate) == leaf_tbs
    except ReadError:
        return False


def _raw_hits(octets: bytes, watch: WatchSet, known: tuple[Hit, ...]) -> tuple[Hit, ...]:
    """What names among the octets meet, beyond the hits that are known already."""
    met = {(hit.by, hit.watched) for hit in known}
    found = watch.match(CertificateView(names=raw_names(octets)))
    return tuple(
        msgspec.structs.replace(hit, why=f"{hit.why}; {FOUND_RAW}" if hit.why else FOUND_RAW)
        for hit in found
        if (hit.by, hit.watched) not in met
    )
