"""What the monitor of habits asks the warehouse: domains to score come out, and findings with their facts go in.

The tables are those of a monitor's transaction (db/watching_match.py). Raw SQL for the same reasons as there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from db import pattern_rows
from db.rows import driver

RULE: Final = "alike"
NAME: Final = "alike"
"""The monitor, as `judgement` and `cursor` call it."""
MOST_OF_ADDRESS: Final = 1_000
"""Domains of one address, or addresses of one network, that a statement about it touches: more share a hub."""

# The watches whose known domains are learned from. Uses pk_watch; there are few.
WATCHES: Final = """
SELECT id, name FROM watch WHERE active AND rules && ARRAY['*', :rule] ORDER BY id
"""

# How many ends of ownership there are, and when the last was concluded. Reads them whole, which are few.
ENDS: Final = "SELECT concat(count(*), ' ', max(recorded_at)) FROM ownership_end"

# That batches are judged. Uses pk_judgement.
JUDGED: Final = """
INSERT INTO judgement (batch_id, monitor, items) SELECT b.id, :monitor, 0 FROM unnest(CAST(:ids AS bigint[])) b (id)
ON CONFLICT DO NOTHING
"""

_REGISTRATION: Final = (
    "'registered-through', 'registered-by', 'uses-name-servers', 'uses-mail-host', 'has-soa-contact', 'resolves-to',"
    " 'created'"
)

# The registrable domains of which a batch says something, by themselves, their certificates, or their addresses; so
# many, from an id on. Uses ix_fact_history_batch_id, pk_fact, ix_fact_subject_id_predicate_object_id, ix_fact_object_id
# and pk_entity.
TOUCHED: Final = f"""
WITH stated AS MATERIALIZED (
    SELECT f.subject_id, f.predicate, f.object_id
    FROM (SELECT DISTINCT fact_id FROM fact_history WHERE batch_id = :batch_id) h JOIN fact f ON f.id = h.fact_id
), addressed AS MATERIALIZED (
    SELECT subject_id AS id FROM stated WHERE predicate = 'part-of'
    UNION
    SELECT m.subject_id FROM (SELECT DISTINCT subject_id FROM stated WHERE predicate = 'part-of') s
    CROSS JOIN LATERAL (SELECT subject_id FROM fact WHERE object_id = s.subject_id AND predicate = 'part-of'
        ORDER BY id LIMIT :hub) m
), touched AS (
    SELECT subject_id AS id FROM stated WHERE predicate IN ({_REGISTRATION})
    UNION
    SELECT object_id FROM stated WHERE predicate = 'names'
    UNION
    SELECT f.object_id FROM stated s JOIN fact f ON f.subject_id = s.subject_id AND f.predicate = 'names'
    WHERE s.predicate IN ('issued-by', 'has-key')
    UNION
    SELECT r.subject_id FROM addressed a
    CROSS JOIN LATERAL (SELECT subject_id FROM fact WHERE object_id = a.id AND predicate = 'resolves-to'
        ORDER BY id LIMIT :hub) r
)
SELECT e.id FROM touched t JOIN entity e ON e.id = t.id AND e.kind = 'domain' AND e.scope = e.value
WHERE e.id > :after ORDER BY e.id LIMIT :most
"""  # noqa: S608 - put together from constants

# All registrable domains, so many, from an id on. Uses pk_entity.
ALL: Final = """
SELECT id FROM entity WHERE id > :after AND kind = 'domain' AND scope = value ORDER BY id LIMIT :most
"""

# Whether a watch's look through history is not at its end. Uses pk_cursor.
_UNFINISHED: Final = """
SELECT EXISTS (SELECT FROM watch w JOIN cursor c ON c.name = :name || ':' || w.id
    WHERE w.active AND NOT CAST(c.value->>'done' AS boolean))
"""

# What has an end since, and what was found and is open. Reads the ends whole, which are few.
AGAIN: Final = """
SELECT entity_id AS id FROM ownership_end WHERE recorded_at >= CAST(:since AS timestamptz) - interval '1 hour'
UNION
SELECT subject_id FROM finding WHERE rule = :rule AND status IN ('open', 'acknowledged') AND watch_id = ANY(:watches)
ORDER BY id
"""

# Those of the domains that are none to be found: our organisation's, or what the watch expects. Uses
# ix_watch_item_match_digest and pk_entity.
EXPECTED: Final = """
SELECT e.id FROM entity e JOIN watch_item i ON i.digest = md5(' ' || e.value)::uuid
    AND (i.match = 'ours' OR (i.match = 'expected' AND i.watch_id = :watch_id))
WHERE e.id = ANY(:ids)
"""

# Those of the domains that the watch knows, however many those are. Uses what db.pattern_rows.KNOWN does.
KNOWN: Final = f"""
SELECT e.id FROM entity e WHERE e.id = ANY(:ids)
    AND e.value IN (SELECT name FROM ({pattern_rows.KNOWN.replace("LIMIT :most", "")}) k)
