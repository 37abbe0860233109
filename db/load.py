"""Load: staged facts become entities, facts, history and links, in one transaction with cursor and run.

Comes in: a `Batch` whose facts lie in staging. Goes out: `Loaded`, with what was new. Everything is a set operation on
a chunk of at most 100,000 facts; nothing is done per row. Rows are written in the order of their keys, so that two
loads that touch the same entities wait for one another instead of deadlocking.

Raw SQL: temporary tables, INSERT ... RETURNING into CTEs, multiranges and per-chunk table names have no form in
SQLAlchemy Core that would read better. Each statement has a name, and a test shows that its index is used.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

from db import runs
from db.rows import driver
from db.staging import tables
from intel.errors import WarehouseError

TEMPORARY: Final = """
CREATE TEMP TABLE load_entity (digest uuid PRIMARY KEY, id bigint) ON COMMIT DROP;
CREATE TEMP TABLE load_fact (key uuid, subject_id bigint, predicate text, object_id bigint, event_time timestamptz,
    ends boolean, tlp smallint, id bigint, standing boolean, fresh boolean) ON COMMIT DROP;
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

# Facts that are not there yet. Uses uq_fact_key.
INSERT_FACTS: Final = """
INSERT INTO fact (key, source_id, subject_id, predicate, object_id, state, qualifiers, reference, tlp, confidence,
    personal, standing, document_id, locator, batch_id)
SELECT DISTINCT ON (s.key) s.key, :source_id, se.id, s.predicate, oe.id, s.state, s.qualifiers, s.reference, s.tlp,
    s.confidence, s.personal, CASE WHEN :snapshot THEN true END, s.document_id, s.locator, :batch_id
FROM staging.{fact} s
JOIN load_entity se ON se.digest = s.subject
LEFT JOIN load_entity oe ON oe.digest = s.object
WHERE NOT EXISTS (SELECT FROM fact f WHERE f.key = s.key)
ORDER BY s.key, s.event_time
ON CONFLICT (key) DO NOTHING
"""

# The chunk's facts with their ids; `fresh` are those of this batch. Uses uq_fact_key.
RESOLVE_FACTS: Final = """
INSERT INTO load_fact
SELECT s.key, f.subject_id, f.predicate, f.object_id, s.event_time, s.ends, s.tlp, f.id, f.standing,
    f.batch_id = :batch_id
FROM staging.{fact} s JOIN fact f ON f.key = s.key
"""

# A restatement under a stricter TLP makes the fact stricter, never laxer. Uses pk_fact.
TIGHTEN_TLP: Final = """
UPDATE fact SET tlp = stricter.tlp
FROM (SELECT id, max(tlp) AS tlp FROM load_fact WHERE NOT fresh GROUP BY id) stricter
WHERE fact.id = stricter.id AND fact.tlp < stricter.tlp
"""

