"""The archive's manifest: which segments there are, what there is of each log, and what takes the place of what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select, text, update

from db.models import ArchiveSegment, Source


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the manifest that stands. Times as in `archive_segment`; `log` is the name of its source."""

    id: int
    source_id: int
    log: str
    first: int
    next: int
    time_min: datetime
    time_max: datetime
    level: int
    path: str
    names_path: str
    bytes: int
    judged_at: datetime
    created_at: datetime

    @property
    def entries(self) -> int:
        """How many entries of the log it stands for."""
        return self.next - self.first


_HELD: Final = select(
    ArchiveSegment.id,
    ArchiveSegment.source_id,
    Source.name.label("log"),
    ArchiveSegment.first,
    ArchiveSegment.next,
    ArchiveSegment.time_min,
    ArchiveSegment.time_max,
    ArchiveSegment.level,
    ArchiveSegment.path,
    ArchiveSegment.names_path,
    ArchiveSegment.bytes,
    ArchiveSegment.judged_at,
    ArchiveSegment.created_at,
).join(Source, Source.id == ArchiveSegment.source_id)

# What there is of each log: entries, time, bytes, and how much of it was not hunted through for the newest terms.
STATE: Final = """
SELECT s.name AS log, sum(a.next - a.first)::bigint AS entries, min(a.first) AS first, max(a.next) AS next,
    min(a.time_min) AS earliest, max(a.time_max) AS latest, sum(a.bytes)::bigint AS bytes,
    count(*) AS segments, count(*) FILTER (WHERE a.level > 0) AS compacted,
    coalesce(sum(a.next - a.first) FILTER (WHERE a.judged_at < t.newest), 0)::bigint AS to_hunt
FROM archive_segment a JOIN source s ON s.id = a.source_id
CROSS JOIN (SELECT max(added_at) AS newest FROM hunt_term) t
WHERE a.retired_at IS NULL
GROUP BY s.name ORDER BY s.name
"""


def held(
    connection: Connection,
    *,
    logs: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    judged_before: datetime | None = None,
) -> list[Held]:
    """The segments that stand, by log and index: of some logs, with entries logged from `since` to before `until`,
    matched with watches older than `judged_before`. Uses ix_archive_segment_source_id.
    """
    statement = _HELD.where(ArchiveSegment.retired_at.is_(None))
    if logs:
        statement = statement.where(Source.name.in_(logs))
    if since is not None:
        statement = statement.where(ArchiveSegment.time_max >= since)
    if until is not None:
        statement = statement.where(ArchiveSegment.time_min < until)
    if judged_before is not None:
        statement = statement.where(ArchiveSegment.judged_at < judged_before)
    rows = connection.execute(statement.order_by(Source.name, ArchiveSegment.first))
    return [msgspec.convert(row, Held, from_attributes=True) for row in rows]


def state(connection: Connection) -> list[dict[str, Any]]:
    """What the archive holds, a row for each log."""
    return [dict(row) for row in connection.execute(text(STATE)).mappings()]


def begun(connection: Connection) -> bool:
    """Whether anything was ever put into the archive and is not wholly removed yet."""
    return connection.execute(select(ArchiveSegment.id).limit(1)).first() is not None


def retire(connection: Connection, ids: Sequence[int]) -> list[datetime]:
    """Take segments out of the archive, in the caller's transaction; their files are spared for a while.

    Returns `judged_at` of those that stood until now: fewer than `ids` where another process was first.
    """
    rows = connection.execute(
        update(ArchiveSegment)
        .where(ArchiveSegment.id.in_(ids), ArchiveSegment.retired_at.is_(None))
        .values(retired_at=func.clock_timestamp())
        .returning(ArchiveSegment.judged_at)
    )
    return [moment for (moment,) in rows]


def hunted(connection: Connection, segment_id: int, judged_at: datetime) -> bool:
    """Say that a segment was hunted through for all terms up to `judged_at`; False where it no longer stands."""
    done = connection.execute(
        update(ArchiveSegment)
        .where(ArchiveSegment.id == segment_id, ArchiveSegment.retired_at.is_(None))
        .values(judged_at=func.greatest(ArchiveSegment.judged_at, judged_at))
    )
    return bool(done.rowcount)
