"""What dead processes left in the folders of zones: half-sorted files, snapshots whose row was never written.

Only whoever holds a source's lock writes in its folder, so that what no row and no cursor names there is left over.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, select

from db import runs, zones
from db.models import Source
from intel.errors import BusyError
from tasks.collect.zones import ABOUT, RECEIVED

_SPOOLED: Final = frozenset({RECEIVED, ABOUT})


def sweep(connection: Connection, source: str, source_id: int, cursor: dict[str, Any]) -> int:
    """Remove what is left over in the folder of a source, whose lock the caller holds. Returns how many files."""
    held = zones.held_paths(connection, source_id) | _SPOOLED
    if pending := cursor.get("pending"):
        held.add(pending["path"])
    removed = 0
    for path in zones.folder_of(source).iterdir():
        if path.name not in held and path.is_file():
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def tidy(engine: Engine) -> int:
    """Remove what is left over in every folder of a source that nobody is at. Returns how many files."""
    removed = 0
    root = zones.zones_folder()
    for place in sorted(root.iterdir()) if root.is_dir() else ():
        try:
            with runs.exclusive(engine, f"source:{place.name}"), engine.connect() as connection:
                source_id = connection.execute(select(Source.id).where(Source.name == place.name)).scalar_one_or_none()
                if source_id is not None:
                    cursor = runs.read_cursor(connection, f"source:{place.name}") or {}
                    removed += sweep(connection, place.name, source_id, cursor)
        except BusyError:
            continue
    return removed
