"""When a domain ceases to be whose it was: the history of its registration in, rows of `ownership_end` out.

Four reasons: `re-registered` (its registry gives it a creation after that, or after the end, of a registration that was
stated before, or after another end), `expired` (it awaits deletion, or its registry no longer knows it), `seized` (a
court, an authority or a company that acts for one holds it) and `sinkholed` (somebody's sinkhole answers for it). Who
takes names away is configuration (`ends` of configs/hubs.yaml).

The rows follow from the facts alone: the monitor of registrations concludes them anew, in its own transaction, for each
domain of which something is stated or ends (db/watching_versions.py). They take from what findings about later days are
worth; an ownership never starts with one.

Raw SQL for the same reasons as in db/watching_match.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, text

from db.rows import driver

LOCK: Final = "SELECT pg_advisory_xact_lock(19543, hashtext('ownership ends'))"
"""Held by who concludes ends, before the first finding is touched."""
LOCK_SHARED: Final = "SELECT pg_advisory_xact_lock_shared(19543, hashtext('ownership ends'))"
"""Held by who says them of what it finds: neither misses what the other is about to commit, nor waits for its rows."""


class Taker(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who takes domains away.

    `match`: registrant (name, organisation or e-mail, case-folded), name-server (a name and all below it) or address
    (`network`). `since` and `until` bound the days (event time, UTC) of what is stated. `how` is a phrase for titles.
    """

    reason: str
    match: str
    value: str
    how: str
    network: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def fill_takers(connection: Connection, takers: Iterable[Taker]) -> None:
    """Put those who take domains away into this transaction's table."""
    with driver(connection).cursor().copy("COPY watch_taker FROM STDIN") as copy:
        for one in takers:
            copy.write_row((one.reason, one.match, one.value, one.network, one.since, one.until, one.how))
    connection.exec_driver_sql("ANALYZE watch_taker")


def conclude(connection: Connection) -> None:
    """Conclude the ends of the domains at hand, and let the warehouse hold those and no others of them."""
    connection.exec_driver_sql("ANALYZE watch_domain")
    connection.exec_driver_sql("TRUNCATE watch_end")
    for statement in (RE_REGISTERED, AWAITS_DELETION, NO_LONGER_KNOWN, TAKEN, LEADS_THERE):
        connection.execute(text(statement))
    connection.exec_driver_sql("ANALYZE watch_end")
    for statement in (TAKEN_ANEW, *COLLAPSE, KNOWN_BEFORE):
        connection.execute(text(statement))
    connection.exec_driver_sql("ANALYZE watch_end")
    moved = connection.execute(text(MOVED)).rowcount
    connection.exec_driver_sql("ANALYZE watch_moved")
    if connection.execute(text(ANY)).scalar_one():
        connection.execute(text(LOCK))
    if moved:
        connection.execute(text(FORGET))
        connection.execute(text(REMEMBER))


def _first(fact: str) -> str:
    """When a fact was first stated."""
    return f"(SELECT min(h.event_time) FROM fact_history h WHERE h.fact_id = {fact}.id AND NOT h.ended)"  # noqa: S608


def _last(fact: str) -> str:
    return f"(SELECT max(h.event_time) FROM fact_history h WHERE h.fact_id = {fact}.id AND NOT h.ended)"  # noqa: S608


def _day(value: str) -> str:
    """The day of a time as a source wrote it, or null: no text makes it fail."""
    return (
        rf"CASE WHEN {value} ~ '^[12]\d\d\d-(0[1-9]|1[0-2])-[0-3]\d' THEN make_date(substr({value}, 1, 4)::int,"
        f" substr({value}, 6, 2)::int, 1) + substr({value}, 9, 2)::int - 1 END"
    )


_REGISTRY: Final = "coalesce({0}.qualifiers->>'tier', 'registry') = 'registry'"