# When it was stated. A snapshot's fact is stated again only after it had ended. Uses pk_fact_history.
INSERT_HISTORY: Final = """
WITH written AS (
    INSERT INTO fact_history (fact_id, event_time, ended, run_id)
    SELECT DISTINCT ON (id, event_time, ends) id, event_time, ends, :run_id FROM load_fact
    WHERE fresh OR NOT :snapshot OR standing IS NOT TRUE
    ORDER BY id, event_time, ends
    ON CONFLICT DO NOTHING
    RETURNING fact_id, ended
), stated AS (
    INSERT INTO load_stated SELECT DISTINCT fact_id FROM written
)
SELECT count(*) FILTER (WHERE NOT ended), count(*) FILTER (WHERE ended) FROM written
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
    WHERE fresh AND object_id IS NOT NULL AND NOT ends
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

# The merged view of the named links, from all their facts. Uses ix_fact_subject_id_predicate_object_id.
# A stated time closes at the next end, at the last time that the source stated it; a stream's time is a point.
MERGE_LINKS: Final = """
INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts)
SELECT subject_id, predicate, object_id, range_agg(span), count(DISTINCT source_id), count(DISTINCT id)
FROM (
    SELECT k.subject_id, k.predicate, k.object_id, f.source_id, f.id,
        CASE WHEN s.next_ended THEN tstzrange(s.event_time, greatest(s.event_time, s.next_seen), '[]')
             WHEN f.standing IS NULL THEN tstzrange(s.event_time, s.event_time, '[]')
             ELSE tstzrange(s.event_time, NULL) END AS span
    FROM (SELECT DISTINCT subject_id, predicate, object_id FROM load_link) k
    JOIN fact f ON (f.subject_id, f.predicate, f.object_id) = (k.subject_id, k.predicate, k.object_id)
    CROSS JOIN LATERAL (
        SELECT event_time, ended,
            lead(ended) OVER w AS next_ended,
            coalesce(lead(last_seen) OVER w, lead(event_time) OVER w) AS next_seen
        FROM fact_history h WHERE h.fact_id = f.id WINDOW w AS (ORDER BY event_time, ended)
    ) s
    WHERE NOT s.ended
) spans
GROUP BY subject_id, predicate, object_id
ORDER BY subject_id, predicate, object_id
ON CONFLICT (subject_id, predicate, object_id)
DO UPDATE SET seen = excluded.seen, sources = excluded.sources, facts = excluded.facts
WHERE (link.seen, link.sources, link.facts) IS DISTINCT FROM (excluded.seen, excluded.sources, excluded.facts)
"""

# How many facts of the source stand, and how many of them this snapshot states. Uses ix_fact_standing.
COUNT_STANDING: Final = """
SELECT count(*), count(s.fact_id)
FROM fact f LEFT JOIN (SELECT DISTINCT fact_id FROM load_seen) s ON s.fact_id = f.id
WHERE f.source_id = :source_id AND f.standing
"""

# What a snapshot no longer states has ended, and was last seen in the snapshot before. Uses ix_fact_standing.
END_MISSING: Final = """
WITH missing AS (
    UPDATE fact f SET standing = false
    WHERE f.source_id = :source_id AND f.standing AND NOT EXISTS (SELECT FROM load_seen s WHERE s.fact_id = f.id)
    RETURNING f.id, f.subject_id, f.predicate, f.object_id
), history AS (
    INSERT INTO fact_history (fact_id, event_time, ended, last_seen, run_id)
    SELECT id, :as_of, true, :before, :run_id FROM missing ORDER BY id
    ON CONFLICT DO NOTHING
), touched AS (
    INSERT INTO load_link SELECT DISTINCT subject_id, predicate, object_id FROM missing WHERE object_id IS NOT NULL
)
SELECT count(*) FROM missing
"""


class Batch(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What passes between the tasks of a run: rows and files are pointed to, never carried.

    `source` and `source_id` name the source, `documents` are ids. `as_of` is the event time of a snapshot. `cursor`
    is written with the facts. `last` closes the run. `max_shrink` is the share of standing facts that one snapshot
    may end; a snapshot that would end more, or that is older than the one before, or that lacks a part (`problems`),
    ends nothing.
    """

    source: str
    source_id: int
    run_id: int
    snapshot: bool = False
    documents: tuple[int, ...] = ()
    facts: int = 0
    rejects: int = 0
    as_of: datetime | None = None
    cursor: dict[str, Any] | None = None
    last: bool = True
    max_shrink: float = 0.5
    problems: tuple[str, ...] = ()


