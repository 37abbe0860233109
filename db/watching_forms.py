"""Certificates that are one: facts `same-as` between them in, one subject for all that is said of them out.

A log may hold a precertificate, its final certificate or both, each an entity of its own (tasks/normalize/ct_facts.py),
and a feed names a certificate by another hash. What is stated of any form is judged as stated of one of them, so that a
certificate is one finding however many logs and forms carry it, and two forms with one key are no reused key. Which
form that is depends on what is stated, not on when it came.

Raw SQL for the same reasons as in db/watching_match.py.
"""

from __future__ import annotations

from typing import Final

from db.watching_match import HUB, candidates

DEPTH: Final = 3
"""Steps between two forms at most: a precertificate's fingerprint, the value of its log's leaf, the final certificate's
fingerprint, the same by another hash."""

# The facts that tie the candidates' certificates to other forms, one step further each time. Uses
# ix_fact_subject_id_predicate_object_id and ix_fact_object_id.
SAME_CERTIFICATE: Final = candidates("""FROM (
        SELECT subject_id AS id FROM watch_candidate
        WHERE predicate IN ('names', 'has-key', 'matches', 'logged-in', 'same-as')
        UNION
        SELECT object_id FROM watch_candidate WHERE predicate IN ('same-as', 'presents')
    ) c
    JOIN entity e ON e.id = c.id AND e.kind = 'certificate'
    CROSS JOIN LATERAL (
        SELECT * FROM fact WHERE subject_id = e.id AND predicate = 'same-as' AND state = 'value'
        UNION ALL
        SELECT * FROM fact WHERE object_id = e.id AND predicate = 'same-as' AND state = 'value'
    ) f""")

# Who presents the candidates' certificates, as many as a hub has. Uses ix_fact_object_id.
PRESENTED: Final = candidates(f"""FROM (
        SELECT subject_id AS id FROM watch_candidate WHERE predicate IN ('same-as', 'has-key', 'issued-by')
        UNION
        SELECT object_id FROM watch_candidate WHERE predicate IN ('same-as', 'presents')
    ) c
    CROSS JOIN LATERAL (SELECT * FROM fact WHERE object_id = c.id AND predicate = 'presents' AND state = 'value'
        LIMIT {HUB}) f""")  # noqa: S608 - put together from constants

# What a host presents that is claimed for an actor: the claim says that the host is no stranger. Uses
# ix_fact_subject_id_predicate_object_id.
PRESENTED_BY: Final = candidates("""FROM (
        SELECT DISTINCT c.subject_id AS id FROM watch_candidate c
        JOIN watch w ON w.actor_id = c.object_id AND w.active AND NOT w.follows_actor
        WHERE c.predicate = 'attributed-to'
    ) c
    JOIN fact f ON f.subject_id = c.id AND f.predicate = 'presents' AND f.state = 'value'""")

# The forms, each by itself. The value that a log's tree covers comes first: the others lead to it.
FORMS: Final = """
INSERT INTO watch_form
SELECT e.id, x.own, x.own
FROM (
    SELECT id, bool_or(joined) AS joined FROM (
        SELECT subject_id AS id, false AS joined FROM watch_candidate WHERE predicate = 'same-as'
        UNION ALL
        SELECT c.object_id, s.value LIKE 'sha256:%' FROM watch_candidate c
        JOIN entity s ON s.id = c.subject_id AND s.kind = 'certificate' WHERE c.predicate = 'same-as'
    ) ends GROUP BY id
) form
JOIN entity e ON e.id = form.id AND e.kind = 'certificate'
CROSS JOIN LATERAL (SELECT CASE WHEN e.value NOT LIKE 'sha256:%' THEN '2 ' WHEN form.joined THEN '0 ' ELSE '1 ' END
    || e.digest AS own) x
"""

# Each form takes the lowest label next to it. A few rounds, not a walk from each to each: somebody who ties a thousand
# certificates together costs a thousand rows a round.
JOIN_FORMS: Final = """
UPDATE watch_form f SET label = near.label
FROM (
    SELECT edge.id, min(o.label) AS label FROM (
        SELECT subject_id AS id, object_id AS other FROM watch_candidate WHERE predicate = 'same-as'
        UNION ALL
        SELECT object_id, subject_id FROM watch_candidate WHERE predicate = 'same-as'
    ) edge JOIN watch_form o ON o.id = edge.other GROUP BY edge.id
) near WHERE near.id = f.id AND near.label < f.label
"""

# What is said of a certificate is said of its first form.
ONE_CERTIFICATE: Final = """
UPDATE watch_candidate c SET subject_id = first.id
FROM watch_form f JOIN watch_form first ON first.own = f.label
WHERE c.subject_id = f.id AND f.own <> f.label AND c.predicate IN ('names', 'has-key', 'matches', 'logged-in')
"""

# What is watched by another form is watched by its first.
FORM_HITS: Final = """
INSERT INTO watch_hit
SELECT DISTINCT first.id, h.watch_id, h.item_id, h.match, h.since, h.after
FROM watch_hit h JOIN watch_form f ON f.id = h.entity_id AND f.own <> f.label
JOIN watch_form first ON first.own = f.label
"""

