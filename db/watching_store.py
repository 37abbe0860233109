"""From matches to findings: `watch_match` in, rows of `finding` and `finding_fact` out, once per what is new.

The tables are those of db/watching_match.py, in the same transaction. Raw SQL for the same reasons as there.
"""

from __future__ import annotations

from typing import Final

from db.watching_versions import DATED_BY_VERSIONS
from db.watching_whole import JUDGED_WHOLE

_OF_VERSIONS: Final = ", ".join(f"'{rule}'" for rule in (*DATED_BY_VERSIONS, *JUDGED_WHOLE))
_DATED_BY_VERSIONS: Final = f"({_OF_VERSIONS})"

# What the rules found, once per watch, rule and novelty. An item without `since`, or known longest, is the one named.
COLLAPSE: Final = """
INSERT INTO watch_found
SELECT DISTINCT ON (m.watch_id, m.rule, m.novelty) m.rule, m.watch_id,
    encode(substr(sha256(convert_to(m.novelty, 'UTF8')), 1, 16), 'hex')::uuid, m.item_id, m.subject_id, m.other_id,
    min(m.event_time) OVER (PARTITION BY m.watch_id, m.rule, m.novelty), m.fact_id
FROM watch_match m JOIN watch w ON w.id = m.watch_id
WHERE w.rules && ARRAY['*', m.rule]
ORDER BY m.watch_id, m.rule, m.novelty, m.since NULLS FIRST, m.item_id, m.other_id, m.fact_id
"""

# Those that are not findings yet, with what their titles and annotations need: what was found, what else the title
# names, the item, what the fact says of a match, whether a hub ties them together, who registered, and what versions
# say; and findings of which more is said besides, whose titles and annotations may say more now. Uses pk_fact and
# pk_entity.
TOLD_FINDINGS: Final = """
WITH said AS (
    SELECT watch_id, rule, encode(substr(sha256(convert_to(novelty, 'UTF8')), 1, 16), 'hex')::uuid AS novelty,
        array_agg(DISTINCT field) AS fields, array_agg(DISTINCT how) AS how, min(began) AS began
    FROM watch_said GROUP BY watch_id, rule, novelty
), shared AS (
    SELECT DISTINCT m.watch_id, m.rule, m.subject_id
    FROM watch_hub b JOIN watch_candidate c ON c.object_id = b.id JOIN watch_match m ON m.fact_id = c.fact_id
    WHERE m.rule IN ('shared-registrant', 'reused-key')
)
SELECT g.watch_id, g.rule, g.novelty, s.kind, s.value, s.scope, host(s.address), o.kind, o.value, o.scope,
    host(o.address), i.match, i.kind, i.value, coalesce(f.qualifiers->>'name', ''), coalesce(f.qualifiers->>'why', ''),
    h.rule IS NOT NULL, r.kind, r.value, r.scope, host(r.address), v.fields, v.how, v.began, g.event_time,
    n.id, coalesce(n.title, ''), n.annotations
FROM watch_found g
JOIN entity s ON s.id = g.subject_id
LEFT JOIN entity o ON o.id = g.other_id
JOIN watch_item i ON i.id = g.item_id
LEFT JOIN fact f ON f.id = g.fact_id AND f.predicate = 'matches'
LEFT JOIN shared h ON (h.watch_id, h.rule, h.subject_id) = (g.watch_id, g.rule, g.subject_id)
LEFT JOIN fact q ON q.id = g.fact_id AND g.rule IN ('shared-registrant', 'shared-handle')
LEFT JOIN entity r ON r.id = CASE WHEN g.rule = 'shared-handle' AND q.subject_id <> g.subject_id THEN q.subject_id
    ELSE q.object_id END
LEFT JOIN said v ON (v.watch_id, v.rule, v.novelty) = (g.watch_id, g.rule, g.novelty)
LEFT JOIN finding n ON (n.watch_id, n.rule, n.novelty) = (g.watch_id, g.rule, g.novelty)
WHERE n.id IS NULL OR v.rule IS NOT NULL
ORDER BY g.watch_id, g.rule, g.novelty
"""