# What the registry tier of each source told of the touched domains. Uses ix_fact_subject_id_predicate_object_id.
_TOLD: Final = f"""
WITH told AS MATERIALIZED (
    SELECT d.id, f.source_id, f.id AS fact_id, f.key, f.predicate, {_day("v.value")} AS on_day, {_first("f")} AS first,
        {_last("f")} AS last
    FROM watch_domain d
    JOIN fact f ON f.subject_id = d.id AND f.predicate IN ('created', 'expires') AND f.state = 'value'
        AND {_REGISTRY.format("f")}
    JOIN entity v ON v.id = f.object_id
)
INSERT INTO watch_end
"""  # noqa: S608 - put together from constants

# A creation that is later than the creation, or the end, of a registration that the same source stated before, and
# states no more: two servers that disagree say it at the same time, and two protocols may write the day differently. A
# day's difference is that of two time zones. Uses ix_fact_subject_id_predicate_object_id and pk_fact_history.
RE_REGISTERED: Final = f"""{_TOLD}
SELECT DISTINCT ON (n.id, n.on_day) n.id, n.on_day::timestamp AT TIME ZONE 'UTC', 're-registered', n.fact_id, o.fact_id,
    ''
FROM told n
JOIN told o ON (o.id, o.source_id) = (n.id, n.source_id) AND o.last < n.first
    AND n.on_day > o.on_day + CASE o.predicate WHEN 'created' THEN 1 ELSE 0 END
WHERE n.predicate = 'created'
ORDER BY n.id, n.on_day, n.first, n.key, o.predicate, o.last DESC, o.key
"""  # noqa: S608 - put together from constants

# A creation after another end: whoever had it by then, somebody registered it since. Uses the same.
TAKEN_ANEW: Final = f"""{_TOLD}
SELECT DISTINCT ON (n.id, n.on_day) n.id, n.on_day::timestamp AT TIME ZONE 'UTC', 're-registered', n.fact_id, w.fact_id,
    ''
FROM told n
JOIN watch_end w ON w.entity_id = n.id AND w.reason <> 're-registered'
    AND n.on_day > (w.ended_at AT TIME ZONE 'UTC')::date
JOIN fact f ON f.id = w.fact_id
WHERE n.predicate = 'created' AND NOT EXISTS (SELECT FROM watch_end x WHERE x.entity_id = n.id
    AND x.reason = 're-registered' AND x.ended_at = n.on_day::timestamp AT TIME ZONE 'UTC')
ORDER BY n.id, n.on_day, n.first, n.key, w.ended_at, w.reason, f.key
"""  # noqa: S608 - put together from constants


def _restored(at: str) -> str:
    """That a source states of domain `d`, later, a creation before that time: it is the old registration still."""
    return f"""EXISTS (
        SELECT FROM fact c JOIN entity v ON v.id = c.object_id
        JOIN fact_history w ON w.fact_id = c.id AND NOT w.ended AND w.event_time {at}
        WHERE c.subject_id = d.id AND c.predicate = 'created' AND c.state = 'value' AND {_REGISTRY.format("c")}
            AND {_day("v.value")} < (h.event_time AT TIME ZONE 'UTC')::date)"""


# It awaits deletion, and is not taken back from it. The registry says so (RFC 3915): a registrar's copy may outlast it.
# Uses ix_fact_subject_id_predicate_object_id and pk_fact_history.
AWAITS_DELETION: Final = f"""
INSERT INTO watch_end
SELECT DISTINCT ON (d.id, h.event_time) d.id, h.event_time, 'expired', f.id, NULL::bigint, 'it awaits deletion'
FROM watch_domain d
JOIN fact f ON f.subject_id = d.id AND f.predicate = 'has-status' AND f.state = 'value' AND {_REGISTRY.format("f")}
JOIN entity o ON o.id = f.object_id
    AND replace(lower(split_part(o.value, '(', 1)), ' ', '') IN ('redemptionperiod', 'pendingdelete')
JOIN fact_history h ON h.fact_id = f.id AND NOT h.ended
WHERE NOT EXISTS (SELECT FROM fact_history e WHERE e.fact_id = f.id AND e.ended AND e.event_time > h.event_time
    AND {_restored("= e.event_time")})
ORDER BY d.id, h.event_time, f.key
"""  # noqa: S608 - put together from constants

