"""Loads what a channel of new domains shows: arrivals in; first sights, facts of what touches a watch, and wishes out.

A slice of at most `SLICE` names is one transaction: first sights by COPY, the facts and rejects through staging, what
shall be looked up, and with the last slice the cursor. Kill it anywhere: the same arrivals loaded again write nothing
twice. The stream itself is neither documents nor facts; what it was read from, or where that is not kept the arrivals
that touched a watch, is the document that the facts stand in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import msgspec
from psycopg.errors import DeadlockDetected, SerializationFailure
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from db import documents, new_domains, runs
from db.load import Batch, Loaded, load
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.entities import Kind, entity
from intel.errors import WarehouseError
from intel.facts import Fact, RawDocument, Reject
from intel.match.hits import Hit
from intel.match.new_names import NameMatcher
from intel.new_domains import Arrival, Channel
from intel.settings import settings
from tasks.load.new_domain_work import Ranker, Work, open_work, renew, wish_for_new
from tasks.normalize.new_domain_facts import facts_of
from tasks.records import Run

__all__ = ["MEDIA_TYPE", "SLICE", "Arrived", "Ranker", "Work", "load_arrivals", "open_work"]

SLICE: Final = 100_000
"""Names of one transaction."""
MEDIA_TYPE: Final = "application/x-ndjson"
_TRIES: Final = 5


class Arrived(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a channel brought: `names` in all, `new` to it, `matched` what is watched, `wanted` to be looked up.

    `batches` are what the monitors judge. `last`: the run is done.
    """

    run_id: int
    source: str
    names: int = 0
    new: int = 0
    matched: int = 0
    wanted: int = 0
    rejects: int = 0
    facts_new: int = 0
    batches: tuple[int, ...] = ()
    last: bool = True

    def plus(self, more: Arrived) -> Arrived:
        """What both brought together."""
        return msgspec.structs.replace(
            self,
            names=self.names + more.names,
            new=self.new + more.new,
            matched=self.matched + more.matched,
            wanted=self.wanted + more.wanted,
            rejects=self.rejects + more.rejects,
            facts_new=self.facts_new + more.facts_new,
            batches=self.batches + more.batches,
        )


def load_arrivals(
    engine: Engine,
    source: Source,
    run: Run,
    channel: Channel,
    arrivals: Iterable[Arrival | Reject],
    *,
    cursor: dict[str, Any] | None = None,
    document: RawDocument | None = None,
    read: bool = True,
    location: str = "",
    work: Work | None = None,
    only_known: bool = False,
    last: bool = True,
    problems: Sequence[str] = (),
) -> Arrived:
    """Load what `channel` shows, slice by slice. `cursor`, `problems` and the run's end go with the last slice.

    `document` is what the arrivals were read from, stored already; it counts as read where `read` says so. Without one,
    those that touch a watch become a document at `location`. `only_known` keeps first sights only of names that another
    channel has shown. Raises WarehouseError; what earlier slices wrote stays, and is not written again.
    """
    work = work or open_work(engine)
    done = Arrived(run_id=run.run_id, source=source.name, last=last)
    rest = iter(arrivals)
    some = list(islice(rest, SLICE))
    before = 0
    while True:
        following = list(islice(rest, SLICE))
        end = not following
        piece = _Piece(
            source=source,
            run=run,
            channel=channel,
            records=some,
            before=before,
            document=document,
            location=location,
            only_known=only_known,
            cursor=cursor if end else None,
            last=last and end,
            problems=tuple(problems) if end else (),
            ends_document=end and read,
        )
        done = done.plus(_load_again(engine, piece, work))
        if end:
            return done
        some, before = following, before + len(some)


