"""Certificates of a log become facts: verified entries in, facts and rejects out (RFC 6962 3.4, RFC 5280).

What goes into the warehouse of a log are the entries that touched a watch, kept as one document for each chunk: the
log's JSON of each (`leaf_input`, `extra_data`) with its index, and the signed head and consistency proof under which
they were verified. `read` reads that document again at any time.

The entity of a logged certificate is `certificate sha256:<hex>`:

- of a certificate, SHA-256 of its DER: its fingerprint;
- of a precertificate, SHA-256 of the DER that the log's leaf holds, the TBSCertificate without poison and SCTs. The
  tree covers it, and the final certificate leads to the same value, so that the two meet whichever is logged first:
  a final certificate with SCTs states `same-as` this value. The precertificate's own fingerprint states it too, and
  only once its contents are the leaf's: the tree does not cover it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from intel.config.sources import Source
from intel.ct import EntryType, LoggedEntry, SignedTreeHead, checked_precertificate, logged_entry, read_extra_data
from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import MAX_EXCERPT, Fact, Predicate, RawDocument, Reject, State
from intel.x509 import CertificateView, read_certificate, read_tbs, tbs_without_scts

MAX_REJECTS: Final = 100
"""Names of one certificate that are refused one by one; the others are counted."""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry's leaf says. `digest` is the SHA-256 in its entity's value."""

    view: CertificateView
    digest: bytes


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of a chunk that are kept: `first` to `next` (not included) is the chunk, in the tree of `head`.

    `left_out` counts the entries that cannot be read and are not among `entries`, as the first of them are.
    """

    log: str
    first: int
    next: int
    head: SignedTreeHead
    consistency: tuple[bytes, ...] = ()
    entries: tuple[LoggedEntry, ...] = ()
    left_out: int = 0


def read_issued(logged: LoggedEntry) -> Issued:
    """Read an entry's leaf. Raises ReadError where it cannot be read."""
    if logged.entry is None:
        raise ReadError(logged.fault or "couldn't read a log's entry; it is kept as unreadable")
    signed = logged.entry.signed
    precert = logged.entry.entry_type is EntryType.PRECERT
    view = read_tbs(signed) if precert else read_certificate(signed)
    return Issued(view=view, digest=hashlib.sha256(signed).digest())


def other_digests(logged: LoggedEntry) -> Iterator[bytes]:
    """The further SHA-256 that an entry's certificate goes by: the log's word, see `checked_fingerprint`.

    Of a certificate, the one that its precertificate has; of a precertificate, its fingerprint.
    """
    if logged.entry is None:
        return
    try:
        if logged.entry.entry_type is EntryType.PRECERT:
            yield hashlib.sha256(logged.precertificate or read_extra_data(logged)[0]).digest()
        else:
            yield hashlib.sha256(tbs_without_scts(logged.entry.signed)).digest()
    except ReadError:
        return


def checked_fingerprint(logged: LoggedEntry) -> bytes:
    """The fingerprint of a precert entry's precertificate. Raises ReadError where its contents are not the leaf's."""
    return hashlib.sha256(checked_precertificate(logged)).digest()


