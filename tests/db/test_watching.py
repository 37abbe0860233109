from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from sqlalchemy import Connection, Engine, text

from db import (
    ownership,
    ownership_effects,
    watching_expected,
    watching_flows,
    watching_forms,
    watching_handles,
    watching_hosts,
    watching_match,
    watching_places,
    watching_prepared,
    watching_rules,
    watching_store,
    watching_versions,
    watching_whole,
)
from db.watching import Definition, Item, list_watches, put_watch, remove_watch
from tasks.watch.monitor import prepare

# A warehouse large enough that reading all of a table costs more than an index, filled from SQL.
_FILL = """
INSERT INTO source (name, title, reliability, tlp, snapshot, redistribution, commercial_use)
VALUES ('feed', 'feed', 'B', 1, false, true, true);
INSERT INTO run (source_id) SELECT 1 FROM generate_series(1, 200);
INSERT INTO batch (run_id, facts_new) SELECT n, 300 FROM generate_series(1, 200) n;
INSERT INTO entity (digest, kind, value, scope, address)
SELECT encode(substr(sha256(convert_to('domain', 'UTF8') || '\\x00'::bytea || convert_to(v, 'UTF8')), 1, 16),
    'hex')::uuid,
    'domain', v, 'd' || n / 3 || '.example', CASE WHEN mod(n, 2) = 0 THEN '10.0.0.0'::inet + n END
FROM (SELECT n, 'h' || n || '.d' || n / 3 || '.example' AS v FROM generate_series(1, 60000) n) x;
INSERT INTO fact (key, source_id, subject_id, predicate, object_id, tlp, batch_id)
SELECT md5(n::text)::uuid, 1, n, CASE mod(n, 4) WHEN 0 THEN 'listed' WHEN 1 THEN 'registered-by' WHEN 2 THEN 'names'
    ELSE 'has-key' END, 1 + mod(n * 7919, 60000), 1, 1 + n / 301 FROM generate_series(1, 60000) n;
INSERT INTO fact_history (fact_id, event_time, ended, batch_id)
SELECT n, '2026-01-01', false, 1 + n / 301 FROM generate_series(1, 60000) n;
INSERT INTO fact_history (fact_id, event_time, ended, batch_id)
SELECT n, '2026-02-01', true, 1 + n / 301 FROM generate_series(1, 60000, 5) n;
INSERT INTO watch (name, origin, rules) VALUES ('watch', 'command', '{*}');
INSERT INTO watch_item (watch_id, match, kind, value, network)
SELECT 1, 'scope', '', 'd' || n || '.example', NULL FROM generate_series(1, 20000) n
UNION ALL SELECT 1, 'network', '', host('10.0.0.0'::inet + n), '10.0.0.0'::inet + n FROM generate_series(1, 20000) n;
"""
_CANDIDATES = """
INSERT INTO watch_candidate SELECT id, subject_id, predicate, object_id, source_id, NULL, '2026-01-01'
FROM fact WHERE id <= 20;
ANALYZE watch_candidate
"""
_CHUNK = """
INSERT INTO watch_chunk VALUES (1, 'scope', '', 'd5.example', 'd5.example', NULL),
    (2, 'network', '', '10.0.1.0/28', '', '10.0.1.0/28'), (3, 'entity', 'domain', 'h9.d3.example', '', NULL);
ANALYZE watch_chunk
"""
_ENTITIES = """
INSERT INTO watch_entity SELECT id, digest, kind, value, scope, address, value FROM entity WHERE id <= 20;
ANALYZE watch_entity
"""
_FOUND = """
INSERT INTO watch_found SELECT 'same-domain', 1, md5(n::text)::uuid, n, n, NULL, '2026-01-01'
FROM generate_series(1, 5) n;
ANALYZE watch_found
"""


