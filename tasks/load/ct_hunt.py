"""Hunts backwards: what is watched since later than an archived entry was matched is looked for in it.

Comes in: the terms that are new (db/hunt_terms.py) and the segments that do not know them. Goes out: facts of the
entries that meet them, the same as if they had been met when the log was read, in a batch that the monitors judge. A
segment's facts and its time `judged_at` are committed in one transaction: a process that is killed anywhere leaves the
segment as a whole hunted through or not.

A certificate that names what is watched teaches its key, which is a new term: the hunt goes on until nothing is new.
So a reused key is found that was logged before the certificate that makes it known, in this log or another.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

import msgspec
from psycopg.errors import DeadlockDetected, SerializationFailure
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import OperationalError

from db import documents, runs
from db.archive_duckdb import THREADS, connect
from db.archive_manifest import Held, held, hunted
from db.archive_match import Met, matches
from db.archive_store import Store, open_store
from db.hunt_terms import Terms, learn, terms
from db.load import Batch, load
from db.models import Source as SourceRow
from db.rows import driver
from db.staging import Staging
from db.watched import load_watch_set
from intel.config.ct import read_ct
from intel.config.sources import Source
from intel.ct_archived import Archived
from intel.errors import ConfigError, ReadError, WarehouseError
from intel.facts import RawDocument
from intel.settings import settings
from tasks.collect.session import find_source, open_run
from tasks.load.ct_position import read_position
from tasks.normalize.ct_archived import MEDIA_TYPE, Found, read_found, write
from tasks.records import Run

ARCHIVE: Final = Source.model_validate(
    {
        "name": "ct-archive",
        "title": "Archive of Certificate Transparency, hunted backwards",
        "transport": "ct",
        "format": "ct",
        "location": "archive:",
        "semantics": "stream",
        "cadence": "manual",
        "reliability": "A",
        "tlp": "TLP:CLEAR",
        "licence": {"name": "none", "commercial_use": True, "redistribution": True},
        "enabled": True,
    }
)
"""Whose runs hunts are. The facts are the logs' own, as if they had been met when the log was read."""

_TOGETHER: Final = 10_000
"""Entries whose facts are committed together, at most."""
_TRIES: Final = 5


