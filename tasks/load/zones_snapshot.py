"""Makes of a zone file a snapshot: a file that is here in, its delegations sorted on the disk out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from db import runs, zones
from intel.config.sources import Source
from intel.errors import ReadError
from intel.zone_file import ZoneReader
from tasks.collect.zones import ZoneFile, forget_received
from tasks.collect.zones_room import need_room
from tasks.load.zones_file import Bounds, Unpacked, sync_folder
from tasks.load.zones_keep import sweep
from tasks.load.zones_sort import Sorter
from tasks.records import Run

_SORTING: Final = "sorting"
_PER_PACKED: Final = 3
"""Disk that sorting takes at most, in sizes of the packed file."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """A sorted zone on the disk that was not compared yet.

    `path` is below the source's folder; `sha256` is the file's, `received` that of what it was made from, both hex.
    `closed`: an SOA stood at its end. Most of the rest is the zone file's. `done` counts the changes that earlier runs
    have committed; `resumed`: one of them began.
    """

    source: str
    run_id: int
    location: str
    as_of: datetime
    received: str
    size: int
    path: str = ""
    sha256: str = ""
    zone: str = ""
    serial: int | None = None
    closed: bool = False
    names: int = 0
    lines: int = 0
    malformed: int = 0
    first_malformed: str = ""
    etag: str = ""
    last_modified: str = ""
    stamp: str = ""
    ours: bool = False
    done: int = 0
    resumed: bool = False
    problem: str = ""
    """Why the file could not be read; then nothing else of it is known."""


def sort(engine: Engine, source: Source, run: Run, file: ZoneFile) -> Snapshot:
    """Make a sorted snapshot of a zone file, on the disk; of one that an earlier run has sorted, what that run knew.

    Raises UnavailableError where the disk has no room; ReadError and OversizedError for a file that came over HTTP and
    is no zone (it is removed). A folder's file that is none is noted as read, so that it does not hold up the others.
    """
    with engine.connect() as connection:
        cursor = runs.read_cursor(connection, f"source:{source.name}") or {}
        sweep(connection, source.name, run.source_id, cursor)
    if not file.path:
        return msgspec.structs.replace(msgspec.convert(cursor["pending"], Snapshot), run_id=run.run_id, resumed=True)
    place = zones.folder_of(source.name)
    size = Path(file.path).stat().st_size
    need_room(place, size * _PER_PACKED, f"sort the zone of {source.name}")
    bounds = Bounds(bytes=source.limits.bytes, expansion=source.limits.expansion)
    reader, sorter = ZoneReader(), Sorter(place / _SORTING)
    try:
        with Unpacked(Path(file.path), bounds) as pieces:
            for piece in pieces:
                sorter.add(reader.feed(piece))
        sorter.add(reader.close())
        sorter.finish()
    except ReadError as error:
        sorter.abandon()
        if file.ours:
            forget_received(source.name)
            raise
        return _snapshot(file, pieces, problem=f"{file.location}: {error}")
    except BaseException:
        sorter.abandon()
        raise
    name = f"{file.as_of:%Y%m%dT%H%M%SZ}-{sorter.sha256.hex()[:16]}.gz"
    (place / _SORTING).replace(place / name)
    sync_folder(place)
    return _snapshot(
        file,
        pieces,
        path=name,
        sha256=sorter.sha256.hex(),
        zone=reader.zone,
        serial=reader.serial,
        closed=reader.closed,
        names=sorter.names,
        lines=reader.lines,
        malformed=reader.malformed,
        first_malformed=reader.first_malformed,
    )


def _snapshot(file: ZoneFile, pieces: Unpacked, **known: Any) -> Snapshot:
    return Snapshot(
        source=file.source,
        run_id=file.run_id,
        location=file.location,
        as_of=file.as_of,
        received=pieces.sha256.hex(),
        size=pieces.bytes,
        etag=file.etag,
        last_modified=file.last_modified,
        stamp=file.stamp,
        ours=file.ours,
        **known,
    )
