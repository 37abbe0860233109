"""What `lapsewatch status` shows: each source's last run, and how large the warehouse is. Named queries, read only."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

# The newest run of each source, and the newest that was not a failure. Uses ix_run_source_id_started_at.
LAST_RUNS: Final = """
SELECT s.name AS source, r.id AS run, r.outcome, r.started_at, r.finished_at, r.documents, r.facts, r.facts_new,
    r.facts_ended, r.rejects, r.error, good.finished_at AS last_good, s.reliability, s.snapshot
FROM source s
LEFT JOIN LATERAL (
    SELECT * FROM run WHERE run.source_id = s.id ORDER BY started_at DESC LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT finished_at FROM run
    WHERE run.source_id = s.id AND outcome IN ('ok', 'unchanged', 'partial') ORDER BY started_at DESC LIMIT 1
) good ON true
ORDER BY s.name
"""

# How many rows the large tables have, as the planner last counted them; exact for small ones would cost a scan.
SIZES: Final = """
SELECT c.relname AS "table", greatest(c.reltuples, 0)::bigint AS rows, pg_total_relation_size(c.oid) AS bytes
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    AND c.relname IN ('entity', 'fact', 'fact_history', 'link', 'document', 'finding', 'publication')
ORDER BY bytes DESC
"""

# Batches that a monitor has not judged: its backlog. It judges them in their order, so one that later ones have
# overtaken failed, or was committed while it looked.
BACKLOG: Final = """
SELECT m.monitor, count(b.id) AS batches, min(b.created_at) AS oldest,
    coalesce(array_agg(b.id ORDER BY b.id) FILTER (WHERE b.id < m.judged), '{}') AS overtaken
FROM (
    SELECT monitor, (SELECT max(j.batch_id) FROM judgement j WHERE j.monitor = v.monitor) AS judged
    FROM (VALUES ('registrations'), ('certificates')) v (monitor)
) m
LEFT JOIN batch b ON NOT EXISTS (SELECT FROM judgement j WHERE j.batch_id = b.id AND j.monitor = m.monitor)
GROUP BY m.monitor ORDER BY m.monitor
"""

# What a flow run's newest run of a source says went wrong. Uses ix_run_source_id_started_at.
SAID: Final = """
SELECT r.error FROM source s JOIN run r ON r.source_id = s.id
WHERE s.name = :source AND r.flow_run = :flow_run ORDER BY r.started_at DESC LIMIT 1
"""

FINDINGS: Final = "SELECT status, count(*) AS findings FROM finding GROUP BY status ORDER BY status"

# Rows of the tables without foreign keys that point to nothing: must be none.
DANGLING: Final = {
    "fact.subject_id": "SELECT count(*) FROM fact f WHERE NOT EXISTS (SELECT FROM entity e WHERE e.id = f.subject_id)",
    "fact.object_id": "SELECT count(*) FROM fact f WHERE f.object_id IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM entity e WHERE e.id = f.object_id)",
    "fact.source_id": "SELECT count(*) FROM fact f WHERE NOT EXISTS (SELECT FROM source s WHERE s.id = f.source_id)",
    "fact_history.fact_id": "SELECT count(*) FROM fact_history h"
    " WHERE NOT EXISTS (SELECT FROM fact f WHERE f.id = h.fact_id)",
    "fact without history": "SELECT count(*) FROM fact f"
    " WHERE NOT EXISTS (SELECT FROM fact_history h WHERE h.fact_id = f.id)",
    "link.subject_id": "SELECT count(*) FROM link l WHERE NOT EXISTS (SELECT FROM entity e WHERE e.id = l.subject_id)",
    "link without fact": "SELECT count(*) FROM link l WHERE NOT EXISTS (SELECT FROM fact f WHERE"
    " (f.subject_id, f.predicate, f.object_id) = (l.subject_id, l.predicate, l.object_id))",
}


def _all(connection: Connection, sql: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(sql)).mappings()]


def last_runs(connection: Connection) -> list[dict[str, Any]]:
    """A row for each source that was ever used: its last run, and when it last went well (recorded times)."""
    return _all(connection, LAST_RUNS)


def sizes(connection: Connection) -> list[dict[str, Any]]:
    """A row for each large table: estimated rows, bytes with indexes."""
    return _all(connection, SIZES)


def backlog(connection: Connection) -> list[dict[str, Any]]:
    """How many batches each monitor has still to judge, the oldest's recorded time, the ids of those it failed at."""
    return _all(connection, BACKLOG)


def said(connection: Connection, source: str, flow_run: str) -> str | None:
    """What the run of a source says went wrong, empty where nothing did; None where that flow run began none."""
    return connection.execute(text(SAID), {"source": source, "flow_run": flow_run}).scalar_one_or_none()


def findings(connection: Connection) -> list[dict[str, Any]]:
    """How many findings there are in each status."""
    return _all(connection, FINDINGS)


def dangling(connection: Connection) -> dict[str, int]:
    """What points to nothing, by place; all zero in a sound warehouse. Reads whole tables."""
    return {place: connection.execute(text(sql)).scalar_one() for place, sql in DANGLING.items()}
