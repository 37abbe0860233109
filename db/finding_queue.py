"""Findings as a queue: what ranking and grouping read, what people say of findings, and what reopens them.

Comes in: filters, or ids and a status. Goes out: rows for tasks/watch/queue.py; changed statuses, each with a row of
`finding_event`. Raw SQL where findings move as a set.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

MOST: Final = 10_000
"""Findings that are ranked and grouped at once: the most severe of what was asked for."""

# Findings with who says what is new in them: how many sources, and the letter of the most reliable. Uses
# ix_finding_status, pk_finding_fact and pk_fact.
_QUEUE: Final = """
SELECT f.id AS finding, f.severity, f.lapse, w.name AS watch, f.rule, f.title, f.status, f.status_reason, f.event_time,
    f.found_at, f.changed_at, f.evidence_at, f.annotations, e.kind AS subject_kind, e.value AS subject,
    e.scope AS subject_scope, host(e.address) AS subject_address, coalesce(said.evidence, 0) AS evidence,
    coalesce(said.sources, 0) AS sources, coalesce(said.reliability, '') AS reliability
FROM (
    SELECT f.* FROM finding f JOIN watch w ON w.id = f.watch_id
    WHERE f.status = ANY(:statuses) AND (:watch = '' OR w.name = :watch) AND (:rule = '' OR f.rule = :rule)
        AND f.severity >= :severity AND (NOT :lapses OR f.lapse)
        AND (CAST(:since AS timestamptz) IS NULL OR coalesce(f.evidence_at, f.found_at) >= :since)
    ORDER BY f.severity DESC, f.id DESC LIMIT :most
) f
JOIN watch w ON w.id = f.watch_id
JOIN entity e ON e.id = f.subject_id
LEFT JOIN LATERAL (
    SELECT count(*) AS evidence, count(DISTINCT a.source_id) FILTER (WHERE ff.role = 'new') AS sources,
        min(s.reliability) FILTER (WHERE ff.role = 'new') AS reliability
    FROM finding_fact ff JOIN fact a ON a.id = ff.fact_id JOIN source s ON s.id = a.source_id
    WHERE ff.finding_id = f.id
) said ON true
"""

# What findings have in their facts that could tie them to others: the known facts themselves, and the entities that
# facts name, of the kinds asked for. Uses pk_finding_fact, pk_fact and pk_entity.
_TIES: Final = """
SELECT ff.finding_id AS finding, ff.role, ff.fact_id AS fact, e.kind, e.value, e.scope, host(e.address) AS address
FROM finding_fact ff
JOIN fact f ON f.id = ff.fact_id
CROSS JOIN LATERAL (VALUES (f.subject_id), (f.object_id)) x (entity_id)
JOIN entity e ON e.id = x.entity_id
WHERE ff.finding_id = ANY(:ids) AND e.kind = ANY(:kinds)
ORDER BY ff.finding_id, ff.fact_id, e.kind, e.value
"""

# Set-based, with what it was before: one that is as wanted already is left alone, and nothing is written of it.
_SET_STATUS: Final = """
WITH changed AS (
    UPDATE finding SET status = :status, status_reason = :reason, changed_at = clock_timestamp()
    WHERE id = ANY(:ids) AND status <> 'withdrawn' AND (status, status_reason) IS DISTINCT FROM (:status, :reason)
    RETURNING id
)
INSERT INTO finding_event (finding_id, status, reason, who) SELECT id, :status, :reason, :who FROM changed ORDER BY id
"""

# Those of the ids that may not be changed: withdrawn, or not there.
_UNCHANGEABLE: Final = """
SELECT w.id FROM unnest(CAST(:ids AS bigint[])) w (id)
WHERE NOT EXISTS (SELECT FROM finding f WHERE f.id = w.id AND f.status <> 'withdrawn') ORDER BY w.id
"""

# What was closed and gains evidence. A fact counts that is new to the finding and comes from a source, or names an
# object, that none of the facts which made it had: the same source saying the same again is a re-statement. Called
# before the evidence is written, on the tables of db/watching_match.py. What a person confirmed stays so, with a note.
# Uses uq_finding_watch_id_rule_novelty, pk_finding_fact and pk_fact.
REOPEN: Final = """
WITH gained AS (
    SELECT n.id, n.status, min(s.name) AS source
    FROM watch_match m
    JOIN finding n ON (n.watch_id, n.rule) = (m.watch_id, m.rule)
        AND n.novelty = encode(substr(sha256(convert_to(m.novelty, 'UTF8')), 1, 16), 'hex')::uuid
        AND n.status IN ('acknowledged', 'confirmed', 'dismissed')
    JOIN fact f ON f.id = m.fact_id
    JOIN source s ON s.id = f.source_id
    WHERE NOT EXISTS (SELECT FROM finding_fact ff WHERE (ff.finding_id, ff.fact_id) = (n.id, f.id))
        AND (
            NOT EXISTS (SELECT FROM finding_fact ff JOIN fact o ON o.id = ff.fact_id
                WHERE ff.finding_id = n.id AND ff.role = 'new' AND o.source_id = f.source_id)
            OR NOT EXISTS (SELECT FROM finding_fact ff JOIN fact o ON o.id = ff.fact_id
                WHERE ff.finding_id = n.id AND ff.role = 'new'
                    AND (o.subject_id, o.object_id) IS NOT DISTINCT FROM (f.subject_id, f.object_id))
        )
    GROUP BY n.id, n.status
), opened AS (
    UPDATE finding n SET status = 'open', status_reason = 'new evidence from ' || g.source,
        evidence_at = clock_timestamp(), changed_at = clock_timestamp()
    FROM gained g WHERE n.id = g.id AND n.status IN ('acknowledged', 'dismissed')
    RETURNING n.id
)
INSERT INTO finding_event (finding_id, status, reason)
SELECT g.id, CASE WHEN o.id IS NULL THEN g.status ELSE 'reopened' END,
    concat(CASE WHEN o.id IS NULL THEN '' ELSE 'was ' || g.status || '; ' END, 'new evidence from ', g.source)
