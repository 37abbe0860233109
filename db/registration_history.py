"""What was ever said of a domain's registration, version by version, and when nobody could say. Read only.

In: the id of a domain. Out: what intel/registration_versions.py makes chronicles of, what feeds and passive DNS say
besides, the look-ups that said nothing, first sightings per channel, and ends of ownership.

Raw SQL: windows over lateral joins have no form in SQLAlchemy Core that would read better. Each statement has a name,
and a test shows that its index is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select, text

from db.models import OwnershipEnd as OwnershipEndRow
from intel.facts import State
from intel.first_seen import Compared, Seen
from intel.registration_versions import (
    PREDICATES,
    Chronicle,
    Look,
    Said,
    Sighting,
    Statement,
    Voice,
    chronicles,
    field_of,
    values_of,
)

MOST: Final = 100_000
"""Rows of one kind that are read of one domain: the newest."""
MOST_SIGHTINGS: Final = 500
SCAN: Final = 2_000
"""Names on a domain, and certificates of them, that are looked at for the first of each."""
TIERS: Final = ("registry", "registrar")
CONCLUSIVE: Final = {"registered": True, "not_found": False}

# When each fact of an answer to a look-up began and ceased to be stated: the points between say nothing new. Uses
# ix_fact_subject_id_predicate_object_id and pk_fact_history.
STATEMENTS: Final = """
SELECT * FROM (
    SELECT f.id, s.name AS source, f.predicate, f.qualifiers, f.state, f.personal, f.locator, o.value, h.event_time,
        h.ended
    FROM fact f
    JOIN source s ON s.id = f.source_id
    CROSS JOIN LATERAL (
        SELECT event_time, ended, lag(ended) OVER (ORDER BY event_time, ended) AS before
        FROM fact_history WHERE fact_id = f.id
    ) h
    LEFT JOIN LATERAL (SELECT value FROM entity WHERE id = f.object_id) o ON true
    WHERE f.subject_id = :id AND f.predicate = ANY(:predicates) AND f.qualifiers->>'tier' IS NOT NULL
        AND h.ended IS DISTINCT FROM h.before
    ORDER BY h.event_time DESC, h.ended DESC, f.id DESC LIMIT :limit
) newest ORDER BY event_time, ended, id
"""

# What sources without tiers state of a domain, the last stated first. Uses ix_fact_subject_id_predicate_object_id and
# pk_fact_history.
SIGHTINGS: Final = """
SELECT f.id, s.name AS source, s.reliability, f.predicate, f.qualifiers, f.state, f.personal, f.reference, f.locator,
    o.value, h.first, h.last, h.ended
FROM fact f
JOIN source s ON s.id = f.source_id
CROSS JOIN LATERAL (
    SELECT min(event_time) FILTER (WHERE NOT h.ended) AS first, max(event_time) FILTER (WHERE NOT h.ended) AS last,
        max(event_time) FILTER (WHERE h.ended) AS ended
    FROM fact_history h WHERE h.fact_id = f.id
) h
LEFT JOIN LATERAL (SELECT value FROM entity WHERE id = f.object_id) o ON true
WHERE f.subject_id = :id AND f.predicate = ANY(:predicates) AND f.qualifiers->>'tier' IS NULL AND h.first IS NOT NULL
ORDER BY h.last DESC, f.id DESC LIMIT :limit
"""

# Every question about a domain's registration and how it ended, the newest first. Uses ix_query_entity_id and
# pk_document.
QUESTIONS: Final = """
SELECT q.id, q.asked_at, q.protocol, q.server, q.reach, q.outcome, q.reason, d.as_of, d.fetched_at, d.location
FROM query q
LEFT JOIN LATERAL (SELECT as_of, fetched_at, location FROM document WHERE id = q.document_id) d ON true
WHERE q.entity_id = :id AND q.protocol IN ('rdap', 'whois')
ORDER BY q.asked_at DESC, q.id DESC LIMIT :limit
"""

# When each channel of new domains first showed a name. Uses pk_seen_domain and pk_source.
SEEN: Final = """
SELECT d.channel, d.first_seen, s.name AS source FROM seen_domain d JOIN source s ON s.id = d.source_id
WHERE d.name = :name ORDER BY d.first_seen, d.channel
"""

# When a certificate that names something on a domain first stood in a log. Uses ix_entity_scope, ix_link_object_id and
# pk_link.
FIRST_LOGGED: Final = """
SELECT min(lower(l.seen)) AS first
FROM (
    SELECT c.subject_id FROM (SELECT id FROM entity WHERE scope = :scope AND scope <> '' LIMIT :scan) n
    CROSS JOIN LATERAL (SELECT subject_id FROM link WHERE object_id = n.id AND predicate = 'names') c LIMIT :scan
) c
CROSS JOIN LATERAL (SELECT seen FROM link WHERE subject_id = c.subject_id AND predicate = 'logged-in' LIMIT :scan) l
"""

# When a source first saw a name on a domain lead somewhere. Uses ix_entity_scope and pk_link.
FIRST_RESOLVED: Final = """
SELECT min(lower(l.seen)) AS first
FROM (SELECT id FROM entity WHERE scope = :scope AND scope <> '' LIMIT :scan) n
CROSS JOIN LATERAL (SELECT seen FROM link WHERE subject_id = n.id
    AND predicate IN ('resolves-to', 'uses-mail-host', 'has-soa-contact') LIMIT :scan) l
