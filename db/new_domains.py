"""First sights of new domains: names in bulk in, those that a channel had not shown before out, with what was seen.

A slice of at most 100,000 names is one COPY and two statements. Names are written in their order, so that two channels
that show the same ones wait for each other. Raw SQL: COPY, and inserts that tell what was new, have no form in
SQLAlchemy Core that would read better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine, delete, text

from db import runs
from db.models import SeenDomain
from db.rows import driver
from intel.entities import Entity
from intel.facts import Fact
from intel.new_domains import Channel

_BUDGET_LOCK: Final = 0x4E44
_LOAD_LOCK: Final = 0x4E4C
_ASKED: Final = "new-domains:asked"
_PRUNED: Final = 100_000  # rows of one transaction, so that nobody waits long for it

_ARRIVED: Final = "CREATE TEMP TABLE arrived (name text, first_seen timestamptz, score double precision) ON COMMIT DROP"
_SCORED: Final = "CREATE TEMP TABLE arrived_score (name text, score double precision) ON COMMIT DROP"

# The names that this channel has not shown yet. Uses pk_seen_domain.
UNSEEN: Final = """
SELECT a.name FROM arrived a
WHERE NOT EXISTS (SELECT FROM seen_domain s WHERE s.name = a.name AND s.channel = :channel)
    AND (NOT :only_known OR EXISTS (SELECT FROM seen_domain s WHERE s.name = a.name AND s.channel <> :channel))
ORDER BY a.name
"""

# The earliest sight counts, whichever of two came first into the warehouse. Uses pk_seen_domain.
SEE: Final = """
INSERT INTO seen_domain (name, channel, first_seen, source_id, score)
SELECT a.name, :channel, a.first_seen, :source_id, c.score
FROM arrived a LEFT JOIN arrived_score c ON c.name = a.name
WHERE NOT :only_known OR EXISTS (SELECT FROM seen_domain s WHERE s.name = a.name)
ORDER BY a.name
ON CONFLICT (name, channel) DO UPDATE SET first_seen = excluded.first_seen, source_id = excluded.source_id
WHERE seen_domain.first_seen > excluded.first_seen
"""

# The name servers that a source still states of domains. Uses uq_entity_digest, ix_fact_subject_id_predicate_object_id
# and pk_fact_history.
STANDING_SERVERS: Final = """
SELECT d.digest, f.predicate, o.kind, o.value, o.scope, o.digest
FROM unnest(CAST(:digests AS uuid[])) d (digest)
JOIN entity e ON e.digest = d.digest
JOIN fact f ON f.subject_id = e.id AND f.source_id = :source_id
    AND f.predicate IN ('uses-name-server', 'uses-name-servers')
JOIN entity o ON o.id = f.object_id
WHERE NOT (SELECT h.ended FROM fact_history h WHERE h.fact_id = f.id ORDER BY h.event_time DESC, h.ended DESC LIMIT 1)
"""

# When each channel first showed a name. Uses pk_seen_domain.
SEEN: Final = """
SELECT s.channel, s.first_seen, o.name AS source, s.score
FROM seen_domain s LEFT JOIN source o ON o.id = s.source_id WHERE s.name = :name ORDER BY s.first_seen, s.channel
"""

# Which of these domains were ever wanted. Uses uq_entity_digest and pk_lookup.
WANTED: Final = """
SELECT e.value FROM unnest(CAST(:digests AS uuid[])) d (digest)
JOIN entity e ON e.digest = d.digest JOIN lookup l ON l.entity_id = e.id
"""

# First sights in the order of their names. Uses pk_seen_domain.
SIGHTS: Final = """
SELECT s.name, s.channel, s.first_seen, s.source_id, o.name AS source, o.tlp
FROM seen_domain s JOIN source o ON o.id = s.source_id
WHERE (s.name, s.channel) > (:name, :channel) ORDER BY s.name, s.channel LIMIT :limit
"""

# The names that rank highest of those first seen since. Uses ix_seen_domain_first_seen.
RANKED: Final = """
SELECT s.name, min(s.first_seen) AS first_seen, max(s.score) AS score,
    array_agg(s.channel ORDER BY s.first_seen, s.channel) AS channels
FROM seen_domain s WHERE s.first_seen >= :since AND s.score IS NOT NULL
GROUP BY s.name ORDER BY max(s.score) DESC, s.name LIMIT :limit
"""

# New domains that touch what is watched: from the watched patterns, and the label of what is watched itself, to what
# was stated of names that a channel first showed since. Uses uq_entity_digest, ix_fact_object_id, pk_entity and
# pk_seen_domain.
MATCHED: Final = r"""
WITH said AS (
    SELECT 'pattern' AS kind, value FROM watch_item WHERE kind = 'pattern' GROUP BY value
    UNION ALL
    SELECT 'label', :label
)
SELECT e.value AS name, s.first_seen, s.channels, s.score, f.predicate, o.value AS matched, f.qualifiers->>'why' AS why
FROM said
JOIN entity o ON o.digest = encode(substr(sha256(
    convert_to(said.kind, 'UTF8') || '\x00'::bytea || convert_to(said.value, 'UTF8')), 1, 16), 'hex')::uuid
