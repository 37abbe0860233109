"""Lists that are newer than the installed package: documents of sources of the format `warninglist` in, files out.

The newest whole document of each list goes into `hubs/` of LAPSEWATCH_HOME, whole and flushed, where
tasks/pivot/hub_lists.py takes it if it is newer than the package's. One that cannot be read changes nothing.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy import Engine, select

from db import documents, runs
from db.models import Source as SourceRow
from intel.config.sources import Format, read_sources
from intel.errors import ReadError
from intel.settings import settings
from intel.warning_lists import read_warning_list
from tasks.pivot.hub_lists import newer_folder, standing_list
from tasks.pivot.prevalence_records import Done, Part

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def take_newer_lists(engine: Engine) -> Done:
    """Take the lists that were collected, where they are newer than what stands."""
    names = [one.name for one in read_sources(settings().configs).values() if one.format is Format.WARNINGLIST]
    parts: list[Part] = []
    problems: list[str] = []
    for location, digest in _collected(engine, names).items():
        name = list_name(location)
        try:
            part = _take(name, documents.get(settings().document_store, digest))
        except (ReadError, OSError) as error:
            problems.append(f"couldn't take the list {name or location[:80]}: {error}; the older copy stands")
            continue
        if part is not None:
            parts.append(part)
    return Done(parts=tuple(parts), problems=tuple(problems))


def list_name(location: str) -> str:
    """The list's name: that of the file, or of its folder where the file is `list.json`; empty for none."""
    path = PurePosixPath(location.partition("?")[0].partition("#")[0])
    name = path.parent.name if path.stem == "list" else path.stem
    return name if _NAME.fullmatch(name) else ""


def _collected(engine: Engine, names: list[str]) -> dict[str, bytes]:
    """The digest of the last document at each place of these sources."""
    found: dict[str, bytes] = {}
    with engine.connect() as connection:
        for source_id in connection.execute(select(SourceRow.id).where(SourceRow.name.in_(names))).scalars():
            for location, row in runs.last_documents(connection, source_id).items():
                found[location] = bytes(row.sha256)
    return found


def _take(name: str, body: bytes) -> Part | None:
    if not name:
        raise ReadError("couldn't tell which list it is by its place")
    given = read_warning_list(body)
    standing = standing_list(name)
    if standing is not None and not given.newer_than(standing):
        return None
    if given.day is not None and given.day > datetime.now(UTC).date() + timedelta(days=2):
        raise ReadError("its version is a day to come, and would keep out every later one")
    if not given.lines or (standing is not None and 2 * len(given.lines) < len(standing.lines)):
        raise ReadError("it holds less than half of what the older copy does")
    _write(newer_folder() / f"{name}.json", body)
    return Part(population=f"list {name}", total=len(given.lines), values=len(given.lines))


def _write(path: Path, body: bytes) -> None:
    """Whole or not at all: whoever reads meanwhile reads the old one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        beside.write_bytes(body)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