FROM gained g LEFT JOIN opened o ON o.id = g.id ORDER BY g.id
"""

# Uses ix_finding_event_finding_id.
_HISTORY: Final = """
SELECT status, reason, who, at FROM finding_event WHERE finding_id = :id ORDER BY at, id
"""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a finding's status. `who` is an account of the operating system, empty for Lapsewatch itself;
    `at` recorded time, UTC.
    """

    status: str
    reason: str
    who: str
    at: datetime


def waiting(
    connection: Connection,
    *,
    statuses: Sequence[str],
    watch: str = "",
    rule: str = "",
    severity: int = 0,
    lapses: bool = False,
    since: datetime | None = None,
    most: int = MOST,
) -> list[dict[str, Any]]:
    """The findings in these statuses, at most `most`, the most severe first; `since` is recorded time.

    Titles have people's data masked, subjects have not.
    """
    values = {
        "statuses": list(statuses), "watch": watch, "rule": rule, "severity": severity, "lapses": lapses,
        "since": since, "most": most,
    }  # fmt: skip
    return [dict(row) for row in connection.execute(text(_QUEUE), values).mappings()]


def ties(connection: Connection, ids: Sequence[int], kinds: Sequence[str]) -> list[Any]:
    """What the facts of findings name, of these kinds: finding, role, fact, kind, value, scope, address."""
    return list(connection.execute(text(_TIES), {"ids": list(ids), "kinds": sorted(kinds)}))


def set_status(connection: Connection, ids: Sequence[int], *, status: str, reason: str, who: str) -> int:
    """Give findings a status; what was withdrawn keeps its own. Returns how many changed."""
    values = {"ids": list(ids), "status": status, "reason": reason, "who": who}
    return connection.execute(text(_SET_STATUS), values).rowcount


def unchangeable(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Those of the findings that are withdrawn or not there."""
    return list(connection.execute(text(_UNCHANGEABLE), {"ids": list(ids)}).scalars())


def history(connection: Connection, finding_id: int) -> tuple[Event, ...]:
    """What became of a finding, the oldest first."""
    rows = connection.execute(text(_HISTORY), {"id": finding_id}).mappings()
    return tuple(Event(**row) for row in rows)
