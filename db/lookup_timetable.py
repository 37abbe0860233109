"""What enters and leaves the timetable of look-ups: what is watched, and what findings are about. Table `lookup`.

In: the warehouse. Out: names, and how many rows changed; `db/lookup_queue.py` says what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from db.lookup_queue import Priority

# The names that are watched by an item, and the registrable domains of what is claimed of a followed actor. Uses
# ix_link_object_id and pk_entity.
WATCHED: Final = """
SELECT i.value FROM watch_item i
JOIN watch w ON w.id = i.watch_id AND w.active
WHERE i.match IN ('scope', 'subtree') OR (i.match = 'entity' AND i.kind = 'domain')
UNION
SELECT e.scope FROM watch w
JOIN link l ON l.object_id = w.actor_id AND l.predicate = 'attributed-to'
JOIN entity e ON e.id = l.subject_id AND e.scope <> ''
WHERE w.active AND w.follows_actor
"""

# What the newest open findings are about: the registrable domain of the subject, or the name by which a certificate
# matched. Uses ix_finding_status, pk_entity, pk_finding_fact and pk_fact.
FOUND: Final = """
WITH newest AS (
    SELECT id, subject_id, severity, found_at FROM finding WHERE status = 'open' ORDER BY id DESC LIMIT :scan
), named AS (
    SELECT e.scope AS name, n.severity FROM newest n JOIN entity e ON e.id = n.subject_id
    WHERE e.scope <> '' AND n.found_at >= :since
    UNION ALL
    SELECT f.qualifiers->>'name', n.severity FROM newest n
    JOIN finding_fact r ON r.finding_id = n.id
    JOIN fact f ON f.id = r.fact_id AND f.predicate = 'matches'
    WHERE n.found_at >= :since
)
SELECT name FROM named WHERE name IS NOT NULL GROUP BY name ORDER BY max(severity) DESC, name LIMIT :limit
"""

# Things that were never wanted. Uses pk_lookup.
NEVER_WANTED: Final = """
SELECT e.id FROM unnest(CAST(:ids AS bigint[])) e (id)
WHERE NOT EXISTS (SELECT FROM lookup l WHERE l.entity_id = e.id)
"""

# What is watched enters the timetable. Uses pk_lookup.
ENTER: Final = """
INSERT INTO lookup AS l (entity_id, priority, due_at, reason, reach, every)
SELECT w.id, :priority, :now, 'watch', :reach, :every FROM unnest(CAST(:ids AS bigint[])) w (id)
ON CONFLICT (entity_id) DO UPDATE SET
    every = excluded.every,
    priority = CASE WHEN l.due_at IS NULL THEN excluded.priority ELSE l.priority END,
    reason = CASE WHEN l.due_at IS NULL THEN excluded.reason ELSE l.reason END,
    reach = CASE WHEN l.due_at IS NULL THEN excluded.reach ELSE l.reach END,
    due_at = least(l.due_at, coalesce(l.asked_at + excluded.every * interval '1 day', excluded.due_at))
WHERE l.every IS NULL
RETURNING 1
"""

# What is watched no longer leaves it. Uses pk_lookup.
LEAVE: Final = """
UPDATE lookup SET every = NULL, due_at = CASE WHEN reason = 'watch' THEN NULL ELSE due_at END
WHERE every IS NOT NULL AND entity_id <> ALL(CAST(:ids AS bigint[]))
RETURNING 1
"""


def watched(connection: Connection) -> list[str]:
    """The names that are watched, registrable or below; with domains of followed actors, registrable alone."""
    return list(connection.execute(text(WATCHED)).scalars())


def found(connection: Connection, *, since: datetime, limit: int) -> list[str]:
    """Names that findings since then (recorded time) are about, the most severe first."""
    return list(connection.execute(text(FOUND), {"since": since, "limit": limit, "scan": limit * 10}).scalars())


def never_wanted(connection: Connection, entity_ids: Sequence[int]) -> list[int]:
    """Those of these things that nobody has ever wanted to be asked about."""
    return list(connection.execute(text(NEVER_WANTED), {"ids": list(entity_ids)}).scalars())


def follow_watches(
    connection: Connection, entity_ids: Sequence[int], *, every: float, reach: str, now: datetime
) -> tuple[int, int]:
    """Make the timetable hold just these watched domains: (how many enter it, how many leave it).

    `every` is the days until the first refresh of what enters.
    """
    ids = list(entity_ids)
    values = {"ids": ids, "priority": Priority.WATCH, "now": now, "reach": reach, "every": every}
    entered = len(connection.execute(text(ENTER), values).all())
    return entered, len(connection.execute(text(LEAVE), {"ids": ids}).all())
