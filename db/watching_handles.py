"""The rule on handles and mailboxes that turn up again: people's values at hand in, what they tie together out.

One mailbox, phone or handle stands in the registration of one thing and, in another role, in another: the contact of a
zone, a name in a certificate, what malware uses, a report, a claim. The same handle at another mail provider is weaker
evidence. The same value in two registrations is the rule shared-registrant's. See db/watching_whole.py.
"""

from __future__ import annotations

from typing import Final

from db.ownership_effects import taken

MOST: Final = 200
"""Facts that name one value, from which on it ties nothing: so many share it."""

TEMPORARY: Final = """
CREATE TEMP TABLE watch_person (id bigint, alike_id bigint, PRIMARY KEY (id, alike_id)) ON COMMIT DROP;
CREATE TEMP TABLE watch_tie (id bigint, alike_id bigint, other_id bigint, predicate text, fact_id bigint,
    first timestamptz, ended boolean) ON COMMIT DROP
"""

_PERSONS: Final = "('email', 'phone', 'handle', 'persona')"

# The values at hand, each with itself; and those of domains of which it changed until when they were whose they were.
# Uses ix_entity_scope and ix_fact_subject_id_predicate_object_id.
PERSONS: Final = f"""
INSERT INTO watch_person
SELECT id, id FROM watch_entity WHERE kind IN {_PERSONS}
UNION
SELECT o.id, o.id
FROM (SELECT entity_id AS id FROM watch_end UNION SELECT id FROM watch_moved) d
JOIN entity x ON x.id = d.id
JOIN entity e ON e.scope = x.value AND e.scope <> ''
JOIN fact f ON f.subject_id = e.id AND f.predicate IN ('registered-by', 'has-soa-contact') AND f.state = 'value'
JOIN entity o ON o.id = f.object_id AND o.kind IN {_PERSONS}
"""  # noqa: S608 - put together from constants

# Others with the same handle: mailboxes with that local part, and the handle by itself. A word that many have, or that
# is nobody's, is none. Uses pk_entity, ix_entity_local_part and uq_entity_digest.
ALIKE: Final = r"""
INSERT INTO watch_person
SELECT h.id, o.id FROM (
    SELECT p.id, e.kind, CASE e.kind WHEN 'email' THEN split_part(e.value, '@', 1) ELSE lower(e.value) END AS handle
    FROM watch_person p JOIN entity e ON e.id = p.id AND e.kind IN ('email', 'handle')
) h
CROSS JOIN LATERAL (
    SELECT array_agg(m.id) AS ids FROM (
        SELECT e.id FROM entity e WHERE split_part(e.value, '@', 1) = h.handle AND e.kind = 'email'
        LIMIT :most
    ) m
) mail
CROSS JOIN LATERAL (
    SELECT unnest(mail.ids) AS id WHERE cardinality(mail.ids) < :most
    UNION
    SELECT e.id FROM entity e WHERE cardinality(coalesce(mail.ids, '{}')) < :most AND e.digest = encode(substr(sha256(
        convert_to('handle', 'UTF8') || '\x00'::bytea || convert_to(h.handle, 'UTF8')), 1, 16), 'hex')::uuid
) o
WHERE length(h.handle) >= :shortest AND h.handle ~ '[a-z]{3}' AND h.handle <> ALL(CAST(:common AS text[]))
ON CONFLICT DO NOTHING
"""

# Whoever has a value has it for the others as well, so that all of them are judged from whichever end is touched.
BOTH_WAYS: Final = """
INSERT INTO watch_person
SELECT alike_id, id FROM watch_person
UNION
SELECT alike_id, alike_id FROM watch_person
UNION
SELECT l.alike_id, r.alike_id FROM watch_person l JOIN watch_person r ON r.id = l.id
ON CONFLICT DO NOTHING
"""

_FIRST: Final = "(SELECT min(h.event_time) FROM fact_history h WHERE h.fact_id = f.id AND NOT h.ended)"
# The ends of a domain and of the registrable one that it stands on. Uses uq_entity_digest and pk_ownership_end.
_ENDS: Final = r"""SELECT o.* FROM entity d
    JOIN entity z ON z.digest IN (d.digest, encode(substr(sha256(convert_to('domain', 'UTF8') || '\x00'::bytea
        || convert_to(d.scope, 'UTF8')), 1, 16), 'hex')::uuid)
    JOIN ownership_end o ON o.entity_id = z.id"""