class _Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One slice, and what is written with it; `before` counts the records of earlier slices."""

    source: Source
    run: Run
    channel: Channel
    records: Sequence[Arrival | Reject]
    before: int
    document: RawDocument | None
    location: str
    only_known: bool
    cursor: dict[str, Any] | None
    last: bool
    problems: tuple[str, ...]
    ends_document: bool


def _load_again(engine: Engine, piece: _Piece, work: Work) -> Arrived:
    """Load a slice; what met another load in the wrong order is loaded again."""
    met = list(_met(piece.records, work.matcher))
    for _ in range(_TRIES):
        try:
            with engine.begin() as connection:
                new_domains.begin_load(connection)
                if renew(engine, connection, work):
                    met = list(_met(piece.records, work.matcher))
                return _load(connection, piece, work, met)
        except OperationalError as error:
            if not isinstance(error.orig, DeadlockDetected | SerializationFailure):
                raise
    raise WarehouseError(
        f"couldn't load new domains of {piece.source.name}: they met other loads {_TRIES} times; the next run reads"
        " them again"
    )


_Met = tuple[int, Arrival, tuple[Hit, ...]]


def _met(records: Sequence[Arrival | Reject], matcher: NameMatcher) -> Iterator[_Met]:
    """What touches a watch, by its name or by a name server: its place, the arrival, the hits."""
    arrivals = {place: one for place, one in enumerate(records) if isinstance(one, Arrival)}
    by_name = dict(matcher.match(dict.fromkeys(one.name for one in arrivals.values())))
    by_host: dict[str, tuple[Hit, ...]] = {}
    for place, one in arrivals.items():
        hits = by_name.get(one.name, ())
        for host in one.name_servers:
            if host not in by_host:
                by_host[host] = matcher.held(host)
            hits += by_host[host]
        if hits:
            yield place, one, hits


def _load(connection: Connection, piece: _Piece, work: Work, met: Sequence[_Met]) -> Arrived:
    source, run = piece.source, piece.run
    rejects = [one for one in piece.records if isinstance(one, Reject)]
    added: dict[str, datetime] = {}
    for one in piece.records:
        if isinstance(one, Arrival) and one.change == "added":
            added[one.name] = min(one.seen_at, added.get(one.name, one.seen_at))
    new = new_domains.see(connection, piece.channel, added, only_known=piece.only_known)
    scores = dict(zip(new, work.ranker.scores(new), strict=True)) if work.ranker is not None and new else {}
    new_domains.keep(connection, piece.channel, run.source_id, scores, only_known=piece.only_known)
    stating = sorted([*met, *_left(connection, piece, met)], key=lambda one: one[0])
    document = piece.document
    own = document is None and bool(stating or rejects)
    if own:
        document = _document(connection, piece, stating)
    facts = 0
    if document is not None:
        # Within this transaction the staging's own ones are savepoints, so that nothing of a slice is ever left over.
        with Staging(driver(connection), run_id=run.run_id, source=source.name, tlp=int(source.default_tlp)) as staging:
            staging.add(document, _facts(connection, piece, stating))
            staging.add(document, rejects)
        facts = staging.facts
    batch = Batch(
        source=source.name,
        source_id=run.source_id,
        run_id=run.run_id,
        documents=(document.document_id,) if document is not None and (own or piece.ends_document) else (),
        facts=facts,
        rejects=len(rejects),
        cursor=piece.cursor,
        last=piece.last,
        problems=piece.problems,
    )
    loaded: Loaded = load(connection, batch)
    unseen = set(new)
    # What a list shows again, as one of a week does each day, has been looked up when it was new.
    once = piece.only_known  # of what is not kept, the queue alone knows that it was
    close = [one.name for _, one, _ in met if once or one.change != "added" or one.name in unseen]
    wanted = wish_for_new(connection, list(dict.fromkeys(close)), scores, int(source.default_tlp), work, once=once)
    return Arrived(
        run_id=run.run_id,
        source=source.name,
        names=len(piece.records) - len(rejects),
        new=len(new),
        matched=len(met),
        wanted=wanted,
        rejects=len(rejects),
        facts_new=loaded.facts_new,
        batches=() if loaded.batch_id is None else (loaded.batch_id,),
    )


def _left(connection: Connection, piece: _Piece, met: Sequence[_Met]) -> list[_Met]:
    """What touches no watch any more, since it left a watched name server that its source still states of it."""
    known = {place for place, _, _ in met}
    moved = {
        entity(Kind.DOMAIN, one.name): (place, one)
        for place, one in enumerate(piece.records)
        if isinstance(one, Arrival) and one.change != "added" and place not in known
    }
    standing = new_domains.standing_servers(connection, piece.run.source_id, list(moved)) if moved else {}
    return [(*found, ()) for domain, found in moved.items() if domain.digest in standing]


def _facts(connection: Connection, piece: _Piece, met: Sequence[_Met]) -> Iterator[Fact]:
    moved = [entity(Kind.DOMAIN, one.name) for _, one, _ in met if one.change != "added"]
    standing = new_domains.standing_servers(connection, piece.run.source_id, moved) if moved else {}
    for line, (place, one, hits) in enumerate(met, 1):
        servers = standing.get(entity(Kind.DOMAIN, one.name).digest, ())
        # A document of our own holds those alone that touch a watch.
        locator = f"line {line}" if piece.document is None else f"name {piece.before + place + 1}"
        yield from facts_of(one, hits, servers, source=piece.source.name, locator=locator)


def _document(connection: Connection, piece: _Piece, met: Sequence[_Met]) -> RawDocument:
    """The arrivals that touch a watch, kept: the rest of the stream is not."""
    body = b"".join(msgspec.json.encode(one) + b"\n" for _, one, _ in met)
    digest = documents.put(settings().document_store, body)
    now = datetime.now(UTC)
    as_of = max((one.seen_at for _, one, _ in met), default=now)
    location = piece.location or f"{piece.channel.value}:{piece.source.name}"
    number = runs.new_document(
        connection,
        source_id=piece.run.source_id,
        run_id=piece.run.run_id,
        location=location,
        sha256=digest,
        size=len(body),
        media_type=MEDIA_TYPE,
        as_of=as_of,
        fetched_at=now,
    )
    return RawDocument(document_id=number, location=location, body=body, media_type=MEDIA_TYPE, as_of=as_of)
