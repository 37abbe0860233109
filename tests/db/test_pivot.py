from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import pivot as sql
from db.engine import open_engine
from db.prevalence import PREVALENCE
from lab.bench._links import CDN, World, generate, state
from tasks.pivot.pivot import Budget, pivot
from tests.conftest import _database

LINKS = 30_000
BY_SUBJECT = "ix_fact_subject_id_predicate_object_id"
ASKED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "OUT": ({"ids": [1, 13], "predicates": ["resolves-to", "registered-by"], "most": 200}, ("pk_link", "pk_entity")),
    "INTO": ({"ids": [2, 14], "predicates": ["resolves-to", "registered-by"], "most": 200}, ("ix_link_object_id",)),
    "DEGREES": ({"ids": [2, 1], "predicates": ["resolves-to"] * 2, "outs": [False, True], "most": 200},
                ("ix_link_object_id", "pk_link")),
    "BELOW": ({"ids": [1], "scopes": ["d0-0.example"], "most": 200}, ("ix_entity_scope",)),
    "ABOVE": ({"ids": [1], "digests": ["0" * 32]}, ("uq_entity_digest",)),
    "ENTITIES": ({"ids": [1]}, ("pk_entity",)),
    "ENDS": ({"scopes": ["d0-0.example"], "digests": ["0" * 32], "until": None}, ("uq_entity_digest",)),
    "SAID": ({"subjects": [1], "predicates": ["resolves-to"], "objects": [2]}, (BY_SUBJECT,)),
    "CLAIMS": ({"ids": [1], "until": "2026-01-01T00:00Z"}, (BY_SUBJECT, "pk_fact_history")),
    "MEANT": ({"ids": [1]}, ("pk_link",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(database_server: str, _template_database: str) -> Iterator[tuple[Connection, World]]:
    for url in _database(database_server, _template_database):
        engine = open_engine(url)
        with engine.connect() as connection:
            world = generate(connection, LINKS)
            state(connection, 2_000)
            yield connection, world
        engine.dispose()


def test_a_generated_warehouse_is_whole(filled: tuple[Connection, World]) -> None:
    connection, world = filled
    assert LINKS * 0.9 < world.links < LINKS * 1.1
    orphans = "SELECT count(*) FROM link l WHERE NOT EXISTS (SELECT FROM entity e WHERE e.id = l.{})"
    assert [connection.execute(text(orphans.format(end))).scalar_one() for end in ("subject_id", "object_id")] == [0, 0]
    assert (
        connection.execute(text("SELECT count(*) FROM fact f JOIN fact_history h ON h.fact_id = f.id")).scalar_one() > 0
    )
    # The indexes are those of the migrations.
    names = connection.execute(text("SELECT indexname FROM pg_indexes WHERE tablename IN ('link', 'entity')")).scalars()
    made = {"pk_link", "ix_link_object_id", "pk_entity", "uq_entity_digest", "ix_entity_scope", "ix_entity_address"}
    assert set(names) >= made


@pytest.mark.parametrize("name", ASKED)
def test_every_statement_goes_by_an_index(filled: tuple[Connection, World], name: str) -> None:
    connection, _ = filled
    values, indexes = ASKED[name]
    plan = "\n".join(connection.execute(text(f"EXPLAIN {getattr(sql, name)}"), values).scalars())
    for index in indexes:
        assert index in plan, plan
    for table in ("link", "entity", "fact"):
        assert f"Seq Scan on {table} " not in plan, plan


def test_prevalence_is_asked_in_one_statement(filled: tuple[Connection, World]) -> None:
    connection, _ = filled
    values = {"traits": ["address"], "digests": ["0" * 32]}
    assert connection.execute(text(f"EXPLAIN {PREVALENCE}"), values).scalars().all()


def test_a_hub_of_thousands_costs_no_more_than_the_width(filled: tuple[Connection, World]) -> None:
    connection, world = filled
    degree = connection.execute(text("SELECT count(*) FROM link WHERE object_id = :id"), {"id": CDN}).scalar_one()
    assert degree > 0.7 * world.domains
    found = pivot(connection, [CDN], Budget(width=50))
    assert (found.neighbours, found.links) == ((), 0)
    assert [one.more for one in found.counted] == [True]
    beside = pivot(connection, [world.domain(7)], Budget(width=50))
    assert beside.links < 1_000
    assert beside.neighbours
