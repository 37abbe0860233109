"""What findings on certificates say besides: what is known of the certificate in, `watch_note` out, an annotation each.

A certificate is expected where somebody lists its SHA-256, that of its TBS or that of its key (items `ours` and
`expected`: db/watching.py), and where it is the renewal of one that is listed: the same key, and no other registrable
domain than that one names. A certificate whose chain a log got wrong says so. What is said changes with what is known,
so that it does not depend on the order in which things become known: a finding that is found again is annotated anew.

Raw SQL for the same reasons as in db/watching_match.py.
"""

from __future__ import annotations

from typing import Final

# Which of the candidates' certificates are expected, in the findings of one watch or of all (watch 0), by what, and
# how. Uses ix_watch_item_match_digest or uq_watch_item_watch_id_match_digest.
EXPECTED: Final = """
WITH listed AS (
    SELECT e.id, e.kind, CASE i.match WHEN 'ours' THEN 0 ELSE i.watch_id END AS watch_id, i.value
    FROM watch_entity e
    JOIN watch_item i ON i.match IN ('expected', 'ours') AND i.digest = md5(' ' || e.value)::uuid
    JOIN watch w ON w.id = i.watch_id AND w.active
    WHERE e.kind IN ('certificate', 'public-key')
), listed_certificate AS (
    SELECT DISTINCT coalesce(first.id, l.id) AS certificate_id, l.watch_id, l.value
    FROM listed l LEFT JOIN watch_form f ON f.id = l.id LEFT JOIN watch_form first ON first.own = f.label
    WHERE l.kind = 'certificate'
), place AS (
    SELECT DISTINCT c.subject_id AS certificate_id, coalesce(nullif(e.scope, ''), e.value) AS place
    FROM watch_candidate c JOIN watch_entity e ON e.id = c.object_id WHERE c.predicate = 'names'
)
INSERT INTO watch_note
SELECT watch_id, certificate_id, 'expected', value, 'certificate' FROM listed_certificate
UNION
SELECT l.watch_id, c.subject_id, 'expected', l.value, 'key'
FROM listed l JOIN watch_candidate c ON c.object_id = l.id AND c.predicate = 'has-key' WHERE l.kind = 'public-key'
UNION
SELECT l.watch_id, r.subject_id, 'expected', l.value, 'renewal'
FROM listed_certificate l
JOIN watch_candidate k ON k.subject_id = l.certificate_id AND k.predicate = 'has-key'
JOIN watch_candidate r ON r.object_id = k.object_id AND r.predicate = 'has-key' AND r.subject_id <> l.certificate_id
WHERE EXISTS (SELECT FROM place p WHERE p.certificate_id = r.subject_id)
    AND NOT EXISTS (SELECT FROM place p WHERE p.certificate_id = r.subject_id AND NOT EXISTS (
        SELECT FROM place o WHERE (o.certificate_id, o.place) = (l.certificate_id, p.place)))
"""

# Which logs gave a chain that is not the certificate's. Uses pk_fact.
WRONG_CHAINS: Final = """
INSERT INTO watch_note
SELECT DISTINCT 0, c.subject_id, 'wrong-chain', l.value, ''
FROM watch_candidate c
JOIN watch_entity l ON l.id = c.object_id
JOIN fact f ON f.id = c.fact_id AND f.qualifiers->>'chain' IS NOT NULL
WHERE c.predicate = 'logged-in'
"""

# What is noted of the certificate of a finding `g`.
_NOTES: Final = """
SELECT jsonb_agg(DISTINCT jsonb_build_object('hub', o.hub, 'list', o.list, 'what', o.what,
    'everywhere', o.watch_id = 0))
FROM watch_note o WHERE o.certificate_id = g.subject_id AND o.watch_id IN (0, g.watch_id)
"""

# The findings that were found and have something noted or had: what they say, and what is noted of them now. Uses
# uq_finding_watch_id_rule_novelty.
NOTED: Final = f"""
SELECT n.id, n.rule, n.annotations, coalesce(({_NOTES}), '[]'::jsonb)
FROM watch_found g JOIN finding n USING (watch_id, rule, novelty)
WHERE EXISTS (SELECT FROM watch_note o WHERE o.certificate_id = g.subject_id AND o.watch_id IN (0, g.watch_id))
    OR n.annotations @? '$[*].hub ? (@ == "expected" || @ == "wrong-chain")'
ORDER BY n.id
"""  # noqa: S608 - put together from constants

# Uses pk_finding.
ANNOTATE: Final = """
UPDATE finding SET annotations = CAST(:annotations AS jsonb), severity = :severity, changed_at = clock_timestamp()
WHERE id = :id
"""
