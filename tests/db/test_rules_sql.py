"""Rules in SQL: that they say what the matcher says, of generated histories, and by which indexes."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Engine, text

from db.engine import open_engine
from db.rules_load import load_histories
from db.rules_sql import compile_rule
from intel.match.rules import match
from intel.rules import read_rule
from lab import rule_histories as made
from tests.conftest import _database

HISTORIES = 1_000
SEED = 11


class Generated(msgspec.Struct, frozen=True):
    engine: Engine
    watch_id: int
    subject_ids: list[int]


@pytest.fixture(scope="module")
def generated(database_server: str, _template_database: str) -> Iterator[Generated]:
    databases = _database(database_server, _template_database)
    engine = open_engine(next(databases), pooled=True)
    subjects = made.subjects(HISTORIES, SEED)
    made.load_all(engine, made.histories(subjects, SEED))
    with engine.begin() as connection:
        watch_id = made.prepare(connection)
        connection.exec_driver_sql("ANALYZE")
        ids = dict(list(connection.execute(text("SELECT digest, id FROM entity"))))
    stated = [ids[digest] for digest in (UUID(bytes=one.digest) for one in subjects) if digest in ids]
    yield Generated(engine, watch_id, stated)
    engine.dispose()
    next(databases, None)


def test_history_and_arrivals_are_judged_alike(generated: Generated) -> None:
    rules = made.made_rules(SEED, 50)
    with generated.engine.connect() as connection:
        connection.exec_driver_sql("SET jit = off")
        histories = load_histories(
            connection, rules, generated.subject_ids, as_of=made.AS_OF, watch_id=generated.watch_id
        )
        matched = 0
        for rule in rules:
            statement = compile_rule(rule, watch_id=generated.watch_id, as_of=made.AS_OF)
            rows = connection.execute(text(statement.sql), statement.parameters).all()
            by_sql = {(row.subject_id, row.key, row.event_time) for row in rows}
            assert len(by_sql) == len(rows), rule.name
            found = match(rule, histories)
            by_matcher = {(one.subject.id, one.key, one.event_time) for one in found}
            assert by_sql == by_matcher, rule
            assert len({one.novelty for one in found}) == len(found)
            assert all(one.facts for one in found)
            matched += len(rows)
            if rule.name.startswith("alone"):
                assert rows, f"{rule.when} never matches: that says nothing"
    assert matched > HISTORIES


def test_values_are_bound_and_stand_nowhere_in_the_statement() -> None:
    hostile = "'; DROP TABLE fact; --:x"
    rule = read_rule(
        {
            "name": "hostile",
            "when": [
                {"registered-through": {"is": hostile, "matches": f"*{hostile}", "role": hostile}},
                {"label": {"matches": hostile}},
                {"suffix": hostile},
                {"any": [{"issuer": hostile}, {"registered-by": {"field": hostile}}]},
            ],
            "say": "{subject}",
        }
    )
    statement = compile_rule(rule)
    assert "DROP" not in statement.sql
    assert any("DROP" in str(value) for value in statement.parameters.values())


@pytest.mark.parametrize(
    ("condition", "indexes"),
    [
        ({"registrar": "Example Registrar"}, ("uq_entity_digest", "ix_link_object_id")),
        (
            {"registered-through": {"is": "Example Registrar", "state": ["value", "unparsed"]}},
            ("uq_entity_digest", "ix_fact_object_id", "pk_fact_history"),
        ),
        ({"resolves-to": {"in": "192.0.2.0/24"}}, ("ix_entity_address", "ix_link_object_id")),
        ({"uses-name-server": {"below": "example.net"}}, ("ix_entity_scope", "ix_link_object_id")),
        (
            {"resolves-to": {"where": {"part-of": "AS64500"}}},
            ("uq_entity_digest", "ix_link_object_id"),
        ),
        ({"registered-by": {"watched": True}}, ("uq_entity_digest", "ix_entity_scope", "ix_link_object_id")),
    ],
)
def test_what_is_named_is_found_by_its_index(
    generated: Generated, condition: dict[str, object], indexes: tuple[str, ...]
) -> None:
    rule = read_rule({"name": "one", "when": [condition, {"created": {}}], "say": "{subject}"})
    statement = compile_rule(rule, watch_id=generated.watch_id)
    with generated.engine.connect() as connection:
        # The tables are small: what is asked is whether the index can serve, not whether it is worth it here.
        connection.exec_driver_sql("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        plan = "\n".join(connection.execute(text("EXPLAIN " + statement.sql), statement.parameters).scalars())
    for index in (*indexes, "ix_fact_subject_id_predicate_object_id"):
        assert index in plan, plan
