"""Archived entries become facts: what a hunt through the archive found in, a document out, and facts from it.

The facts are those that the entry would have stated when it was read (tasks/normalize/ct_facts.py), as far as the
archive has what they say: the same subject, predicates and qualifiers, so that whatever is found twice is one fact. It
lacks what the archive lacks: a SHA-1, a precertificate's own fingerprint, and words for times that cannot be read.

The document holds the entries, and a head of the log's under which they stand, verified when the log was followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from intel.config.sources import Source
from intel.ct import SignedTreeHead
from intel.ct_archived import Archived
from intel.errors import ReadError
from intel.facts import Fact, Predicate, RawDocument, Reject
from intel.match.certificates import By, Hit
from tasks.normalize import ct_facts
from tasks.normalize.ct_document import clean, head_json
from tasks.normalize.ct_facts import Entry, certificate, described, matched, named

MEDIA_TYPE = "application/vnd.lapsewatch.archived+json"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a hunt found in one log.

    `log` is its URL, `protocol` how it is read, `head` one that holds the entries: empty and None where it is not
    known. `reason` says why a person had it written down. `matches` has a tuple for each of `entries`.
    """

    log: str
    entries: tuple[Archived, ...]
    matches: tuple[tuple[Hit, ...], ...]
    protocol: str = ""
    head: SignedTreeHead | None = None
    reason: str = ""


class _MatchJson(msgspec.Struct, kw_only=True):
    by: str
    watched: str
    named: str
    why: str = ""


class _EntryJson(msgspec.Struct, kw_only=True, omit_defaults=True):
    index: int
    timestamp: int
    leaf_hash: bytes
    tbs: bytes
    fingerprint: bytes | None = None
    key: bytes | None = None
    names: list[str] = []
    addresses: list[str] = []
    issuer: str = ""
    not_before: int | None = None
    not_after: int | None = None
    matches: list[_MatchJson] = []


class _FoundJson(msgspec.Struct, kw_only=True):
    archived: list[_EntryJson]


def write(found: Found) -> bytes:
    """The document of what was found, as JSON; the same always gives the same bytes.

    It is one of hits too, without entries as the log gave them: where it stands and under which head is read the same.
    """
    document: dict[str, Any] = {
        "log": found.log,
        "protocol": found.protocol,
        "reason": clean(found.reason),
        "entries": [],
        "archived": [_entry_json(one, hits) for one, hits in zip(found.entries, found.matches, strict=True)],
    }
    if found.head is not None:
        document["sth"] = head_json(found.head)
    return msgspec.json.encode(document)


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """What a document of a log states, whether its entries were found as they were read or in the archive.

    Raises ReadError for what is neither.
    """
    if document.media_type != MEDIA_TYPE:
        yield from ct_facts.read(document, source)
        return
    yield from read_found(document.body, source.name)


def read_found(body: bytes, log: str) -> Iterator[Fact | Reject]:
    """What a document of archived entries states of log `log`. Raises ReadError for what is none."""
    try:
        held = msgspec.json.decode(body, type=_FoundJson)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadError(f"couldn't read what was found in the archive: {error}; the document is left out") from error
    for raw in held.archived:
        entry = Archived(
            log=log,
            index=raw.index,
            timestamp=raw.timestamp,
            leaf_hash=raw.leaf_hash,
            tbs=raw.tbs,
            fingerprint=raw.fingerprint,
            key=raw.key,
            names=tuple(raw.names),
            addresses=tuple(raw.addresses),
            issuer=raw.issuer,
            not_before=raw.not_before,
            not_after=raw.not_after,
        )
        yield from facts(entry, tuple(_matches(raw)))


def facts(archived: Archived, matches: Sequence[Hit] = ()) -> Iterator[Fact | Reject]:
    """What an archived entry states; the event time of each is the entry's timestamp."""
    entry = Entry(log=archived.log, index=archived.index, leaf_hash=archived.leaf_hash, at=archived.logged_at)
    subject, view = certificate(archived.digest), archived.view
    yield entry.logged_in(subject)
    yield from described(entry, subject, view)
    if archived.fingerprint is not None and archived.fingerprint != archived.tbs:
        yield entry.fact(subject, Predicate.SAME_AS, certificate(archived.tbs))
    yield from named(entry, subject, view)
    yield from matched(entry, subject, matches)


def _entry_json(one: Archived, hits: Sequence[Hit]) -> _EntryJson:
    return _EntryJson(
        index=one.index,
        timestamp=one.timestamp,
        leaf_hash=one.leaf_hash,
        tbs=one.tbs,
        fingerprint=one.fingerprint,
        key=one.key,
        names=list(one.names),
        addresses=list(one.addresses),
        issuer=one.issuer,
        not_before=one.not_before,
        not_after=one.not_after,
        matches=[
            _MatchJson(by=str(hit.by), watched=hit.watched, named=clean(hit.named), why=clean(hit.why)) for hit in hits
        ],
    )


def _matches(raw: _EntryJson) -> Iterator[Hit]:
    for one in raw.matches:
        try:
            by = By(one.by)
        except ValueError:  # a release that knows more wrote it
            continue
        yield Hit(by=by, watched=one.watched, named=one.named, why=one.why)
