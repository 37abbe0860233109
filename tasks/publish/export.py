"""Findings as files for other tools: CSV and a STIX 2.1 bundle. Blocklists: tasks/publish/export_blocklists.py.

Comes in: findings, and which of them may go (a TLP ceiling, a least severity). Goes out: text. A bundle withholds what
publishing withholds for its TLP, its incident or its people. A CSV is for one's own tools: it keeps the ceiling, an
incident's included, masks people's data and says how each row is marked.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from db.finding_export import Exported
from intel.config.publishing import CollectionEntry
from intel.entities import Kind, masked
from intel.errors import PublishError
from intel.facts import TLP
from tasks.publish.decide import decide, strictest
from tasks.publish.drafts import Draft, merge
from tasks.publish.identifiers import OWN, own_id
from tasks.publish.objects import Publisher, Slot, build
from tasks.publish.outbox_text import without_people

COLUMNS: Final = (
    "finding", "severity", "lapse", "status", "status_reason", "watch", "actor", "rule", "subject_kind", "subject",
    "title", "since", "found", "tlp", "sources", "facts", "notes",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - the full-width forms, which count


def tlp_of(one: Exported) -> TLP:
    """The TLP of a finding: its strictest fact's, and its incident's."""
    return max(strictest(one.record.evidence), TLP(one.record.incident_tlp))


def as_csv(found: Iterable[Exported], ceiling: TLP) -> Iterator[str]:
    """Lines of a CSV (RFC 4180), the head first: findings up to a TLP, people's data masked; times are UTC.

    A cell that a spreadsheet would take for a formula begins with an apostrophe: cells hold other people's words.
    """
    yield _line(COLUMNS)
    for one in found:
        tlp = tlp_of(one)
        if tlp <= ceiling:
            yield _line(_cells(one, tlp))


def _cells(one: Exported, tlp: TLP) -> tuple[object, ...]:
    record = one.record
    return (
        record.id,
        record.severity,
        "yes" if record.lapse else "no",
        record.status,
        without_people(one.status_reason),
        record.watch_name,
        record.actor or "",
        record.rule,
        record.subject_kind,
        _subject(record.subject_kind, record.subject),
        without_people(record.title),
        _time(record.event_time),
        _time(record.found_at),
        tlp.label,
        " ".join(sorted({fact.source for fact in record.evidence})),
        len(record.evidence),
        without_people("; ".join(said["why"] for said in one.annotations)),
    )


def _subject(kind: str, value: str) -> str:
    return without_people(value) if kind == Kind.URL else masked(kind, value)


def _line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([_safe(one) for one in cells])
    return text.getvalue()


def _safe(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    said = "".join(mark if mark.isprintable() else " " for mark in cell)
    return f"'{said}" if cell.lstrip(" ").startswith(_FORMULA) or said.lstrip(" ").startswith(_FORMULA) else said


def as_stix(found: Iterable[Exported], publisher: Publisher, ceiling: TLP, severity: int = 0) -> dict[str, Any]:
    """A bundle of what a collection with this ceiling would be given, with the ids that it would have there."""
    entry = CollectionEntry(
        id=UUID("00000000-0000-4000-8000-000000000000"),
        alias="export",
        title="Export",
        tlp_ceiling=ceiling.label,
        minimum_severity=severity,
    )
    drafts: list[Draft] = []
    for one in found:
        decision = decide(one.record, entry)
        if not decision.publish:
            continue
        slots = {role: Slot(stix_id=own_id(publisher.identity, one.record, role, 0)) for role in OWN}
        try:
            drafts += build(one.record, decision.tlp, publisher, ceiling, slots)
        except PublishError:  # STIX has no form for it
            continue
    objects = [draft.properties for draft in merge(drafts)]
    said = msgspec.json.encode(objects, order="deterministic")
    return {"type": "bundle", "id": f"bundle--{uuid5(publisher.identity, said.decode())}", "objects": objects}


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