INSERT_FINDINGS: Final = """
INSERT INTO finding (watch_id, rule, subject_id, item_id, novelty, lapse, title, severity, annotations, event_time)
SELECT g.watch_id, g.rule, g.subject_id, g.item_id, g.novelty, n.lapse, n.title, n.severity, n.annotations, g.event_time
FROM watch_new n JOIN watch_found g USING (watch_id, rule, novelty)
ORDER BY g.watch_id, g.rule, g.novelty
ON CONFLICT (watch_id, rule, novelty) DO NOTHING
"""

# A finding that is found again: it may be older than was known, an item that was known longer may match it, and what
# was withdrawn when its facts went is back. Uses uq_finding_watch_id_rule_novelty.
REFRESH_FINDINGS: Final = f"""
UPDATE finding n SET event_time = CASE WHEN n.status = 'withdrawn' OR g.of_versions THEN g.event_time
        ELSE least(n.event_time, g.event_time) END, item_id = CASE WHEN g.longer THEN g.item_id ELSE n.item_id END,
    status = CASE n.status WHEN 'withdrawn' THEN 'open' ELSE n.status END,
    status_reason = CASE n.status WHEN 'withdrawn' THEN 'stated again' ELSE n.status_reason END,
    changed_at = clock_timestamp()
FROM (
    SELECT o.id, f.item_id, f.event_time, f.rule IN {_DATED_BY_VERSIONS} AS of_versions, old.id IS NULL
        OR (old.since IS NOT NULL AND coalesce(new.since < old.since, true)) AS longer
    FROM watch_found f
    JOIN finding o ON (o.watch_id, o.rule, o.novelty) = (f.watch_id, f.rule, f.novelty)
    JOIN watch_item new ON new.id = f.item_id
    LEFT JOIN watch_item old ON old.id = o.item_id
) g
WHERE n.id = g.id AND (n.event_time > g.event_time OR g.longer OR n.status = 'withdrawn'
    OR (g.of_versions AND n.event_time <> g.event_time))
"""  # noqa: S608 - put together from constants

# The title of a finding whose evidence has grown. Uses pk_finding.
RETITLE: Final = "UPDATE finding SET title = :title, changed_at = clock_timestamp() WHERE id = :id"

# The facts that made it. A finding that gains evidence has changed: its TLP may be stricter now.
INSERT_EVIDENCE: Final = """
WITH evidence AS (
    SELECT m.watch_id, m.rule, encode(substr(sha256(convert_to(m.novelty, 'UTF8')), 1, 16), 'hex')::uuid AS novelty,
        m.fact_id, m.known_id FROM watch_match m
), written AS (
    INSERT INTO finding_fact (finding_id, fact_id, role)
    SELECT n.id, x.fact_id, min(x.role) FILTER (WHERE x.role = 'new') FROM evidence v
    JOIN finding n USING (watch_id, rule, novelty)
    CROSS JOIN LATERAL (VALUES (v.fact_id, 'new')) x (fact_id, role)
    GROUP BY n.id, x.fact_id
    ORDER BY n.id, x.fact_id
    ON CONFLICT (finding_id, fact_id) DO UPDATE SET role = 'new' WHERE finding_fact.role <> 'new'
    RETURNING finding_id
), known AS (
    INSERT INTO finding_fact (finding_id, fact_id, role)
    SELECT n.id, v.known_id, 'known' FROM (
        SELECT watch_id, rule, novelty, known_id FROM evidence WHERE known_id IS NOT NULL
        EXCEPT
        SELECT watch_id, rule, novelty, fact_id FROM evidence
    ) v JOIN finding n USING (watch_id, rule, novelty)
    ORDER BY n.id, v.known_id
    ON CONFLICT DO NOTHING
    RETURNING finding_id
)
UPDATE finding SET changed_at = clock_timestamp()
WHERE id IN (SELECT finding_id FROM written UNION SELECT finding_id FROM known) AND found_at < now()
"""

