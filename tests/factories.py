"""Rows of the warehouse for tests: each function writes one and gives its id; what is not said takes a plain value."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from db.models import Batch, Document, Entity, Fact, FactHistory, Finding, FindingFact, Incident, Run, Source, Watch
from db.models import WatchItem as WatchItemRow
from intel.entities import entity as read_entity

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_NAMESPACE: Final = UUID("5447c2e5-9f82-4122-8598-a5d069cf79e4")
_COUNT: Final = itertools.count(1)


def source(connection: Connection, name: str = "feed", **values: Any) -> int:
    row = {
        "title": name.title(),
        "reliability": "B",
        "tlp": 0,
        "snapshot": False,
        "redistribution": True,
        "commercial_use": True,
    } | values
    found = connection.execute(select(Source.id).where(Source.name == name)).scalar_one_or_none()
    if found is not None:
        return found
    return connection.execute(insert(Source).values(name=name, **row).returning(Source.id)).scalar_one()


def run(connection: Connection, source_id: int, **values: Any) -> int:
    row = {"source_id": source_id, "outcome": "ok"} | values
    return connection.execute(insert(Run).values(**row).returning(Run.id)).scalar_one()


def document(connection: Connection, source_id: int, run_id: int, **values: Any) -> int:
    row = {
        "source_id": source_id,
        "run_id": run_id,
        "location": "https://feed.example/list.txt",
        "sha256": bytes(32),
        "size": 0,
        "as_of": NOON,
        "fetched_at": NOON,
        "loaded": True,
    } | values
    return connection.execute(insert(Document).values(**row).returning(Document.id)).scalar_one()


def batch(connection: Connection, run_id: int, **values: Any) -> int:
    row = {"run_id": run_id, "facts_new": 1} | values
    return connection.execute(insert(Batch).values(**row).returning(Batch.id)).scalar_one()


def entity(connection: Connection, kind: str, value: str) -> int:
    made = read_entity(kind, value)
    row = {
        "digest": UUID(bytes=made.digest),
        "kind": str(kind),
        "value": made.value,
        "scope": made.scope,
        "address": made.address or None,
    }
    connection.execute(upsert(Entity).values(**row).on_conflict_do_nothing())
    return connection.execute(select(Entity.id).where(Entity.digest == row["digest"])).scalar_one()


def fact(
    connection: Connection,
    subject_id: int,
    *,
    source_id: int,
    predicate: str = "listed",
    object_id: int | None = None,
    event_time: datetime = NOON,
    batch_id: int | None = None,
    **values: Any,
) -> int:
    """A fact, stated at `event_time`, in a run and batch of its own unless one is given; the same again is the same."""
    key = uuid5(_NAMESPACE, f"{source_id} {subject_id} {predicate} {object_id} {sorted(values.items())}")
    standing = connection.execute(select(Fact.id).where(Fact.key == key)).scalar_one_or_none()
    if standing is not None:
        return standing
    run_id = run(connection, source_id)
    row = {
        "key": key,
        "source_id": source_id,
        "subject_id": subject_id,
        "predicate": predicate,
        "object_id": object_id,
        "tlp": 0,
        "batch_id": batch_id if batch_id is not None else batch(connection, run_id),
    } | values
    fact_id = connection.execute(insert(Fact).values(**row).returning(Fact.id)).scalar_one()
    connection.execute(
        insert(FactHistory).values(fact_id=fact_id, event_time=event_time, ended=False, batch_id=row["batch_id"])
    )
    return fact_id


def incident(connection: Connection, **values: Any) -> int:
    row = {"title": "An incident", "key": uuid5(_NAMESPACE, f"incident {next(_COUNT)}")} | values
    return connection.execute(insert(Incident).values(**row).returning(Incident.id)).scalar_one()


def watch(connection: Connection, name: str = "harbour", **values: Any) -> int:
    found = connection.execute(select(Watch.id).where(Watch.name == name)).scalar_one_or_none()
    if found is not None:
        return found
    row = {"name": name, "origin": "file", "rules": ["exact"], "created_at": NOON} | values
    return connection.execute(insert(Watch).values(**row).returning(Watch.id)).scalar_one()


def watch_item(connection: Connection, watch_id: int, value: str, **values: Any) -> int:
    row = {"watch_id": watch_id, "match": "entity", "kind": "domain", "value": value} | values
    return connection.execute(insert(WatchItemRow).values(**row).returning(WatchItemRow.id)).scalar_one()


def finding(
    connection: Connection,
    watch_id: int,
    subject_id: int,
    facts: Sequence[int] = (),
    *,
    known: Sequence[int] = (),
    **values: Any,
) -> int:
    """A finding that rests on `facts`, and matches what the `known` ones say."""
    rule = values.get("rule", "exact")
    row = {
        "watch_id": watch_id,
        "rule": rule,
        "subject_id": subject_id,
        "novelty": uuid5(_NAMESPACE, f"{watch_id} {rule} {subject_id}"),
        "title": "A watched name was listed",
        "severity": 60,
        "event_time": NOON,
        "found_at": NOON,
        "changed_at": NOON,
    } | values
    finding_id = connection.execute(insert(Finding).values(**row).returning(Finding.id)).scalar_one()
    rows = [{"finding_id": finding_id, "fact_id": one, "role": "new"} for one in facts]
    rows += [{"finding_id": finding_id, "fact_id": one, "role": "known"} for one in known]
    if rows:
        connection.execute(insert(FindingFact), rows)
    return finding_id


def found(
    connection: Connection,
    kind: str = "domain",
    value: str = "login.example",
    *,
    tlp: int = 0,
    feed: str = "feed",
    redistribution: bool = True,
    **values: Any,
) -> int:
    """A finding about one entity that one source lists, with all that it needs."""
    subject_id = entity(connection, kind, value)
    source_id = source(connection, feed, redistribution=redistribution)
    rule = values.get("rule", "exact")
    stated = fact(connection, subject_id, source_id=source_id, tlp=tlp, reference=f"https://report.example/{rule}")
    watch_id = values.pop("watch_id", None) or watch(connection)
    return finding(connection, watch_id, subject_id, [stated], **values)
