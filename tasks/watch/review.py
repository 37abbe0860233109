"""What people do with findings: say what they think of one, and see what it rests on.

Comes in: a finding's id. Goes out: a changed status, or the chain from what is watched to what was found, with each
fact's source, reference, place, times and TLP. People's data is masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import aliased

from db import finding_queue
from db.models import Entity, Finding, Incident, Watch, WatchItem
from db.watching_versions import DATED_BY_VERSIONS
from intel.entities import Kind
from intel.errors import WarehouseError
from intel.facts import TLP
from tasks.watch.describe import shown

Status = Literal["open", "acknowledged", "confirmed", "dismissed"]

# Uses pk_finding_fact, pk_fact and pk_fact_history.
_EVIDENCE: Final = """
SELECT ff.role, f.id AS fact_id, f.subject_id, f.object_id, s.kind AS subject_kind, s.value AS subject, f.predicate,
    o.kind AS object_kind, o.value AS object, src.name AS source, src.reliability, f.reference, f.tlp, f.confidence,
    d.location, f.locator, f.personal, h.first_seen, h.last_seen, h.recorded_at,
    CASE WHEN h.last_ended >= h.last_seen THEN h.last_ended END AS ended,
    CASE WHEN f.predicate = 'matches' THEN concat_ws(', ', nullif(f.qualifiers->>'name', ''),
        nullif(f.qualifiers->>'why', '')) ELSE '' END AS detail,
    concat_ws(', ', nullif(f.qualifiers->>'field', ''), 'at the ' || (f.qualifiers->>'tier'), nullif(f.state, 'value'))
        AS version
FROM finding_fact ff
JOIN fact f ON f.id = ff.fact_id
JOIN entity s ON s.id = f.subject_id
LEFT JOIN entity o ON o.id = f.object_id
JOIN source src ON src.id = f.source_id
LEFT JOIN document d ON d.id = f.document_id
CROSS JOIN LATERAL (SELECT min(event_time) FILTER (WHERE NOT ended) AS first_seen,
    max(event_time) FILTER (WHERE NOT ended) AS last_seen, max(event_time) FILTER (WHERE ended) AS last_ended,
    min(recorded_at) AS recorded_at
    FROM fact_history WHERE fact_id = f.id) h
WHERE ff.finding_id = :finding_id
ORDER BY ff.role DESC, h.first_seen, f.id
"""
# Evidence that no longer counts. Uses ix_finding_fact_fact_id.
_DROP_EVIDENCE: Final = """
WITH dropped AS (DELETE FROM finding_fact WHERE fact_id = ANY(:facts) RETURNING finding_id)
UPDATE finding SET changed_at = clock_timestamp() WHERE id IN (SELECT finding_id FROM dropped) RETURNING id
"""
# Findings that have lost all that was new in them, or the known facts that the new ones met.
_WITHDRAW: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = :reason, changed_at = clock_timestamp()
WHERE n.id = ANY(:findings) AND n.status <> 'withdrawn' AND (
    NOT EXISTS (SELECT FROM finding_fact ff WHERE ff.finding_id = n.id AND ff.role = 'new')
    OR (n.id = ANY(:known)
        AND NOT EXISTS (SELECT FROM finding_fact ff WHERE ff.finding_id = n.id AND ff.role = 'known'))
)
RETURNING n.id
"""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that a finding rests on. `first_seen`, `last_seen` and `ended` are event times, `recorded_at` recorded
    time; `ended` is None where it is still so, as far as its source said.

    `detail` says what of the subject matched, and in which way, where the fact is a match; and of which field, at which
    tier and in which state it is, where the finding is about versions of a registration.
    """

    role: str
    fact_id: int
    subject: str
    predicate: str
    object: str
    source: str
    reliability: str
    reference: str
    tlp: str
    confidence: int | None
    location: str
    locator: str
    first_seen: datetime | None
    last_seen: datetime | None
    recorded_at: datetime | None
    subject_id: int = 0
    object_id: int | None = None
    detail: str = ""
    ended: datetime | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The chain of a finding: what is watched, by which rule, what is new and what it meets.

    `item` is the watched item as it stands now, empty once it is no longer watched. `tlp` is the strictest of the
    facts' and, where the watch is an incident's, the incident's. `evidence_at` is when new evidence reopened it last
    (recorded time), `history` what people and Lapsewatch made of it.
    """

    finding_id: int
    title: str
    watch: str
    actor: str
    rule: str
    item: str
    since: datetime | None
    subject: str
    lapse: bool
    severity: int
    annotations: tuple[dict[str, Any], ...]
    status: str
    status_reason: str
    event_time: datetime | None
    found_at: datetime
    tlp: str
    new: tuple[Evidence, ...]
    known: tuple[Evidence, ...]
    evidence_at: datetime | None = None
    history: tuple[finding_queue.Event, ...] = ()


def merged(facts: Iterable[Evidence]) -> list[Evidence]:
    """Evidence to be read by people: what the same source says with the same marking stands once.

    A registration is stated by registry and registrar, each in an answer of its own. One that stands for several has
    all their places in `location`, an empty `locator`, the id of the first, and the span of all.
    """
    alike: dict[tuple[object, ...], list[Evidence]] = {}
    for fact in facts:
        # Two people's names may be masked to the same.
        what = (fact.role, fact.subject_id, fact.subject, fact.predicate, fact.object_id, fact.object, fact.detail)
        who = (fact.source, fact.reliability, fact.reference, fact.tlp, fact.confidence)
        alike.setdefault((*what, *who), []).append(fact)
    return [same[0] if len(same) == 1 else _merge(same) for same in alike.values()]


