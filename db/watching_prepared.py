"""The rule on infrastructure that was prepared before it was used: registrable domains at hand in, spans out.

Preparation is a registration, a certificate, or that a name leads somewhere; use is that a source reports, lists or
claims it, or saw somebody talk with it. A list that names a thing the first time it is read at all says nothing of
when its use began. What was prepared before a registration ended (db/ownership.py) says nothing of what came after.
See db/watching_whole.py.
"""

from __future__ import annotations

from typing import Final

from db.watching_patterns import NEW

MOST: Final = 500
"""Names under one registrable domain that are read."""

TEMPORARY: Final = """
CREATE TEMP TABLE watch_scope (scope text PRIMARY KEY, whole boolean) ON COMMIT DROP;
CREATE TEMP TABLE watch_step (scope text, step text, fact_id bigint, at timestamptz, dated boolean, other_id bigint)
    ON COMMIT DROP
"""

_OF_PREPARATION: Final = "('created', 'resolves-to', 'uses-name-servers')"
_OF_USE: Final = "('listed', 'reported-in', 'associated-with', 'attributed-to', 'communicates-with', 'downloads')"

# The registrable domains of what is touched and watched, of what leads to what is watched or has its name servers, and
# those of which it changed until when they were whose they were. Uses pk_entity and ix_finding_subject_id.
SCOPES: Final = f"""
INSERT INTO watch_scope
SELECT scope, true FROM (
SELECT DISTINCT e.scope FROM (
    SELECT subject_id AS id FROM watch_candidate WHERE predicate IN {_OF_PREPARATION} OR predicate IN {_OF_USE}
    UNION
    SELECT object_id FROM watch_candidate WHERE predicate IN ('names', 'communicates-with', 'downloads')
) t
JOIN watch_entity e ON e.id = t.id AND e.scope <> '' AND e.kind IN ('domain', 'url', 'endpoint')
WHERE e.id IN (SELECT entity_id FROM watch_hit)
    OR e.id IN (SELECT subject_id FROM watch_candidate WHERE predicate IN ('created', 'uses-name-servers')
        OR (predicate = 'resolves-to' AND object_id IN (SELECT entity_id FROM watch_hit)))
UNION
SELECT x.value FROM (SELECT entity_id AS id FROM watch_end UNION SELECT id FROM watch_moved) d
JOIN entity x ON x.id = d.id AND x.kind = 'domain' AND x.scope = x.value
UNION
SELECT e.scope FROM finding n JOIN watch_entity e ON e.id = n.subject_id WHERE n.rule = 'prepared-before-use'
) touched
"""  # noqa: S608 - put together from constants

_SHARING: Final = """
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT f.subject_id) AS ids FROM (SELECT subject_id FROM fact WHERE object_id = s.id
        AND predicate = 'uses-name-servers' AND state = 'value' LIMIT 4 * :most) f
) d
JOIN entity e ON e.id = ANY(d.ids) AND e.scope <> ''
"""

# The domains that share a set of name servers with what is touched: that one of them is watched now, or that they are
# many now, says something of each. Uses ix_fact_object_id and pk_entity.
BESIDE: Final = f"""
INSERT INTO watch_scope
SELECT DISTINCT e.scope, true
FROM (SELECT DISTINCT object_id AS id FROM watch_candidate WHERE predicate = 'uses-name-servers') s {_SHARING}
ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants

# Those that share one with what is judged: they may be watched. They are not judged themselves. Uses ix_entity_scope,
# ix_fact_subject_id_predicate_object_id, ix_fact_object_id and pk_entity.
BEYOND: Final = f"""
INSERT INTO watch_scope
SELECT DISTINCT e.scope, false
FROM (
    SELECT DISTINCT f.object_id AS id FROM watch_scope s
    JOIN entity n ON n.scope = s.scope AND n.scope <> '' AND n.kind = 'domain'
    JOIN fact f ON f.subject_id = n.id AND f.predicate = 'uses-name-servers' AND f.state = 'value'
) s {_SHARING}
ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants


def _day(value: str) -> str:
    """The day of a time as a source wrote it, or null: no text makes it fail."""
    return (
        rf"CASE WHEN {value} ~ '^[12]\d\d\d-(0[1-9]|1[0-2])-[0-3]\d' THEN (make_date(substr({value}, 1, 4)::int,"
        f" substr({value}, 6, 2)::int, 1) + substr({value}, 9, 2)::int - 1)::timestamp AT TIME ZONE 'UTC' END"
    )


_FIRST: Final = "(SELECT min(h.event_time) FROM fact_history h WHERE h.fact_id = f.id AND NOT h.ended)"
# `id + 0`, and OFFSET 0 below: each domain by its index, where the planner would walk whole tables for each.
_NAMES: Final = f"""watch_scope s
CROSS JOIN LATERAL (SELECT id, kind FROM entity WHERE scope = s.scope AND scope <> ''
    AND kind IN ('domain', 'url', 'endpoint') ORDER BY id + 0 LIMIT {MOST}) e"""  # noqa: S608 - put together from constants

