"""Passive DNS of a case: which names led to which addresses, both ways, with times. Nothing is resolved.

In: a `Case` and what is `Known` of it. Out: `PassiveDns`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Engine

from db import enrich
from tasks.enrich.records import Case, Known, PassiveDns, Resolution

TOP: Final = 50
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def passive_dns(engine: Engine, case: Case, known: Known) -> PassiveDns:
    """The resolutions that sources stated, the most recent first. Raises WarehouseError."""
    ids = known.near_ids or tuple(subject.id for subject in case.subjects)
    with engine.connect() as connection:
        rows = enrich.resolutions(connection, ids, top=TOP)
    total = rows[0].total if rows else 0
    ordered = sorted((_resolution(row) for row in rows), key=_recency, reverse=True)
    return PassiveDns(resolutions=tuple(ordered), total=total, capped=total >= enrich.SCAN)


def _recency(one: Resolution) -> tuple[bool, datetime]:
    """What still stands first; a link whose every fact was withdrawn has no times."""
    return one.last is None, one.last or one.first or _NEVER


def _resolution(row: Any) -> Resolution:
    return Resolution(
        name=row.subject,
        target=row.object,
        target_kind=row.object_kind,
        forward=row.outward,
        sources=tuple(row.sources or ()),
        first=row.first,
        last=row.last,
    )
