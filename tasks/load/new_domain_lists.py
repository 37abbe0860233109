"""Loads the lists of new domains that were collected: stored documents in, what they brought out.

A list that cannot be read costs itself: it becomes a reject with the reason, its bytes are kept, and the run ends as
`partial`. So does one of which no line could be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import msgspec
from sqlalchemy import Engine

from db import documents, runs
from intel.config.sources import Source
from intel.errors import ReadError
from intel.facts import RawDocument, Reject
from intel.new_domains import Arrival, Channel
from intel.settings import settings
from tasks.collect.fetched import public_url
from tasks.load.new_domain_work import Ranker, open_work
from tasks.load.new_domains import Arrived, load_arrivals
from tasks.normalize import domains
from tasks.normalize.lines import printable
from tasks.records import Collected, Run


def load_lists(engine: Engine, source: Source, collected: Collected, *, ranker: Ranker | None = None) -> Arrived:
    """Load what the documents of `collected` name, one at a time; the cursor goes with the last."""
    work = open_work(engine, ranker)
    run = Run(source=source.name, source_id=collected.source_id, run_id=collected.run_id)
    with engine.connect() as connection:
        rows = runs.documents(connection, collected.documents)
    done = Arrived(run_id=run.run_id, source=source.name, last=not collected.more)
    problems = list(collected.problems)
    for row in rows:
        document = RawDocument(
            document_id=row.id, location=row.location, body=b"", media_type=row.media_type, as_of=row.as_of
        )
        records, fault = _read(document, row.sha256, source)
        some = load_arrivals(
            engine,
            source,
            run,
            Channel.LIST,
            records,
            document=document,
            read=not fault,
            work=work,
            last=False,
        )
        if not fault and some.rejects and not some.names:
            fault = "none of its lines could be read"
        if fault:
            said = printable(fault, 500)
            problems.append(f"couldn't read {public_url(row.location)}: {said}; the document is kept")
        done = done.plus(some)
    # What ends the run comes last: a kill before it leaves the cursor where it was, and the lists are read again.
    ended = load_arrivals(
        engine, source, run, Channel.LIST, (), cursor=collected.cursor, work=work, last=done.last, problems=problems
    )
    return done.plus(ended)


def _read(document: RawDocument, digest: bytes, source: Source) -> tuple[Iterator[Arrival | Reject], str]:
    """What the stored list says, and empty; or one reject, and why the list cannot be read."""
    try:
        body = documents.get(settings().document_store, digest)
        records = domains.read(msgspec.structs.replace(document, body=body), source)
        # What is no list says so before its first line.
        first = list(islice(records, 1))
    except ReadError as error:
        return iter([Reject(locator="", reason=str(error))]), str(error)
    return chain(first, records), ""
