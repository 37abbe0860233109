"""The log of questions that left the machine, and what decides whether one may: table `query` and TLP of facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from db.models import Document, Query, WhoisServer
from intel.entities import Entity
from intel.facts import Fact

CONCLUSIVE: Final = frozenset({"registered", "not_found"})
"""Outcomes that say something about the domain."""
LASTING: Final = CONCLUSIVE | {"unsupported"}
"""Outcomes that asking again soon would not change."""
ASKED: Final = "asked"
"""Outcome of a question that has no answer yet; one that keeps it was asked by a process that died."""
REFERRED: Final = "referred"
"""Outcome of a question that named another server and said nothing about the domain."""

# The strictest TLP under which a fact or an incident names any of these, or what stands on one of them, or an incident
# led there: whoever asks about a domain or an address tells of the names and endpoints that led him there, and what is
# watched or found because of an incident is asked about long after it. Uses uq_entity_digest, ix_entity_scope,
# ix_entity_address, ix_fact_subject_id_predicate_object_id, ix_fact_object_id, ix_incident_item_entity_id and
# ix_lead_entity_id. Raw SQL: a lateral union reads better so.
STRICTEST_TLP: Final = """
WITH named AS (
    SELECT id, kind, value, address FROM entity WHERE digest = ANY(:digests)
), meant AS (
    SELECT id FROM named
    UNION
    SELECT e.id FROM named n JOIN entity e ON e.scope = n.value AND e.scope <> '' WHERE n.kind = 'domain'
    UNION
    SELECT e.id FROM named n JOIN entity e ON e.address = n.address WHERE n.kind = 'ip'
)
SELECT coalesce(max(f.tlp), 0) FROM meant e
CROSS JOIN LATERAL (
    SELECT tlp FROM fact WHERE subject_id = e.id
    UNION ALL
    SELECT tlp FROM fact WHERE object_id = e.id
    UNION ALL
    SELECT i.tlp FROM incident_item x JOIN incident i ON i.id = x.incident_id WHERE x.entity_id = e.id
    UNION ALL
    SELECT i.tlp FROM lead x JOIN incident i ON i.id = x.incident_id WHERE x.entity_id = e.id
) f
"""

# What a source still states of a domain at one tier. Uses ix_fact_subject_id_predicate_object_id, pk_fact_history.
STANDING: Final = """
SELECT f.predicate, f.state, f.qualifiers, f.reference, f.personal, o.kind, o.value, o.scope, o.digest
FROM fact f
JOIN source s ON s.id = f.source_id AND s.name = :source
LEFT JOIN entity o ON o.id = f.object_id
WHERE f.subject_id = :subject_id AND f.qualifiers->>'tier' = :tier
    AND NOT (SELECT h.ended FROM fact_history h WHERE h.fact_id = f.id ORDER BY h.event_time DESC, h.ended DESC LIMIT 1)
