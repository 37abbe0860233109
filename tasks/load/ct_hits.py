"""Gathers what touches a watch in a verified chunk and commits it: reads in, facts, archive and position out.

Most chunks touch nothing that is watched and cost one row, the cursor, besides the archive's. Files come before the
transaction (the hits' document in the store, the archive's segment in its folder), all rows in it: after a kill
anywhere, the chunk is either there as a whole or read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine

from db import documents, runs
from db.load import Batch, load
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.ct import NOT_THE_LEAFS, LoggedEntry, SignedTreeHead
from intel.ct_answer import read_answer
from intel.facts import Fact, RawDocument, Reject
from intel.match.certificates import By, Hit
from intel.merkle import HASH_SIZE
from intel.settings import settings
from tasks.load.ct_archive import Segments
from tasks.load.ct_chunk import Chunk
from tasks.load.ct_position import Position, note, refuse_taken_over
from tasks.load.ct_readers import Read
from tasks.normalize.ct_facts import WRONG_CHAIN, Hits, read, write
from tasks.records import Run

MAX_UNREADABLE: Final = 100
"""Unreadable entries of a chunk that are kept whole; the others are counted."""

_NO_KEY: Final = bytes(HASH_SIZE)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a chunk, in the order of the log: hits and the first unreadable entries, each with its matches.

    `left_out` counts unreadable entries that are not kept. `issuers` are certificates (DER) of the chains that a tiled
    log names by their SHA-256.
    """

    entries: tuple[LoggedEntry, ...] = ()
    matches: tuple[tuple[Hit, ...], ...] = ()
    issuers: tuple[bytes, ...] = ()
    hits: int = 0
    left_out: int = 0


def gather(reads: Sequence[Read], learned: set[bytes]) -> Kept:
    """What touches a watch in these reads.

    The key of a certificate that names what is watched goes into `learned`: entries of the same chunk are met by it,
    before and behind, and all that come later.
    """
    for one in reads:
        learned.update(
            key
            for index, hits in one.judged.hits
            if any(hit.teaches for hit in hits) and (key := _key(one, index)) != _NO_KEY
        )
    entries: list[LoggedEntry] = []
    matches: list[tuple[Hit, ...]] = []
    hits = unreadable = 0
    for one in reads:
        found = dict(one.judged.hits)
        if learned:
            _meet(one, learned, found)
        hits += len(found)
        wanted = set(found)
        for index in one.judged.unreadable:
            unreadable += index not in found
            if unreadable <= MAX_UNREADABLE:
                wanted.add(index)
        if wanted:
            for logged in read_answer(one.answer):
                if logged.index in wanted:
                    entries.append(logged)
                    matches.append(found.get(logged.index, ()))
    left_out = max(unreadable - MAX_UNREADABLE, 0)
    return Kept(entries=tuple(entries), matches=tuple(matches), hits=hits, left_out=left_out)


def _key(one: Read, index: int) -> bytes:
    at = (index - one.judged.first) * HASH_SIZE
    return one.judged.keys[at : at + HASH_SIZE]


def _meet(one: Read, learned: set[bytes], found: dict[int, tuple[Hit, ...]]) -> None:
    keys = one.judged.keys
    # Most answers hold none of them, and one intersection says so.
    if learned.isdisjoint(keys[at : at + HASH_SIZE] for at in range(0, len(keys), HASH_SIZE)):
        return
    for index in range(one.judged.first, one.judged.next):
        key = _key(one, index)
        hits = found.get(index, ())
        if key in learned and not any(hit.by is By.KEY for hit in hits):
            found[index] = (*hits, Hit(by=By.KEY, watched=key.hex(), named=key.hex()))


def commit(
    engine: Engine,
    source: Source,
    run: Run,
    *,
    chunk: Chunk,
    kept: Kept,
    head: SignedTreeHead,
    known: dict[str, Any],
    segments: Segments,
) -> tuple[Position, int | None]:
    """Commit a chunk: the new position, and the batch where it stated something new. `known` goes beside the position
    (`Progress`).
    """
    position = Position(frontier=chunk.frontier, head=head)
    segment = segments.write(source, chunk)
    if not kept.entries:
        with engine.begin() as connection:
            refuse_taken_over(connection, source.name, run.run_id)
            runs.write_cursor(connection, f"source:{source.name}", position.cursor(), run.run_id)
            _beside(connection, source, run, chunk=chunk, known=known)
            segments.add(connection, segment, run, chunk)
        return position, None
    hits = Hits(
        log=source.location,
        first=chunk.first,
        next=position.frontier.size,
        head=head,
        consistency=chunk.consistency,
        entries=kept.entries,
        matches=kept.matches,
        protocol=source.options.protocol,
        issuers=kept.issuers,
        left_out=kept.left_out,
    )
    body = write(hits)
    digest = documents.put(settings().document_store, body)
    with engine.begin() as connection:
        document = _document(connection, run, source, hits=hits, body=body, digest=digest)
        # Within this transaction the staging's own ones are savepoints, so that nothing of a chunk is ever left over.
        with Staging(driver(connection), run_id=run.run_id, source=source.name, tlp=int(source.default_tlp)) as staging:
            doubts: list[str] = []
            staging.add(document, _doubted(read(document, source), doubts))
        batch = Batch(
            source=source.name,
            source_id=run.source_id,
            run_id=run.run_id,
            documents=(document.document_id,),
            facts=staging.facts,
            rejects=staging.rejects,
            cursor=position.cursor(),
            last=False,
        )
        loaded = load(connection, batch)
        runs.count(connection, run.run_id, documents=1)
        if doubts:
            runs.warn(connection, run.run_id, f"{len(doubts)} hits came with what is not theirs: {doubts[0]}")
        _beside(connection, source, run, chunk=chunk, known=known)
        segments.add(connection, segment, run, chunk)
    return position, loaded.batch_id


def _doubted(read_: Iterable[Fact | Reject], doubts: list[str]) -> Iterator[Fact | Reject]:
    """The same; the reasons of rejects that say that the log gave something else than what its tree covers, aside."""
    for one in read_:
        if isinstance(one, Reject) and (WRONG_CHAIN in one.reason or NOT_THE_LEAFS in one.reason):
            doubts.append(one.reason)
        yield one


def _beside(connection: Connection, source: Source, run: Run, *, chunk: Chunk, known: dict[str, Any]) -> None:
    runs.count(connection, run.run_id, bytes=chunk.received)
    note(connection, source.name, run.run_id, **known)


def _document(
    connection: Connection, run: Run, source: Source, *, hits: Hits, body: bytes, digest: bytes
) -> RawDocument:
    location = f"{hits.log.rstrip('/')}#entries={hits.first}-{hits.next - 1}"
    if source.options.protocol == "rfc6962":
        location = f"{hits.log.rstrip('/')}/ct/v1/get-entries?start={hits.first}&end={hits.next - 1}"
    number = runs.new_document(
        connection,
        source_id=run.source_id,
        run_id=run.run_id,
        location=location,
        sha256=digest,
        size=len(body),
        media_type="application/json",
        as_of=hits.head.signed_at,
        fetched_at=datetime.now(UTC),
    )
    return RawDocument(
        document_id=number,
        location=location,
        body=body,
        media_type="application/json",
        as_of=hits.head.signed_at,
    )
