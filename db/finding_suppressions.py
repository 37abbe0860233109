"""What dismissals taught: suppressions in the warehouse, which findings each touches, and the scorecard of watches.

A suppression lowers findings that touch a thing, and drops none. What a finding touches: its subject, what its subject
stands on (a registrable domain, an address), and the subjects and objects of its facts. Raw SQL where findings move as
a set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

# Taken alone by whoever teaches or takes back, and shared by who stores findings, before either touches a finding: a
# finding that is stored meanwhile is seen by the one or sees the other.
LOCK: Final = "SELECT pg_advisory_xact_lock(19543, hashtext('suppressions'))"
# The other side of it.
LOCK_SHARED: Final = "SELECT pg_advisory_xact_lock_shared(19543, hashtext('suppressions'))"
# Whether there is anything to apply.
ANY: Final = "SELECT EXISTS (SELECT FROM suppression WHERE active)"

# The findings that a monitor has found in this transaction. Uses uq_finding_watch_id_rule_novelty.
FOUND: Final = """
SELECT n.id FROM watch_found g JOIN finding n ON (n.watch_id, n.rule, n.novelty) = (g.watch_id, g.rule, g.novelty)
WHERE n.status IN ('open', 'acknowledged')
"""

# Uses pk_entity.
_ADD: Final = """
INSERT INTO suppression (watch_id, rule, entity_id, takes, reason, finding_id)
VALUES (:watch_id, :rule, :entity_id, :takes, :reason, :finding_id) RETURNING id
"""

# The same taught twice is one.
_SAME: Final = """
SELECT id FROM suppression WHERE active AND watch_id IS NOT DISTINCT FROM :watch_id AND rule = :rule
    AND entity_id = :entity_id AND takes >= :takes ORDER BY id LIMIT 1
"""

# The open findings that a thing touches, from the thing. Uses pk_entity, ix_entity_scope, ix_entity_address,
# ix_finding_subject_id, ix_fact_subject_id_predicate_object_id, ix_fact_object_id and ix_finding_fact_fact_id.
_TOUCHED_BY: Final = """
WITH thing AS (SELECT * FROM entity WHERE id = :entity_id), subject AS (
    SELECT id FROM thing
    UNION SELECT e.id FROM thing t JOIN entity e ON e.scope = t.value AND e.scope <> '' WHERE t.kind = 'domain'
    UNION SELECT e.id FROM thing t JOIN entity e ON e.address = t.address AND e.address IS NOT NULL
        WHERE t.kind = 'ip'
)
SELECT f.id FROM subject s JOIN finding f ON f.subject_id = s.id WHERE f.status IN ('open', 'acknowledged')
UNION SELECT f.id FROM fact a JOIN finding_fact ff ON ff.fact_id = a.id JOIN finding f ON f.id = ff.finding_id
WHERE a.subject_id = :entity_id AND f.status IN ('open', 'acknowledged')
UNION SELECT f.id FROM fact a JOIN finding_fact ff ON ff.fact_id = a.id JOIN finding f ON f.id = ff.finding_id
WHERE a.object_id = :entity_id AND f.status IN ('open', 'acknowledged')
"""

# Uses pk_finding; reads the annotations of the findings whole, which few commands do.
_ANNOTATED_BY: Final = """
SELECT id FROM finding WHERE annotations @> CAST(:said AS jsonb)
"""

# Findings with the suppressions that touch each, as they stand now. Each way of touching is a join of its own, so that
# many findings meet many suppressions by hashes. Uses pk_finding, pk_entity, ix_suppression_entity_id, pk_finding_fact
# and pk_fact.
_APPLIED: Final = """
WITH finding AS MATERIALIZED (
    SELECT f.id, f.watch_id, f.rule, f.severity, f.annotations, f.watch_rule_id, e.id AS subject_id, e.scope, e.address
    FROM finding f JOIN entity e ON e.id = f.subject_id WHERE f.id = ANY(:ids)
), taught AS MATERIALIZED (
    SELECT s.id, s.watch_id, s.rule, s.entity_id, t.kind, t.value, t.address
    FROM suppression s JOIN entity t ON t.id = s.entity_id WHERE s.active
), fact AS MATERIALIZED (
    SELECT ff.finding_id, a.subject_id, a.object_id
    FROM finding JOIN finding_fact ff ON ff.finding_id = finding.id JOIN fact a ON a.id = ff.fact_id
), touched AS (
    SELECT f.id, t.id AS suppression_id FROM finding f JOIN taught t ON t.entity_id = f.subject_id
    UNION SELECT f.id, t.id FROM finding f JOIN taught t ON t.value = f.scope AND t.kind = 'domain'
    UNION SELECT f.id, t.id FROM finding f JOIN taught t ON t.address = f.address AND t.kind = 'ip'
    UNION SELECT a.finding_id, t.id FROM fact a JOIN taught t ON t.entity_id = a.subject_id
    UNION SELECT a.finding_id, t.id FROM fact a JOIN taught t ON t.entity_id = a.object_id
), said AS (
    SELECT f.id, jsonb_agg(jsonb_build_object('id', s.id, 'takes', s.takes, 'reason', s.reason,
        'who', coalesce(v.who, ''), 'day', to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'kind', t.kind,
        'value', t.value) ORDER BY s.id) AS suppressions
    FROM touched x
    JOIN finding f ON f.id = x.id
    JOIN suppression s ON s.id = x.suppression_id AND (s.watch_id IS NULL OR s.watch_id = f.watch_id)
        AND (s.rule = '' OR s.rule = f.rule)
    JOIN entity t ON t.id = s.entity_id
    LEFT JOIN LATERAL (SELECT who FROM finding_event WHERE finding_id = s.finding_id AND status = 'dismissed'
        ORDER BY id DESC LIMIT 1) v ON true
    GROUP BY f.id
)
SELECT f.id, f.rule, f.severity, f.annotations, coalesce(r.definition, '{}') AS definition,
    coalesce(said.suppressions, '[]') AS suppressions
