"""Retention: how much is kept of the archive, and which files go.

The manifest goes first, the files an hour later, when nobody reads them any more. Files without a row that are older
than an hour were left by processes that died, and go as well.

A folder belongs to one warehouse: seen from another one all its files would be left behind. The two know each other
by a name that is in both, cursor `archive` and file `warehouse.id`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, delete, select, text

from db import runs
from db.archive import clock
from db.archive_manifest import Held, held, retire
from db.archive_store import Store, open_store, sweep_scratch
from db.models import ArchiveSegment
from intel.config.ct import Archive
from intel.errors import ConfigError, ReadError

SPARED: Final = timedelta(hours=1)
"""For so long files stay that stand no longer in the manifest, or not yet."""
OWNER: Final = "warehouse.id"
_OURS: Final = re.compile(
    r"log=[a-z0-9-]{1,63}/day=\d{4}-\d\d-\d\d/\d{1,20}-\d{1,20}-[0-9a-f]{8}(\.names)?\.parquet(\.[0-9a-f]{8}\.part)?"
)
_AT_ONCE: Final = 500


class Retained(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What went: entries that were dropped from the archive, files that were removed."""

    entries: int = 0
    segments: int = 0
    files: int = 0
    left_behind: int = 0


def tidy(engine: Engine, archive: Archive, home: Path, *, spared: timedelta = SPARED) -> Retained:
    """Drop what is too old or too much, then remove the files that nobody needs.

    Raises BusyError where another process is at it, ConfigError where the folder is another warehouse's.
    """
    with runs.exclusive(engine, "archive:tidy"):
        segments, entries = drop(engine, archive)
        store = open_store(archive, home)
        begun = own(engine, store)
        files = _remove_retired(engine, store, spared) if begun else 0
        left_behind = _remove_left_behind(engine, store, spared) if begun else 0
        sweep_scratch()
    return Retained(entries=entries, segments=segments, files=files, left_behind=left_behind)


def drop(engine: Engine, archive: Archive) -> tuple[int, int]:
    """Take out of the manifest what was logged too long ago, then the oldest of what is too much, whatever the log.

    A segment goes as a whole, when its newest entry is too old. What a log says was logged later than we read it would
    stay for ever: it is as old as its row. Returns (segments, entries).
    """
    with engine.begin() as connection:
        standing = sorted(held(connection), key=lambda one: (_age(one), one.id))
        total = sum(one.bytes for one in standing)
        oldest = clock(connection) - timedelta(days=archive.max_days) if archive.max_days is not None else None
        gone = []
        for one in standing:
            if total <= archive.max_bytes and (oldest is None or _age(one) >= oldest):
                break
            gone.append(one)
            total -= one.bytes
        retire(connection, [one.id for one in gone])
    return len(gone), sum(one.entries for one in gone)


def _age(one: Held) -> datetime:
    return min(one.time_max, one.created_at)


def own(engine: Engine, store: Store) -> bool:
    """Whether the folder is this warehouse's; one that holds a segment of ours and has no name gets it.

    Raises ConfigError where it is another's, since all that is in it would look left behind.
    """
    try:
        with store.open(OWNER) as file:
            said = file.read(64).decode("ascii", "replace").strip()
    except ReadError:
        said = ""
    with engine.begin() as connection:
        name = (runs.read_cursor(connection, "archive") or {}).get("name", "")
        if not said and not _holds_ours(connection, store):
            return False
        if not said and not name:
            name = secrets.token_hex(8)
            runs.write_cursor(connection, "archive", {"name": name}, None)
    if not said:
        with store.create(OWNER) as path:
            path.write_text(name, "ascii")
    elif said != name:
        raise ConfigError(
            f"couldn't tidy the archive in {store.root}: it belongs to another warehouse; nothing is removed. Name"
            f" another folder in configs/ct.yaml, archive.location, or remove its file {OWNER} where that warehouse is"
            " gone"
        )
    return True


def _holds_ours(connection: Connection, store: Store) -> bool:
    """Whether a file that the manifest knows is in the folder."""
    paths = connection.execute(select(ArchiveSegment.path).order_by(ArchiveSegment.id.desc()).limit(20)).scalars()
    return any(store.holds(path) for path in paths)


def _remove_retired(engine: Engine, store: Store, spared: timedelta) -> int:
    removed = 0
    with engine.connect() as connection:
        rows = connection.execute(
            select(ArchiveSegment.id, ArchiveSegment.path, ArchiveSegment.names_path)
            .where(ArchiveSegment.retired_at <= clock(connection) - spared)
            .order_by(ArchiveSegment.id)
        ).all()
    # Files first: where this ends in between, the row still says that they are to go.
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        removed += _remove(store, (path for row in some for path in (row.path, row.names_path) if path))
        with engine.begin() as connection:
            connection.execute(delete(ArchiveSegment).where(ArchiveSegment.id.in_([row.id for row in some])))
    return removed


def _remove_left_behind(engine: Engine, store: Store, spared: timedelta) -> int:
    """Remove old files that no row names.

    Whoever wrote one may be about to commit its row, however old it is by now. Here the manifest is locked, then read,
    then the file removed, all in one transaction; there the row comes first and then the look at the file: one of the
    two sees the other (`db/archive.py: add_segment`).
    """
    with engine.connect() as connection:
        until = clock(connection) - spared
        suspects = [one.path for one in store.files() if one.changed <= until and _OURS.fullmatch(one.path)]
        suspects = _unknown(connection, suspects)
    removed = 0
    for start in range(0, len(suspects), _AT_ONCE):
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE archive_segment IN SHARE ROW EXCLUSIVE MODE"))
            removed += _remove(store, _unknown(connection, suspects[start : start + _AT_ONCE]))
    return removed


def _unknown(connection: Connection, paths: Sequence[str]) -> list[str]:
    known: set[str] = set()
    for row in connection.execute(select(ArchiveSegment.path, ArchiveSegment.names_path)):
        known.update(row)
    return [path for path in paths if path not in known]


def _remove(store: Store, paths: Iterable[str]) -> int:
    count = 0
    for path in paths:
        store.remove(path)
        count += 1
    return count
