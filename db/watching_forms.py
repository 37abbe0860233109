"""Certificates that are one: facts `same-as` between them in, one subject for all that is said of them out.

A log may hold a precertificate, its final certificate or both, each an entity of its own (tasks/normalize/ct_facts.py),
and a feed names a certificate by another hash. What is stated of any form is judged as stated of one of them, so that a
certificate is one finding however many logs and forms carry it, and two forms with one key are no reused key. Which
form that is depends on what is stated, not on when it came.

Raw SQL for the same reasons as in db/watching_match.py.
"""

from __future__ import annotations

from typing import Final

from db.watching_match import candidates

DEPTH: Final = 3
"""Steps between two forms at most: a precertificate's fingerprint, the value of its log's leaf, the final certificate's
fingerprint, the same by another hash."""

# The facts that tie the candidates' certificates to other forms, one step further each time. Uses
# ix_fact_subject_id_predicate_object_id and ix_fact_object_id.
SAME_CERTIFICATE: Final = candidates("""FROM (
        SELECT subject_id AS id FROM watch_candidate WHERE predicate IN ('names', 'has-key', 'same-as')
        UNION
        SELECT object_id FROM watch_candidate WHERE predicate = 'same-as'
    ) c
    JOIN entity e ON e.id = c.id AND e.kind = 'certificate'
    CROSS JOIN LATERAL (
        SELECT * FROM fact WHERE subject_id = e.id AND predicate = 'same-as' AND state = 'value'
        UNION ALL
        SELECT * FROM fact WHERE object_id = e.id AND predicate = 'same-as' AND state = 'value'
    ) f""")

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
WHERE c.subject_id = f.id AND f.own <> f.label AND c.predicate IN ('names', 'has-key')
"""

# Findings from when the forms were not known to be one: those of the other forms, and keys that only the forms share.
# Uses ix_finding_subject_id.
WITHDRAW_FORMS: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = 'it is another form of the same certificate',
    changed_at = clock_timestamp()
FROM watch_form f
WHERE n.subject_id = f.id AND n.item_id IS NOT NULL AND n.status IN ('open', 'acknowledged')
    AND (n.rule = 'reused-key' OR (f.own <> f.label AND n.rule IN ('certificate-name', 'mixed-certificate')))
    AND NOT EXISTS (SELECT FROM watch_match m WHERE (m.watch_id, m.rule, m.subject_id)
                    = (n.watch_id, n.rule, n.subject_id))
"""
