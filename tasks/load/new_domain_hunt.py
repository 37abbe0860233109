"""Hunts backwards through first sights: what is watched since later is looked for in the names that came before.

Comes in: all first sights that are kept, in the order of their names, and the watches of now. Goes out: the facts that
would have been stated had the watch been there, by the same matcher and from the same sources, so that what was stated
already is not stated again. A hunt begins when the watches have changed; where it stands is committed with what it
found, so that one that is killed, or out of time, goes on from there.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine

from db import documents, new_domains, runs
from db.load import Batch, load
from db.new_domains import Sight
from db.rows import driver
from db.staging import Staging
from db.watched import watch_version
from intel.config.sources import Source
from intel.facts import RawDocument
from intel.match.hits import Hit
from intel.new_domains import Arrival
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.load.new_domain_work import Work, open_work, wish
from tasks.load.new_domains import MEDIA_TYPE
from tasks.normalize.new_domain_facts import facts_of
from tasks.records import Run

HUNT: Final = Source.model_validate(
    {
        "name": "new-domains-hunt",
        "title": "First sights of new domains, hunted backwards",
        "transport": "lookup",
        "format": "lookup",
        "location": "seen:",
        "semantics": "stream",
        "cadence": "manual",
        "reliability": "C",
        "tlp": "TLP:CLEAR",
        "licence": {"name": "none", "commercial_use": True, "redistribution": True},
        "enabled": True,
    }
)
"""Whose runs hunts are. The facts are those of the sources that showed the names."""

TOGETHER: Final = 100_000
"""First sights that are matched together."""
_CURSOR: Final = "new-domains:hunt"
_Met = tuple[Sight, tuple[Hit, ...]]


class Hunted(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a hunt came to: first sights looked at, those that touch a watch, look-ups wanted, batches to be judged.

    `more`: there was no time for all of them.
    """

    names: int = 0
    matched: int = 0
    wanted: int = 0
    batches: tuple[tuple[str, int], ...] = ()
    more: bool = False


def hunt_seen(engine: Engine, *, max_seconds: float = 480.0, flow_run: str = "") -> Hunted:
    """Look through all first sights where the watches have changed since the last hunt, for `max_seconds`.

    Raises BusyError where another process hunts.
    """
    stop = time.monotonic() + max_seconds
    done = Hunted()
    with engine.connect() as connection:
        # The version first: a watch that comes in between makes the next hunt begin again. A load under way may still
        # match by older watches, so it is waited for; one that begins later looks at the version itself.
        version = watch_version(connection)
        cursor = _cursor(connection, version)
        if cursor.get("done"):
            return done
    with open_run(engine, HUNT, flow_run=flow_run) as run:
        with engine.begin() as connection:
            new_domains.await_loads(connection)
        work = open_work(engine)
        while not cursor.get("done"):
            if done.names and time.monotonic() >= stop:
                return msgspec.structs.replace(done, more=True)
            done, cursor = _hunt_some(engine, run, work, done, cursor)
    return done


def _cursor(connection: Connection, version: str) -> dict[str, Any]:
    """Where the hunt of this version of the watches stands; its beginning where there is none."""
    known = runs.read_cursor(connection, _CURSOR)
    return known if known is not None and known.get("version") == version else {"version": version, "after": ["", ""]}


def _hunt_some(
    engine: Engine, run: Run, work: Work, done: Hunted, cursor: dict[str, Any]
) -> tuple[Hunted, dict[str, Any]]:
    with engine.connect() as connection:
        sights = new_domains.sights(connection, *cursor["after"], limit=TOGETHER)
    hits = dict(work.matcher.match(dict.fromkeys(one.name for one in sights)))
    met = sorted(((one, hits[one.name]) for one in sights if one.name in hits), key=lambda pair: pair[0].source)
    cursor = {**cursor, "done": len(sights) < TOGETHER}
    if sights:
        cursor["after"] = [sights[-1].name, sights[-1].channel]
    groups = [(source, list(some)) for source, some in groupby(met, key=lambda pair: pair[0].source)]
    # A source's facts are a transaction of their own; where the hunt stands goes with the last, or alone.
    for number, (source, group) in enumerate(groups, 1):
        with engine.begin() as connection:
            batch = _state(connection, run, group)
            wanted = wish(connection, [one.name for one, _ in group], group[0][0].tlp, work, once=True)
            if number == len(groups):
                runs.write_cursor(connection, _CURSOR, cursor, run.run_id)
        done = msgspec.structs.replace(
            done,
            wanted=done.wanted + wanted,
            batches=done.batches if batch is None else (*done.batches, (source, batch)),
        )
    if not groups:
        with engine.begin() as connection:
            runs.write_cursor(connection, _CURSOR, cursor, run.run_id)
    return msgspec.structs.replace(done, names=done.names + len(sights), matched=done.matched + len(met)), cursor


def _state(connection: Connection, run: Run, met: list[_Met]) -> int | None:
    """State what the names of one source would have stated when it showed them; nothing where all of it was stated."""
    first = met[0][0]
    arrivals = [Arrival(name=one.name, seen_at=one.first_seen.astimezone(UTC)) for one, _ in met]
    lines = zip(arrivals, (hits for _, hits in met), strict=True)
    body = b"".join(msgspec.json.encode({"arrival": one, "hits": hits}) + b"\n" for one, hits in lines)
    digest = documents.put(settings().document_store, body)
    if runs.loaded_digests(connection, first.source_id, [digest]):
        return None
    location = f"seen:{first.source}"
    as_of = max(one.seen_at for one in arrivals)
    number = runs.new_document(
        connection,
        source_id=first.source_id,
        run_id=run.run_id,
        location=location,
        sha256=digest,
        size=len(body),
        media_type=MEDIA_TYPE,
        as_of=as_of,
        fetched_at=datetime.now(UTC),
    )
    document = RawDocument(document_id=number, location=location, body=body, media_type=MEDIA_TYPE, as_of=as_of)
    # Within this transaction the staging's own ones are savepoints, so that nothing is ever left over.
    with Staging(driver(connection), run_id=run.run_id, source=first.source, tlp=first.tlp) as staging:
        for place, (arrival, (_, hits)) in enumerate(zip(arrivals, met, strict=True), 1):
            staging.add(document, facts_of(arrival, hits, (), source=first.source, locator=f"line {place}"))
    batch = Batch(
        source=first.source,
        source_id=first.source_id,
        run_id=run.run_id,
        documents=(number,),
        facts=staging.facts,
        last=False,
    )
    return load(connection, batch).batch_id
