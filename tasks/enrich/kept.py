"""Loading kept answers of look-ups: their documents, with the facts that they state and end, in; `Loaded` out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Engine

from db import lookups as log
from db.load import Batch, Loaded
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.facts import Fact, RawDocument
from tasks.load.load import load_batch
from tasks.records import Run


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One answer whose document row is written: what it states and ends at `at` (event time), and its question."""

    document_id: int
    location: str
    at: datetime
    facts: tuple[Fact, ...]
    query_id: int
    outcome: str


def load_kept(engine: Engine, source: Source, run: Run, kept: Sequence[Kept]) -> Loaded:
    """Load the answers as one batch of a run that holds the source's lock, then say which document holds which.

    Only what is loaded counts as a version: a process that dies before that loads the same again, which is none.
    Raises WarehouseError; nothing is loaded then.
    """
    with engine.connect() as connection:
        with Staging(driver(connection), run_id=run.run_id, source=source.name, tlp=int(source.default_tlp)) as staging:
            for one in kept:
                staging.add(
                    RawDocument(document_id=one.document_id, location=one.location, body=b"", as_of=one.at), one.facts
                )
        connection.commit()
    loaded = load_batch(
        engine,
        Batch(
            source=source.name,
            source_id=run.source_id,
            run_id=run.run_id,
            documents=tuple(one.document_id for one in kept),
            facts=staging.facts,
            rejects=staging.rejects,
            max_shrink=source.limits.max_shrink,
        ),
    )
    with engine.begin() as connection:
        for one in kept:
            log.log_answer(connection, one.query_id, outcome=one.outcome, document_id=one.document_id)
    return loaded