# What they are tied to. The technical contact is often the hoster's; what was stated of a domain when it was no longer
# whose it had been ties nobody to it. Uses ix_fact_object_id, ix_fact_subject_id_predicate_object_id, pk_fact_history
# and pk_ownership_end.
TIES: Final = f"""
INSERT INTO watch_tie
SELECT p.id, p.alike_id, f.other_id, f.predicate, f.id, f.first, EXISTS (SELECT FROM ({_ENDS} WHERE d.id = f.other_id) o
    WHERE {taken("o", "f.first", "ownership_end")}
        OR (o.reason IN ('re-registered', 'expired') AND o.ended_at <= f.first))
FROM watch_person p
CROSS JOIN LATERAL (
    SELECT f.id, f.subject_id AS other_id, f.predicate, {_FIRST} AS first
    FROM (SELECT * FROM fact WHERE object_id = p.alike_id AND state = 'value' LIMIT {MOST}) f
    WHERE f.predicate IN ('registered-by', 'has-soa-contact', 'names', 'uses', 'communicates-with', 'associated-with')
        AND (f.predicate <> 'registered-by' OR coalesce(f.qualifiers->>'role', 'registrant') = 'registrant')
    UNION ALL
    SELECT f.id, f.object_id, f.predicate, {_FIRST}
    FROM (SELECT * FROM fact WHERE subject_id = p.alike_id AND state = 'value' LIMIT {MOST}) f
    JOIN entity o ON o.id = f.object_id AND o.kind NOT IN ('label', 'text', 'time', 'pattern')
    WHERE f.predicate IN ('attributed-to', 'reported-in', 'associated-with', 'uses', 'communicates-with')
) f
WHERE f.first IS NOT NULL
"""  # noqa: S608 - put together from constants

# Where those who share a value are watched, or known to be. Uses pk_entity.
REACH: Final = "INSERT INTO watch_reached SELECT other_id FROM watch_tie ON CONFLICT DO NOTHING"

# All ties that were read, those that no longer count included. No index: temporary tables.
JUDGED: Final = "INSERT INTO watch_judged SELECT DISTINCT 'shared-handle', fact_id FROM watch_tie"

# A value of something watched, or of the watch's actor by a claim, that something else has in another role; or that
# another value with the same handle has. Two known ends are enough to compare with.
SHARED: Final = """
WITH crowded AS (
    SELECT alike_id FROM watch_tie WHERE id = alike_id GROUP BY alike_id HAVING count(*) >= :crowd
), known AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY watch_id, id, predicate, place ORDER BY since NULLS FIRST, first, fact_id)
        AS rank
    FROM (
        SELECT h.watch_id, h.item_id, h.since, t.id, t.other_id, t.predicate, t.fact_id, t.first,
            coalesce(nullif(e.scope, ''), e.value) AS place
        FROM watch_tie t JOIN watch_hit h ON h.entity_id = t.other_id JOIN watch_entity e ON e.id = t.other_id
        WHERE t.id = t.alike_id AND NOT t.ended
        UNION
        SELECT h.watch_id, h.item_id, h.since, t.id, t.other_id, t.predicate, t.fact_id, t.first, 'claim'
        FROM watch_tie t JOIN watch w ON w.actor_id = t.other_id AND w.active
        JOIN watch_hit h ON h.entity_id = t.id AND h.watch_id = w.id
        WHERE t.id = t.alike_id AND t.predicate = 'attributed-to'
    ) k
), found AS MATERIALIZED (
    SELECT k.watch_id, k.item_id, k.since, t.other_id AS subject_id, k.other_id, s.digest || ' ' || p.digest || ' '
        || a.digest AS novelty, t.first, t.fact_id, k.fact_id AS known_id, t.predicate, k.predicate AS known_as,
        t.id = t.alike_id AS same
    FROM known k
    JOIN watch_tie t ON t.id = k.id AND t.other_id <> k.other_id AND NOT t.ended
    JOIN watch_entity s ON s.id = t.other_id AND coalesce(nullif(s.scope, ''), s.value) <> k.place
    JOIN entity p ON p.id = t.id
    JOIN entity a ON a.id = t.alike_id
    JOIN watch w ON w.id = k.watch_id AND w.actor_id IS DISTINCT FROM t.other_id
    WHERE k.rank <= 2 AND (t.predicate <> k.predicate OR t.id <> t.alike_id)
        AND NOT EXISTS (SELECT FROM watch_hit x WHERE (x.entity_id, x.watch_id) = (t.other_id, k.watch_id))
        AND NOT EXISTS (SELECT FROM crowded c WHERE c.alike_id IN (t.id, t.alike_id))
), said AS (
    INSERT INTO watch_said
    SELECT 'shared-handle', watch_id, novelty, '', 'there ' || predicate, NULL::timestamptz FROM found
    UNION SELECT 'shared-handle', watch_id, novelty, '', 'here ' || known_as, NULL FROM found
    UNION SELECT 'shared-handle', watch_id, novelty, '', CASE WHEN same THEN 'same' ELSE 'alike' END, NULL FROM found
)
INSERT INTO watch_match
SELECT 'shared-handle', watch_id, item_id, since, subject_id, other_id, novelty, first, fact_id, known_id FROM found
"""
