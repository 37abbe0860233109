"""What an investigation asks the warehouse: ids of entities in, bounded rows out. Read only.

Every list is cut twice: `:scan` bounds what is looked at for one entity (a hub has a million links), `:top` what comes
back of it, the most recent first. Totals come with the rows; one that reached `:scan` means "at least".

Raw SQL: lateral joins with limits and window counts have no form in SQLAlchemy Core that would read better. Each
statement has a name, and a test shows that its index is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

SCAN: Final = 2_000

CLAIMS_OF_SOURCES: Final = ("listed", "attributed-to", "reported-in", "associated-with", "described-as")
"""Predicates by which a source says what it thinks of an entity; all others connect it with something."""

# What stands on the same registrable domain, or on the same address or network. Uses pk_entity, ix_entity_scope and
# ix_entity_address. The bounds are those of the network (inet sorts by network, length, address).
NEAR: Final = """
SELECT * FROM (
    SELECT wanted.id AS about, n.id, n.kind, n.value, n.scope, coalesce(host(n.address), '') AS address,
        count(*) OVER (PARTITION BY wanted.id) AS total,
        row_number() OVER (PARTITION BY wanted.id ORDER BY n.id = wanted.id DESC, n.id DESC) AS place
    FROM unnest(CAST(:ids AS bigint[])) AS wanted (id)
    CROSS JOIN LATERAL (SELECT * FROM entity WHERE id = wanted.id) w
    CROSS JOIN LATERAL (
        (SELECT w.id, w.kind, w.value, w.scope, w.address)
        UNION
        (SELECT e.id, e.kind, e.value, e.scope, e.address FROM entity e
         WHERE e.scope = w.scope AND e.scope <> '' LIMIT :scan)
        UNION
        (SELECT e.id, e.kind, e.value, e.scope, e.address FROM entity e
         WHERE e.address >= network(w.address)::inet
            AND e.address <= set_masklen(broadcast(w.address), CASE family(w.address) WHEN 4 THEN 32 ELSE 128 END)
         LIMIT :scan)
    ) n
) near WHERE place <= :top ORDER BY about, place
"""

# Facts about entities, with their source and times. Uses ix_fact_subject_id_predicate_object_id, pk_fact_history.
FACTS: Final = """
SELECT * FROM (
    SELECT wanted.about, wanted.id AS subject_id, e.kind AS subject_kind, e.value AS subject, f.predicate,
        o.kind AS object_kind, o.value AS object, f.state, f.personal, f.reference, f.tlp, s.name AS source,
        s.title AS source_title, s.reliability, coalesce(h.first, h.ended) AS first, coalesce(h.last, h.ended) AS last,
        h.ended IS NOT NULL AND h.ended >= coalesce(h.last, h.ended) AS ended,
        count(*) OVER (PARTITION BY wanted.about) AS total,
        row_number() OVER (PARTITION BY wanted.about ORDER BY coalesce(h.last, h.ended) DESC, f.id DESC) AS place
    FROM unnest(CAST(:abouts AS bigint[]), CAST(:ids AS bigint[])) AS wanted (about, id)
    CROSS JOIN LATERAL (SELECT kind, value FROM entity WHERE id = wanted.id) e
    CROSS JOIN LATERAL (
        SELECT * FROM fact WHERE subject_id = wanted.id AND predicate = ANY(:predicates) LIMIT :scan
    ) f
    JOIN source s ON s.id = f.source_id
    LEFT JOIN entity o ON o.id = f.object_id
    CROSS JOIN LATERAL (
        SELECT min(event_time) FILTER (WHERE NOT h.ended) AS first, max(event_time) FILTER (WHERE NOT h.ended) AS last,
            max(event_time) FILTER (WHERE h.ended) AS ended
        FROM fact_history h WHERE h.fact_id = f.id
    ) h
) facts WHERE place <= :top ORDER BY about, place
"""

_TIE: Final = """
    CROSS JOIN LATERAL (
        (SELECT subject_id, predicate, object_id, seen, true AS outward FROM link
         WHERE subject_id = wanted.id AND {condition} LIMIT :scan)
        UNION ALL
        (SELECT subject_id, predicate, object_id, seen, false FROM link
         WHERE object_id = wanted.id AND {other} AND {condition} LIMIT :scan)
    ) l
"""
_TIES: Final = """
SELECT t.about, s.kind AS subject_kind, s.value AS subject, t.predicate, o.kind AS object_kind, o.value AS object,
    t.outward, lower(t.seen) AS first, upper(t.seen) AS last, t.total, said.sources, said.personal