class Hunted(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a hunt came to: `segments` hunted through, the `entries` in them, `hits` that were stated.

    `batches` are what the monitors judge. `more`: there was no time for all of it. `problems` could not be read.
    """

    segments: int = 0
    entries: int = 0
    hits: int = 0
    batches: tuple[int, ...] = ()
    more: bool = False
    problems: tuple[str, ...] = ()


def hunt(engine: Engine, *, max_seconds: float = 480.0, threads: int = THREADS, flow_run: str = "") -> Hunted:
    """Hunt for all that is new, the newest entries first, for `max_seconds`; what is left over is found the next time.

    Raises BusyError where another process hunts, ConfigError where the extra `archive` is not installed.
    """
    stop = time.monotonic() + max_seconds
    done = Hunted()
    due = _look(engine)
    if not due.segments:
        return done
    store = open_store(read_ct(settings().configs).archive, settings().home)
    unread: dict[int, str] = {}
    with open_run(engine, ARCHIVE, flow_run=flow_run) as run, connect(store, threads=threads) as duckdb:
        left = due.segments
        while left and time.monotonic() < stop:
            for segment in left:
                if time.monotonic() >= stop:
                    break
                try:
                    done = _add(done, _hunt_through(engine, run, segment, due, duckdb=duckdb, store=store))
                except ReadError as error:
                    unread[segment.id] = str(error)
            due = _look(engine)
            left = tuple(segment for segment in due.segments if segment.id not in unread)
        with engine.begin() as connection:
            for said in unread.values():
                runs.warn(connection, run.run_id, said)
            runs.finish(connection, run.run_id, outcome="ok" if done.hits else "unchanged")
    return msgspec.structs.replace(done, more=bool(left), problems=tuple(unread.values()))


def record(engine: Engine, found: Sequence[Archived], reason: str, *, flow_run: str = "") -> Hunted:
    """State what a person has found in the archive, with what it meets of the watches of now.

    The reason is kept with it. Raises BusyError where a hunt is at it.
    """
    done = Hunted()
    with open_run(engine, ARCHIVE, flow_run=flow_run) as run:
        with engine.connect() as connection:
            watch = load_watch_set(connection)
        for log, entries in groupby(sorted(found, key=lambda one: (one.log, one.index)), key=lambda one: one.log):
            met = [(entry, watch.match(entry.view, entry.digests)) for entry in entries]
            for start in range(0, len(met), _TOGETHER):
                some = met[start : start + _TOGETHER]
                batch = _commit(engine, run, log, some, reason=reason)
                done = _add(done, Hunted(hits=len(some), batches=() if batch is None else (batch,)))
    return done


class _Due(msgspec.Struct, frozen=True, kw_only=True):
    """Segments that do not know all terms, the newest first, and the terms that one of them does not know.

    `until` is when the newest term was seen: hunted through, a segment knows all up to it.
    """

    segments: tuple[Held, ...] = ()
    terms: Terms | None = None
    until: datetime | None = None


def _look(engine: Engine) -> _Due:
    newest = learn(engine)
    if newest is None:
        return _Due()
    with engine.connect() as connection:
        due = held(connection, judged_before=newest)
        if not due:
            return _Due()
        known = terms(connection, min(one.judged_at for one in due))
    ordered = sorted(due, key=lambda one: one.time_max, reverse=True)
    return _Due(segments=tuple(ordered), terms=known, until=newest)


def _hunt_through(engine: Engine, run: Run, segment: Held, due: _Due, *, duckdb: Any, store: Store) -> Hunted:
    """Hunt through one segment for the terms that it does not know; raises ReadError where it cannot be read."""
    watch = due.terms.after(segment.judged_at) if due.terms is not None else None
    hits = 0
    batches: list[int | None] = []
    pending: list[Met] = []
    for met in matches(duckdb, store, segment, watch) if watch is not None else ():
        pending.append(met)
        if len(pending) == _TOGETHER:
            # Killed behind this, the segment is hunted through again, and states the same facts again.
            batches.append(_commit(engine, run, segment.log, pending))
            hits, pending = hits + len(pending), []
    batches.append(_commit(engine, run, segment.log, pending, segment=segment.id, until=due.until))
    found = tuple(batch for batch in batches if batch is not None)
    return Hunted(segments=1, entries=segment.entries, hits=hits + len(pending), batches=found)


def _commit(
    engine: Engine,
    run: Run,
    log: str,
    met: Sequence[Met],
    *,
    segment: int | None = None,
    until: datetime | None = None,
    reason: str = "",
) -> int | None:
    """Commit the facts of some entries of a log, with the time up to which their segment was hunted through.

    Returns the batch, None where nothing was new. A segment that was merged with others meanwhile keeps their oldest
    time: it is hunted through again, and states the same facts again.
    """
    body = b""
    if met:
        with engine.connect() as connection:
            body = write(_found(connection, log, met, reason))
        documents.put(settings().document_store, body)
    for _ in range(_TRIES):
        try:
            with engine.begin() as connection:
                if segment is not None and until is not None:
                    hunted(connection, segment, until)
                return _state(connection, run, log, met, body) if met else None
        except OperationalError as error:
            # Two loads that name the same things in opposite orders: one is ended, and had written nothing.
            if not isinstance(error.orig, DeadlockDetected | SerializationFailure):
                raise
    raise WarehouseError(
        f"couldn't load what was found in {log}: it met other loads {_TRIES} times; nothing of it was written, the next"
        " hunt finds it again"
    )


def _found(connection: Connection, log: str, met: Sequence[Met], reason: str) -> Found:
    try:
        source = find_source(log, connection)
        place = {"log": source.location, "protocol": source.options.protocol}
    except ConfigError:  # followed no longer, and what was read of it is true all the same
        place = {"log": ""}
    try:
        position = read_position(connection, log)
    except ReadError:
        position = None
    return Found(
        **place,
        head=None if position is None else position.head,
        reason=reason,
        entries=tuple(entry for entry, _ in met),
        matches=tuple(hits for _, hits in met),
    )


def _state(connection: Connection, run: Run, log: str, met: Sequence[Met], body: bytes) -> int | None:
    source_id, tlp = connection.execute(select(SourceRow.id, SourceRow.tlp).where(SourceRow.name == log)).one()
    now = datetime.now(UTC)
    location = f"archive:{log}#entries={met[0][0].index}-{met[-1][0].index}"
    as_of = max((entry.logged_at for entry, _ in met if entry.logged_at is not None), default=now)
    number = runs.new_document(
        connection,
        source_id=source_id,
        run_id=run.run_id,
        location=location,
        sha256=hashlib.sha256(body).digest(),
        size=len(body),
        media_type=MEDIA_TYPE,
        as_of=as_of,
        fetched_at=now,
    )
    document = RawDocument(document_id=number, location=location, body=body, media_type=MEDIA_TYPE, as_of=as_of)
    # Within this transaction the staging's own ones are savepoints, so that nothing is ever left over.
    with Staging(driver(connection), run_id=run.run_id, source=log, tlp=tlp) as staging:
        staging.add(document, read_found(body, log))
    batch = Batch(
        source=log,
        source_id=source_id,
        run_id=run.run_id,
        documents=(number,),
        facts=staging.facts,
        rejects=staging.rejects,
        last=False,
    )
    loaded = load(connection, batch)
    runs.count(connection, run.run_id, documents=1)
    return loaded.batch_id


def _add(one: Hunted, other: Hunted) -> Hunted:
    return Hunted(
        segments=one.segments + other.segments,
        entries=one.entries + other.entries,
        hits=one.hits + other.hits,
        batches=one.batches + other.batches,
    )