FROM finding f LEFT JOIN said ON said.id = f.id LEFT JOIN watch_rule r ON r.id = f.watch_rule_id
ORDER BY f.id
"""

# Uses pk_finding.
_ANNOTATE: Final = """
UPDATE finding SET annotations = CAST(:annotations AS jsonb), severity = :severity, changed_at = clock_timestamp()
WHERE id = :id
"""

# Newest first, with what each lowers now. Reads the findings' annotations whole, once.
_LIST: Final = """
WITH lowered AS (
    SELECT said->>'list' AS by, count(*) AS findings
    FROM finding CROSS JOIN LATERAL jsonb_array_elements(annotations) said
    WHERE annotations @> '[{"hub": "suppressed"}]' AND said->>'hub' = 'suppressed' GROUP BY 1
)
SELECT s.id AS suppression, coalesce(w.name, '') AS watch, s.rule, e.kind, e.value, s.takes, s.reason,
    s.finding_id AS finding, s.active, s.created_at, coalesce((SELECT v.who FROM finding_event v
        WHERE v.finding_id = s.finding_id AND v.status = 'dismissed' ORDER BY v.id DESC LIMIT 1), '') AS who,
    coalesce(l.findings, 0) AS lowers
FROM suppression s JOIN entity e ON e.id = s.entity_id LEFT JOIN watch w ON w.id = s.watch_id
LEFT JOIN lowered l ON l.by = 'suppression:' || s.id
WHERE s.active OR :all ORDER BY s.id DESC
"""

# What each watch, or each of its rules, came to. Reads the findings whole. A decision is the first time that somebody
# confirmed or dismissed it.
_SCORECARD: Final = """
SELECT w.name AS watch, CASE WHEN :by_rule THEN f.rule ELSE '' END AS rule, count(*) AS raised,
    count(*) FILTER (WHERE f.status = 'open') AS open,
    count(*) FILTER (WHERE f.status = 'acknowledged') AS acknowledged,
    count(*) FILTER (WHERE f.status = 'confirmed') AS confirmed,
    count(*) FILTER (WHERE f.status = 'dismissed') AS dismissed,
    count(*) FILTER (WHERE f.status = 'withdrawn') AS withdrawn,
    count(*) FILTER (WHERE f.annotations @> '[{"hub": "suppressed"}]') AS suppressed,
    count(*) FILTER (WHERE f.lapse) AS lapses,
    count(*) FILTER (WHERE f.status = 'confirmed')::float
        / nullif(count(*) FILTER (WHERE f.status IN ('confirmed', 'dismissed')), 0) AS precision,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.at - f.found_at)::float)
        FILTER (WHERE d.at IS NOT NULL) AS seconds_to_decision