def facts(logged: LoggedEntry, log: str) -> Iterator[Fact | Reject]:
    """What a verified entry of `log` states; the event time of each is the entry's timestamp.

    Names that cannot be names are rejects, and so is an entry that cannot be read.
    """
    locator = f"{log} {logged.index}"
    try:
        issued = read_issued(logged)
    except ReadError as error:
        yield Reject(locator=locator, reason=str(error), excerpt=logged.leaf_input[: MAX_EXCERPT // 2].hex())
        return
    subject, at = _certificate(issued.digest), _logged_at(logged)

    def fact(predicate: str, said: Entity, *, state: str = State.VALUE, **qualifiers: str) -> Fact:
        named = tuple((name.replace("_", "-"), value) for name, value in qualifiers.items())
        return Fact(
            subject=subject,
            predicate=predicate,
            object=said,
            state=state,
            qualifiers=named,
            event_time=at,
            locator=locator,
        )

    view = issued.view
    yield fact(Predicate.LOGGED_IN, literal(Kind.TEXT, log), index=str(logged.index), leaf_hash=logged.leaf_hash.hex())
    if view.spki_sha256 is not None:
        yield fact(Predicate.HAS_KEY, entity(Kind.PUBLIC_KEY, f"sha256:{view.spki_sha256.hex()}"))
    if view.issuer:
        yield fact(Predicate.ISSUED_BY, literal(Kind.TEXT, view.issuer))
    for predicate, moment, text in (
        (Predicate.VALID_FROM, view.not_before, view.not_before_text),
        (Predicate.VALID_UNTIL, view.not_after, view.not_after_text),
    ):
        if moment is not None:
            yield fact(predicate, literal(Kind.TIME, moment.isoformat()))
        elif text:
            yield fact(predicate, literal(Kind.TEXT, text), state=State.UNPARSED)
    yield from _same(logged, issued, at, locator)
    refused: list[Reject] = []
    for name in view.names:
        bare = name.removeprefix("*.")
        try:
            said = entity(Kind.DOMAIN, bare)
        except ReadError as error:
            refused.append(Reject(locator=locator, reason=str(error), excerpt=name[:MAX_EXCERPT]))
            continue
        yield fact(Predicate.NAMES, said) if bare == name else fact(Predicate.NAMES, said, wildcard="yes")
    for address in view.ip_addresses:
        yield fact(Predicate.NAMES, entity(Kind.IP, address))
    yield from refused[:MAX_REJECTS]
    if len(refused) > MAX_REJECTS:
        more = len(refused) - MAX_REJECTS
        yield Reject(locator=locator, reason=f"couldn't read {more} more names of the certificate; they are left out")


def _same(logged: LoggedEntry, issued: Issued, at: datetime | None, locator: str) -> Iterator[Fact | Reject]:
    """What joins a precertificate's value, its fingerprint and its final certificate."""
    assert logged.entry is not None  # read_issued has read it
    try:
        if logged.entry.entry_type is EntryType.PRECERT:
            subject, joined = checked_fingerprint(logged), issued.digest
        else:
            contents = tbs_without_scts(logged.entry.signed)
            if contents == issued.view.tbs:  # no SCTs: there was no precertificate
                return
            subject, joined = issued.digest, hashlib.sha256(contents).digest()
    except ReadError as error:
        yield Reject(locator=locator, reason=str(error))
        return
    yield Fact(
        subject=_certificate(subject),
        predicate=Predicate.SAME_AS,
        object=_certificate(joined),
        event_time=at,
        locator=locator,
    )


def _certificate(digest: bytes) -> Entity:
    return entity(Kind.CERTIFICATE, f"sha256:{digest.hex()}")


def _logged_at(logged: LoggedEntry) -> datetime | None:
    try:
        return logged.entry.logged_at if logged.entry is not None else None
    except ReadError:  # beyond the year 9999; the document's own time is taken
        return None


class _EntryJson(msgspec.Struct, kw_only=True):
    index: int
    leaf_input: bytes
    extra_data: bytes = b""


class _HitsJson(msgspec.Struct, kw_only=True):
    log: str
    entries: list[_EntryJson]
    left_out: int = 0


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
    return msgspec.json.encode(
        {
            "log": hits.log,
            "first": hits.first,
            "next": hits.next,
            "sth": head_json(hits.head),
            "consistency": [_base64(node) for node in hits.consistency],
            "left_out": hits.left_out,
            "entries": [
                {
                    "index": logged.index,
                    "leaf_input": _base64(logged.leaf_input),
                    "extra_data": _base64(logged.extra_data),
                }
                for logged in hits.entries
            ],
        }
    )


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """What a document of hits states; locators are `log index`. Raises ReadError for what is none."""
    try:
        held = msgspec.json.decode(document.body, type=_HitsJson)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReadError(f"couldn't read a log's hits: {error}; the document is left out") from error
    for raw in held.entries:
        yield from facts(logged_entry(raw.index, raw.leaf_input, raw.extra_data), source.name)
    if held.left_out:
        reason = f"couldn't read {held.left_out} more entries of the log; only their leaf hashes were taken"
        yield Reject(locator=source.name, reason=reason)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