ORDER BY f.id
"""


def log_question(
    connection: Connection,
    *,
    protocol: str,
    server: str,
    reach: str,
    entity_id: int,
    reason: str,
    asked_at: datetime,
    location: str = "",
) -> int:
    """Write a question down before it is asked (`asked_at`: recorded time); its id."""
    values = {"protocol": protocol, "server": server, "reach": reach, "entity_id": entity_id, "reason": reason}
    statement = insert(Query).values(**values, asked_at=asked_at, location=location, outcome=ASKED).returning(Query.id)
    return connection.execute(statement).scalar_one()


def log_answer(connection: Connection, query_id: int, *, outcome: str, document_id: int | None = None) -> None:
    """Write down how a question ended, and the document that holds the answer."""
    values = {"outcome": outcome} if document_id is None else {"outcome": outcome, "document_id": document_id}
    connection.execute(update(Query).where(Query.id == query_id).values(values))


def questions(connection: Connection, *, reason: str) -> int:
    """How many questions were asked for `reason`, by whichever process. Uses ix_query_reason."""
    statement = select(func.count()).select_from(Query).where(Query.reason == reason)
    return connection.execute(statement).scalar_one()


def keep_answer(
    connection: Connection,
    query_id: int,
    *,
    outcome: str,
    location: str,
    sha256: bytes,
    answered_at: datetime,
    status: int | None = None,
    cut: str = "",
) -> None:
    """Write down an answer whose bytes are in the document store: from now on nobody needs to ask for it again."""
    values = {"outcome": outcome, "location": location, "sha256": sha256, "answered_at": answered_at, "cut": cut}
    connection.execute(update(Query).where(Query.id == query_id).values(**values, status=status))


def kept_answers(connection: Connection, *, entity_id: int, since: datetime) -> list[Any]:
    """The last answer about an entity of each protocol and reach that asking again would not change, of those kept
    since then (recorded time).

    Uses ix_query_entity_id.
    """
    statement = (
        select(Query.__table__)
        .ext(distinct_on(Query.protocol, Query.reach))
        .where(
            Query.entity_id == entity_id,
            Query.asked_at >= since,
            Query.outcome.in_(LASTING),
            Query.sha256.is_not(None),
        )
        .order_by(Query.protocol, Query.reach, Query.asked_at.desc(), Query.id.desc())
    )
    return list(connection.execute(statement))


def last_version(connection: Connection, *, entity_id: int, protocol: str, reach: str) -> datetime | None:
    """The event time of the last answer about an entity that was loaded. Uses ix_query_entity_id and pk_document."""
    statement = _loaded(Document.as_of, entity_id, protocol, reach)
    return connection.execute(statement).scalar_one_or_none()


def last_digest(connection: Connection, *, entity_id: int, protocol: str, reach: str) -> bytes | None:
    """The SHA-256 of the last answer about an entity that was loaded. Uses ix_query_entity_id and pk_document."""
    statement = _loaded(Document.sha256, entity_id, protocol, reach)
    return connection.execute(statement).scalar_one_or_none()


def _loaded(column: Any, entity_id: int, protocol: str, reach: str) -> Any:
    return (
        select(column)
        .join(Query, Query.document_id == Document.id)
        .where(
            Query.entity_id == entity_id,
            Query.protocol == protocol,
            Query.reach == reach,
            Query.outcome.in_(CONCLUSIVE),
        )
        .order_by(Query.asked_at.desc(), Query.id.desc())
        .limit(1)
    )


def whois_server(connection: Connection, suffix: str, *, since: datetime) -> str | None:
    """What the root said of a top-level domain since then: its WHOIS server, "" where it has none; None: not asked."""
    statement = select(WhoisServer.server).where(WhoisServer.suffix == suffix, WhoisServer.learned_at >= since)
    return connection.execute(statement).scalar_one_or_none()


def learn_whois_server(connection: Connection, suffix: str, server: str, *, now: datetime) -> None:
    """Write down what the root said."""
    statement = upsert(WhoisServer).values(suffix=suffix, server=server, learned_at=now)
    values = {"server": server, "learned_at": now}
    connection.execute(statement.on_conflict_do_update(index_elements=["suffix"], set_=values))


def strictest_tlp(connection: Connection, entities: Sequence[Entity]) -> int:
    """The strictest TLP (0 to 4) under which a fact or an incident names, or led to, these or what stands on them."""
    digests = [UUID(bytes=item.digest) for item in entities]
    return int(connection.execute(text(STRICTEST_TLP), {"digests": digests}).scalar_one())


def standing(connection: Connection, *, source: str, subject: Entity, subject_id: int, tier: str) -> tuple[Fact, ...]:
    """What `source` still states of a domain at one tier, as facts with the identity that they have."""
    rows = connection.execute(text(STANDING), {"source": source, "subject_id": subject_id, "tier": tier})
    return tuple(
        Fact(
            subject=subject,
            predicate=row.predicate,
            object=None
            if row.digest is None
            else Entity(kind=row.kind, value=row.value, scope=row.scope, address="", digest=row.digest.bytes),
            state=row.state,
            qualifiers=tuple((row.qualifiers or {}).items()),
            reference=row.reference,
            personal=row.personal,
        )
        for row in rows
    )