# Certificates that a watch knows, by whichever form or by issuer and serial number.
KNOWN_CERTIFICATES: Final = """
INSERT INTO watch_known
SELECT h.entity_id, h.watch_id FROM watch_hit h
JOIN watch_entity e ON e.id = h.entity_id AND e.kind = 'certificate' WHERE h.match = 'entity'
UNION
SELECT c.subject_id, h.watch_id FROM watch_candidate c
JOIN watch_entity o ON o.id = c.object_id AND o.kind = 'pattern' AND o.value LIKE 'serial:%'
JOIN watch_hit h ON h.entity_id = o.id WHERE c.predicate = 'matches'
"""

# Findings from when the forms were not known to be one: those of the other forms, and keys that only the forms share;
# not all certificates with the key of a hub were read. What an item found that went meanwhile stays, unless the first
# form is found anew for the same: the item is back. Uses ix_finding_subject_id.
WITHDRAW_FORMS: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = 'it is another form of the same certificate',
    changed_at = clock_timestamp()
FROM watch_form f
WHERE n.subject_id = f.id AND n.status IN ('open', 'acknowledged')
    AND (n.item_id IS NOT NULL OR f.own <> f.label AND EXISTS (
        SELECT FROM watch_match m WHERE (m.watch_id, m.rule) = (n.watch_id, n.rule)
            AND encode(substr(sha256(convert_to(replace(m.novelty, substr(f.label, 3), substr(f.own, 3)), 'UTF8')),
                1, 16), 'hex')::uuid = n.novelty))
    AND CASE WHEN f.own <> f.label THEN n.rule IN ('reused-key', 'certificate-name', 'wildcard-name',
            'mixed-certificate', 'known-certificate', 'lookalike-name', 'keyword-name', 'certificate-pattern',
            'unreadable-certificate')
        ELSE n.rule = 'reused-key' AND NOT EXISTS (
            SELECT FROM watch_candidate k JOIN watch_hub b ON b.id = k.object_id
            WHERE k.subject_id = f.id AND k.predicate = 'has-key') END
    AND NOT EXISTS (SELECT FROM watch_match m WHERE (m.watch_id, m.rule, m.subject_id)
                    = (n.watch_id, n.rule, n.subject_id))
"""

# What such findings on keys rested on, where they are right for another reason. Uses ix_finding_subject_id and
# pk_finding_fact.
DROP_FORMS: Final = """
WITH dropped AS (
    DELETE FROM finding_fact ff
    USING watch_form f, finding n, watch_candidate c
    WHERE n.subject_id = f.id AND n.rule = 'reused-key' AND n.item_id IS NOT NULL
        AND ff.finding_id = n.id AND ff.role = 'new' AND c.fact_id = ff.fact_id AND c.predicate = 'has-key'
        AND NOT EXISTS (SELECT FROM watch_hub b WHERE b.id = c.object_id)
        AND EXISTS (SELECT FROM watch_match m WHERE (m.watch_id, m.rule, m.subject_id)
                    = (n.watch_id, n.rule, n.subject_id))
        AND NOT EXISTS (SELECT FROM watch_match m WHERE (m.watch_id, m.rule, m.subject_id, m.fact_id)
                        = (n.watch_id, n.rule, n.subject_id, ff.fact_id))
    RETURNING ff.finding_id
)
UPDATE finding n SET changed_at = clock_timestamp(), event_time = (SELECT min(m.event_time) FROM watch_match m
    WHERE (m.watch_id, m.rule, m.subject_id) = (n.watch_id, n.rule, n.subject_id))
WHERE n.id IN (SELECT finding_id FROM dropped)
"""

# The same where a form is presented: what is new is its first form. Uses ix_finding_fact_fact_id and pk_finding.
WITHDRAW_PRESENTED: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = 'it is another form of the same certificate',
    changed_at = clock_timestamp()
FROM watch_candidate c
JOIN watch_form f ON f.id = c.object_id AND f.own <> f.label
JOIN finding_fact ff ON ff.fact_id = c.fact_id AND ff.role = 'new'
WHERE c.predicate = 'presents' AND n.id = ff.finding_id AND n.rule = 'reused-certificate' AND n.item_id IS NOT NULL
    AND n.status IN ('open', 'acknowledged')
    AND NOT EXISTS (SELECT FROM watch_match m WHERE (m.watch_id, m.rule) = (n.watch_id, n.rule)
        AND encode(substr(sha256(convert_to(m.novelty, 'UTF8')), 1, 16), 'hex')::uuid = n.novelty)
"""

# The key of a certificate that is itself watched is not used again in it. Uses ix_finding_subject_id.
WITHDRAW_KNOWN_KEYS: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = 'it is the watched certificate itself',
    changed_at = clock_timestamp()
FROM watch_known k
WHERE (n.subject_id, n.watch_id) = (k.certificate_id, k.watch_id) AND n.rule = 'reused-key'
    AND n.status IN ('open', 'acknowledged')
"""