# What a followed item rests on: up to three claims. Uses ix_entity_scope, ix_entity_address, uq_entity_digest and
# ix_fact_subject_id_predicate_object_id.
KNOWN_CLAIMS: Final = """
WITH item AS MATERIALIZED (
    SELECT DISTINCT i.id, i.match, i.kind, i.value, i.network, w.actor_id
    FROM watch_new n JOIN watch_found g USING (watch_id, rule, novelty)
    JOIN watch w ON w.id = g.watch_id AND w.follows_actor
    JOIN watch_item i ON i.id = g.item_id AND i.since IS NOT NULL
), claim AS MATERIALIZED (
    SELECT i.id AS item_id, c.fact_id FROM (SELECT * FROM item WHERE match = 'scope') i
    CROSS JOIN LATERAL (
        SELECT f.id AS fact_id FROM entity e JOIN fact f ON f.subject_id = e.id AND f.predicate = 'attributed-to'
            AND f.object_id = i.actor_id
        WHERE e.scope = i.value AND e.scope <> '' LIMIT 3
    ) c
    UNION ALL
    SELECT i.id, c.fact_id FROM (SELECT * FROM item WHERE match = 'network') i
    CROSS JOIN LATERAL (
        SELECT f.id AS fact_id FROM entity e JOIN fact f ON f.subject_id = e.id AND f.predicate = 'attributed-to'
            AND f.object_id = i.actor_id
        WHERE e.address = i.network AND e.address IS NOT NULL LIMIT 3
    ) c
    UNION ALL
    SELECT i.id, c.fact_id FROM (SELECT * FROM item WHERE match = 'entity') i
    CROSS JOIN LATERAL (
        SELECT f.id AS fact_id FROM entity e JOIN fact f ON f.subject_id = e.id AND f.predicate = 'attributed-to'
            AND f.object_id = i.actor_id
        WHERE e.digest = encode(substr(sha256(convert_to(i.kind, 'UTF8') || '\\x00'::bytea
            || convert_to(i.value, 'UTF8')), 1, 16), 'hex')::uuid LIMIT 3
    ) c
)
INSERT INTO finding_fact (finding_id, fact_id, role)
SELECT DISTINCT f.id, claim.fact_id, 'known'
FROM watch_new n JOIN finding f USING (watch_id, rule, novelty) JOIN claim ON claim.item_id = f.item_id
ON CONFLICT DO NOTHING
"""

# A finding rests on facts that are later than the day its item was known from. Where a fact turns out to be older, it
# is no evidence; a finding without any is withdrawn. What a mixed certificate names besides may be older: the watched
# name is what must be later, and WITHDRAW_WATCHED sees to that; transitions have dates of their own. Uses
# ix_finding_fact_fact_id and pk_fact_history.
WITHDRAW_KNOWN: Final = f"""
WITH old AS (
    DELETE FROM finding_fact ff
    USING watch_candidate c, fact f, finding n, watch_item i
    WHERE ff.fact_id = c.fact_id AND ff.role = 'new' AND f.id = c.fact_id AND f.batch_id <> :batch_id
        AND n.id = ff.finding_id AND n.rule NOT IN ('mixed-certificate', {_OF_VERSIONS})
        AND i.id = n.item_id
        AND c.event_time < date_trunc('day', i.since, 'UTC') + interval '24 hours'
    RETURNING ff.finding_id, ff.fact_id
), rest AS (
    SELECT o.finding_id, (
        SELECT min(h.event_time) FROM finding_fact ff JOIN fact_history h ON h.fact_id = ff.fact_id AND NOT h.ended
        WHERE ff.finding_id = o.finding_id AND ff.role = 'new'
            AND NOT EXISTS (SELECT FROM old x WHERE (x.finding_id, x.fact_id) = (ff.finding_id, ff.fact_id))
    ) AS event_time FROM (SELECT DISTINCT finding_id FROM old) o
)
UPDATE finding n SET event_time = coalesce(r.event_time, n.event_time), changed_at = clock_timestamp(),
    status = CASE WHEN r.event_time IS NULL AND n.status IN ('open', 'acknowledged') THEN 'withdrawn'
        ELSE n.status END,
    status_reason = CASE WHEN r.event_time IS NULL AND n.status IN ('open', 'acknowledged')
        THEN 'stated as of a day on which it was known already' ELSE n.status_reason END
FROM rest r WHERE n.id = r.finding_id
"""  # noqa: S608 - put together from constants