JOIN fact f ON f.object_id = o.id AND f.predicate IN ('matches', 'listed')
JOIN entity e ON e.id = f.subject_id AND e.kind = 'domain'
CROSS JOIN LATERAL (
    SELECT min(first_seen) AS first_seen, max(score) AS score,
        array_agg(channel ORDER BY first_seen, channel) AS channels
    FROM seen_domain WHERE name = e.value
) s
WHERE s.first_seen >= :since
GROUP BY e.value, s.first_seen, s.channels, s.score, f.predicate, o.value, f.qualifiers->>'why'
ORDER BY s.first_seen DESC, e.value, o.value LIMIT :limit
"""

# Registrable domains that sources list or attribute, the newest first, each with its weight: every source counts the
# same, however many names it has, but for the smallest. What merely stands on a list of new domains is not among them.
# Reads all such facts; uses pk_entity.
LISTED: Final = """
WITH said AS (
    SELECT e.scope AS name, f.source_id, max(f.id) AS id FROM fact f
    JOIN entity e ON e.id = f.subject_id AND e.scope <> ''
    LEFT JOIN entity o ON o.id = f.object_id
    WHERE f.predicate IN ('listed', 'attributed-to') AND f.state = 'value' AND o.value IS DISTINCT FROM :label
    GROUP BY e.scope, f.source_id
), sized AS (
    SELECT source_id, greatest(count(*), :least) AS names FROM said GROUP BY source_id
)
SELECT s.name, sum(1.0::float8 / z.names) AS weight FROM said s JOIN sized z ON z.source_id = s.source_id
GROUP BY s.name ORDER BY max(s.id) DESC LIMIT :limit
"""

# Names that channels have first shown since then and no source lists, spread over all by their digest. Uses
# ix_seen_domain_first_seen, ix_entity_scope and ix_fact_subject_id_predicate_object_id.
ORDINARY: Final = """
SELECT s.name FROM (SELECT DISTINCT name FROM seen_domain WHERE first_seen >= :since) s
WHERE NOT EXISTS (
    SELECT FROM entity e JOIN fact f ON f.subject_id = e.id AND f.predicate IN ('listed', 'attributed-to')
    LEFT JOIN entity o ON o.id = f.object_id
    WHERE e.scope = s.name AND e.scope <> '' AND o.value IS DISTINCT FROM :label
)
ORDER BY md5(s.name) LIMIT :limit
"""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """A first sight: `first_seen` is event time; `tlp` is that of the source that showed it."""

    name: str
    channel: str
    first_seen: datetime
    source_id: int
    source: str
    tlp: int


def listed_names(connection: Connection, limit: int, *, label: str, least: int) -> dict[str, float]:
    """The newest registrable domains that sources list or attribute, each with its weight, the sum over its sources of
    one by how many names the source has, but `least`; `label` is that of new domains' own facts.
    """
    values = {"limit": limit, "label": label, "least": least}
    return {row.name: row.weight for row in connection.execute(text(LISTED), values)}


def ordinary_names(connection: Connection, limit: int, *, label: str, since: datetime) -> list[str]:
    """Some of the names that channels have shown since then and that nobody lists, always the same of the same."""
    values = {"limit": limit, "label": label, "since": since}
    return list(connection.execute(text(ORDINARY), values).scalars())


def begin_load(connection: Connection) -> None:
    """Begin a transaction that brings first sights; before it looks at the version of the watches."""
    connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _LOAD_LOCK})


def await_loads(connection: Connection) -> None:
    """Wait until the loads that are under way have ended; their first sights are there then."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOAD_LOCK})


def see(
    connection: Connection, channel: Channel, names: Mapping[str, datetime], *, only_known: bool = False
) -> list[str]:
    """Bring the names, each with when it was seen (event time), into a table of this transaction.

    Returns those that the channel had not shown before, in order; `keep` writes them. `only_known` leaves out names
    that no other channel has shown.
    """
    for statement in (_ARRIVED, _SCORED):
        connection.exec_driver_sql(statement)
    rows = (f"{name}\t{seen.astimezone(UTC).isoformat()}\n" for name, seen in names.items())
    _copy(connection, "COPY arrived (name, first_seen) FROM STDIN", rows)
    connection.exec_driver_sql("ANALYZE arrived")
    values = {"channel": channel.value, "only_known": only_known}
    return list(connection.execute(text(UNSEEN), values).scalars())