class Loaded(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a load changed. `batch_id` is None where nothing was new. `alarm` says what was refused, or is empty."""

    run_id: int
    source: str
    batch_id: int | None
    facts_new: int
    facts_ended: int
    last: bool = True
    alarm: str = ""


def load(connection: Connection, batch: Batch) -> Loaded:
    """Move a batch from staging into the warehouse; the caller's transaction holds everything.

    Raises WarehouseError where staged rows are missing, which happens when a run is loaded twice.
    """
    connection.exec_driver_sql(TEMPORARY)
    connection.exec_driver_sql("SET LOCAL default_statistics_target = 10")
    batch_id = runs.new_batch(connection, batch.run_id)
    staged, new, restated, ended = 0, 0, 0, 0
    names = tables(driver(connection), batch.run_id)
    for name in [name for name in names if name.startswith("fact_")]:
        counts = _chunk(connection, batch, batch_id, fact=name, entity=name.replace("fact_", "entity_", 1))
        staged, new, restated, ended = staged + counts[0], new + counts[1], restated + counts[2], ended + counts[3]
    if staged != batch.facts:
        raise WarehouseError(
            f"couldn't load run {batch.run_id} of {batch.source}: {batch.facts} facts were staged and {staged} are"
            " there; the run is given up and the next one reads the documents again"
        )
    alarm = ""
    if batch.snapshot:
        missing, alarm = _end_missing(connection, batch)
        ended += missing
    connection.exec_driver_sql(MERGE_LINKS)
    rejects = _move_rejects(connection, batch.run_id, names)
    for name in names:
        connection.exec_driver_sql(f'DROP TABLE staging."{name}"')
    runs.close_batch(connection, batch_id, facts_new=new, restated=restated, ended=ended)
    runs.mark_loaded(connection, batch.documents)
    if batch.cursor is not None:
        runs.write_cursor(connection, f"source:{batch.source}", batch.cursor, batch.run_id)
    runs.count(connection, batch.run_id, facts=staged, facts_new=new, facts_ended=ended, rejects=rejects)
    said = "; ".join(part for part in (alarm, *batch.problems) if part)
    if said:
        runs.warn(connection, batch.run_id, said)
    if batch.last:
        runs.finish(connection, batch.run_id, outcome="ok")
    return Loaded(
        run_id=batch.run_id,
        source=batch.source,
        batch_id=batch_id if new or restated or ended else None,
        facts_new=new,
        facts_ended=ended,
        last=batch.last,
        alarm=alarm,
    )


def rebuild_links(connection: Connection) -> int:
    """Merge every link again from its facts; those that no fact states any more go. Returns how many there are."""
    connection.exec_driver_sql(TEMPORARY)
    connection.exec_driver_sql(
        "INSERT INTO load_link SELECT DISTINCT subject_id, predicate, object_id FROM fact WHERE object_id IS NOT NULL"
    )
    connection.exec_driver_sql("TRUNCATE link")
    return connection.exec_driver_sql(MERGE_LINKS).rowcount


def _chunk(connection: Connection, batch: Batch, batch_id: int, *, fact: str, entity: str) -> tuple[int, int, int, int]:
    """(staged, new, restated, ended) of one chunk."""
    known = {"source_id": batch.source_id, "run_id": batch.run_id, "batch_id": batch_id, "snapshot": batch.snapshot}
    connection.exec_driver_sql("TRUNCATE load_entity, load_fact, load_stated, load_new_link")
    connection.exec_driver_sql(f'ANALYZE staging."{entity}"')
    connection.exec_driver_sql(f'ANALYZE staging."{fact}"')

    def run(statement: str) -> Any:
        sql = statement.format(entity=f'"{entity}"', fact=f'"{fact}"')
        return connection.execute(text(sql), {name: value for name, value in known.items() if f":{name}" in sql})

    run(INSERT_ENTITIES)
    run(RESOLVE_ENTITIES)
    connection.exec_driver_sql("ANALYZE load_entity")
    new = run(INSERT_FACTS).rowcount
    run(RESOLVE_FACTS)
    connection.exec_driver_sql("ANALYZE load_fact")
    staged = connection.execute(text("SELECT count(*) FROM load_fact")).scalar_one()
    if staged > new:
        run(TIGHTEN_TLP)
    stated, ended = run(INSERT_HISTORY).one()
    run(INSERT_LINKS)
    run(TOUCHED_LINKS)
    if batch.snapshot:
        run(STAND_AGAIN)
        connection.exec_driver_sql("INSERT INTO load_seen SELECT id FROM load_fact")
    return staged, new, max(stated - new, 0), ended


def _end_missing(connection: Connection, batch: Batch) -> tuple[int, str]:
    """End what the snapshot no longer states: (how many ended, alarm)."""
    before = runs.snapshot_time(connection, batch.source)
    if batch.problems:
        return 0, f"a part of the snapshot of {batch.source} could not be had; it ends nothing"
    if batch.as_of is not None and before is not None and batch.as_of < before:
        return 0, (
            f"the snapshot of {batch.source} is of {batch.as_of:%Y-%m-%d %H:%M} UTC, older than the last, of"
            f" {before:%Y-%m-%d %H:%M} UTC; it ends nothing"
        )
    connection.exec_driver_sql("ANALYZE load_seen")
    standing, seen = connection.execute(text(COUNT_STANDING), {"source_id": batch.source_id}).one()
    if standing and (standing - seen) / standing > batch.max_shrink:
        return 0, (
            f"the snapshot of {batch.source} lacks {standing - seen} of {standing} facts that stood, more than its"
            f" entry allows ({batch.max_shrink:.0%}); it ends nothing"
        )
    values = {"source_id": batch.source_id, "as_of": batch.as_of, "before": before, "run_id": batch.run_id}
    ended = connection.execute(text(END_MISSING), values).scalar_one()
    if batch.as_of is not None:
        runs.write_cursor(connection, f"snapshot:{batch.source}", {"as_of": batch.as_of.isoformat()}, batch.run_id)
    return ended, ""


def _move_rejects(connection: Connection, run_id: int, names: list[str]) -> int:
    if f"reject_{run_id}" not in names:
        return 0
    return connection.exec_driver_sql(
        f"INSERT INTO reject (run_id, document_id, locator, reason, excerpt) SELECT {int(run_id)}, r.*"  # noqa: S608 - a number
        f' FROM staging."reject_{int(run_id)}" r'
    ).rowcount
