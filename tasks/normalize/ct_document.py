"""The document of a chunk's hits: entries and what they met in, JSON out, and back (RFC 6962 4.3, 4.6).

It holds what is needed to state the same facts again, and to prove them: each entry as the log gave it, what of the
watches it met, and the signed head and consistency proof under which it was verified. Documents of earlier releases
lack the newer fields and are read all the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from intel.ct import LoggedEntry, SignedTreeHead, logged_entry, read_signed_tree_head
from intel.errors import ReadError
from intel.match.certificates import By, Hit

_LONGEST: Final = 300
"""Characters of a name or a reason that are kept."""


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of a chunk that are kept: `first` to `next` (not included) is the chunk, in the tree of `head`.

    `matches` has a tuple for each of `entries`, or is empty where nothing is known of them. `protocol` is how the log
    is read (rfc6962, static, hybrid), empty where that is not known. `issuers` are certificates (DER) of the chains
    that a tiled log names by their SHA-256, as far as they are at hand. `left_out` counts the entries that cannot be
    read and are not among `entries`, as the first of them are.
    """

    log: str
    first: int
    next: int
    head: SignedTreeHead
    consistency: tuple[bytes, ...] = ()
    entries: tuple[LoggedEntry, ...] = ()
    matches: tuple[tuple[Hit, ...], ...] = ()
    protocol: str = ""
    issuers: tuple[bytes, ...] = ()
    left_out: int = 0


class HeldEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as a document holds it, with what it met."""

    logged: LoggedEntry
    matches: tuple[Hit, ...] = ()


class HeldHead(msgspec.Struct, frozen=True, kw_only=True):
    """Under which head a document's entries stand: None where it cannot be read. `log` is the log's URL."""

    log: str
    protocol: str = ""
    head: SignedTreeHead | None = None


class HeldHits(msgspec.Struct, frozen=True, kw_only=True):
    """What a document holds. `issuers` are certificates by their SHA-256."""

    entries: tuple[HeldEntry, ...] = ()
    issuers: Mapping[bytes, bytes] = {}
    left_out: int = 0


class _MatchJson(msgspec.Struct, kw_only=True):
    by: str
    watched: str
    named: str
    why: str = ""


class _EntryJson(msgspec.Struct, kw_only=True):
    index: int
    leaf_input: bytes
    extra_data: bytes = b""
    precertificate: bytes = b""
    issuers: list[bytes] = []
    matches: list[_MatchJson] = []


class _HitsJson(msgspec.Struct, kw_only=True):
    log: str
    entries: list[_EntryJson]
    issuers: list[bytes] = []
    left_out: int = 0


class _HeadJson(msgspec.Struct, kw_only=True):
    log: str
    protocol: str = ""
    sth: msgspec.Raw = msgspec.Raw(b"")


def clean(text: str, longest: int = _LONGEST) -> str:
    """A name or reason as it may be stored and shown: nothing unprintable in it, at most `longest` characters."""
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in text[:longest])


def head_json(head: SignedTreeHead) -> dict[str, int | str]:
    """A signed tree head as get-sth answers (RFC 6962 4.3)."""
    return {
        "tree_size": head.tree_size,
        "timestamp": head.timestamp,
        "sha256_root_hash": _base64(head.root_hash),
        "tree_head_signature": _base64(head.signature.to_bytes()),
    }


def write(hits: Hits) -> bytes:
    """The document of a chunk's hits, as JSON; the same hits always give the same bytes."""
    matches = hits.matches or ((),) * len(hits.entries)
    document: dict[str, Any] = {
        "log": hits.log,
        "first": hits.first,
        "next": hits.next,
        "sth": head_json(hits.head),
        "consistency": [_base64(node) for node in hits.consistency],
        "left_out": hits.left_out,
        "entries": [_entry_json(logged, met) for logged, met in zip(hits.entries, matches, strict=True)],
    }
    if hits.protocol:
        document["protocol"] = hits.protocol
    if hits.issuers:
        document["issuers"] = [_base64(issuer) for issuer in hits.issuers]
    return msgspec.json.encode(document)


def read_hits(body: bytes) -> HeldHits:
    """What a document holds. Raises ReadError for what is no document of hits."""
    try:
        held = msgspec.json.decode(body, type=_HitsJson)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadError(f"couldn't read a log's hits: {error}; the document is left out") from error
    return HeldHits(
        entries=tuple(HeldEntry(logged=_logged(raw), matches=tuple(_matches(raw))) for raw in held.entries),
        issuers={hashlib.sha256(issuer).digest(): issuer for issuer in held.issuers},
        left_out=held.left_out,
    )


def read_held_head(body: bytes) -> HeldHead:
    """Where a document's entries stand, without reading them. Raises ReadError for what is no document of hits."""
    try:
        held = msgspec.json.decode(body, type=_HeadJson)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadError(f"couldn't read the head of a log's hits: {error}; the document is left out") from error
    try:
        head = read_signed_tree_head(bytes(held.sth))
    except ReadError:
        head = None
    return HeldHead(log=held.log, protocol=held.protocol, head=head)


def _entry_json(logged: LoggedEntry, matches: tuple[Hit, ...]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "index": logged.index,
        "leaf_input": _base64(logged.leaf_input),
        "extra_data": _base64(logged.extra_data),
    }
    if logged.precertificate:
        entry["precertificate"] = _base64(logged.precertificate)
    if logged.issuers:
        entry["issuers"] = [_base64(fingerprint) for fingerprint in logged.issuers]
    if matches:
        entry["matches"] = [
            {
                "by": str(hit.by),
                "watched": hit.watched,
                "named": clean(hit.named),
                "why": clean(hit.why),
            }
            for hit in matches
        ]
    return entry


def _logged(raw: _EntryJson) -> LoggedEntry:
    logged = logged_entry(raw.index, raw.leaf_input, raw.extra_data)
    if not raw.precertificate and not raw.issuers:
        return logged
    return msgspec.structs.replace(logged, precertificate=raw.precertificate, issuers=tuple(raw.issuers))


def _matches(raw: _EntryJson) -> Iterator[Hit]:
    for one in raw.matches:
        try:
            by = By(one.by)
        except ValueError:  # a release that knows more wrote it
            continue
        yield Hit(by=by, watched=one.watched, named=one.named, why=one.why)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