FROM (
    SELECT wanted.id AS about, l.*, count(*) OVER ({part}) AS total,
        row_number() OVER ({part} ORDER BY upper(l.seen) DESC NULLS FIRST, l.subject_id DESC, l.object_id DESC) AS place
    FROM unnest(CAST(:ids AS bigint[])) AS wanted (id)
    {tie}
) t
JOIN entity s ON s.id = t.subject_id
JOIN entity o ON o.id = t.object_id
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT src.name) AS sources, coalesce(bool_or(f.personal), false) AS personal
    FROM fact f JOIN source src ON src.id = f.source_id
    WHERE f.subject_id = t.subject_id AND f.predicate = t.predicate AND f.object_id = t.object_id
) said
WHERE t.place <= :top
ORDER BY t.about, t.predicate, t.place
"""

# Links one step out, both ways, without claims. Uses pk_link, ix_link_object_id, pk_entity and
# ix_fact_subject_id_predicate_object_id.
TIES: Final = _TIES.format(
    part="PARTITION BY wanted.id, l.predicate",
    tie=_TIE.format(condition="predicate <> ALL(:claims)", other="subject_id <> wanted.id"),
)

# Resolutions, both ways, each once. Uses pk_link, ix_link_object_id, pk_entity and
# ix_fact_subject_id_predicate_object_id.
RESOLUTIONS: Final = _TIES.format(
    part="",
    tie=_TIE.format(condition="predicate = 'resolves-to'", other="subject_id <> ALL(CAST(:ids AS bigint[]))"),
)

# Certificates that name these entities, are among them or are presented by them, and those with the same key. Uses
# ix_link_object_id, pk_link and pk_entity.
CERTIFICATES: Final = """
WITH named AS (
    SELECT l.subject_id AS id FROM unnest(CAST(:ids AS bigint[])) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT subject_id FROM link WHERE object_id = wanted.id AND predicate = 'names' LIMIT :scan) l
    UNION
    SELECT l.object_id FROM unnest(CAST(:ids AS bigint[])) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT object_id FROM link WHERE subject_id = wanted.id AND predicate = 'presents' LIMIT :scan) l
    UNION
    SELECT id FROM entity WHERE id = ANY(CAST(:ids AS bigint[])) AND kind = 'certificate'
), keys AS (
    SELECT l.object_id AS id FROM named
    CROSS JOIN LATERAL (SELECT object_id FROM link WHERE subject_id = named.id AND predicate = 'has-key') l
    UNION
    SELECT id FROM entity WHERE id = ANY(CAST(:ids AS bigint[])) AND kind = 'public-key'
), sharing AS (
    SELECT l.subject_id AS id FROM keys
    CROSS JOIN LATERAL (
        SELECT subject_id FROM link WHERE object_id = keys.id AND predicate = 'has-key' LIMIT :scan) l
), wanted AS (
    SELECT id, bool_or(direct) AS direct
    FROM (SELECT id, true AS direct FROM named UNION ALL SELECT id, false FROM sharing) both_kinds GROUP BY id
)
SELECT w.id, c.value, w.direct, s.seen, count(*) OVER () AS total
FROM wanted w
CROSS JOIN LATERAL (SELECT value FROM entity WHERE id = w.id) c
CROSS JOIN LATERAL (SELECT min(lower(seen)) AS seen FROM link WHERE subject_id = w.id) s
ORDER BY s.seen DESC NULLS LAST, w.id DESC
LIMIT :top
"""

# What is stated of certificates. Uses pk_link and pk_entity.
CERTIFICATE_DETAILS: Final = """
SELECT * FROM (
    SELECT wanted.id, l.predicate, o.kind, o.value, count(*) OVER (PARTITION BY wanted.id, l.predicate) AS total,
        row_number() OVER (PARTITION BY wanted.id, l.predicate ORDER BY l.object_id) AS place
    FROM unnest(CAST(:ids AS bigint[])) AS wanted (id)
    CROSS JOIN LATERAL (SELECT predicate, object_id FROM link WHERE subject_id = wanted.id
        AND predicate IN ('names', 'has-key', 'issued-by', 'valid-from', 'valid-until') LIMIT :scan) l
    CROSS JOIN LATERAL (SELECT kind, value FROM entity WHERE id = l.object_id) o
) details WHERE place <= :top ORDER BY id, predicate, place
"""

# Who says something of certificates. Uses ix_fact_subject_id_predicate_object_id.
CERTIFICATE_SOURCES: Final = """
SELECT wanted.id, array_agg(DISTINCT s.name) AS sources
FROM unnest(CAST(:ids AS bigint[])) AS wanted (id)
JOIN fact f ON f.subject_id = wanted.id
JOIN source s ON s.id = f.source_id
GROUP BY wanted.id
"""

# Which of these networks somebody named. Uses uq_entity_digest.
NETWORKS: Final = "SELECT kind, value FROM entity WHERE digest = ANY(CAST(:digests AS uuid[])) ORDER BY value"

# What an address is part of. Uses uq_entity_digest and pk_link.
HOLDERS: Final = """
SELECT o.kind, o.value FROM entity e
CROSS JOIN LATERAL (SELECT object_id FROM link WHERE subject_id = e.id AND predicate = 'part-of' LIMIT :scan) l
CROSS JOIN LATERAL (SELECT kind, value FROM entity WHERE id = l.object_id) o
WHERE e.digest = ANY(CAST(:digests AS uuid[])) ORDER BY o.kind, o.value LIMIT :top
"""

# The names that led to an address. Uses uq_entity_digest, ix_link_object_id and pk_entity.
NAMES_ON: Final = """
SELECT s.value, upper(l.seen) AS last, count(*) OVER () AS total FROM entity e
CROSS JOIN LATERAL (
    SELECT subject_id, seen FROM link WHERE object_id = e.id AND predicate = 'resolves-to' LIMIT :scan) l
