"""Answers about domains into the warehouse: documents, facts, and the ends of what is no longer stated.

Comes in: the answers of one source. Goes out: `Versions`. An answer is a version of what its tier says; one that says
nothing about the domain (throttled, cut, malformed) is kept as a document and ends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from db import documents, runs
from db import lookups as log
from db.load import Loaded
from intel.config.sources import Source
from intel.entities import Entity
from intel.errors import ReadError
from intel.facts import Fact, Predicate, fact_key
from intel.registration import Outcome
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.enrich.answers import Answer
from tasks.enrich.facts_of_registration import Tier, ends, facts_of
from tasks.enrich.kept import Kept, load_kept
from tasks.enrich.questions import patiently

_TIERS: Final[tuple[Tier, ...]] = ("registry", "registrar")
_RESTLESS: Final = frozenset({Predicate.UPDATED})
"""What changes with every touch of a record, and alone says of no change that anybody looks for."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one source about one domain that are not in the warehouse yet."""

    domain: Entity
    entity_id: int
    answers: tuple[Answer, ...]


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """What loading came to. `changed` are the ids of the domains of which an earlier version said otherwise."""

    loaded: Loaded
    changed: frozenset[int]


def load_versions(engine: Engine, source: Source, told: Sequence[Told], *, stale: timedelta) -> Versions:
    """Write the answers' documents, and load what they state and what they no longer state.

    A server's own word on how recent its data is counts within `stale` of when it was asked. Raises WarehouseError;
    nothing is loaded then, and what was answered stays kept.
    """
    with patiently(lambda: open_run(engine, source)) as run:
        answers = [(one, answer) for one in told for answer in one.answers]
        with engine.begin() as connection:
            times = [_time(connection, one.entity_id, answer, stale) for one, answer in answers]
            numbers = [
                _document(connection, run.source_id, run.run_id, answer, at)
                for (_, answer), at in zip(answers, times, strict=True)
            ]
            runs.count(connection, run.run_id, documents=len(answers), bytes=sum(one.size for _, one in answers))
        # The run holds the source's lock: what stands now stands until this batch is loaded.
        changed: set[int] = set()
        with engine.connect() as connection:
            stated = [_stated(connection, source.name, one, answer, changed) for one, answer in answers]
            connection.commit()
        loaded = load_kept(
            engine,
            source,
            run,
            [
                Kept(
                    document_id=number,
                    location=answer.location,
                    at=at,
                    facts=facts,
                    query_id=answer.query_id,
                    outcome=answer.registration.outcome,
                )
                for number, at, (_, answer), facts in zip(numbers, times, answers, stated, strict=True)
            ],
        )
    return Versions(loaded=loaded, changed=frozenset(changed))


def _time(connection: Connection, entity_id: int, answer: Answer, stale: timedelta) -> datetime:
    """The event time of a version: the time that the server says its data has, where that can be so, else ours.

    It cannot be so where it lies ahead, long back, or not after the version before: some servers say the same time
    for ever, and a version must follow the one that it replaces.
    """
    if answer.document_id is not None:
        # Read again: it is the version that it was.
        return runs.documents(connection, [answer.document_id])[0].as_of  # type: ignore[no-any-return]  # a row's column
    said = answer.registration.as_of
    if said is None or not answer.fetched_at - stale <= said <= answer.fetched_at:
        return answer.fetched_at
    # That of every tier whose facts it may end: an end that lies before what it ends would end nothing.
    versions = (
        log.last_version(connection, entity_id=entity_id, protocol=answer.protocol, reach=tier)
        for tier in _spoken_for(answer)
    )
    return said if all(before is None or said > before for before in versions) else answer.fetched_at


def _document(connection: Connection, source_id: int, run_id: int, answer: Answer, at: datetime) -> int:
    return runs.new_document(
        connection,
        source_id=source_id,
        run_id=run_id,
        location=answer.location,
        sha256=answer.digest,
        size=answer.size,
        media_type=answer.media_type,
        as_of=at,
        fetched_at=answer.fetched_at,
    )


def _stated(connection: Connection, source: str, told: Told, answer: Answer, changed: set[int]) -> tuple[Fact, ...]:
    """What an answer states, and what stood and ends with it."""
    stated = facts_of(answer.registration, answer.tier)
    ended: list[Fact] = []
    for tier in _spoken_for(answer) if _whole(connection, told.entity_id, answer) else ():
        stood = log.standing(connection, source=source, subject=told.domain, subject_id=told.entity_id, tier=tier)
        gone = ends(stood, stated, source=source)
        ended += gone
        if any(fact.predicate not in _RESTLESS for fact in gone) or _adds(stood, stated, source):
            changed.add(told.entity_id)
    return (*stated, *ended)


def _whole(connection: Connection, entity_id: int, answer: Answer) -> bool:
    """Whether an answer came to its end: what a part of one does not say may stand in the rest, so it ends nothing.

    RFC 3912 has no length and no mark of the end. A reply that stops within a line was cut, unless that server's
    replies always stop so: then the last one did at the same words.
    """
    if answer.cut or answer.protocol != "whois":
        return not answer.cut
    store = settings().document_store
    try:
        body = documents.get(store, answer.digest)
        if body.endswith((b"\n", b"\r")):
            return True
        before = log.last_digest(connection, entity_id=entity_id, protocol="whois", reach=answer.tier)
        return before is None or documents.get(store, before).rpartition(b"\n")[2] == body.rpartition(b"\n")[2]
    except ReadError:
        # Lost or damaged in the store: nothing to compare it with, which is no reason to end anything.
        return False


def _adds(stood: Sequence[Fact], stated: Sequence[Fact], source: str) -> bool:
    """Whether a later version says something that the one before did not; the first one is no change."""
    keys = {fact_key(source, fact) for fact in stood}
    return bool(keys) and any(
        fact.predicate not in _RESTLESS and fact.predicate != Predicate.ALIAS and fact_key(source, fact) not in keys
        for fact in stated
    )


def _spoken_for(answer: Answer) -> Iterator[Tier]:
    """The tiers whose facts an answer may end: its own; all, where the registry says that there is no such domain."""
    if answer.registration.outcome is Outcome.REGISTERED:
        yield answer.tier
    elif answer.registration.outcome is Outcome.NOT_FOUND:
        yield from _TIERS if answer.tier == "registry" else (answer.tier,)
