"""What a warehouse says in the end, in a form that two stories can be compared by: no ids, no times of a clock.

In: an engine. Out: for each subject a bag of rows, and what is in one bag and not in the other. Recorded times, row ids
and what is derived from them (a finding's `valid_until`) differ between any two stories and are left out; everything
else must be the same, wherever a story was interrupted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, text

from db.status import DANGLING

Dump = Mapping[str, Counter[str]]

_ROWS: Final = {
    "entities": "SELECT kind, value, scope, address FROM entity",
    "facts": """
        SELECT f.key, s.name, se.kind, se.value, f.predicate, oe.kind, oe.value, f.state, f.qualifiers, f.reference,
            f.tlp, f.confidence, f.personal, f.standing, d.location, encode(d.sha256, 'hex'), f.locator
        FROM fact f JOIN source s ON s.id = f.source_id JOIN entity se ON se.id = f.subject_id
        LEFT JOIN entity oe ON oe.id = f.object_id LEFT JOIN document d ON d.id = f.document_id""",
    "history": """
        SELECT f.key, h.event_time, h.ended, h.last_seen FROM fact_history h JOIN fact f ON f.id = h.fact_id""",
    "links": """
        SELECT se.kind, se.value, l.predicate, oe.kind, oe.value, l.seen, l.sources, l.facts
        FROM link l JOIN entity se ON se.id = l.subject_id JOIN entity oe ON oe.id = l.object_id""",
    "documents": """
        SELECT s.name, d.location, encode(d.sha256, 'hex') FROM document d JOIN source s ON s.id = d.source_id
        WHERE d.loaded""",
    "rejects": """
        SELECT s.name, d.location, r.locator, r.reason, r.excerpt
        FROM reject r JOIN document d ON d.id = r.document_id JOIN source s ON s.id = d.source_id""",
    "batches": """
        SELECT s.name, b.facts_new FROM batch b JOIN run r ON r.id = b.run_id JOIN source s ON s.id = r.source_id""",
    "watched items": """
        SELECT w.name, i.match, i.kind, i.value, i.network, i.since,
            ARRAY(SELECT unnest(i.swept) ORDER BY 1) FROM watch_item i JOIN watch w ON w.id = i.watch_id""",
    "findings": """
        SELECT w.name, f.rule, f.novelty, e.kind, e.value, i.match, i.value, f.lapse, f.title, f.severity,
            f.annotations, f.status, f.status_reason, f.event_time
        FROM finding f JOIN watch w ON w.id = f.watch_id JOIN entity e ON e.id = f.subject_id
        LEFT JOIN watch_item i ON i.id = f.item_id""",
    "evidence": """
        SELECT w.name, n.rule, n.novelty, f.key, ff.role FROM finding_fact ff JOIN finding n ON n.id = ff.finding_id
        JOIN watch w ON w.id = n.watch_id JOIN fact f ON f.id = ff.fact_id""",
    "withheld": """
        SELECT c.alias, f.rule, f.novelty, h.reason FROM withheld h JOIN collection c ON c.id = h.collection_id
        JOIN finding f ON f.id = h.finding_id""",
    # Positions without gap or double, dates added that rise with them, and a collection that knows its last.
    "order of publication": """
        SELECT c.alias, count(*), min(p.position), max(p.position), count(DISTINCT p.position),
            c.position = max(p.position), c.last_added = max(p.date_added),
            array_agg(p.position ORDER BY p.date_added) = array_agg(p.position ORDER BY p.position),
            count(DISTINCT p.date_added)
        FROM publication p JOIN collection c ON c.id = p.collection_id GROUP BY c.id""",
    # A publication's cursor is a digest with recorded times in it: that it stands is what can be compared.
    # How fast a log was read and when it was asked is nothing that two stories share.
    "cursors": "SELECT name, CASE WHEN name NOT LIKE 'publish:%' THEN value END FROM cursor WHERE name NOT LIKE 'ct:%'",
    "left to judge": """
        SELECT m.monitor, count(*) FROM (VALUES ('registrations'), ('certificates')) m (monitor) CROSS JOIN batch b
        WHERE NOT EXISTS (SELECT FROM judgement j WHERE j.batch_id = b.id AND j.monitor = m.monitor) GROUP BY 1""",
    "left in staging": "SELECT tablename FROM pg_tables WHERE schemaname = 'staging'",
    "left running": "SELECT s.name FROM run r JOIN source s ON s.id = r.source_id WHERE r.outcome = 'running'",
}
_PUBLICATIONS: Final = """
SELECT c.alias, p.stix_id, p.type, p.tlp, f.rule, f.novelty, p.body
FROM publication p JOIN collection c ON c.id = p.collection_id LEFT JOIN finding f ON f.id = p.finding_id
"""
_CLOCK: Final = ("created", "modified", "valid_until")


def dump(engine: Engine) -> Dump:
    """Everything that the warehouse says, as text, by subject."""
    with engine.connect() as connection:
        said = {name: Counter(map(_line, connection.execute(text(sql)))) for name, sql in _ROWS.items()}
        said["publications"] = _publications(connection)
        dangling = {place: connection.execute(text(sql)).scalar_one() for place, sql in DANGLING.items()}
    said["pointing to nothing"] = Counter({place: count for place, count in dangling.items() if count})
    return said


def differences(expected: Dump, found: Dump) -> list[str]:
    """What one says and the other does not, a line for each row, once for each time that it is there too often."""
    lines: list[str] = []
    for name in expected:
        lines += [f"{name}: lacks {row}" for row in (expected[name] - found[name]).elements()]
        lines += [f"{name}: has {row}" for row in (found[name] - expected[name]).elements()]
    return lines


def _publications(connection: Connection) -> Counter[str]:
    counted: Counter[str] = Counter()
    for *named, body in connection.execute(text(_PUBLICATIONS)):
        properties = msgspec.json.decode(body)
        for name in _CLOCK:
            properties.pop(name, None)
        # What rests on a look-up is dated by the second in which the registry answered.
        properties["valid_from"] = str(properties.get("valid_from", ""))[:10]
        digest = hashlib.sha256(msgspec.json.encode(properties, order="deterministic")).hexdigest()
        counted[_line((*named, digest))] += 1
    return counted


def _line(row: Any) -> str:
    return " | ".join("-" if value is None else str(value) for value in row)
