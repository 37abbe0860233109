"""Answers about one domain into the warehouse: documents, facts, and the ends of what is no longer stated.

Comes in: the answers of one source. Goes out: `Loaded`. An answer is a version of what its tier says; one that says
nothing about the domain (throttled, cut, malformed) is kept as a document and ends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine

from db import lookups as log
from db import runs
from db.load import Batch, Loaded
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.entities import Entity
from intel.facts import Fact, RawDocument
from intel.registration import Outcome
from tasks.collect.session import open_run
from tasks.enrich.answers import Answer
from tasks.enrich.facts_of_registration import Tier, ends, facts_of
from tasks.enrich.questions import patiently
from tasks.load.load import load_batch


def load_answers(engine: Engine, source: Source, domain: Entity, entity_id: int, answers: Sequence[Answer]) -> Loaded:
    """Write the answers' documents, and load what they state and what they no longer state.

    Raises WarehouseError; nothing is loaded then, and the documents stay.
    """
    with patiently(lambda: open_run(engine, source)) as run:
        with engine.begin() as connection:
            numbers = [_document(connection, run.source_id, run.run_id, answer) for answer in answers]
            runs.count(connection, run.run_id, documents=len(answers), bytes=sum(one.size for one in answers))
        # The run holds the source's lock: what stands now stands until this batch is loaded.
        with engine.connect() as connection:
            told = list(_told(connection, source.name, domain, entity_id, answers))
            connection.commit()
            with Staging(
                driver(connection), run_id=run.run_id, source=source.name, tlp=int(source.default_tlp)
            ) as staging:
                for number, (answer, facts) in zip(numbers, told, strict=True):
                    document = RawDocument(
                        document_id=number, location=answer.location, body=b"", as_of=answer.fetched_at
                    )
                    staging.add(document, facts)
            connection.commit()
        return load_batch(
            engine,
            Batch(
                source=source.name,
                source_id=run.source_id,
                run_id=run.run_id,
                documents=tuple(numbers),
                facts=staging.facts,
                rejects=staging.rejects,
                max_shrink=source.limits.max_shrink,
            ),
        )


def _document(connection: Connection, source_id: int, run_id: int, answer: Answer) -> int:
    number = runs.new_document(
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
    log.log_answer(connection, answer.query_id, outcome=answer.registration.outcome, document_id=number)
    return number


def _told(
    connection: Connection, source: str, domain: Entity, entity_id: int, answers: Sequence[Answer]
) -> Iterator[tuple[Answer, tuple[Fact, ...]]]:
    """Each answer with the facts that it states and those that end with it."""
    for answer in answers:
        stated = facts_of(answer.registration, answer.tier)
        ended: list[Fact] = []
        for tier in _spoken_for(answer):
            stood = log.standing(connection, source=source, subject=domain, subject_id=entity_id, tier=tier)
            ended += ends(stood, stated, source=source)
        yield answer, (*stated, *ended)


def _spoken_for(answer: Answer) -> tuple[Tier, ...]:
    """The tiers whose facts an answer may end: its own; all, where the registry says that there is no such domain."""
    if answer.registration.outcome is Outcome.REGISTERED:
        return (answer.tier,)
    if answer.registration.outcome is Outcome.NOT_FOUND:
        return ("registry", "registrar") if answer.tier == "registry" else ("registrar",)
    return ()