@pytest.fixture
def filled(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        for statement in _FILL.split(";\n"):
            connection.exec_driver_sql(statement)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(
            "VACUUM (ANALYZE) entity, fact, fact_history, watch_item, watch, batch, finding_fact"
        )
    with engine.begin() as connection:
        prepare(connection)
        for statements in (_CANDIDATES, _CHUNK, _ENTITIES, _FOUND):
            for statement in statements.split(";\n"):
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO watch_domain SELECT n FROM generate_series(1, 20) n")
        connection.exec_driver_sql("ANALYZE watch_domain")
        connection.exec_driver_sql(
            "INSERT INTO watch_end SELECT n, '2026-01-01', 'seized', n FROM generate_series(1, 5) n"
        )
        connection.exec_driver_sql("ANALYZE watch_end, watch_moved")
        connection.exec_driver_sql("INSERT INTO watch_swept_entity SELECT n FROM generate_series(1, 20) n")
        connection.exec_driver_sql("ANALYZE watch_swept_entity")
        yield connection


_VALUES = {
    "batch_id": 7,
    "run_id": 7,
    "predicates": ["listed", "registered-by", "names", "has-key"],
    "watch_id": 1,
    "mark": "registrations",
    "size": 10,
}


def _plan(connection: Connection, statement: str) -> str:
    values = {name: value for name, value in _VALUES.items() if re.search(rf"(?<!:):{name}\b", statement)}
    return "\n".join(connection.execute(text(f"EXPLAIN {statement}"), values).scalars())


@pytest.mark.parametrize(
    ("statement", "indexes"),
    [
        ("BATCH_FACTS", {"ix_fact_batch_id", "pk_fact_history"}),
        ("RESTATED_FACTS", {"ix_fact_history_batch_id", "pk_fact"}),
        ("CLAIMS", {"ix_fact_object_id"}),
        ("SAME_REGISTRANT", {"ix_fact_object_id"}),
        ("SAME_KEY", {"ix_fact_object_id", "ix_fact_subject_id_predicate_object_id"}),
        ("CERTIFICATE_NAMES", {"ix_fact_subject_id_predicate_object_id"}),
        ("SAME_CERTIFICATE", {"ix_fact_object_id", "ix_fact_subject_id_predicate_object_id"}),
        ("PRESENTED", {"ix_fact_object_id"}),
        ("WRONG_CHAINS", {"pk_fact"}),
        ("ENTITIES", {"pk_entity"}),
        ("HITS", {"ix_watch_item_match_digest", "ix_watch_item_network"}),
        ("SWEEP_ENTITY", {"uq_entity_digest"}),
        ("SWEEP_SCOPE", {"ix_entity_scope"}),
        ("SWEEP_NETWORK", {"ix_entity_address"}),
        ("SWEPT_FACTS", {"ix_fact_subject_id_predicate_object_id", "ix_fact_object_id"}),
    ],
)
def test_a_statement_of_the_monitors_finds_by_index(filled: Connection, statement: str, indexes: set[str]) -> None:
    modules = (watching_match, watching_forms, watching_expected)
    module = next(module for module in modules if hasattr(module, statement))
    plan = _plan(filled, getattr(module, statement))
    assert {index for index in indexes if index not in plan} == set(), plan
    assert not re.search(r"Seq Scan on (fact|entity|fact_history)\b", plan), plan


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        *((watching_versions, name) for name in ("TOUCHED", "SWEPT_DOMAINS", "CANDIDATE_DOMAINS", "DROP_VERSIONS")),
        *((ownership, name) for name in ("RE_REGISTERED", "TAKEN_ANEW", "AWAITS_DELETION", "NO_LONGER_KNOWN", "TAKEN")),
        *((ownership, name) for name in ("LEADS_THERE", "KNOWN_BEFORE", "MOVED", "FORGET", "REMEMBER")),
        *((ownership_effects, name) for name in ("REGISTRANTS", "ENDED", "DROP_ENDED", "NOTED")),
    ],
)
def test_a_statement_about_versions_and_ends_reads_no_large_table_whole(
    filled: Connection, module: ModuleType, statement: str
) -> None:
    plan = _plan(filled, getattr(module, statement))
    assert not re.search(r"Seq Scan on (fact|entity|fact_history)\b", plan), plan


