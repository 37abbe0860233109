"""Answers about addresses, networks, AS, name servers and handles into the warehouse: documents, facts, and ends.

In: answers that are kept and not loaded yet. Out: `Loaded`. An answer is a version of all that it speaks of: what it
no longer states of an address or of its network has ended. One that says nothing (throttled, malformed) is kept as a
document and ends nothing. Its event time is when it was fetched: number registries do not say how recent they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Engine

from db import lookups as log
from db import runs
from db.entities import ensure_entities
from db.load import Loaded
from intel.entities import Entity
from intel.facts import Fact
from intel.registration import Outcome
from intel.registration_numbers import Answered
from tasks.collect.session import find_source, open_run
from tasks.enrich.facts_of_numbers import TIER, facts_of_record, subjects_of
from tasks.enrich.facts_of_registration import ends
from tasks.enrich.kept import Kept, load_kept
from tasks.enrich.questions import patiently

SOURCE = "rdap"
_CONCLUSIVE = frozenset({Outcome.REGISTERED, Outcome.NOT_FOUND})


class NumberAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one server answered about one thing; `digest` is the SHA-256 of its bytes in the document store."""

    subject: Entity
    query_id: int
    location: str
    digest: bytes
    size: int
    media_type: str
    fetched_at: datetime
    record: Answered
    document_id: int | None = None
    """Set where its facts are in the warehouse already."""


def load_numbers(engine: Engine, answers: Sequence[NumberAnswer]) -> Loaded:
    """Load what the answers state, and end what they no longer state. Raises WarehouseError and ConfigError."""
    source = find_source(SOURCE)
    with patiently(lambda: open_run(engine, source)) as run:
        with engine.begin() as connection:
            numbers = [_document(connection, run.source_id, run.run_id, one) for one in answers]
            runs.count(connection, run.run_id, documents=len(answers), bytes=sum(one.size for one in answers))
        # The run holds the source's lock: what stands now stands until this batch is loaded.
        with engine.begin() as connection:
            told = [_told(connection, one) for one in answers]
        return load_kept(
            engine,
            source,
            run,
            [
                Kept(
                    document_id=number,
                    location=one.location,
                    at=one.fetched_at,
                    facts=facts,
                    query_id=one.query_id,
                    outcome=one.record.outcome,
                )
                for number, one, facts in zip(numbers, answers, told, strict=True)
            ],
        )


def _document(connection: Connection, source_id: int, run_id: int, answer: NumberAnswer) -> int:
    return runs.new_document(
        connection,
        source_id=source_id,
        run_id=run_id,
        location=answer.location,
        sha256=answer.digest,
        size=answer.size,
        media_type=answer.media_type,
        as_of=answer.fetched_at,
        fetched_at=answer.fetched_at,
    )


def _told(connection: Connection, answer: NumberAnswer) -> tuple[Fact, ...]:
    """What an answer states, and what stood and ends with it."""
    stated = facts_of_record(answer.record, answer.subject)
    if answer.record.outcome not in _CONCLUSIVE:
        return stated
    subjects = subjects_of(answer.record, answer.subject)
    ids = ensure_entities(connection, subjects)
    ended = [
        end
        for subject in subjects
        for end in ends(
            log.standing(connection, source=SOURCE, subject=subject, subject_id=ids[subject.digest], tier=TIER),
            stated,
            source=SOURCE,
        )
    ]
    return (*stated, *ended)