# Its registry no longer knows it: what it stated has ended, and it states nothing at that time. What it knew again
# later, with the old creation, it had never lost. Uses ix_fact_subject_id_predicate_object_id and pk_fact_history.
NO_LONGER_KNOWN: Final = f"""
INSERT INTO watch_end
SELECT DISTINCT ON (d.id, h.event_time) d.id, h.event_time, 'expired', x.id, NULL::bigint,
    'its registry no longer knows it'
FROM watch_domain d
JOIN fact x ON x.subject_id = d.id AND x.qualifiers->>'tier' = 'registry' AND x.predicate IN ('created', 'expires',
    'registered-through', 'has-status', 'uses-name-servers')
JOIN fact_history h ON h.fact_id = x.id AND h.ended
WHERE NOT EXISTS (
    SELECT FROM fact y JOIN fact_history s ON (s.fact_id, s.event_time, s.ended) = (y.id, h.event_time, false)
    WHERE y.subject_id = d.id AND y.source_id = x.source_id AND y.qualifiers->>'tier' = 'registry')
    AND NOT {_restored("> h.event_time")}
ORDER BY d.id, h.event_time, x.predicate, x.key
"""  # noqa: S608 - put together from constants

_WITHIN: Final = """NOT h.ended AND (t.since IS NULL OR h.event_time >= t.since)
    AND (t.until IS NULL OR h.event_time < t.until)"""

# Somebody who takes domains away holds it. Uses ix_fact_subject_id_predicate_object_id and pk_fact_history.
TAKEN: Final = f"""
INSERT INTO watch_end
SELECT DISTINCT ON (d.id, t.reason, h.event_time) d.id, h.event_time, t.reason, f.id, NULL::bigint, t.how
FROM watch_domain d
JOIN fact f ON f.subject_id = d.id AND f.state = 'value'
    AND f.predicate IN ('registered-by', 'uses-name-server', 'uses-name-servers')
    AND coalesce(f.qualifiers->>'role', 'registrant') = 'registrant'
JOIN entity o ON o.id = f.object_id
JOIN watch_taker t ON CASE t.match
    WHEN 'registrant' THEN f.predicate = 'registered-by' AND lower(o.value) = t.value
    WHEN 'name-server' THEN f.predicate <> 'registered-by' AND EXISTS (
        SELECT FROM unnest(string_to_array(o.value, ' ')) s (host)
        WHERE s.host = t.value OR right(s.host, length(t.value) + 1) = '.' || t.value)
    END
JOIN fact_history h ON h.fact_id = f.id AND {_WITHIN}
ORDER BY d.id, t.reason, h.event_time, f.key, t.how
"""  # noqa: S608 - put together from constants

# It leads to an address of theirs: by equality, step by step, since a batch may hold 100,000 resolutions, of which
# hardly any does. Uses ix_fact_subject_id_predicate_object_id, pk_entity and pk_fact_history.
LEADS_THERE: Final = f"""
WITH width AS (
    SELECT DISTINCT family(network) AS family, masklen(network) AS bits FROM watch_taker WHERE network IS NOT NULL
), led AS MATERIALIZED (
    SELECT f.subject_id AS id, f.id AS fact_id, f.key, f.object_id FROM watch_domain d
    JOIN fact f ON f.subject_id = d.id AND f.predicate = 'resolves-to' AND f.state = 'value'
), address AS MATERIALIZED (
    SELECT o.id, o.address FROM (SELECT DISTINCT object_id AS id FROM led) l
    JOIN entity o ON o.id = l.id AND o.address IS NOT NULL
), there AS MATERIALIZED (
    SELECT a.id, network(set_masklen(a.address, w.bits))::inet AS network FROM address a
    JOIN width w ON w.family = family(a.address) AND w.bits <= masklen(a.address)
), taken AS MATERIALIZED (
    SELECT there.id, t.* FROM there JOIN watch_taker t ON t.network = there.network
)
INSERT INTO watch_end
SELECT DISTINCT ON (l.id, t.reason, h.event_time) l.id, h.event_time, t.reason, l.fact_id, NULL::bigint, t.how
FROM taken t JOIN led l ON l.object_id = t.id
JOIN fact_history h ON h.fact_id = l.fact_id AND {_WITHIN}
ORDER BY l.id, t.reason, h.event_time, l.key, t.how
"""  # noqa: S608 - put together from constants