# How each was prepared. Uses ix_entity_scope, ix_fact_subject_id_predicate_object_id, ix_fact_object_id and
# pk_fact_history.
PREPARATION: Final = f"""
INSERT INTO watch_step
SELECT s.scope, f.predicate, f.id, CASE f.predicate WHEN 'created' THEN {_day("o.value")} ELSE {_FIRST} END, true, o.id
FROM {_NAMES}
CROSS JOIN LATERAL (SELECT * FROM fact WHERE subject_id = e.id AND predicate IN {_OF_PREPARATION} AND state = 'value'
    OFFSET 0) f
CROSS JOIN LATERAL (SELECT * FROM entity WHERE id = f.object_id OFFSET 0) o
WHERE e.kind = 'domain'
UNION ALL
SELECT s.scope, 'names', f.id, {_FIRST}, true, f.subject_id
FROM {_NAMES}
CROSS JOIN LATERAL (SELECT * FROM fact WHERE object_id = e.id AND predicate = 'names' AND state = 'value' OFFSET 0) f
WHERE e.kind = 'domain'
"""  # noqa: S608 - put together from constants

# What is known of their use. Snapshot sources date what their first document names by that document: not dated.
USE: Final = f"""
INSERT INTO watch_step
SELECT u.scope, 'use', u.id, u.first, NOT (src.snapshot AND u.first <= (
    SELECT min(d.as_of) FROM document d WHERE d.source_id = u.source_id)), NULL
FROM (
    SELECT s.scope, f.id, f.source_id, {_FIRST} AS first
    FROM {_NAMES}
    CROSS JOIN LATERAL (SELECT * FROM fact WHERE subject_id = e.id AND predicate IN {_OF_USE} AND state = 'value'
        OFFSET 0) f
    LEFT JOIN entity o ON o.id = f.object_id
    WHERE f.predicate <> 'listed' OR (o.kind, o.value) IS DISTINCT FROM ('label', '{NEW}')
    UNION ALL
    SELECT s.scope, f.id, f.source_id, {_FIRST}
    FROM {_NAMES}
    CROSS JOIN LATERAL (SELECT * FROM fact WHERE object_id = e.id AND predicate IN ('communicates-with', 'downloads')
        AND state = 'value' OFFSET 0) f
) u
JOIN source src ON src.id = u.source_id
WHERE u.first IS NOT NULL
"""  # noqa: S608 - put together from constants

# The addresses and name servers that they lead to, and the domains themselves: whether those are watched is asked.
REACH: Final = r"""
INSERT INTO watch_reached
SELECT other_id FROM watch_step WHERE step IN ('resolves-to', 'uses-name-servers')
UNION
SELECT e.id FROM watch_scope s JOIN entity e ON e.digest = encode(substr(sha256(convert_to('domain', 'UTF8')
    || '\x00'::bytea || convert_to(s.scope, 'UTF8')), 1, 16), 'hex')::uuid
ON CONFLICT DO NOTHING
"""

_DOMAIN: Final = r"""encode(substr(sha256(convert_to('domain', 'UTF8') || '\x00'::bytea
        || convert_to({0}, 'UTF8')), 1, 16), 'hex')::uuid"""
# All that was read of the domains that are judged. No index: temporary tables.
JUDGED: Final = f"""
INSERT INTO watch_judged
SELECT 'prepared-before-use', p.fact_id, e.id FROM watch_step p
JOIN watch_scope s ON s.scope = p.scope AND s.whole JOIN watch_entity e ON e.digest = {_DOMAIN.format("p.scope")}
"""  # noqa: S608 - put together from constants
_ON: Final = "to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
_SPAN: Final = "BETWEEN make_interval(days => :shortest) AND make_interval(days => :longest)"

# The ends of a registrable domain. Uses uq_entity_digest and pk_ownership_end.
_ENDS: Final = "entity z JOIN ownership_end o ON o.entity_id = z.id WHERE z.digest = {0} AND o.ended_at > {1}"