@pytest.mark.parametrize("rule", sorted(watching_rules.STATEMENTS))
def test_a_rule_reads_no_large_table_whole(filled: Connection, rule: str) -> None:
    filled.exec_driver_sql("INSERT INTO watch_hit SELECT n, 1, n, 'scope' FROM generate_series(1, 20) n")
    filled.exec_driver_sql("ANALYZE watch_hit")
    plan = _plan(filled, watching_rules.STATEMENTS[rule])
    assert not re.search(r"Seq Scan on (fact|entity|fact_history)\b", plan), plan


_LAPSES = {
    watching_whole: {"FURTHER": {"pk_entity"}, "FURTHER_HITS": set(), "DROP_WHOLE": set()},
    watching_hosts: {"REUSED_KEY": set(), "SAID": {"ix_fact_subject_id_predicate_object_id"}},
    watching_flows: {
        "RANGES_TOUCHED": set(),
        "REACH_SERVERS": {"ix_entity_address", "ix_fact_object_id"},
        "FILL": {"ix_fact_object_id", "ix_fact_subject_id_predicate_object_id"},
        "CLEAR": {"ix_fact_subject_id_predicate_object_id"},
        "CONNECTIONS": {"pk_entity", "pk_fact_history"},
        "RANGES": {"ix_fact_object_id"},
        "INSIDE": {"ix_entity_address", "ix_fact_subject_id_predicate_object_id", "pk_fact_history"},
        "OUTSIDE": set(),
    },
    watching_handles: {
        "PERSONS": set(),
        "ALIKE": {"ix_entity_local_part", "uq_entity_digest"},
        "TIES": {"ix_fact_object_id", "ix_fact_subject_id_predicate_object_id"},
        "SHARED": set(),
    },
    watching_prepared: {
        "SCOPES": set(),
        "BESIDE": {"ix_fact_object_id", "pk_entity"},
        "BEYOND": {"ix_entity_scope", "ix_fact_subject_id_predicate_object_id", "ix_fact_object_id"},
        "PREPARATION": {"ix_entity_scope", "ix_fact_subject_id_predicate_object_id", "ix_fact_object_id"},
        "USE": {"ix_entity_scope", "ix_fact_subject_id_predicate_object_id", "ix_fact_object_id"},
        "REACH": {"uq_entity_digest"},
        "BEFORE": set(),
        "READY": set(),
    },
}
_LAPSE_ROWS = """
INSERT INTO watch_hit SELECT n, 1, n, 'scope' FROM generate_series(1, 20) n;
INSERT INTO watch_reached SELECT n FROM generate_series(100, 120) n;
INSERT INTO watch_judged SELECT 'clear-c2', n FROM generate_series(1, 20) n;
INSERT INTO watch_flow SELECT n, 'to', n, n, 'endpoint', 22, 'tcp', NULL, '2026-01-01' FROM generate_series(1, 20) n;
INSERT INTO watch_connection SELECT n, n, n, '10.0.0.1', 22, '2026-01-01', '2026-01-02' FROM generate_series(1, 20) n;
INSERT INTO watch_range SELECT 1, '2026-01-02', '2026-01-01', false;
INSERT INTO watch_inside SELECT '10.0.0.1', '2026-01-02', n FROM generate_series(1, 20) n;
INSERT INTO watch_person SELECT n, n FROM generate_series(1, 20) n;
INSERT INTO watch_tie SELECT n, n, n + 1, 'registered-by', n, '2026-01-01', false FROM generate_series(1, 20) n;
INSERT INTO watch_scope SELECT 'd' || n || '.example', true FROM generate_series(1, 20) n;
INSERT INTO watch_step SELECT 'd' || n || '.example', 'use', n, '2026-01-01', true, n FROM generate_series(1, 20) n;
ANALYZE watch_hit, watch_reached, watch_judged, watch_flow, watch_connection, watch_range, watch_inside, watch_person,
    watch_tie, watch_scope, watch_step
"""
_WHOLE = re.compile(r"Seq Scan on (fact|entity|fact_history)\b")
_LAPSE_VALUES = {
    "batch_id": 7,
    "labels": ["0" * 32],
    "secure": ["ssl"],
    "clear": ["http"],
    "ports": [22],
    "services": ["ssh"],
    "own": [],
    "usual": 2,
    "most": 5,
    "shortest": 6,
    "longest": 400,
    "common": ["office"],
    "crowd": 200,
}


