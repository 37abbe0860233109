"""Findings as publishing sees them, and how it knows which of them changed.

No time decides what is looked at again: a finding changed at noon may be committed at five past, after a publisher
looked at noon and a minute. Instead, findings are taken in blocks of consecutive ids, the state of a block (a digest
over all that publishing depends on) is compared with the state that was last published, and a block that differs is
judged again. The state that was published is a cursor, written in the transaction that publishes.

A state costs a look at all evidence of a block, so a mark, which costs none, says which states to look at. A mark
follows the rows of the findings, their watches, incidents and leads, the sources, and the `tightened:` cursors: loading
writes one where a fact became stricter, in the transaction that makes it so. It does not follow the facts themselves:
whoever adds or removes evidence of a finding writes to that finding too.

Raw SQL: a digest over whole rows and their evidence has no form in SQLAlchemy Core that would read better.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, RowMapping, text

from db.publishing_records import Evidence, FindingRecord

_EVERYTHING: Final = (0, 1 << 62)

# The evidence of the findings of a range of ids. What a source's entry says now binds what it stated before, too.
# Uses pk_finding_fact, pk_fact, pk_fact_history.
_EVIDENCE: Final = """
SELECT ff.finding_id, fa.key, ff.role, fa.predicate, fa.reference, greatest(fa.tlp, s.tlp) AS tlp, s.name AS source,
    s.title AS source_title, s.redistribution,
    fa.personal OR subject.kind = ANY(:personal) OR coalesce(object.kind = ANY(:personal), false) AS personal,
    (SELECT min(h.event_time) FROM fact_history h WHERE h.fact_id = fa.id AND NOT h.ended) AS since
FROM finding_fact ff
JOIN fact fa ON fa.id = ff.fact_id
JOIN source s ON s.id = fa.source_id
JOIN entity subject ON subject.id = fa.subject_id
LEFT JOIN entity object ON object.id = fa.object_id
WHERE ff.finding_id >= :low AND ff.finding_id < :high
"""

# What each watched actor is called: the laxest marking first, a name before an alias, then by the alphabet, so that the
# order in which sources came does not matter. Uses ix_fact_subject_id_predicate_object_id and pk_fact_history.
_ACTOR_NAMES: Final = """
SELECT DISTINCT ON (fa.subject_id) fa.subject_id AS actor_id, o.value AS name, greatest(fa.tlp, s.tlp) AS tlp
FROM (SELECT DISTINCT actor_id AS id FROM watch WHERE actor_id IS NOT NULL) watched
JOIN fact fa ON fa.subject_id = watched.id AND fa.state = 'value' AND NOT fa.personal
    AND (fa.predicate = 'alias' OR (fa.predicate = 'described-as' AND fa.qualifiers->>'field' = 'name'))
JOIN source s ON s.id = fa.source_id AND s.redistribution
JOIN entity o ON o.id = fa.object_id
WHERE NOT (SELECT h.ended FROM fact_history h WHERE h.fact_id = fa.id ORDER BY h.event_time DESC, h.ended DESC LIMIT 1)
ORDER BY fa.subject_id, greatest(fa.tlp, s.tlp), fa.predicate = 'alias', o.value COLLATE "C"
"""

# The findings of a range of ids, with what is said of their watches. Uses pk_finding and pk_lead.
_FINDINGS: Final = f"""
SELECT f.id, f.watch_id, f.rule, f.novelty, f.lapse, f.title, f.severity, f.status, f.event_time, f.found_at,
    f.changed_at, w.name AS watch_name, w.created_at AS watch_created_at, a.value AS actor,
    named.name AS actor_name, coalesce(named.tlp, 0) AS actor_name_tlp, coalesce(i.publish, true) AS released,
    coalesce(i.tlp, 0) AS incident_tlp, e.kind AS subject_kind, e.value AS subject,
    coalesce(it.kind, '') AS item_kind,
    led.bits AS lead_bits, coalesce(led.families, 0) AS lead_families
FROM finding f
JOIN watch w ON w.id = f.watch_id
JOIN entity e ON e.id = f.subject_id
LEFT JOIN entity a ON a.id = w.actor_id AND NOT a.kind = ANY(:personal)
LEFT JOIN ({_ACTOR_NAMES}) named ON named.actor_id = a.id
LEFT JOIN incident i ON i.id = w.incident_id
LEFT JOIN watch_item it ON it.id = f.item_id
LEFT JOIN LATERAL (
    SELECT l.bits, cardinality(l.families) AS families FROM lead l JOIN entity le ON le.id = l.entity_id
    WHERE l.incident_id = w.incident_id
        AND (l.entity_id = f.subject_id OR (le.scope = e.scope AND le.scope <> ''))
    ORDER BY l.bits DESC, l.entity_id LIMIT 1
) led ON true
WHERE f.id >= :low AND f.id < :high
"""  # noqa: S608 - put together from constants

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

# A mark for each block. xmin, the transaction that wrote a row, tells of any change to it, whoever made it; XOR needs
# no order. Reads the findings, but none of their evidence.
_MARKS: Final = f"""
WITH named AS ({_ACTOR_NAMES}), said AS (
    SELECT md5(concat((SELECT string_agg(s::text, ' ' ORDER BY s.id)
                       FROM (SELECT id, name, title, redistribution, tlp FROM source) s),
                      (SELECT string_agg(concat_ws(' ', c.name, c.value), ' ' ORDER BY c.name) FROM cursor c
                       WHERE starts_with(c.name, 'tightened:')))) AS everywhere
), watched AS (
    SELECT w.id, concat_ws(' ', w.xmin, i.xmin, named.tlp, named.name,
        (SELECT bit_xor(hashtextextended(concat_ws(' ', l.entity_id, l.bits, l.families), 0)) FROM lead l
         WHERE l.incident_id = w.incident_id)) AS said
    FROM watch w LEFT JOIN incident i ON i.id = w.incident_id LEFT JOIN named ON named.actor_id = w.actor_id
)
SELECT f.id / :size AS block,
    said.everywhere || ' ' || bit_xor(hashtextextended(concat_ws(' ', f.id, f.xmin, watched.said), 0)) AS mark
FROM finding f JOIN watched ON watched.id = f.watch_id CROSS JOIN said
GROUP BY 1, said.everywhere ORDER BY 1
"""  # noqa: S608 - put together from constants


def marks(connection: Connection, *, size: int) -> dict[int, str]:
    """The mark of each block of `size` findings that has any: the same for as long as its state need not be read."""
    return {int(row.block): str(row.mark) for row in connection.execute(text(_MARKS), {"size": size})}


def states(
    connection: Connection, *, size: int, personal: frozenset[str], blocks: tuple[int, int] | None = None
) -> dict[int, str]:
    """The state of each block of `size` findings that has any, in their order; `blocks` names the first and the last.

    `personal` names the kinds of entities that stand for people.
    """
    low, high = _EVERYTHING if blocks is None else (blocks[0] * size, (blocks[1] + 1) * size)
    if low >= high:
        return {}
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
