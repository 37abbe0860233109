from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from db import enrich, lookups
from db.engine import open_engine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILL = """
INSERT INTO source (name, title, reliability, tlp, snapshot, redistribution, commercial_use)
SELECT 'feed' || n, 'feed', 'B', 0, false, true, true FROM generate_series(1, 20) n;
INSERT INTO entity (digest, kind, value, scope, address)
SELECT gen_random_uuid(), (ARRAY['certificate', 'ip', 'public-key', 'domain', 'domain'])[1 + n % 5],
    'v' || n, CASE WHEN n % 5 > 2 THEN 's' || n / 10 ELSE '' END,
    CASE WHEN n % 5 = 1 THEN '10.0.0.0'::inet + n END
FROM generate_series(1, 20000) n;
INSERT INTO fact (key, source_id, subject_id, predicate, object_id, tlp, batch_id)
SELECT gen_random_uuid(), 1 + n % 20, 1 + n % 20000,
    (ARRAY['listed', 'resolves-to', 'names', 'has-key', 'part-of'])[1 + n % 5], 1 + (n * 7) % 20000, 0, 1
FROM generate_series(1, 40000) n;
INSERT INTO fact_history (fact_id, event_time, ended, batch_id)
SELECT id, '2026-03-01', false, 1 FROM fact;
INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts)
SELECT DISTINCT subject_id, predicate, object_id, '{}'::tstzmultirange, 1, 1 FROM fact;
INSERT INTO query (protocol, server, reach, entity_id, reason, outcome)
SELECT 'rdap', 's', 'registry', 1 + n % 20000, 'incident ' || n % 100, 'registered' FROM generate_series(1, 20000) n;
ANALYZE
"""
ENTITIES = {"pk_entity", "ix_entity_scope", "ix_entity_address"}
FACTS = {"ix_fact_subject_id_predicate_object_id", "pk_fact_history"}
LINKS = {"pk_link", "ix_link_object_id"}
IDS: dict[str, Any] = {"ids": [5, 6, 7], "scan": 2000, "top": 20}


@pytest.fixture
def filled(database_url: str) -> Iterator[Connection]:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        for statement in FILL.split(";"):
            connection.execute(text(statement))
        yield connection
    engine.dispose()


PLANS: list[tuple[str, dict[str, Any], set[str], set[str]]] = [
    (enrich.NEAR, IDS, ENTITIES, {"entity"}),
    (enrich.FACTS, IDS | {"abouts": [5, 6, 7], "predicates": ["listed"]}, FACTS, {"fact", "fact_history", "entity"}),
    (enrich.TIES, IDS | {"claims": ["listed"]}, LINKS, {"link", "entity", "fact"}),
    (enrich.RESOLUTIONS, IDS, LINKS, {"link", "entity", "fact"}),
    (enrich.CERTIFICATES, IDS, LINKS, {"link", "entity"}),
    (enrich.CERTIFICATE_DETAILS, IDS, {"pk_link", "pk_entity"}, {"link", "entity"}),
    (enrich.CERTIFICATE_SOURCES, IDS, {"ix_fact_subject_id_predicate_object_id"}, {"fact"}),
    (enrich.NETWORKS, {"digests": [uuid4()]}, {"uq_entity_digest"}, {"entity"}),
    (enrich.HOLDERS, {"digests": [uuid4()], "scan": 9, "top": 9}, {"uq_entity_digest", "pk_link"}, {"entity", "link"}),
    (enrich.NAMES_ON, {"digest": uuid4(), "scan": 9, "top": 9}, {"ix_link_object_id"}, {"entity", "link"}),
    (
        lookups.STRICTEST_TLP,
        {"digests": [uuid4()]},
        {"uq_entity_digest", "ix_fact_subject_id_predicate_object_id", "ix_fact_object_id"},
        {"entity", "fact"},
    ),
    (lookups.STANDING, {"source": "feed1", "subject_id": 5, "tier": "registry"}, FACTS, {"fact", "fact_history"}),
]


def test_each_statement_uses_its_indexes(filled: Connection) -> None:
    for sql, values, indexes, tables in PLANS:
        plan = "\n".join(row[0] for row in filled.execute(text(f"EXPLAIN {sql}"), values))
        assert [one for one in indexes if one not in plan] == [], plan
        assert [one for one in tables if f"Seq Scan on {one} " in f"{plan} "] == [], plan


def test_the_budget_is_counted_by_index(filled: Connection) -> None:
    sql = "EXPLAIN SELECT count(*) FROM query WHERE reason = 'incident 1'"
    plan = "\n".join(row[0] for row in filled.execute(text(sql)))
    assert "ix_query_reason" in plan
    assert lookups.questions(filled, reason="incident 1") == 200


def test_a_hub_is_looked_at_in_part(filled: Connection) -> None:
    filled.exec_driver_sql(
        "INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts)"
        " SELECT n, 'resolves-to', 1, '{}', 1, 1 FROM generate_series(2, 6000) n ON CONFLICT DO NOTHING"
    )
    rows = enrich.resolutions(filled, [1], top=10)
    assert len(rows) == 10
    assert rows[0].total >= enrich.SCAN
