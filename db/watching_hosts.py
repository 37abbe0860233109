"""The rules on what hosts present: one certificate, or one key, on hosts that have nothing else in common.

C2 servers make their certificates themselves: no log holds them, and they name nobody. What tells is who presents them:
sensors (Zeek), scan services, and lists of certificates say so. A host is where it stands: its registrable domain, or
its address; two ports of one address are one place. The tables are those of db/watching_match.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MANY_NAMES: Final = 20
"""Registrable domains in a certificate from which on it is a hoster's, for many customers."""

# Who presents which certificate, by its first form (db/watching_forms.py), and where that host stands.
_PRESENTED: Final = """presented AS MATERIALIZED (
    SELECT c.fact_id, c.subject_id AS host_id, coalesce(first.id, o.id) AS certificate_id,
        coalesce(substr(f.label, 3), o.digest::text) AS certificate, s.digest::text AS host, c.event_time,
        coalesce(nullif(s.scope, ''), host(s.address), s.value) AS place
    FROM watch_candidate c
    JOIN watch_entity s ON s.id = c.subject_id
    JOIN watch_entity o ON o.id = c.object_id
    LEFT JOIN watch_form f ON f.id = o.id
    LEFT JOIN watch_form first ON first.own = f.label
    WHERE c.predicate = 'presents'
)"""
_NOT_WATCHED: Final = "NOT EXISTS (SELECT FROM watch_hit x WHERE (x.entity_id, x.watch_id) = (p.host_id, {0}.watch_id))"

# Whichever form is presented and whichever is watched: what is new is the first form, and who presents it. A
# certificate is known by itself, or by the watched host that presents it.
REUSED_CERTIFICATE: Final = f"""
WITH {_PRESENTED}, watched AS (
    SELECT * FROM (
        SELECT h.watch_id, h.item_id, h.since, h.after, p.certificate_id, p.place, p.fact_id,
            row_number() OVER (PARTITION BY h.watch_id, p.certificate_id, p.place
                ORDER BY h.since NULLS FIRST, h.item_id, p.fact_id) AS rank
        FROM presented p JOIN watch_hit h ON h.entity_id = p.host_id
    ) ranked WHERE rank = 1
)
INSERT INTO watch_match
SELECT 'reused-certificate', h.watch_id, h.item_id, h.since, p.host_id, p.certificate_id,
    p.certificate || ' ' || p.host, p.event_time, p.fact_id, NULL::bigint
FROM presented p
JOIN watch_hit h ON h.entity_id = p.certificate_id AND h.match = 'entity'
    AND (h.after IS NULL OR p.event_time >= h.after)
WHERE {_NOT_WATCHED.format("h")}
UNION ALL
SELECT 'reused-certificate', w.watch_id, w.item_id, w.since, p.host_id, p.certificate_id,
    p.certificate || ' ' || p.host, p.event_time, p.fact_id, w.fact_id
FROM watched w
JOIN presented p ON p.certificate_id = w.certificate_id AND p.place <> w.place
    AND (w.after IS NULL OR p.event_time >= w.after)
WHERE {_NOT_WATCHED.format("w")}
"""  # noqa: S608 - put together from constants

# Another certificate with the key: which host presents it is new, whatever either certificate names. Two certificates
# of each place are enough to compare with: every other one differs from at least one of them.
REUSED_KEY: Final = f"""
WITH {_PRESENTED}, keyed AS MATERIALIZED (
    SELECT p.*, k.object_id AS key_id, k.fact_id AS key_fact_id, e.digest::text AS key
    FROM presented p
    JOIN watch_candidate k ON k.subject_id = p.certificate_id AND k.predicate = 'has-key'
    JOIN watch_entity e ON e.id = k.object_id
), watched AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY watch_id, key_id, place ORDER BY certificate) AS rank FROM (
            SELECT DISTINCT ON (h.watch_id, p.key_id, p.place, p.certificate) h.watch_id, h.item_id, h.since, h.after,
                p.*
            FROM keyed p JOIN watch_hit h ON h.entity_id = p.host_id
            ORDER BY h.watch_id, p.key_id, p.place, p.certificate, h.since NULLS FIRST, h.item_id, p.fact_id,
                p.key_fact_id
        ) known
    ) ranked WHERE rank <= 2
), judged AS (
    INSERT INTO watch_judged SELECT 'reused-key', p.fact_id FROM keyed p
    WHERE NOT EXISTS (SELECT FROM watch_hub b WHERE b.id = p.key_id)
)
INSERT INTO watch_match
SELECT 'reused-key', h.watch_id, h.item_id, h.since, p.host_id, p.certificate_id, p.key || ' at ' || p.host,
    p.event_time, p.fact_id, p.key_fact_id
FROM keyed p
JOIN watch_hit h ON h.entity_id = p.key_id AND h.match = 'entity' AND (h.after IS NULL OR p.event_time >= h.after)
WHERE {_NOT_WATCHED.format("h")}
UNION ALL
SELECT 'reused-key', w.watch_id, w.item_id, w.since, p.host_id, p.certificate_id, p.key || ' at ' || p.host,
    p.event_time, p.fact_id, known.fact_id
FROM watched w
JOIN keyed p ON p.key_id = w.key_id AND p.certificate_id <> w.certificate_id AND p.place <> w.place
    AND (w.after IS NULL OR p.event_time >= w.after)
CROSS JOIN LATERAL (VALUES (p.key_fact_id), (w.fact_id), (w.key_fact_id)) known (fact_id)
WHERE {_NOT_WATCHED.format("w")}
"""  # noqa: S608 - put together from constants