# Of several that follow one another without a new registration in between, the first counts: it was over by then. In
# one pass: there is one for each time at which a resolution was seen.
COLLAPSE: Final = (
    """
DELETE FROM watch_end n USING (
    SELECT ctid, rank() OVER (PARTITION BY entity_id, reason, life ORDER BY ended_at) AS rank FROM (
        SELECT ctid, entity_id, reason, ended_at, count(*) FILTER (WHERE reason = 're-registered') OVER (
            PARTITION BY entity_id ORDER BY ended_at, reason <> 're-registered') AS life
        FROM watch_end
    ) lives
) o
WHERE o.ctid = n.ctid AND o.rank > 1 AND n.reason <> 're-registered'
""",
    """
DELETE FROM watch_end n USING watch_end o, fact f, fact g
WHERE (o.entity_id, o.ended_at, o.reason) = (n.entity_id, n.ended_at, n.reason)
    AND f.id = n.fact_id AND g.id = o.fact_id AND g.key < f.key
""",
)

# What was stated before: the last of the same kind that had begun by then. Uses ix_fact_subject_id_predicate_object_id
# and pk_fact_history.
KNOWN_BEFORE: Final = f"""
UPDATE watch_end n SET known_id = k.id
FROM watch_end w JOIN fact f ON f.id = w.fact_id
CROSS JOIN LATERAL (
    SELECT id FROM (
        SELECT x.id, x.key, {_first("x")} AS first FROM fact x
        WHERE x.subject_id = w.entity_id AND x.predicate = f.predicate AND x.id <> f.id
            AND x.qualifiers->>'field' IS NOT DISTINCT FROM f.qualifiers->>'field'
    ) before
    WHERE first < w.ended_at ORDER BY first DESC, key LIMIT 1
) k
WHERE (w.entity_id, w.ended_at, w.reason) = (n.entity_id, n.ended_at, n.reason) AND n.known_id IS NULL
"""  # noqa: S608 - put together from constants

# Whether the domains at hand have ends, or had.
ANY: Final = "SELECT EXISTS (SELECT FROM watch_end) OR EXISTS (SELECT FROM watch_moved)"

# Whose ends differ from what the warehouse holds. Uses pk_ownership_end.
MOVED: Final = """
INSERT INTO watch_moved
SELECT DISTINCT coalesce(n.entity_id, o.entity_id)
FROM (SELECT e.* FROM watch_domain d JOIN ownership_end e ON e.entity_id = d.id) o
FULL JOIN watch_end n ON (n.entity_id, n.ended_at, n.reason, n.fact_id)
    = (o.entity_id, o.ended_at, o.reason, o.fact_id)
WHERE n.entity_id IS NULL OR o.entity_id IS NULL
ON CONFLICT DO NOTHING
"""

# Ends of the touched domains that are no longer concluded. Uses pk_ownership_end.
FORGET: Final = """
DELETE FROM ownership_end o USING watch_moved m
WHERE o.entity_id = m.id AND NOT EXISTS (
    SELECT FROM watch_end n WHERE (n.entity_id, n.ended_at, n.reason) = (o.entity_id, o.ended_at, o.reason))
"""

# Ends that are new, or rest on another fact now. Uses pk_ownership_end.
REMEMBER: Final = """
INSERT INTO ownership_end (entity_id, ended_at, reason, fact_id)
SELECT n.entity_id, n.ended_at, n.reason, n.fact_id FROM watch_moved m JOIN watch_end n ON n.entity_id = m.id
ORDER BY n.entity_id, n.ended_at, n.reason
ON CONFLICT (entity_id, ended_at, reason) DO UPDATE SET fact_id = excluded.fact_id
WHERE ownership_end.fact_id <> excluded.fact_id
"""
