"""What `lapsewatch show` shows of an entity: its links, who says so, and the findings that it is in. Read only.

People's data comes masked unless the caller says that it may be shown; who asks for it unmasked is written down.
"""

from __future__ import annotations

import getpass
from typing import Any, Final

from sqlalchemy import Connection, insert, select, text

from db.models import Disclosure
from db.models import Entity as EntityRow
from intel.entities import Entity, masked

# Links from and to an entity, the newest first, with whether a fact marks the value that it names as a person's: a
# registrant may stand in a field of a plain kind. Uses pk_link, ix_link_object_id and, for the rows that are shown,
# ix_fact_subject_id_predicate_object_id.
LINKS: Final = """
SELECT links.*, links.direction = 'out' AND coalesce((
        SELECT bool_or(f.personal) FROM fact f
        WHERE (f.subject_id, f.predicate, f.object_id) = (:id, links.predicate, links.other_id)
    ), false) AS personal
FROM (
    SELECT 'out' AS direction, l.predicate, e.kind, e.value, e.id AS other_id, lower(l.seen) AS first_seen,
        upper(l.seen) AS last_seen, upper_inf(l.seen) AS standing, l.sources, l.facts
    FROM link l JOIN entity e ON e.id = l.object_id WHERE l.subject_id = :id
    UNION ALL
    SELECT 'in', l.predicate, e.kind, e.value, e.id, lower(l.seen), upper(l.seen), upper_inf(l.seen), l.sources, l.facts
    FROM link l JOIN entity e ON e.id = l.subject_id WHERE l.object_id = :id
    ORDER BY standing DESC, last_seen DESC NULLS FIRST, predicate, value LIMIT :limit
) links
ORDER BY standing DESC, last_seen DESC NULLS FIRST, predicate, value
"""

# The facts about an entity, with who says so and where. Uses ix_fact_subject_id_predicate_object_id.
FACTS: Final = """
SELECT f.id AS fact, f.predicate, o.kind AS object_kind, o.value AS object, f.state, f.qualifiers, f.reference, f.tlp,
    f.confidence, f.personal, s.name AS source, s.reliability, d.location AS document, f.locator,
    min(h.event_time) FILTER (WHERE NOT h.ended) AS first_seen, max(h.event_time) AS last_stated,
    min(h.recorded_at) AS recorded_at
FROM fact f
JOIN source s ON s.id = f.source_id
LEFT JOIN entity o ON o.id = f.object_id
LEFT JOIN document d ON d.id = f.document_id
JOIN fact_history h ON h.fact_id = f.id
WHERE f.subject_id = :id
GROUP BY f.id, o.kind, o.value, s.name, s.reliability, d.location
ORDER BY first_seen DESC, f.id LIMIT :limit
"""

# Names and addresses that stand on the same registrable domain. Uses ix_entity_scope.
UNDER: Final = "SELECT kind, value FROM entity WHERE scope = :scope AND id <> :id ORDER BY value LIMIT :limit"

FINDINGS: Final = """
SELECT f.id AS finding, w.name AS watch, f.rule, f.title, f.severity, f.status, f.found_at
FROM finding f JOIN watch w ON w.id = f.watch_id WHERE f.subject_id = :id ORDER BY f.id DESC LIMIT :limit
"""


def find(connection: Connection, entity: Entity) -> int | None:
    """The id of an entity, None where nobody ever named it. Uses uq_entity_digest."""
    statement = select(EntityRow.id).where(EntityRow.digest == entity.digest.hex())
    return connection.execute(statement).scalar_one_or_none()


def links(connection: Connection, entity_id: int, *, limit: int, reveal: bool) -> list[dict[str, Any]]:
    """Its links in both directions, event times."""
    rows = _rows(connection, LINKS, id=entity_id, limit=limit)
    for row in rows:
        personal = row.pop("personal")
        if not reveal:
            row["value"] = masked(row["kind"], row["value"], personal=personal)
    return rows


def facts(connection: Connection, entity_id: int, *, limit: int, reveal: bool) -> list[dict[str, Any]]:
    """The facts about it: what, who says so, in which document and where; event times, and when it was recorded."""
    rows = _rows(connection, FACTS, id=entity_id, limit=limit)
    for row in rows:
        if row["object"] is not None and not reveal:
            row["object"] = masked(row["object_kind"], row["object"], personal=row["personal"])
    return rows


def under(connection: Connection, entity_id: int, scope: str, *, limit: int) -> list[dict[str, Any]]:
    """What else stands on the same registrable domain."""
    return _rows(connection, UNDER, id=entity_id, scope=scope, limit=limit) if scope else []


def findings(connection: Connection, entity_id: int, *, limit: int) -> list[dict[str, Any]]:
    """Findings whose subject it is."""
    return _rows(connection, FINDINGS, id=entity_id, limit=limit)


def disclose(connection: Connection, entity_id: int, reason: str) -> None:
    """Write down that people's data is shown, to whom and why."""
    connection.execute(insert(Disclosure).values(entity_id=entity_id, who=getpass.getuser(), reason=reason))


def _rows(connection: Connection, sql: str, **values: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(sql), values).mappings()]