# What else is known of the certificate that a host presents: who issued it and to whom, what a list of C2 certificates
# calls it, that it is for many, that its key is a hub; and that the host is the actor's by a claim. Uses
# ix_fact_subject_id_predicate_object_id.
SAID: Final = f"""
INSERT INTO watch_said
WITH host AS MATERIALIZED (
    SELECT DISTINCT m.rule, m.watch_id, m.novelty, m.subject_id, m.other_id, c.object_id
    FROM watch_match m JOIN watch_candidate c ON c.fact_id = m.fact_id AND c.predicate = 'presents'
    WHERE m.rule IN ('reused-certificate', 'reused-key')
), form AS (
    SELECT rule, watch_id, novelty, object_id AS id FROM host
    UNION
    SELECT rule, watch_id, novelty, other_id FROM host
    UNION
    SELECT h.rule, h.watch_id, h.novelty, o.id FROM host h JOIN watch_form f ON f.id = h.object_id
    JOIN watch_form o ON o.label = f.label
)
SELECT rule, watch_id, novelty, '', '', NULL::timestamptz FROM host
UNION
SELECT f.rule, f.watch_id, f.novelty, '', CASE i.predicate WHEN 'issued-by' THEN 'issuer ' WHEN 'listed' THEN 'listed '
    ELSE 'subject ' END || o.value, NULL
FROM form f
JOIN fact i ON i.subject_id = f.id AND i.predicate IN ('issued-by', 'described-as', 'listed') AND i.state = 'value'
    AND (i.predicate <> 'described-as' OR i.qualifiers->>'field' = 'subject')
JOIN entity o ON o.id = i.object_id
UNION
SELECT f.rule, f.watch_id, f.novelty, '', 'names ' || count(DISTINCT e.scope), NULL
FROM form f JOIN watch_candidate n ON n.subject_id = f.id AND n.predicate = 'names'
JOIN watch_entity e ON e.id = n.object_id AND e.scope <> ''
GROUP BY f.rule, f.watch_id, f.novelty HAVING count(DISTINCT e.scope) >= {MANY_NAMES}
UNION
SELECT h.rule, h.watch_id, h.novelty, '', 'hub', NULL
FROM host h JOIN watch_candidate k ON k.subject_id = h.other_id AND k.predicate = 'has-key'
JOIN watch_hub b ON b.id = k.object_id WHERE h.rule = 'reused-key'
UNION
SELECT h.rule, h.watch_id, h.novelty, '', 'key ' || e.value, NULL
FROM host h JOIN watch_candidate k ON k.subject_id = h.other_id AND k.predicate = 'has-key'
JOIN watch_entity e ON e.id = k.object_id WHERE h.rule = 'reused-key'
UNION
SELECT m.rule, m.watch_id, m.novelty, '', 'key ' || e.value, NULL
FROM watch_match m JOIN watch_candidate k ON k.fact_id = m.fact_id AND k.predicate = 'has-key'
JOIN watch_entity e ON e.id = k.object_id WHERE m.rule = 'reused-key'
UNION
SELECT h.rule, h.watch_id, h.novelty, '', 'claimed', NULL
FROM host h JOIN watch w ON w.id = h.watch_id
JOIN fact a ON a.subject_id = h.subject_id AND a.predicate = 'attributed-to' AND a.object_id = w.actor_id
    AND a.state = 'value'
"""  # noqa: S608 - put together from constants

MORE: Final[Mapping[str, tuple[str, ...]]] = {"reused-key": (REUSED_KEY,)}
"""Statements that a rule has besides its first."""
