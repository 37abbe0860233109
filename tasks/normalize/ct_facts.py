"""Certificates of a log become facts: verified entries in, facts and rejects out (RFC 6962 3.4, RFC 5280).

What goes into the warehouse of a log are the entries that touched a watch, kept as one document for each chunk
(tasks/normalize/ct_document.py). `read` reads that document again at any time, and states the same.

The entity of a logged certificate is `certificate sha256:<hex>`:

- of a certificate, SHA-256 of its DER: its fingerprint;
- of a precertificate, SHA-256 of the DER that the log's leaf holds, the TBSCertificate without poison and SCTs. The
  tree covers it, and the final certificate leads to the same value, so that the two meet whichever is logged first:
  a certificate states `same-as` this value. The precertificate's own fingerprint states it too, and only once its
  contents are the leaf's: the tree does not cover it;
- of what cannot be read, SHA-256 of the octets that should be the certificate, or of the leaf where there are none.

A certificate also states `same-as` its SHA-1, by which feeds call it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from intel.config.sources import Source
from intel.ct import EntryType, LoggedEntry, checked_precertificate
from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import MAX_EXCERPT, Fact, Predicate, RawDocument, Reject, State
from intel.match.certificates import By, Hit
from intel.match.entries import FOUND_RAW
from intel.x509 import CertificateView, read_certificate, read_tbs, tbs_without_scts
from tasks.normalize.ct_chain import chain_fault
from tasks.normalize.ct_document import Hits, clean, head_json, read_hits, write

__all__ = [
    "WRONG_CHAIN",
    "Entry",
    "Hits",
    "Issued",
    "certificate",
    "checked_fingerprint",
    "described",
    "facts",
    "head_json",
    "matched",
    "named",
    "read",
    "read_issued",
    "write",
]

MAX_REJECTS: Final = 100
"""Names of one certificate that are refused one by one; the others are counted."""
MAX_MATCHES: Final = 10
"""Names of one certificate that are stated for one pattern: one is enough to find it."""
WRONG_CHAIN: Final = "the log's chain is not this certificate's"
"""What the reason of a reject says where that is so, and the qualifier `chain` of the entry's fact `logged-in`."""

_NAMED: Final = frozenset({By.SCOPE, By.SUBTREE, By.ZONE, By.NAME, By.WILDCARD})


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry's leaf says. `digest` is the SHA-256 in its entity's value."""

    view: CertificateView
    digest: bytes


def read_issued(logged: LoggedEntry) -> Issued:
    """Read an entry's leaf. Raises ReadError where it cannot be read."""
    if logged.entry is None:
        raise ReadError(logged.fault or "couldn't read a log's entry; it is kept as unreadable")
    signed = logged.entry.signed
    precert = logged.entry.entry_type is EntryType.PRECERT
    view = read_tbs(signed) if precert else read_certificate(signed)
    return Issued(view=view, digest=hashlib.sha256(signed).digest())


def checked_fingerprint(logged: LoggedEntry) -> bytes:
    """The fingerprint of a precert entry's precertificate. Raises ReadError where its contents are not the leaf's."""
    return hashlib.sha256(checked_precertificate(logged)).digest()


