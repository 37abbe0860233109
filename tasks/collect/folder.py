"""Collects from a folder that something else fills, one file in memory at a time.

In: a source's entry and what was loaded from it before. Out: a `Slice`: all files as one snapshot (`together`), the
next snapshot of a `sequence`, or the next files of a stream, oldest first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from intel.config.sources import Source
from intel.errors import CollectError, ReadError
from intel.settings import settings
from tasks.collect.fetched import utc_now
from tasks.collect.files import file_time, http_date, list_files, read_file
from tasks.collect.received import Received, Slice, event_time, receive

_SETTLED: Final = timedelta(seconds=2)
"""A file may change again within the second of its time; one read later than this after it is the file of that time."""


def folder(source: Source) -> Path:
    """Where a source's files lie; a relative location is below LAPSEWATCH_DATA."""
    path = Path(source.location)
    return path if path.is_absolute() else settings().data / path


@dataclass(frozen=True, kw_only=True)
class _File:
    path: Path
    base: Path
    location: str


def _files(source: Source) -> list[_File]:
    root = folder(source)
    paths = [root] if root.is_file() else list_files(root, source.options.pattern)
    base = root.parent if root.is_file() else root
    return [_File(path=path, base=base, location=path.relative_to(base).as_posix()) for path in paths]


def _read(source: Source, file: _File) -> Received:
    limits = source.limits
    fetched = read_file(file.path, max_bytes=limits.bytes, max_expansion=limits.expansion, within=file.base)
    return receive(source, file.location, fetched)


def take_together(source: Source, known: Mapping[str, Any]) -> Slice:
    """All files as one snapshot, where one of them is new, has changed or is gone; `known` as of `last_documents`."""
    newest = max(known.values(), key=lambda row: row.id, default=None)
    # What the last snapshot was made of; a file that an earlier one lost is not lost once more.
    before = {name: row for name, row in known.items() if row.run_id == newest.run_id} if newest else {}
    found: list[Received] = []
    problems: list[str] = []
    files = _files(source)
    for file in files:
        try:
            found.append(_read(source, file))
        except (ReadError, CollectError) as error:
            problems.append(f"{file.location}: {error}")
    if before and not files:
        problems.append(f"couldn't read {source.name}: its folder is empty; what it stated before stands")
    if not found or {one.location: one.digest for one in found} == {n: bytes(row.sha256) for n, row in before.items()}:
        return Slice(problems=tuple(problems))
    times = [one.as_of for one in found]
    if gone := before.keys() - {one.location for one in found}:
        # What is left is no younger than it was, and says something new all the same.
        times += [row.as_of for row in before.values()]
        times += [] if source.options.as_of else _emptied(source, gone)
    return Slice(received=tuple(found), as_of=max(times), problems=tuple(problems))


def _emptied(source: Source, gone: set[str]) -> list[datetime]:
    """When the folders that lost these files last changed."""
    root, now = folder(source), utc_now()
    base = root if root.is_dir() else root.parent
    times = []
    for place in {(base / name).parent for name in gone}:
        standing = next(one for one in (place, *place.parents) if one.is_dir())
        times.append(file_time(standing.stat().st_mtime, now))
    return times


def take_next(
    source: Source,
    known: Mapping[str, Any],
    is_loaded: Callable[[bytes], bool],
    *,
    max_documents: int,
    max_bytes: int,
) -> Slice:
    """The oldest files that were not loaded yet: of a sequence one, of a stream as many as a slice may hold.

    `is_loaded(digest)` says of a stream's bytes whether they were loaded, whatever their name was. A file that cannot
    be read costs itself; the last slice says so.
    """
    waiting, problems = _waiting(source, known)
    limit = 1 if source.snapshot else max_documents
    found: list[Received] = []
    again: list[Received] = []
    size = 0
    for file in waiting:
        if len(found) >= limit or size > max_bytes:
            return Slice(received=tuple(found), again=tuple(again), as_of=_newest(found), more=True)
        try:
            one = _read(source, file)
        except (ReadError, CollectError) as error:
            problems.append(f"{file.location}: {error}")
            continue
        last = known.get(file.location)
        if last is not None and bytes(last.sha256) == one.digest:
            # Only its time is another: a row with that time, or it would be read each time.
            again += [one] if last.last_modified != one.last_modified else []
            continue
        if not source.snapshot and is_loaded(one.digest):
            again.append(one)
            continue
        found.append(one)
        size += one.size
    # A file of a sequence is a whole snapshot: what is wrong with another one is no gap in it, and is said on its own.
    later = bool(source.snapshot and found and problems)
    return Slice(
        received=tuple(found),
        again=tuple(again),
        as_of=_newest(found),
        more=later,
        problems=() if later else tuple(problems),
    )


def _newest(found: list[Received]) -> datetime | None:
    return max((one.as_of for one in found), default=None)


def _waiting(source: Source, known: Mapping[str, Any]) -> tuple[list[_File], list[str]]:
    """The files that have to be read, by event time, and why others have none; nothing is read for it."""
    dated: list[tuple[datetime, str, _File]] = []
    problems: list[str] = []
    now = utc_now()
    for file in _files(source):
        try:
            modified = file_time(file.path.stat().st_mtime, now)
            last = known.get(file.location)
            if last is not None and last.last_modified == http_date(modified) and _settled(last, modified):
                continue
            dated.append((event_time(source, file.location, http_date(modified), now), file.location, file))
        except (ReadError, OSError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            problems.append(f"{file.location}: {said}")
    return [file for _, _, file in sorted(dated, key=lambda one: one[:2])], problems


def _settled(last: Any, modified: datetime) -> bool:
    return bool(last.fetched_at.astimezone(UTC) - modified >= _SETTLED)