CROSS JOIN LATERAL (SELECT value FROM entity WHERE id = l.subject_id) s
WHERE e.digest = CAST(:digest AS uuid) ORDER BY upper(l.seen) DESC NULLS FIRST, s.value LIMIT :top
"""

# Findings of an incident's watch, lapses first. Uses uq_watch_name and uq_finding_watch_id_rule_novelty.
FINDINGS: Final = """
SELECT f.id, f.rule, f.lapse, f.title, f.severity, f.status, f.event_time, f.found_at, f.annotations,
    count(*) OVER () AS total
FROM watch w JOIN finding f ON f.watch_id = w.id AND f.status NOT IN ('withdrawn', 'dismissed')
WHERE w.name = :watch AND w.incident_id = :incident
ORDER BY f.lapse DESC, f.severity DESC, f.id DESC LIMIT :top
"""


def near(connection: Connection, ids: Sequence[int], *, top: int) -> list[Any]:
    """What stands on the same domain or address as these entities, themselves first."""
    return _rows(connection, NEAR, ids=list(ids), scan=SCAN, top=top)


def facts(
    connection: Connection, pairs: Sequence[tuple[int, int]], predicates: Sequence[str], *, top: int
) -> list[Any]:
    """Facts about entities: (the entity that it is about, the entity whose facts are wanted)."""
    abouts, ids = [about for about, _ in pairs], [number for _, number in pairs]
    return _rows(connection, FACTS, abouts=abouts, ids=ids, predicates=list(predicates), scan=SCAN, top=top)


def ties(connection: Connection, ids: Sequence[int], *, top: int) -> list[Any]:
    """Links one step out; `top` for each entity and predicate."""
    return _rows(connection, TIES, ids=list(ids), claims=list(CLAIMS_OF_SOURCES), scan=SCAN, top=top)


def resolutions(connection: Connection, ids: Sequence[int], *, top: int) -> list[Any]:
    """Names and addresses that led to one another, both ways; `top` in all."""
    return _rows(connection, RESOLUTIONS, ids=list(ids), scan=SCAN, top=top)


def certificates(connection: Connection, ids: Sequence[int], *, top: int) -> list[Any]:
    """Certificates that name these entities, and those that share a key with one that does."""
    return _rows(connection, CERTIFICATES, ids=list(ids), scan=SCAN, top=top)


def certificate_details(connection: Connection, ids: Sequence[int], *, top: int) -> list[Any]:
    """What is stated of certificates; `top` values of each predicate."""
    return _rows(connection, CERTIFICATE_DETAILS, ids=list(ids), scan=SCAN, top=top)


def certificate_sources(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The sources that speak of certificates, by the certificate's id."""
    return {row.id: tuple(row.sources) for row in _rows(connection, CERTIFICATE_SOURCES, ids=list(ids))}


def networks(connection: Connection, digests: Sequence[bytes]) -> list[Any]:
    """Which of these networks (by digest) are in the warehouse."""
    return _rows(connection, NETWORKS, digests=[UUID(bytes=digest) for digest in digests])


def holders(connection: Connection, digests: Sequence[bytes], *, top: int) -> list[Any]:
    """The networks and AS that these entities (by digest) are part of."""
    return _rows(connection, HOLDERS, digests=[UUID(bytes=digest) for digest in digests], scan=SCAN, top=top)


def names_on(connection: Connection, digest: bytes, *, top: int) -> list[Any]:
    """The names that led to an address (by digest), the most recent first."""
    return _rows(connection, NAMES_ON, digest=UUID(bytes=digest), scan=SCAN, top=top)


def findings(connection: Connection, *, watch: str, incident: int, top: int) -> list[Any]:
    """What the incident's watch has found, lapses first."""
    return _rows(connection, FINDINGS, watch=watch, incident=incident, top=top)


def _rows(connection: Connection, statement: str, **values: Any) -> list[Any]:
    return list(connection.execute(text(statement), values))
