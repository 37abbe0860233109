"""The statements of the load (db/load.py): each with a name, what it is for, and the index that it uses.

Raw SQL: temporary tables, INSERT ... RETURNING into CTEs, multiranges and per-chunk table names have no form in
SQLAlchemy Core that would read better. A test shows that each index is used.
"""

from __future__ import annotations

from typing import Final

TEMPORARY: Final = """
CREATE TEMP TABLE load_entity (digest uuid PRIMARY KEY, id bigint) ON COMMIT DROP;
CREATE TEMP TABLE load_fact (key uuid, subject_id bigint, predicate text, object_id bigint, event_time timestamptz,
    ends boolean, tlp smallint, personal boolean, id bigint, standing boolean, fresh boolean) ON COMMIT DROP;
CREATE TEMP TABLE load_seen (fact_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE load_stated (fact_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE load_new_link (subject_id bigint, predicate text, object_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE load_link (subject_id bigint, predicate text, object_id bigint) ON COMMIT DROP;
"""

# Entities that are not there yet. Uses uq_entity_digest.
INSERT_ENTITIES: Final = """
INSERT INTO entity (digest, kind, value, scope, address)
SELECT s.digest, s.kind, s.value, s.scope, s.address FROM staging.{entity} s
WHERE NOT EXISTS (SELECT FROM entity e WHERE e.digest = s.digest)
ORDER BY s.digest
ON CONFLICT (digest) DO NOTHING
"""

# The ids of the chunk's entities. Uses uq_entity_digest.
RESOLVE_ENTITIES: Final = """
INSERT INTO load_entity SELECT e.digest, e.id FROM staging.{entity} s JOIN entity e ON e.digest = s.digest
"""

# Facts that are not there yet. Uses uq_fact_key. The joins are materialised first: the planner believes that no row
# outlives the anti-join (every key is as good as any other), and would then join 100,000 rows by nested loops.
INSERT_FACTS: Final = """
WITH resolved AS MATERIALIZED (
    SELECT s.*, se.id AS subject_id, oe.id AS object_id
    FROM staging.{fact} s
    JOIN load_entity se ON se.digest = s.subject
    LEFT JOIN load_entity oe ON oe.digest = s.object
)
INSERT INTO fact (key, source_id, subject_id, predicate, object_id, state, qualifiers, reference, tlp, confidence,
    personal, standing, document_id, locator, batch_id)
SELECT DISTINCT ON (r.key) r.key, :source_id, r.subject_id, r.predicate, r.object_id, r.state, r.qualifiers,
    r.reference, r.tlp, r.confidence, r.personal, CASE WHEN :snapshot THEN NOT :older END, r.document_id, r.locator,
    :batch_id
FROM resolved r
WHERE NOT EXISTS (SELECT FROM fact f WHERE f.key = r.key)
ORDER BY r.key, r.event_time
ON CONFLICT (key) DO NOTHING
"""

# The chunk's facts with their ids; `fresh` are those of this batch. Uses uq_fact_key.
# A snapshot cannot speak of the time after it was taken.
RESOLVE_FACTS: Final = """
INSERT INTO load_fact
SELECT s.key, f.subject_id, f.predicate, f.object_id,
    CASE WHEN :snapshot THEN least(s.event_time, :as_of) ELSE s.event_time END,
    s.ends, s.tlp, s.personal, f.id, f.standing, f.batch_id = :batch_id
FROM staging.{fact} s JOIN fact f ON f.key = s.key
"""

# Said twice, a fact is as strict and as personal as the strictest saying of it, never laxer. Uses pk_fact.
TIGHTEN: Final = """
UPDATE fact SET tlp = greatest(fact.tlp, stricter.tlp), personal = fact.personal OR stricter.personal
FROM (SELECT id, max(tlp) AS tlp, bool_or(personal) AS personal FROM load_fact GROUP BY id) stricter
WHERE fact.id = stricter.id AND (fact.tlp < stricter.tlp OR (stricter.personal AND NOT fact.personal))
"""

# When it was stated. A snapshot's fact is stated again only after it had ended, and then from that snapshot on, which
# is later than the end, whatever time of its own it carries. Uses pk_fact_history.
INSERT_HISTORY: Final = """
WITH written AS (
    INSERT INTO fact_history (fact_id, event_time, ended, batch_id)
    SELECT DISTINCT ON (id, said_at, ends) id, said_at, ends, :batch_id FROM (
        SELECT id, ends, CASE WHEN :snapshot AND NOT fresh THEN greatest(:as_of,
            (SELECT max(h.event_time) FROM fact_history h WHERE h.fact_id = l.id) + interval '1 microsecond')
            ELSE event_time END AS said_at
        FROM load_fact l
        WHERE fresh OR NOT :snapshot OR (standing IS FALSE AND NOT :older)
    ) said
    ORDER BY id, said_at, ends
    ON CONFLICT DO NOTHING
    RETURNING fact_id, ended
), stated AS (
    INSERT INTO load_stated SELECT DISTINCT fact_id FROM written
)
SELECT count(*) FILTER (WHERE NOT ended), count(*) FILTER (WHERE ended) FROM written
"""

# What an older snapshot is the first to state was so then; it says nothing of later. Uses pk_fact_history.
END_OLDER: Final = """
INSERT INTO fact_history (fact_id, event_time, ended, last_seen, batch_id)
SELECT DISTINCT id, :as_of, true, :as_of, :batch_id FROM load_fact WHERE fresh
ON CONFLICT DO NOTHING
"""

# A snapshot's fact that had ended stands again. Uses pk_fact.
STAND_AGAIN: Final = """
UPDATE fact SET standing = true FROM load_fact l WHERE fact.id = l.id AND NOT l.fresh AND l.standing IS FALSE
"""

