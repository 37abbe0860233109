from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from db import view
from intel.entities import Kind, entity, literal
from intel.facts import Fact
from tests.tasks.watch.world import World

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAME, EMAIL, PERSON = "harbour-login.example", "jane@victim.example", "Jane Doe, 1 Home Street"


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    domain = entity(Kind.DOMAIN, NAME)
    made.load(
        Fact(subject=domain, predicate="has-text", object=literal(Kind.TEXT, PERSON), event_time=NOON, personal=True),
        Fact(subject=domain, predicate="registered-by", object=entity(Kind.EMAIL, EMAIL), event_time=NOON),
        Fact(subject=domain, predicate="listed", object=literal(Kind.LABEL, "phishing"), event_time=NOON),
    )
    yield made
    made.engine.dispose()


def shown(world: World, kind: str, value: str, *, reveal: bool = False, limit: int = 10) -> list[tuple[str, str]]:
    with world.engine.connect() as connection:
        number = view.find(connection, entity(kind, value) if kind != Kind.TEXT else literal(kind, value))
        assert number is not None
        found = view.links(connection, number, limit=limit, reveal=reveal)
    assert all("personal" not in row for row in found)
    return sorted((row["direction"], row["value"]) for row in found)


def test_a_link_masks_what_a_fact_marks_as_a_persons(world: World) -> None:
    assert shown(world, Kind.DOMAIN, NAME) == [("out", "J***"), ("out", "j***@victim.example"), ("out", "phishing")]


def test_a_link_is_unmasked_where_that_was_asked_for(world: World) -> None:
    assert shown(world, Kind.DOMAIN, NAME, reveal=True) == [("out", PERSON), ("out", EMAIL), ("out", "phishing")]


def test_what_a_person_is_named_of_is_shown(world: World) -> None:
    assert shown(world, Kind.TEXT, PERSON) == [("in", NAME)]


def test_links_are_few_before_their_facts_are_read(world: World) -> None:
    assert len(shown(world, Kind.DOMAIN, NAME, limit=2)) == 2
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO entity (digest, kind, value) SELECT gen_random_uuid(), 'label', 'v' || n"
            " FROM generate_series(1, 20000) n;"
            "INSERT INTO fact (key, source_id, subject_id, predicate, object_id, tlp, batch_id)"
            " SELECT gen_random_uuid(), 1, n, 'listed', n + 1, 0, 1 FROM generate_series(1, 20000) n;"
            "INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts)"
            " SELECT n, 'listed', n + 1, '{}', 1, 1 FROM generate_series(10, 20000) n"
        )
        connection.exec_driver_sql("ANALYZE entity, fact, link")
        rows = connection.execute(text(f"EXPLAIN {view.LINKS}"), {"id": 15, "limit": 20}).scalars()
        plan = "\n".join(rows)
    for index in ("pk_link", "ix_link_object_id", "ix_fact_subject_id_predicate_object_id"):
        assert index in plan, plan
