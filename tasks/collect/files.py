"""Reads documents from this machine: single files and folders that something else fills.

In: a path or a folder and a pattern. Out: the same `Fetched` as over HTTP, or the sorted list of files. Links that
leave the folder are refused, and so is what is not a regular file (a pipe would be waited on for ever).
"""

from __future__ import annotations

import mimetypes
import os
import stat
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from intel.errors import OversizedError, ReadError, RefusedError, UnreachableError
from tasks.collect.fetched import Fetched, utc_now
from tasks.collect.inflate import expand_gzip, expand_zip

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_FILES = 100_000
_PACKED = {".gz", ".zip"}


def _resolve(path: Path, within: Path | None) -> Path:
    """The real path of a file; RefusedError where a link leads out of `within`."""
    try:
        real = path.resolve(strict=True)
        home = within.resolve(strict=True) if within is not None else None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links; ValueError: a NUL
        raise UnreachableError(f"couldn't open {path.name}: {_cause(error)}; it is left until the next run") from None
    if home is not None and not real.is_relative_to(home):
        raise RefusedError(f"couldn't open {path.name}: it leads out of its folder; it was not read")
    return real


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def list_files(folder: Path, pattern: str = "*") -> list[Path]:
    """The regular files of a folder that match a glob pattern (`**/` for its sub-folders), sorted by path.

    Raises RefusedError for a pattern or a link that leaves the folder, UnreachableError where there is no such folder.
    """
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts or not pattern:
        raise RefusedError(f"couldn't list files by {pattern!r}: the pattern leaves the folder; nothing was read")
    if not folder.is_dir():
        raise UnreachableError(f"couldn't list {folder.name}: there is no such folder; it is left until the next run")
    found: list[Path] = []
    for path in folder.glob(pattern):
        # A broken link leads nowhere, and a folder is not a document.
        if path.is_file():
            _resolve(path, folder)
            found.append(path)
        if len(found) > _MAX_FILES:
            raise OversizedError(f"couldn't list {folder.name}: more than {_MAX_FILES} files match; none was read")
    return sorted(found)


def _read_bytes(path: Path, name: str, max_bytes: int) -> tuple[bytes, os.stat_result]:
    try:
        # Non-blocking, so that a pipe put in its place does not hold us; no link at the end, since it was resolved.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UnreachableError(f"couldn't open {name}: {_cause(error)}; it is left until the next run") from None
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise ReadError(f"couldn't read {name}: not a regular file; it was not read")
    with os.fdopen(handle, "rb") as stream:
        try:
            data = stream.read(max_bytes + 1)
        except OSError as error:
            raise UnreachableError(f"couldn't read {name}: {_cause(error)}; it is left until the next run") from None
    if len(data) > max_bytes:
        raise OversizedError(f"couldn't read {name}: more than {max_bytes} bytes; it was dropped")
    return data, facts


def file_time(seconds: float, now: datetime) -> datetime:
    """The time of a file, aware UTC, in whole seconds and never after `now`: anybody can set it to anything."""
    try:
        return min(datetime.fromtimestamp(seconds, UTC), now).replace(microsecond=0)
    except (ValueError, OverflowError, OSError):
        return now.replace(microsecond=0)


def http_date(date: datetime) -> str:
    """An aware UTC datetime as HTTP-date (RFC 9110 section 5.6.7)."""
    return format_datetime(date, usegmt=True)


def read_file(
    path: Path,
    *,
    max_bytes: int,
    max_expansion: float = 100.0,
    within: Path | None = None,
    member: str = "*",
    clock: Callable[[], datetime] = utc_now,
) -> Fetched:
    """Read one file; .gz and .zip (the one file in it that matches `member`) are unpacked within the same limit.

    `within` is the folder that links must not leave. Raises UnreachableError, RefusedError, OversizedError, ReadError.
    """
    real = _resolve(path, within)
    data, facts = _read_bytes(real, path.name, max_bytes)
    packed = path.suffix.lower()
    if packed == ".gz":
        body = expand_gzip(data, max_bytes=max_bytes, max_expansion=max_expansion)
    elif packed == ".zip":
        body = expand_zip(data, max_bytes=max_bytes, max_expansion=max_expansion, member=member)
    else:
        body = data
    now = clock()
    media_type, _ = mimetypes.guess_type(path.with_suffix("").name if packed in _PACKED else path.name)
    return Fetched(
        url=path.absolute().as_uri(),
        final_url=real.as_uri(),
        status=200,
        outcome="new",
        body=body,
        wire_bytes=len(data),
        media_type=media_type,
        charset=None,
        etag=None,
        last_modified=http_date(file_time(facts.st_mtime, now)),
        fetched_at=now,
        headers={},
    )