# Links that nobody stated before: all in one statement. Uses pk_link.
INSERT_LINKS: Final = """
WITH inserted AS (
    INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts)
    SELECT subject_id, predicate, object_id,
        range_agg(CASE WHEN :snapshot THEN tstzrange(event_time, NULL)
                       ELSE tstzrange(event_time, event_time, '[]') END),
        1, count(DISTINCT id)
    FROM load_fact l
    WHERE fresh AND object_id IS NOT NULL AND NOT ends AND NOT :older
        AND NOT EXISTS (SELECT FROM link k WHERE (k.subject_id, k.predicate, k.object_id)
                        = (l.subject_id, l.predicate, l.object_id))
    GROUP BY subject_id, predicate, object_id
    ORDER BY subject_id, predicate, object_id
    ON CONFLICT (subject_id, predicate, object_id) DO NOTHING
    RETURNING subject_id, predicate, object_id
)
INSERT INTO load_new_link SELECT * FROM inserted
"""

# Links that stood before this chunk and gained a fact, a time or an end: to be merged again from their facts.
TOUCHED_LINKS: Final = """
INSERT INTO load_link
SELECT DISTINCT l.subject_id, l.predicate, l.object_id
FROM load_fact l JOIN load_stated s ON s.fact_id = l.id
LEFT JOIN load_new_link n USING (subject_id, predicate, object_id)
WHERE l.object_id IS NOT NULL AND (n.subject_id IS NULL OR l.ends)
"""

# The touched links, locked in the order of their keys: two loads that merge the same link take turns, and the second
# sees the facts of the first, since the merge is a statement of its own (READ COMMITTED). Uses pk_link.
LOCK_LINKS: Final = """
SELECT FROM link k JOIN (SELECT DISTINCT subject_id, predicate, object_id FROM load_link) l
    USING (subject_id, predicate, object_id)
ORDER BY subject_id, predicate, object_id FOR UPDATE OF k
"""

# The merged view of the named links, from all their facts. Uses ix_fact_subject_id_predicate_object_id.
# What was stated was so until the next end after it, at the last time that the source stated it; with no end after it,
# a stream's time is a point, and a snapshot's span is open. A stream ends what it stated under whatever reference: the
# commit that takes an address off a list is not the one that put it there.
MERGE_LINKS: Final = """
INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts)
SELECT subject_id, predicate, object_id, range_agg(span), count(DISTINCT source_id), count(DISTINCT id)
FROM (
    SELECT k.subject_id, k.predicate, k.object_id, f.source_id, f.id,
        CASE WHEN e.event_time IS NOT NULL
                 THEN tstzrange(s.event_time, greatest(s.event_time, coalesce(e.last_seen, e.event_time)), '[]')
             WHEN f.standing IS NULL THEN tstzrange(s.event_time, s.event_time, '[]')
             ELSE tstzrange(s.event_time, NULL) END AS span
    FROM (SELECT DISTINCT subject_id, predicate, object_id FROM load_link) k
    JOIN fact f ON (f.subject_id, f.predicate, f.object_id) = (k.subject_id, k.predicate, k.object_id)
    JOIN fact_history s ON s.fact_id = f.id AND NOT s.ended
    LEFT JOIN LATERAL (
        SELECT h.event_time, h.last_seen FROM fact g JOIN fact_history h ON h.fact_id = g.id
        WHERE (g.subject_id, g.predicate, g.object_id) = (k.subject_id, k.predicate, k.object_id)
            AND g.source_id = f.source_id AND (g.id = f.id OR f.standing IS NULL)
            AND h.ended AND h.event_time >= s.event_time
        ORDER BY h.event_time LIMIT 1
    ) e ON true
) spans
GROUP BY subject_id, predicate, object_id
ORDER BY subject_id, predicate, object_id
ON CONFLICT (subject_id, predicate, object_id)
DO UPDATE SET seen = excluded.seen, sources = excluded.sources, facts = excluded.facts
WHERE (link.seen, link.sources, link.facts) IS DISTINCT FROM (excluded.seen, excluded.sources, excluded.facts)
"""

# How many facts of the source stand before a snapshot is loaded. Uses ix_fact_standing.
COUNT_STANDING: Final = "SELECT count(*) FROM fact f WHERE f.source_id = :source_id AND f.standing"

# How many of them the snapshot lacks. Uses ix_fact_standing.
COUNT_MISSING: Final = """
SELECT count(*) FROM fact f LEFT JOIN (SELECT DISTINCT fact_id FROM load_seen) s ON s.fact_id = f.id
WHERE f.source_id = :source_id AND f.standing AND s.fact_id IS NULL
"""

# What a snapshot no longer states has ended, and was last seen in the snapshot before. Uses ix_fact_standing.
END_MISSING: Final = """
WITH missing AS (
    UPDATE fact f SET standing = false
    WHERE f.source_id = :source_id AND f.standing AND NOT EXISTS (SELECT FROM load_seen s WHERE s.fact_id = f.id)
    RETURNING f.id, f.subject_id, f.predicate, f.object_id
), history AS (
    INSERT INTO fact_history (fact_id, event_time, ended, last_seen, batch_id)
    SELECT m.id, greatest(CAST(:as_of AS timestamptz), max(h.event_time)), true, :before, :batch_id
    FROM missing m JOIN fact_history h ON h.fact_id = m.id GROUP BY m.id ORDER BY m.id
    ON CONFLICT DO NOTHING
), touched AS (
    INSERT INTO load_link SELECT DISTINCT subject_id, predicate, object_id FROM missing WHERE object_id IS NOT NULL
)
SELECT count(*) FROM missing
"""