"""

# From when until when zones were compared. Uses uq_zone_snapshot_zone_as_of.
COMPARED: Final = """
SELECT w.zone, a.first, a.last FROM unnest(CAST(:zones AS text[])) AS w (zone)
CROSS JOIN LATERAL (SELECT min(as_of) AS first, max(as_of) AS last FROM zone_snapshot WHERE zone = w.zone) a
WHERE a.first IS NOT NULL
"""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question that left the machine, and how it ended. `asked_at` is recorded time."""

    asked_at: datetime
    protocol: str
    tier: str
    server: str
    outcome: str
    reason: str


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """From `at` on (event time) a domain is no longer whose it was; `fact` is the id of the fact that shows it."""

    at: datetime
    reason: str
    fact: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What look-ups said of a domain. `silent` are those that said nothing, the newest first; `cut`: there is more."""

    chronicles: tuple[Chronicle, ...]
    silent: tuple[Asked, ...]
    cut: bool = False


def told(connection: Connection, entity_id: int, *, limit: int = MOST) -> Told:
    """Every version of what each source and tier said of a domain, and the look-ups that said nothing."""
    rows = _rows(connection, STATEMENTS, id=entity_id, predicates=list(PREDICATES), limit=limit)
    questions = _rows(connection, QUESTIONS, id=entity_id, limit=limit)
    looks: dict[Voice, list[Look]] = {}
    for row in questions:
        if row.outcome in CONCLUSIVE and row.as_of is not None and row.reach in TIERS:
            looks.setdefault(Voice(source=row.protocol, tier=row.reach), []).append(
                Look(
                    at=row.as_of,
                    registered=CONCLUSIVE[row.outcome],
                    server=row.server,
                    location=row.location,
                    recorded_at=row.fetched_at,
                )
            )
    silent = tuple(
        Asked(
            asked_at=row.asked_at,
            protocol=row.protocol,
            tier=row.reach,
            server=row.server,
            outcome=row.outcome,
            reason=row.reason,
        )
        for row in questions
        if row.outcome not in CONCLUSIVE and row.outcome != "referred"
    )
    statements = [one for row in rows if (one := _statement(row)) is not None]
    return Told(chronicles=chronicles(statements, looks), silent=silent, cut=limit in (len(rows), len(questions)))


def sightings(connection: Connection, entity_id: int, *, limit: int = MOST_SIGHTINGS) -> tuple[Sighting, ...]:
    """What feeds, imports, zones and passive DNS say of a domain's registration, mail hosts and SOA contact."""
    rows = _rows(connection, SIGHTINGS, id=entity_id, predicates=list(PREDICATES), limit=limit)
    return tuple(_sighting(row, field) for row in rows if (field := field_of(row.predicate, row.qualifiers)))


def first_seen(connection: Connection, name: str) -> tuple[Seen, ...]:
    """When each channel first showed a registrable domain (canonical), the earliest first."""
    found = [
        Seen(channel=row.channel, at=row.first_seen, source=row.source) for row in _rows(connection, SEEN, name=name)
    ]
    for channel, statement in (("ct", FIRST_LOGGED), ("dns", FIRST_RESOLVED)):
        (row,) = _rows(connection, statement, scope=name, scan=SCAN)
        if row.first is not None:
            found.append(Seen(channel=channel, at=row.first))
    # CT is told by the channel of new names and by the certificates that are kept: whichever was earlier.
    first: dict[str, Seen] = {}
    for one in sorted(found, key=lambda one: one.at):
        first.setdefault(one.channel, one)
    return tuple(first.values())


def compared(connection: Connection, name: str) -> tuple[Compared, ...]:
    """The zones above a domain of which snapshots were compared, and from when until when."""
    labels = name.split(".")
    zones = [".".join(labels[at:]) for at in range(1, len(labels))]
    rows = _rows(connection, COMPARED, zones=zones)
    return tuple(Compared(zone=row.zone, first=row.first, last=row.last) for row in rows)


def ownership_ends(connection: Connection, entity_id: int) -> tuple[Ended, ...]:
    """When a domain ceased to be whose it was, oldest first. Uses pk_ownership_end."""
    rows = connection.execute(
        select(OwnershipEndRow.ended_at, OwnershipEndRow.reason, OwnershipEndRow.fact_id)
        .where(OwnershipEndRow.entity_id == entity_id)
        .order_by(OwnershipEndRow.ended_at, OwnershipEndRow.reason)
    )
    return tuple(Ended(at=row.ended_at, reason=row.reason, fact=row.fact_id) for row in rows)


def _statement(row: Any) -> Statement | None:
    field = field_of(row.predicate, row.qualifiers)
    if not field:
        return None
    return Statement(
        fact=row.id,
        voice=Voice(source=row.source, tier=row.qualifiers["tier"]),
        field=field,
        at=row.event_time,
        ended=row.ended,
        state=State(row.state),
        value=row.value or "",
        locator=row.locator,
        personal=row.personal,
    )


def _sighting(row: Any, field: str) -> Sighting:
    state = State(row.state)
    valued = state is State.VALUE and bool(row.value)
    return Sighting(
        field=field,
        said=Said(
            state=state,
            values=values_of(field, row.value) if valued else (),
            text="" if valued else row.value or "",
            where=row.locator,
            personal=row.personal,
            facts=(row.id,),
        ),
        source=row.source,
        reliability=row.reliability,
        reference=row.reference,
        first=row.first,
        last=row.last,
        ended=row.ended if row.ended is not None and row.ended >= row.last else None,
    )


def _rows(connection: Connection, statement: str, **values: Any) -> Sequence[Any]:
    return connection.execute(text(statement), values).all()
