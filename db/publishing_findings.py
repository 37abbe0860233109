"""Findings as publishing sees them, and how it knows which of them changed.

No time decides what is looked at again: a finding changed at noon may be committed at five past, after a publisher
looked at noon and a minute. Instead, findings are taken in blocks of consecutive ids, the state of a block (a digest
over all that publishing depends on) is compared with the state that was last published, and a block that differs is
judged again. The state that was published is a cursor, written in the transaction that publishes.

Raw SQL: a digest over whole rows and their evidence has no form in SQLAlchemy Core that would read better.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, RowMapping, text

from db.publishing_records import Evidence, FindingRecord

_EVERYTHING: Final = (0, 1 << 62)

# The evidence of the findings of a range of ids. Uses pk_finding_fact, pk_fact, pk_fact_history.
_EVIDENCE: Final = """
SELECT ff.finding_id, fa.key, ff.role, fa.predicate, fa.reference, fa.tlp, s.name AS source, s.title AS source_title,
    s.redistribution, fa.personal OR subject.kind = ANY(:personal) OR coalesce(object.kind = ANY(:personal), false)
        AS personal,
    (SELECT min(h.event_time) FROM fact_history h WHERE h.fact_id = fa.id AND NOT h.ended) AS since
FROM finding_fact ff
JOIN fact fa ON fa.id = ff.fact_id
JOIN source s ON s.id = fa.source_id
JOIN entity subject ON subject.id = fa.subject_id
LEFT JOIN entity object ON object.id = fa.object_id
WHERE ff.finding_id >= :low AND ff.finding_id < :high
"""

# The findings of a range of ids, with what is said of their watches. Uses pk_finding.
_FINDINGS: Final = """
SELECT f.id, f.watch_id, f.rule, f.novelty, f.lapse, f.title, f.severity, f.status, f.event_time, f.found_at,
    f.changed_at, w.name AS watch_name, w.created_at AS watch_created_at, a.value AS actor,
    coalesce(i.publish, true) AS released, e.kind AS subject_kind, e.value AS subject,
    coalesce(it.kind, '') AS item_kind
FROM finding f
JOIN watch w ON w.id = f.watch_id
JOIN entity e ON e.id = f.subject_id
LEFT JOIN entity a ON a.id = w.actor_id AND NOT a.kind = ANY(:personal)
LEFT JOIN incident i ON i.id = w.incident_id
LEFT JOIN watch_item it ON it.id = f.item_id
WHERE f.id >= :low AND f.id < :high
"""

# A digest for each block of findings over everything that is read of them above.
_STATES: Final = f"""
WITH evidence AS ({_EVIDENCE}), finding AS ({_FINDINGS}), proof AS (
    SELECT finding_id, md5(string_agg(md5(evidence::text), '' ORDER BY key)) AS digest FROM evidence GROUP BY finding_id
)
SELECT finding.id / :size AS block,
    md5(string_agg(md5(finding::text) || coalesce(proof.digest, ''), '' ORDER BY finding.id)) AS state
FROM finding LEFT JOIN proof ON proof.finding_id = finding.id
GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - put together from constants


def states(connection: Connection, *, size: int, personal: frozenset[str], block: int | None = None) -> dict[int, str]:
    """The state of each block of `size` findings that has any, or of one `block`, in the order of the blocks.

    `personal` names the kinds of entities that stand for people.
    """
    low, high = _EVERYTHING if block is None else (block * size, (block + 1) * size)
    values = {"low": low, "high": high, "size": size, "personal": sorted(personal)}
    return {int(row.block): str(row.state) for row in connection.execute(text(_STATES), values)}


def findings(connection: Connection, *, block: int, size: int, personal: frozenset[str]) -> list[FindingRecord]:
    """The findings of a block with their evidence, in the order of their ids."""
    bounds = {"low": block * size, "high": (block + 1) * size, "personal": sorted(personal)}
    evidence: dict[int, list[Evidence]] = {}
    rows = connection.execute(text(_EVIDENCE + " ORDER BY fa.key"), bounds)
    for row in rows.mappings():
        evidence.setdefault(row["finding_id"], []).append(_evidence(row))
    found = connection.execute(text(_FINDINGS + " ORDER BY f.id"), bounds)
    return [_finding(row, tuple(evidence.get(row["id"], ()))) for row in found.mappings()]


def _evidence(row: RowMapping) -> Evidence:
    return Evidence(**{name: row[name] for name in Evidence.__struct_fields__})


def _finding(row: RowMapping, evidence: tuple[Evidence, ...]) -> FindingRecord:
    own = {name: row[name] for name in FindingRecord.__struct_fields__ if name not in {"watch_key", "evidence"}}
    return FindingRecord(watch_key=str(row["watch_id"]), evidence=evidence, **own)