def _merge(same: Sequence[Evidence]) -> Evidence:
    places = dict.fromkeys(f"{fact.location} {fact.locator}".strip() for fact in same)
    return msgspec.structs.replace(
        same[0],
        location="; ".join(place for place in places if place),
        locator="",
        first_seen=min((fact.first_seen for fact in same if fact.first_seen is not None), default=None),
        last_seen=max((fact.last_seen for fact in same if fact.last_seen is not None), default=None),
        recorded_at=min((fact.recorded_at for fact in same if fact.recorded_at is not None), default=None),
        ended=None
        if any(fact.ended is None for fact in same)
        else max(fact.ended for fact in same if fact.ended is not None),
    )


def set_status(
    connection: Connection, finding_id: int | Sequence[int], status: Status, reason: str = "", *, who: str = ""
) -> int:
    """Say what a person (`who`) thinks of findings: acknowledge, confirm, dismiss (with a reason) or reopen them.

    All or none; each change is a row of `finding_event`. Returns how many changed: one that has the status for that
    reason already does not. Raises WarehouseError where one is not there, was withdrawn, or a dismissal gives no
    reason.
    """
    ids = [finding_id] if isinstance(finding_id, int) else sorted(set(finding_id))
    named = f"finding{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids[:20]))}"
    if status == "dismissed" and not reason.strip():
        raise WarehouseError(f"couldn't dismiss {named}: no reason was given; nothing is changed")
    wrong = finding_queue.unchangeable(connection, ids)
    if wrong:
        raise WarehouseError(
            f"couldn't change finding {', '.join(map(str, wrong[:20]))}: there is none, or its facts were withdrawn;"
            " nothing is changed"
        )
    return finding_queue.set_status(connection, ids, status=status, reason=reason, who=who)


def withdraw(connection: Connection, facts: Sequence[int], reason: str) -> list[int]:
    """Take facts (ids) away from what rests on them; the findings that nothing new is left of are withdrawn.

    To be called in the transaction that withdraws the facts. A finding that keeps another new fact, and another known
    one where it had any, stands. Returns the ids of the withdrawn.
    """
    ids = list(facts)
    known = connection.execute(
        text("SELECT DISTINCT finding_id FROM finding_fact WHERE fact_id = ANY(:facts) AND role = 'known'"),
        {"facts": ids},
    )
    lost_known = list(known.scalars())
    touched = sorted(set(connection.execute(text(_DROP_EVIDENCE), {"facts": ids}).scalars()))
    rows = connection.execute(text(_WITHDRAW), {"findings": touched, "known": lost_known, "reason": reason})
    return sorted(rows.scalars())


def explain(connection: Connection, finding_id: int) -> Explanation:
    """The chain of a finding, people's data masked. Raises WarehouseError where there is no such finding."""
    actor = aliased(Entity)
    row = connection.execute(
        select(
            Finding.__table__,
            Watch.name.label("watch"),
            actor.value.label("actor"),
            Entity.kind.label("subject_kind"),
            Entity.value.label("subject"),
            WatchItem.match.label("item_match"),
            WatchItem.kind.label("item_kind"),
            WatchItem.value.label("item_value"),
            WatchItem.since.label("since"),
            Incident.tlp.label("incident_tlp"),
        )
        .join(Watch, Watch.id == Finding.watch_id)
        .join(Entity, Entity.id == Finding.subject_id)
        .outerjoin(actor, actor.id == Watch.actor_id)
        .outerjoin(WatchItem, WatchItem.id == Finding.item_id)
        .outerjoin(Incident, Incident.id == Watch.incident_id)
        .where(Finding.id == finding_id)
    ).one_or_none()
    if row is None:
        raise WarehouseError(f"couldn't explain finding {finding_id}: there is none")
    facts = connection.execute(text(_EVIDENCE), {"finding_id": finding_id}).all()
    said = [_evidence(fact, of_versions=row.rule in DATED_BY_VERSIONS) for fact in facts]
    return Explanation(
        finding_id=finding_id,
        title=row.title,
        watch=row.watch,
        actor=row.actor or "",
        rule=row.rule,
        item="" if row.item_match is None else _item(row.item_match, row.item_kind, row.item_value),
        since=row.since,
        subject=shown(row.subject_kind, row.subject),
        lapse=row.lapse,
        severity=row.severity,
        annotations=tuple(row.annotations),
        status=row.status,
        status_reason=row.status_reason,
        event_time=row.event_time,
        found_at=row.found_at,
        tlp=TLP(max((row.incident_tlp or 0, *(fact.tlp for fact in facts))) if facts else TLP.RED).label,
        new=tuple(one for one in said if one.role == "new"),
        known=tuple(one for one in said if one.role == "known"),
        evidence_at=row.evidence_at,
        history=finding_queue.history(connection, finding_id),
    )


def _item(match: str, kind: str, value: str) -> str:
    by, _, rest = value.partition(":")
    # A pattern says by itself how it matches.
    return f"{by} {shown(kind, rest)}" if kind == Kind.PATTERN else f"{match} {shown(kind, value)}"


def _evidence(fact: Any, *, of_versions: bool) -> Evidence:
    named = "" if fact.object is None else shown(fact.object_kind, fact.object, personal=fact.personal)
    return Evidence(
        role=fact.role,
        fact_id=fact.fact_id,
        subject=shown(fact.subject_kind, fact.subject),
        predicate=fact.predicate,
        object=named,
        source=fact.source,
        reliability=fact.reliability,
        reference=fact.reference,
        tlp=TLP(fact.tlp).label,
        confidence=fact.confidence,
        location=fact.location or "",
        locator=fact.locator,
        first_seen=fact.first_seen,
        last_seen=fact.last_seen,
        recorded_at=fact.recorded_at,
        subject_id=fact.subject_id,
        object_id=fact.object_id,
        detail=fact.version if of_versions else fact.detail,
        ended=fact.ended,
    )