# What is watched and was prepared before its first known use, where that is dated: of each step, the first within the
# span, of the registration that was used. Uses those of the ends.
BEFORE: Final = f"""
WITH use AS MATERIALIZED (
    SELECT DISTINCT ON (scope) scope, at, dated, fact_id FROM watch_step WHERE step = 'use'
    ORDER BY scope, at, dated, fact_id
), step AS MATERIALIZED (
    SELECT DISTINCT ON (p.scope, p.step) p.scope, p.step, p.at, p.fact_id, u.at AS used, u.fact_id AS use_id
    FROM watch_step p JOIN use u ON u.scope = p.scope AND u.dated
    WHERE p.step <> 'use' AND p.step <> 'uses-name-servers' AND u.at - p.at {_SPAN}
        AND NOT EXISTS (SELECT FROM {_ENDS.format(_DOMAIN.format("p.scope"), "p.at")}
            AND o.reason IN ('re-registered', 'expired') AND o.ended_at <= u.at)
    ORDER BY p.scope, p.step, p.at, p.fact_id
), found AS MATERIALIZED (
    SELECT h.watch_id, h.item_id, h.since, e.id, e.digest || ' prepared' AS novelty, s.*,
        min(s.at) OVER (PARTITION BY s.scope, h.watch_id) AS began
    FROM step s
    JOIN watch_scope j ON j.scope = s.scope AND j.whole
    JOIN watch_entity e ON e.digest = {_DOMAIN.format("s.scope")}
    JOIN watch_hit h ON h.entity_id = e.id AND h.match <> 'network'
), said AS (
    INSERT INTO watch_said
    SELECT 'prepared-before-use', watch_id, novelty, '', step || ' ' || {_ON.format("at")}, began FROM found
    UNION
    SELECT 'prepared-before-use', watch_id, novelty, '', 'used ' || {_ON.format("used")}, began FROM found
)
INSERT INTO watch_match
SELECT 'prepared-before-use', watch_id, item_id, since, id, NULL::bigint, novelty, used, use_id, fact_id FROM found
"""  # noqa: S608 - put together from constants

# What stands ready: registered, on a watched address or with the name servers that few domains and a watched one have,
# and not known to be used or watched; what ended since stands no more. Uses those of the ends.
READY: Final = f"""
WITH tie AS MATERIALIZED (
    SELECT h.watch_id, h.item_id, h.since, p.scope, p.at, p.fact_id, NULL::bigint AS known_id, 'address' AS what,
        p.other_id
    FROM watch_step p JOIN watch_hit h ON h.entity_id = p.other_id
    WHERE p.step = 'resolves-to'
    UNION
    SELECT h.watch_id, h.item_id, h.since, p.scope, p.at, p.fact_id, k.fact_id, 'name-servers', p.other_id
    FROM watch_step p
    JOIN watch_step k ON k.other_id = p.other_id AND k.step = p.step AND k.scope <> p.scope
    JOIN watch_entity w ON w.digest = {_DOMAIN.format("k.scope")}
    JOIN watch_hit h ON h.entity_id = w.id AND h.match <> 'network'
    JOIN LATERAL (SELECT count(DISTINCT f.subject_id) AS domains FROM (SELECT subject_id FROM fact
        WHERE object_id = p.other_id AND predicate = p.step AND state = 'value' LIMIT 4 * :most) f) d
        ON d.domains < :most
    WHERE p.step = 'uses-name-servers'
), found AS MATERIALIZED (
    SELECT t.*, e.id, e.digest || ' prepared' AS novelty, c.at AS created, c.fact_id AS created_id
    FROM tie t
    JOIN watch_scope j ON j.scope = t.scope AND j.whole
    JOIN watch_entity e ON e.digest = {_DOMAIN.format("t.scope")}
    JOIN LATERAL (SELECT s.at, s.fact_id FROM watch_step s WHERE s.scope = t.scope AND s.step = 'created'
        AND t.at - s.at BETWEEN interval '-1 day' AND make_interval(days => :longest)
        ORDER BY s.at DESC, s.fact_id LIMIT 1) c ON true
    WHERE NOT EXISTS (SELECT FROM watch_step u WHERE u.scope = t.scope AND u.step = 'use')
        AND NOT EXISTS (SELECT FROM watch_hit x WHERE (x.entity_id, x.watch_id) = (e.id, t.watch_id)
            AND x.match <> 'network')
        AND NOT EXISTS (SELECT FROM {_ENDS.format("e.digest", "c.at")})
), said AS (
    INSERT INTO watch_said
    SELECT 'prepared-before-use', watch_id, novelty, '', 'created ' || {_ON.format("min(created)")}, NULL::timestamptz
    FROM found GROUP BY watch_id, novelty
    UNION
    SELECT 'prepared-before-use', watch_id, novelty, '', what || ' ' || {_ON.format("min(at)")}, NULL FROM found
    GROUP BY watch_id, novelty, what
    UNION
    SELECT 'prepared-before-use', watch_id, novelty, '', 'unused', NULL FROM found
)
INSERT INTO watch_match
SELECT 'prepared-before-use', f.watch_id, f.item_id, f.since, f.id, f.other_id, f.novelty, f.at, f.fact_id, x.id
FROM found f CROSS JOIN LATERAL (VALUES (f.created_id), (f.known_id)) x (id)
WHERE x.id IS NOT NULL
"""  # noqa: S608 - put together from constants