def facts(
    logged: LoggedEntry, log: str, *, matches: Sequence[Hit] = (), issuers: Mapping[bytes, bytes] | None = None
) -> Iterator[Fact | Reject]:
    """What a verified entry of `log` states; the event time of each is the entry's timestamp.

    `matches` is what it met of the watches, `issuers` certificates of its chain by their SHA-256. Names that cannot be
    names are rejects, and so is an entry that cannot be read; what was found in its octets is stated all the same.
    """
    entry = Entry(log=log, index=logged.index, leaf_hash=logged.leaf_hash, at=_logged_at(logged))
    try:
        issued = read_issued(logged)
    except ReadError as error:
        yield Reject(locator=entry.locator, reason=str(error), excerpt=logged.leaf_input[: MAX_EXCERPT // 2].hex())
        if matches:
            signed = logged.entry.signed if logged.entry is not None else logged.leaf_input
            subject = certificate(hashlib.sha256(signed).digest())
            yield entry.logged_in(subject)
            yield from matched(entry, subject, matches)
        return
    subject, fault = certificate(issued.digest), chain_fault(logged, issuers or {})
    yield entry.logged_in(subject, **({"chain": WRONG_CHAIN} if fault else {}))
    if fault:
        reason = f"couldn't believe the chain of an entry: {WRONG_CHAIN} ({fault}); the entry counts, its chain doesn't"
        yield Reject(locator=entry.locator, reason=reason)
    yield from described(entry, subject, issued.view)
    yield from _same(logged, issued, entry)
    yield from named(entry, subject, issued.view)
    yield from matched(entry, subject, matches)


def _logged_at(logged: LoggedEntry) -> datetime | None:
    try:
        return logged.entry.logged_at if logged.entry is not None else None
    except ReadError:  # beyond the year 9999; the document's own time is taken
        return None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The entry that facts are stated of. `at` is when it was logged (event time), None where that is not known."""

    log: str
    index: int
    leaf_hash: bytes
    at: datetime | None

    @property
    def locator(self) -> str:
        """Where in the documents."""
        return f"{self.log} {self.index}"

    def fact(
        self, subject: Entity, predicate: str, said: Entity, *, state: str = State.VALUE, **qualifiers: str
    ) -> Fact:
        """A fact of this entry."""
        return Fact(
            subject=subject,
            predicate=predicate,
            object=said,
            state=state,
            qualifiers=tuple((name.replace("_", "-"), value) for name, value in qualifiers.items()),
            event_time=self.at,
            locator=self.locator,
        )

    def logged_in(self, subject: Entity, **more: str) -> Fact:
        """That a certificate stands there."""
        place = {"index": str(self.index), "leaf_hash": self.leaf_hash.hex(), **more}
        return self.fact(subject, Predicate.LOGGED_IN, literal(Kind.TEXT, self.log), **place)


def described(entry: Entry, subject: Entity, view: CertificateView) -> Iterator[Fact]:
    """Key, issuer and validity."""
    if view.spki_sha256 is not None:
        key = entity(Kind.PUBLIC_KEY, f"sha256:{view.spki_sha256.hex()}")
        yield entry.fact(subject, Predicate.HAS_KEY, key)
    if view.issuer:
        yield entry.fact(subject, Predicate.ISSUED_BY, literal(Kind.TEXT, view.issuer))
    for predicate, moment, text in (
        (Predicate.VALID_FROM, view.not_before, view.not_before_text),
        (Predicate.VALID_UNTIL, view.not_after, view.not_after_text),
    ):
        if moment is not None:
            yield entry.fact(subject, predicate, literal(Kind.TIME, moment.isoformat()))
        elif text:
            yield entry.fact(subject, predicate, literal(Kind.TEXT, text), state=State.UNPARSED)


def named(entry: Entry, subject: Entity, view: CertificateView) -> Iterator[Fact | Reject]:
    refused: list[Reject] = []
    for name in view.names:
        bare = name.removeprefix("*.")
        try:
            said = entity(Kind.DOMAIN, bare)
        except ReadError as error:
            refused.append(Reject(locator=entry.locator, reason=str(error), excerpt=name[:MAX_EXCERPT]))
            continue
        wildcard = {} if bare == name else {"wildcard": "yes"}
        yield entry.fact(subject, Predicate.NAMES, said, **wildcard)
    for address in view.ip_addresses:
        yield entry.fact(subject, Predicate.NAMES, entity(Kind.IP, address))
    yield from refused[:MAX_REJECTS]
    if len(refused) > MAX_REJECTS:
        reason = f"couldn't read {len(refused) - MAX_REJECTS} more names of the certificate; they are left out"
        yield Reject(locator=entry.locator, reason=reason)


def matched(entry: Entry, subject: Entity, matches: Sequence[Hit]) -> Iterator[Fact]:
    """What it met of the watches that no other fact says: patterns, names that a wildcard covers, names in its octets.

    What was found in octets that could not be parsed is stated as unparsed. A name that cannot be one (`f*.a.example`)
    names what is watched above it: `named` has refused it.
    """
    stated: Counter[tuple[bytes, str]] = Counter()
    for hit in matches:
        state = State.UNPARSED if FOUND_RAW in hit.why else State.VALUE
        predicate, said = _met(hit, state)
        if said is None or stated[said.digest, state] == MAX_MATCHES:
            continue
        stated[said.digest, state] += 1
        why = {} if predicate == Predicate.NAMES else {"why": clean(hit.why)}
        yield entry.fact(subject, predicate, said, state=state, name=clean(hit.named), **why)


def _met(hit: Hit, state: str) -> tuple[str, Entity | None]:
    """What a hit met, where that is for a fact of its own to say, and that fact's predicate."""
    if hit.pattern:
        return Predicate.MATCHES, literal(Kind.PATTERN, hit.pattern)
    if hit.by not in _NAMED:
        return Predicate.MATCHES, None
    if hit.by is By.WILDCARD:  # which is not the name that it covers
        return Predicate.MATCHES, _domain(hit.watched)
    name = _domain(hit.named)
    if state == State.VALUE:
        return Predicate.NAMES, None if name is not None else _domain(hit.watched)
    # The name itself says more than what is watched above it.
    return Predicate.MATCHES, name or _domain(hit.watched)


def _domain(name: str) -> Entity | None:
    try:
        return entity(Kind.DOMAIN, name.removeprefix("*."))
    except ReadError:
        return None


def _same(logged: LoggedEntry, issued: Issued, entry: Entry) -> Iterator[Fact | Reject]:
    """What joins a precertificate's value, its fingerprint and its final certificate."""
    assert logged.entry is not None  # read_issued has read it
    signed = logged.entry.signed
    try:
        if logged.entry.entry_type is EntryType.PRECERT:
            forms = [(checked_fingerprint(logged), issued.digest)]
        else:
            # Without SCTs too: they may come by another way than in the certificate (RFC 6962 3.3).
            forms = [(issued.digest, hashlib.sha256(tbs_without_scts(signed)).digest())]
    except ReadError as error:
        yield Reject(locator=entry.locator, reason=str(error))
        forms = []
    for form, joined in forms:
        yield entry.fact(certificate(form), Predicate.SAME_AS, certificate(joined))
    if logged.entry.entry_type is EntryType.X509:
        by_sha1 = hashlib.sha1(signed, usedforsecurity=False).hexdigest()
        yield entry.fact(certificate(issued.digest), Predicate.SAME_AS, entity(Kind.CERTIFICATE, f"sha1:{by_sha1}"))


def certificate(digest: bytes) -> Entity:
    """The entity of a certificate that has this SHA-256."""
    return entity(Kind.CERTIFICATE, f"sha256:{digest.hex()}")


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """What a document of hits states; locators are `log index`. Raises ReadError for what is none."""
    held = read_hits(document.body)
    for one in held.entries:
        yield from facts(one.logged, source.name, matches=one.matches, issuers=held.issuers)
    if held.left_out:
        reason = f"couldn't read {held.left_out} more entries of the log; only their leaf hashes were taken"
        yield Reject(locator=source.name, reason=reason)