FROM finding f JOIN watch w ON w.id = f.watch_id
LEFT JOIN (
    SELECT finding_id, min(at) AS at FROM finding_event
    WHERE status IN ('confirmed', 'dismissed') AND who <> '' GROUP BY finding_id
) d ON d.finding_id = f.id
WHERE :watch = '' OR w.name = :watch
GROUP BY 1, 2 ORDER BY 1, 2
"""


def lock(connection: Connection) -> None:
    """Take what is taught until commit; call it before any finding is changed."""
    connection.execute(text(LOCK))


def add(
    connection: Connection,
    *,
    watch_id: int | None,
    rule: str,
    entity_id: int,
    takes: int,
    reason: str,
    finding_id: int | None,
) -> int:
    """Remember that findings which touch an entity are worth less; returns its id. The same again is the same."""
    same = {"watch_id": watch_id, "rule": rule, "entity_id": entity_id, "takes": takes}
    standing = connection.execute(text(_SAME), same).scalar_one_or_none()
    if standing is not None:
        return int(standing)
    row = {**same, "reason": reason, "finding_id": finding_id}
    return int(connection.execute(text(_ADD), row).scalar_one())


def undo(connection: Connection, suppression_id: int) -> bool:
    """Stop applying a suppression; False where there is none, or it was undone already."""
    statement = "UPDATE suppression SET active = false WHERE id = :id AND active"
    return connection.execute(text(statement), {"id": suppression_id}).rowcount > 0


def touched_by(connection: Connection, entity_id: int) -> list[int]:
    """The open and acknowledged findings that touch an entity."""
    return sorted(connection.execute(text(_TOUCHED_BY), {"entity_id": entity_id}).scalars())


def annotated_by(connection: Connection, suppression_id: int) -> list[int]:
    """The findings that say of themselves that a suppression lowers them."""
    said = json.dumps([{"list": f"suppression:{suppression_id}"}])
    return sorted(connection.execute(text(_ANNOTATED_BY), {"said": said}).scalars())


def found(connection: Connection) -> list[int]:
    """The open and acknowledged findings among what a monitor has found in this transaction."""
    return sorted(connection.execute(text(FOUND)).scalars())


def applied(connection: Connection, ids: Sequence[int]) -> list[Any]:
    """Findings as they stand (id, rule, severity, annotations, their own rule's definition), each with the
    `suppressions` that touch it: id, takes, reason, who, day, kind, value.
    """
    return list(connection.execute(text(_APPLIED), {"ids": list(ids)})) if ids else []


def annotate(connection: Connection, changed: Sequence[tuple[int, list[dict[str, Any]], int]]) -> None:
    """Write annotations and severity of findings: (id, annotations, severity)."""
    rows = [{"id": one, "annotations": json.dumps(said), "severity": severity} for one, said, severity in changed]
    if rows:
        connection.execute(text(_ANNOTATE), rows)


def listed(connection: Connection, *, with_undone: bool = False) -> list[dict[str, Any]]:
    """The suppressions in force, the newest first, with how many findings each lowers; `with_undone` all."""
    return [dict(row) for row in connection.execute(text(_LIST), {"all": with_undone}).mappings()]


def scorecard(connection: Connection, *, watch: str = "", by_rule: bool = False) -> list[dict[str, Any]]:
    """What became of the findings of each watch: counts by status, precision of what was decided (None before),
    median seconds from found to decided, how many are suppressed.
    """
    values = {"watch": watch, "by_rule": by_rule}
    return [dict(row) for row in connection.execute(text(_SCORECARD), values).mappings()]