"""  # noqa: S608 - put together from constants

# The facts that profiles are made of (db/profiles.py), each with its first time. What came after a domain's ownership
# ended is left out. Uses ix_fact_subject_id_predicate_object_id, ix_fact_object_id, pk_fact_history, pk_ownership_end
# and pk_entity.
FACTS: Final = f"""
WITH said AS (
    SELECT f.subject_id AS id, f.id AS fact_id, f.predicate, f.object_id, coalesce(f.qualifiers->>'role', '') AS role
    FROM fact f WHERE f.subject_id = ANY(:ids) AND f.predicate IN ({_REGISTRATION}) AND f.state = 'value'
    UNION ALL
    SELECT f.object_id, f.id, f.predicate, f.subject_id, '' FROM fact f
    WHERE f.object_id = ANY(:ids) AND f.predicate = 'names' AND f.state = 'value'
)
SELECT s.id, s.fact_id, s.predicate, s.role, o.kind, o.value, h.first
FROM said s JOIN entity o ON o.id = s.object_id
CROSS JOIN LATERAL (SELECT min(event_time) AS first FROM fact_history WHERE fact_id = s.fact_id AND NOT ended) h
WHERE h.first IS NOT NULL AND NOT EXISTS (
    SELECT FROM ownership_end w WHERE w.entity_id = s.id AND w.ended_at <= h.first)
ORDER BY h.first, s.fact_id
"""  # noqa: S608 - put together from constants

# Findings as they are now; what had been withdrawn and holds again is back. Uses uq_finding_watch_id_rule_novelty.
INSERT: Final = """
INSERT INTO finding AS n (watch_id, rule, subject_id, novelty, lapse, title, severity, annotations, event_time)
SELECT g.watch_id, g.rule, g.subject_id, g.novelty, s.lapse, s.title, s.severity, s.annotations, g.event_time
FROM watch_found g JOIN watch_new s USING (watch_id, rule, novelty)
ORDER BY g.novelty
ON CONFLICT (watch_id, rule, novelty) DO UPDATE SET event_time = excluded.event_time, title = excluded.title,
    changed_at = clock_timestamp(), status = CASE n.status WHEN 'withdrawn' THEN 'open' ELSE n.status END,
    status_reason = CASE n.status WHEN 'withdrawn' THEN 'holds again' ELSE n.status_reason END
WHERE n.status = 'withdrawn' OR (n.event_time, n.title) IS DISTINCT FROM (excluded.event_time, excluded.title)
RETURNING xmax = 0
"""

# What was found, as it stands. Uses uq_finding_watch_id_rule_novelty.
FOUND: Final = """
SELECT n.id, n.watch_id, n.novelty, n.annotations
FROM watch_found g JOIN finding n USING (watch_id, rule, novelty) ORDER BY n.id
"""

# What a finding rested on and no longer does. Uses uq_finding_watch_id_rule_novelty and pk_finding_fact.
DROP: Final = """
DELETE FROM finding_fact ff USING watch_found g JOIN finding n USING (watch_id, rule, novelty)
WHERE ff.finding_id = n.id AND NOT EXISTS (SELECT FROM watch_match m WHERE (m.watch_id, m.subject_id)
    = (g.watch_id, g.subject_id) AND ff.fact_id IN (m.fact_id, m.known_id))
"""

# What was found of these domains and is not any more, while nobody has decided on it. Uses ix_finding_subject_id.
WITHDRAW: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = :reason, changed_at = clock_timestamp()
WHERE n.rule = :rule AND n.watch_id = :watch_id AND n.status IN ('open', 'acknowledged')
    AND n.subject_id = ANY(:ids) AND NOT n.subject_id = ANY(:kept)
"""

# All of a watch, where nothing is to be shown any more. Reads the open findings. Uses ix_finding_status.
WITHDRAW_ALL: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = :reason, changed_at = clock_timestamp()
WHERE n.rule = :rule AND n.watch_id = :watch_id AND n.status IN ('open', 'acknowledged')
"""


def ids(connection: Connection, statement: str, **values: Any) -> list[int]:
    """The first column of what a statement gives."""
    return [int(one) for one in connection.execute(text(statement), values).scalars()]


def facts_of(connection: Connection, domains: Iterable[int]) -> dict[int, list[Any]]:
    """The facts that profiles are made of, by the domain: fact_id, predicate, role, kind, value, first (event time)."""
    found: dict[int, list[Any]] = {}
    for row in connection.execute(text(FACTS), {"ids": sorted(set(domains))}):
        found.setdefault(row.id, []).append(row)
    return found


def copy(connection: Connection, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
    """Fill one of the transaction's tables."""
    with driver(connection).cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as out:
        for row in rows:
            out.write_row(row)


def unfinished(connection: Connection) -> bool:
    """Whether all of history is still to be looked through for some watch."""
    return bool(connection.execute(text(_UNFINISHED), {"name": NAME}).scalar_one())


def names(connection: Connection, domain_ids: Sequence[int]) -> dict[str, int]:
    """The ids of domains by name."""
    rows = connection.execute(text("SELECT id, value FROM entity WHERE id = ANY(:ids)"), {"ids": list(domain_ids)})
    return {row.value: row.id for row in rows}


def clock(connection: Connection) -> datetime:
    """The database's time, UTC."""
    found: datetime = connection.execute(text("SELECT now()")).scalar_one()
    return found
