"""Archives for tests: entries of a log in few words, in real files under a real manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from db import archive_hunt
from db.archive import Segment, add_segment, clock, to_arrow, write_segment
from db.archive_duckdb import connect
from db.archive_hunt import Wanted
from db.archive_manifest import Held
from db.archive_names import write_names
from db.archive_store import open_store
from intel.config.ct import Archive
from intel.ct_archived import Archived
from lab.archived import columns
from tests import factories

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
ON: Final = Archive(enabled=True)
_NOON: Final = 1_772_366_400


def sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def entry(index: int, *names: str, log: str = "lab-log", **values: Any) -> Archived:
    """Entry `index`, logged so many seconds after noon; odd ones are final certificates. Each has its own key."""
    row: dict[str, Any] = {
        "timestamp": (_NOON + index) * 1000,
        "leaf_hash": sha(f"leaf {log} {index}"),
        "tbs": sha(f"tbs {log} {index}"),
        "fingerprint": sha(f"certificate {log} {index}") if index % 2 else None,
        "key": sha(f"key {log} {index}"),
        "issuer": "CN=Lab Issuing 1,O=Lab Authority",
        "not_before": _NOON - 3600,
        "not_after": _NOON + 90 * 86_400,
    }
    return Archived(log=log, index=index, names=names, **row | values)


def written(home: Path, entries: Sequence[Archived], *, archive: Archive = ON, together: int = 3) -> Segment:
    """A segment's file, without a row; `together` entries came in one answer."""
    answers = [to_arrow(columns(entries[at : at + together])) for at in range(0, len(entries), together)]
    return write_segment(archive, home, entries[0].log, answers, entries[0].index, entries[-1].index + 1)


def keep(
    engine: Engine,
    home: Path,
    entries: Sequence[Archived],
    *,
    archive: Archive = ON,
    judged_at: datetime | None = None,
    size: int = 1_000_000,
) -> list[int]:
    """Put entries into the archive, `size` in a segment; the ids of the rows."""
    made = []
    for at in range(0, len(entries), size):
        segment = written(home, entries[at : at + size], archive=archive)
        with engine.begin() as connection:
            source_id = factories.source(connection, segment.source)
            moment = judged_at or clock(connection)
            made.append(add_segment(connection, segment, source_id=source_id, run_id=None, judged_at=moment))
    return made


def found(engine: Engine, home: Path, *, archive: Archive = ON, **wanted: Any) -> list[Archived]:
    """What a hunt answers, in the order of logs and indexes."""
    answers = archive_hunt.hunt(engine, archive, home, Wanted(**wanted))
    return sorted((one for answer in answers for one in answer.found), key=lambda one: (one.log, one.index))


def row(segment: Segment, number: int = 1, *, names_path: str = "") -> Held:
    """The row that a segment would have in the manifest."""
    return Held(
        id=number, source_id=1, log=segment.source, first=segment.first, next=segment.next, time_min=segment.time_min,
        time_max=segment.time_max, level=1 if names_path else 0, path=segment.path, names_path=names_path,
        bytes=segment.bytes, judged_at=NOON, created_at=NOON,
    )  # fmt: skip


def indexed(home: Path, segment: Segment, number: int = 1) -> Held:
    """The row of a segment that has an index of names."""
    store = open_store(ON, home)
    names_path = segment.path.replace(".parquet", ".names.parquet")
    with connect() as duckdb, store.create(names_path) as path:
        write_names(duckdb, store.url(segment.path), str(path))
    return row(segment, number, names_path=names_path)
