"""Judges a verified chunk and commits it: entries in, the hits' facts and the position out, in one transaction.

Most chunks touch nothing that is watched and cost one row, the cursor. The hits' document is in the store before the
transaction begins, its row, the facts, the batch and the cursor are written in it: after a kill anywhere, the chunk is
either there as a whole or read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from db import documents, runs
from db.load import Batch, load
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.ct import EntryType, LoggedEntry, SignedTreeHead
from intel.errors import ReadError
from intel.facts import RawDocument
from intel.match.certificates import WatchSet
from intel.settings import settings
from tasks.load.ct_chunk import Chunk
from tasks.load.ct_position import Position
from tasks.normalize.ct_facts import Hits, checked_fingerprint, other_digests, read, read_issued, write
from tasks.records import Run

MAX_UNREADABLE: Final = 100
"""Unreadable entries of a chunk that are kept whole; the others are counted."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a chunk, in the order of the log: hits and the first unreadable entries."""

    entries: tuple[LoggedEntry, ...] = ()
    hits: int = 0
    left_out: int = 0


def judge(entries: Sequence[LoggedEntry], watch: WatchSet, learned: set[bytes]) -> Judged:
    """Match verified entries.

    The key of a certificate that names what is watched goes into `learned` at once: it is known to the entries after.
    """
    kept: list[LoggedEntry] = []
    hits = unreadable = 0
    for logged in entries:
        try:
            issued = read_issued(logged)
        except ReadError:
            unreadable += 1
            if unreadable <= MAX_UNREADABLE:
                kept.append(logged)
            continue
        digests = (issued.digest, *_watched_digests(logged, watch)) if watch.certificates else ()
        found = watch.match(issued.view, digests, learned=learned)
        if not found:
            continue
        hits += 1
        kept.append(logged)
        if issued.view.spki_sha256 is not None and any(hit.teaches for hit in found):
            learned.add(issued.view.spki_sha256)
    return Judged(entries=tuple(kept), hits=hits, left_out=max(unreadable - MAX_UNREADABLE, 0))


def _watched_digests(logged: LoggedEntry, watch: WatchSet) -> Iterator[bytes]:
    for digest in other_digests(logged):
        if digest not in watch.certificates:
            continue
        if logged.entry is not None and logged.entry.entry_type is EntryType.PRECERT:
            # The tree does not cover a precertificate: its fingerprint counts once its contents are the leaf's.
            try:
                checked_fingerprint(logged)
            except ReadError:
                continue
        yield digest


def commit(
    engine: Engine, source: Source, run: Run, *, first: int, chunk: Chunk, judged: Judged, head: SignedTreeHead
) -> tuple[Position, int | None]:
    """Commit a chunk that begins with entry `first`: the new position, and the batch where it stated something new."""
    position = Position(frontier=chunk.frontier, head=head)
    if not judged.entries:
        with engine.begin() as connection:
            runs.write_cursor(connection, f"source:{source.name}", position.cursor(), run.run_id)
            runs.count(connection, run.run_id, bytes=chunk.received)
        return position, None
    hits = Hits(
        log=source.location,
        first=first,
        next=position.frontier.size,
        head=head,
        consistency=chunk.consistency,
        entries=judged.entries,
        left_out=judged.left_out,
    )
    body = write(hits)
    digest = documents.put(settings().document_store, body)
    with engine.begin() as connection:
        document = _document(connection, run, hits, body, digest)
        # Within this transaction the staging's own ones are savepoints, so that nothing of a chunk is ever left over.
        with Staging(driver(connection), run_id=run.run_id, source=source.name, tlp=int(source.default_tlp)) as staging:
            staging.add(document, read(document, source))
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
        runs.count(connection, run.run_id, documents=1, bytes=chunk.received)
    return position, loaded.batch_id


def _document(connection: Connection, run: Run, hits: Hits, body: bytes, digest: bytes) -> RawDocument:
    location = f"{hits.log.rstrip('/')}/ct/v1/get-entries?start={hits.first}&end={hits.next - 1}"
    now = datetime.now(UTC)
    number = runs.new_document(
        connection,
        source_id=run.source_id,
        run_id=run.run_id,
        location=location,
        sha256=digest,
        size=len(body),
        media_type="application/json",
        as_of=hits.head.signed_at,
        fetched_at=now,
    )
    return RawDocument(
        document_id=number,
        location=location,
        body=body,
        media_type="application/json",
        as_of=hits.head.signed_at,
    )