def test_the_lapses_that_are_judged_whole_find_by_index(filled: Connection) -> None:
    modules = (watching_whole, watching_flows, watching_handles, watching_prepared)
    for statements in (*(module.TEMPORARY for module in modules), _LAPSE_ROWS):
        filled.exec_driver_sql(statements)
    wrong = {}
    for module, wanted in _LAPSES.items():
        for name, indexes in wanted.items():
            statement = getattr(module, name)
            values = {key: said for key, said in _LAPSE_VALUES.items() if re.search(rf"(?<!:):{key}\b", statement)}
            plan = "\n".join(filled.execute(text(f"EXPLAIN {statement}"), values).scalars())
            if indexes - {index for index in indexes if index in plan} or _WHOLE.search(plan):
                wrong[name] = plan
    assert not wrong, "\n".join(f"{name}\n{plan}" for name, plan in wrong.items())


def test_what_is_expected_is_found_without_reading_all_items(filled: Connection) -> None:
    plan = _plan(filled, watching_expected.EXPECTED)
    assert not re.search(r"Seq Scan on (watch_item|fact|entity)\b", plan), plan


def test_the_places_of_a_finding_are_found_by_index(filled: Connection) -> None:
    plan = "\n".join(filled.execute(text(f"EXPLAIN {watching_places.PLACES}"), {"finding_id": 1, "limit": 9}).scalars())
    assert {name for name in ("pk_link", "ix_link_object_id") if name not in plan} == set(), plan
    assert not re.search(r"Seq Scan on (fact|entity|fact_history)\b", plan), plan


@pytest.mark.parametrize("statement", ["REFRESH_FINDINGS", "INSERT_EVIDENCE", "KNOWN_CLAIMS", "WITHDRAW_KNOWN"])
def test_storing_reads_no_large_table_whole(filled: Connection, statement: str) -> None:
    plan = _plan(filled, getattr(watching_store, statement))
    assert not re.search(r"Seq Scan on (fact|entity|fact_history)\b", plan), plan


def test_a_watch_is_written_once_and_keeps_its_id(engine: Engine) -> None:
    asked = Definition(name="one", origin="command", items=(Item(match="scope", value="evil.example"),))
    with engine.begin() as connection:
        first = put_watch(connection, asked)
    with engine.begin() as connection:
        assert put_watch(connection, asked) == first
        assert connection.execute(text("SELECT pg_current_xact_id_if_assigned()")).scalar_one() is None
    changed = Definition(name="one", origin="command", items=(Item(match="scope", value="bad.example"),), reason="new")
    with engine.begin() as connection:
        assert put_watch(connection, changed) == first
        [watch] = list_watches(connection)
        assert (watch.reason, watch.items, watch.findings) == ("new", 1, 0)
        assert remove_watch(connection, "one") is True
        assert list_watches(connection) == []


def test_the_order_of_items_is_no_change() -> None:
    items = (Item(match="scope", value="a.example"), Item(match="scope", value="b.example"))
    one, other = (Definition(name="one", origin="file", items=some) for some in (items, items[::-1]))
    assert one.digest == other.digest


def test_a_batch_restates_what_it_says_itself_not_what_others_of_its_run_say(filled: Connection) -> None:
    filled.exec_driver_sql("UPDATE batch SET run_id = 7 WHERE id = 8")
    filled.exec_driver_sql(
        "INSERT INTO fact_history (fact_id, event_time, ended, batch_id) VALUES (30, '2025-01-01', false, 8)"
    )
    found = {}
    for batch_id in (7, 8):
        filled.exec_driver_sql("TRUNCATE watch_candidate")
        filled.execute(text(watching_match.RESTATED_FACTS), {"batch_id": batch_id, "predicates": _VALUES["predicates"]})
        found[batch_id] = list(filled.execute(text("SELECT fact_id FROM watch_candidate")).scalars())
    assert found == {7: [], 8: [30]}