def keep(
    connection: Connection,
    channel: Channel,
    source_id: int,
    scores: Mapping[str, float],
    *,
    only_known: bool = False,
) -> None:
    """Write what `see` brought in, with the scores of the new names; the earliest sight of a name counts."""
    if scores:
        rows = (f"{name}\t{score!r}\n" for name, score in scores.items())
        _copy(connection, "COPY arrived_score (name, score) FROM STDIN", rows)
        connection.exec_driver_sql("ANALYZE arrived_score")
    values = {"channel": channel.value, "source_id": source_id, "only_known": only_known}
    connection.execute(text(SEE), values)


def _copy(connection: Connection, statement: str, rows: Iterable[str]) -> None:
    lines = list(rows)
    with driver(connection).cursor().copy(statement) as copy:
        for start in range(0, len(lines), 4_000):
            copy.write("".join(lines[start : start + 4_000]).encode("ascii"))


def standing_servers(connection: Connection, source_id: int, domains: Sequence[Entity]) -> dict[bytes, list[Fact]]:
    """What the source still states of the domains' name servers, by the digest of the domain."""
    by_digest = {domain.digest: domain for domain in domains}
    found: dict[bytes, list[Fact]] = {}
    values = {"digests": [UUID(bytes=digest) for digest in by_digest], "source_id": source_id}
    for subject, predicate, kind, value, scope, digest in connection.execute(text(STANDING_SERVERS), values):
        said = Entity(kind, value, scope, "", digest.bytes)
        fact = Fact(subject=by_digest[subject.bytes], predicate=predicate, object=said)
        found.setdefault(subject.bytes, []).append(fact)
    return found


def take_budget(connection: Connection, kind: str, wanted: int, per_day: int, now: datetime) -> int:
    """How many of `wanted` look-ups this UTC day still allows for, counted as taken in the caller's transaction."""
    if not wanted or not per_day:
        return 0
    # Two loads at once would both take what is left for one.
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _BUDGET_LOCK})
    day = f"{now.astimezone(UTC):%Y-%m-%d}"
    asked = runs.read_cursor(connection, _ASKED) or {}
    if asked.get("day") != day:
        asked = {"day": day}
    taken = max(0, min(wanted, per_day - int(asked.get(kind, 0))))
    if taken:
        runs.write_cursor(connection, _ASKED, asked | {kind: int(asked.get(kind, 0)) + taken}, None)
    return taken


def never_wanted(connection: Connection, domains: Sequence[Entity]) -> list[str]:
    """The names of those domains that nobody ever wanted to be looked up, in their order."""
    digests = [UUID(bytes=domain.digest) for domain in domains]
    wanted = set(connection.execute(text(WANTED), {"digests": digests}).scalars())
    return [domain.value for domain in domains if domain.value not in wanted]


def seen(connection: Connection, name: str) -> list[dict[str, Any]]:
    """When each channel first showed a name, in order of time: channel, first_seen, source, score."""
    return [dict(row) for row in connection.execute(text(SEEN), {"name": name}).mappings()]


def sights(connection: Connection, name: str, channel: str, *, limit: int) -> list[Sight]:
    """The first sights behind this one, by name and channel."""
    rows = connection.execute(text(SIGHTS), {"name": name, "channel": channel, "limit": limit}).mappings()
    return [Sight(**row) for row in rows]


def ranked(connection: Connection, since: datetime, limit: int) -> list[dict[str, Any]]:
    """The names first seen since then that rank highest: name, first_seen, score, channels."""
    return [dict(row) for row in connection.execute(text(RANKED), {"since": since, "limit": limit}).mappings()]


def matched(connection: Connection, since: datetime, limit: int, *, label: str) -> list[dict[str, Any]]:
    """What was stated of new names that touch what is watched, the newest first; `label` is that of `listed` facts."""
    values = {"since": since, "limit": limit, "label": label}
    return [dict(row) for row in connection.execute(text(MATCHED), values).mappings()]


def prune(engine: Engine, before: datetime) -> int:
    """Remove first sights of before then, piece by piece. Returns how many. Uses ix_seen_domain_first_seen."""
    removed = 0
    while True:
        with engine.begin() as connection:
            some = text("SELECT ctid FROM seen_domain WHERE first_seen < :before LIMIT :most")
            ids = list(connection.execute(some, {"before": before, "most": _PRUNED}).scalars())
            if ids:
                # The age once more: another row may stand in the place of one that went in between.
                old = SeenDomain.first_seen < before
                statement = delete(SeenDomain).where(text("ctid = ANY(CAST(:ids AS tid[]))"), old)
                removed += connection.execute(statement, {"ids": ids}).rowcount
        if len(ids) < _PRUNED:
            return removed
