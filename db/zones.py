"""Snapshots of zones: their rows, and the folder that their files lie in. One effect each.

A file is there before its row, whole and flushed; a row that is retired names no file any more before the file goes.
Each source has a folder of its own, in which whoever holds the source's lock is alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from db.models import ZoneSnapshot
from intel.settings import settings


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The last snapshot that was taken of a source. `path` is below its folder, empty once the file was removed."""

    zone: str
    serial: int | None
    as_of: datetime
    path: str
    sha256: bytes
    names: int


def zones_folder() -> Path:
    """Where the zones' files lie, a folder for each source."""
    return settings().home / "zones"


def folder_of(source: str) -> Path:
    """The folder of one source, made where it is not there."""
    path = zones_folder() / source
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def last_snapshot(connection: Connection, source_id: int) -> Standing | None:
    """The newest snapshot of a source by event time, None where there is none. A source has some hundred rows."""
    row = connection.execute(
        select(
            ZoneSnapshot.zone,
            ZoneSnapshot.serial,
            ZoneSnapshot.as_of,
            ZoneSnapshot.path,
            ZoneSnapshot.sha256,
            ZoneSnapshot.names,
        )
        .where(ZoneSnapshot.source_id == source_id)
        .order_by(ZoneSnapshot.as_of.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return Standing(
        zone=row.zone,
        serial=row.serial,
        as_of=row.as_of,
        path=row.path,
        sha256=bytes(row.sha256),
        names=row.names,
    )


def taken_by(connection: Connection, zone: str, as_of: datetime) -> int | None:
    """The source that has a snapshot of this zone at this very time."""
    return connection.execute(
        select(ZoneSnapshot.source_id).where(ZoneSnapshot.zone == zone, ZoneSnapshot.as_of == as_of)
    ).scalar_one_or_none()


def add_snapshot(connection: Connection, **values: Any) -> int:
    """Write the row of a snapshot; its file is whole on the disk already."""
    return connection.execute(insert(ZoneSnapshot).values(**values).returning(ZoneSnapshot.id)).scalar_one()


def retire(connection: Connection, source_id: int, *, kept: int) -> list[str]:
    """Let go of the files of all snapshots of a source but the `kept` newest. Returns their paths."""
    old = connection.execute(
        select(ZoneSnapshot.id, ZoneSnapshot.path)
        .where(ZoneSnapshot.source_id == source_id)
        .order_by(ZoneSnapshot.as_of.desc())
        .offset(kept)
    ).all()
    gone = [row for row in old if row.path]
    _let_go(connection, [row.id for row in gone])
    return [row.path for row in gone]


def _let_go(connection: Connection, ids: Iterable[int]) -> None:
    if found := list(ids):
        connection.execute(update(ZoneSnapshot).where(ZoneSnapshot.id.in_(found)).values(path=""))


def held_paths(connection: Connection, source_id: int) -> set[str]:
    """The files that rows of a source name."""
    rows = connection.execute(
        select(ZoneSnapshot.path).where(ZoneSnapshot.source_id == source_id, ZoneSnapshot.path != "")
    )
    return set(rows.scalars())
