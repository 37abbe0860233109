"""Brings zone files to this machine: a source's entry and its cursor in, a file on the disk out.

Over HTTP a file is written as it comes, and a transfer that breaks goes on where it broke, in this run or the next
(RFC 9110 sections 13.1.5 and 14: If-Range, Range). A folder's files are read where they lie. Nothing is held in
memory, and nothing goes to the document store: zones are too large for it.

CZDS: its downloads want a token that ICANN's account service gives for an hour. Getting one is not done here; put it
into the environment variable that the source's `secret` names.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from sqlalchemy import Engine

from db import runs, zones
from intel.config.sources import Source
from intel.errors import OversizedError, ReadError, StatusError, UnreachableError
from tasks.collect.fetched import Fetched, looks_like_html, public_url, utc_now
from tasks.collect.files import file_time, http_date, list_files
from tasks.collect.folder import folder
from tasks.collect.http import HttpLimits, fetch
from tasks.collect.media import validator
from tasks.collect.received import event_time
from tasks.collect.retry import RetryPolicy, retrying
from tasks.collect.slices import credentials, http_client, patience
from tasks.collect.zones_room import need_room
from tasks.records import Run

RECEIVED: Final = "received"
"""A source's file on its way here, and what is known of it; nothing else in its folder is called so."""
ABOUT: Final = "received.json"
_FRESH: Final = timedelta(hours=20)
_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)")
_ALL_GONE: Final = 416
_PARTIAL: Final = 206


class ZoneFile(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """A zone file that is on this machine and was not read yet.

    `path` is absolute, and empty where an earlier run has sorted the file already and only has to go on with it.
    `as_of` is event time, `fetched_at` recorded time. `ours`: it is removed once it was read. `stamp` tells a folder's
    file from the same file later.
    """

    source: str
    run_id: int
    path: str
    location: str
    as_of: datetime
    fetched_at: datetime
    etag: str = ""
    last_modified: str = ""
    stamp: str = ""
    ours: bool = False


class _About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file that is coming, or has come."""

    url: str
    etag: str = ""
    last_modified: str = ""
    fetched_at: datetime | None = None
    """Set once it is whole."""


def next_zone(engine: Engine, source: Source, run: Run) -> ZoneFile | None:
    """The next zone file of `source`, on the disk; None where nothing is new.

    Raises CollectError, ReadError, OversizedError, ConfigError; what came so far of a file stays for the next run.
    """
    with engine.connect() as connection:
        cursor = runs.read_cursor(connection, f"source:{source.name}") or {}
    if cursor.get("pending"):
        now = utc_now()
        return ZoneFile(source=source.name, run_id=run.run_id, path="", location="", as_of=now, fetched_at=now)
    if source.transport == "http":
        return _fetched(source, run, cursor)
    found, problems = _in_folder(source, run, cursor)
    if found is None and problems:
        # Said once, when all that can be read was.
        with engine.begin() as connection:
            runs.warn(connection, run.run_id, "; ".join(problems[:10]))
    return found


def _in_folder(source: Source, run: Run, cursor: Mapping[str, Any]) -> tuple[ZoneFile | None, list[str]]:
    """The oldest file that was not read yet, or was changed since; and why others have no time."""
    root = folder(source)
    paths = [root] if root.is_file() else list_files(root, source.options.pattern)
    base = root.parent if root.is_file() else root
    known, now = cursor.get("files", {}), utc_now()
    waiting: list[tuple[datetime, str, Path, str]] = []
    problems: list[str] = []
    for path in paths:
        try:
            about = path.stat()
            location, stamp = path.relative_to(base).as_posix(), f"{about.st_size}:{about.st_mtime_ns}"
            if known.get(location) != stamp and stat.S_ISREG(about.st_mode):
                modified = http_date(file_time(about.st_mtime, now))
                waiting.append((event_time(source, location, modified, now), location, path, stamp))
        except (ReadError, OSError) as error:
            problems.append(f"{path.name}: {error.strerror if isinstance(error, OSError) else error}")
    if not waiting:
        return None, problems
    as_of, location, path, stamp = min(waiting, key=lambda one: one[:2])
    found = ZoneFile(
        source=source.name,
        run_id=run.run_id,
        path=str(path.resolve()),
        location=location,
        as_of=as_of,
        fetched_at=now,
        stamp=stamp,
    )
    return found, problems


def _fetched(source: Source, run: Run, cursor: Mapping[str, Any]) -> ZoneFile | None:
    """What the server has now, once in a run."""
    if cursor.get("asked") == run.run_id:
        return None
    place = zones.folder_of(source.name)
    about = _read_about(place)
    whole = (
        about.fetched_at is not None
        and about.url == source.location
        and utc_now() - about.fetched_at < _FRESH
        and (place / RECEIVED).is_file()
    )
    if not whole:
        if about.fetched_at is not None:
            _forget(place)
        found = _fetch(source, place, cursor)
        if found is None:
            return None
        about = found
    fetched_at = about.fetched_at or utc_now()
    return ZoneFile(
        source=source.name,
        run_id=run.run_id,
        path=str(place / RECEIVED),
        location=source.location,
        as_of=event_time(source, source.location, about.last_modified, fetched_at),
        fetched_at=fetched_at,
        etag=about.etag,
        last_modified=about.last_modified,
        ours=True,
    )


def _fetch(source: Source, place: Path, cursor: Mapping[str, Any]) -> _About | None:
    key = credentials(source)
    secret = key.headers() if key else {}
    with http_client(source) as (client, limits):

        def attempt() -> Fetched:
            going_on = _going_on(source, place)
            try:
                return fetch(
                    client,
                    source.location,
                    limits=limits,
                    etag=None if going_on else cursor.get("etag"),
                    last_modified=None if going_on else cursor.get("last_modified"),
                    headers={"Accept-Encoding": "identity", **secret, **going_on},
                    retry=RetryPolicy(retries=0),
                    read=_Spool(source, place).read,
                )
            except StatusError as error:
                if error.status == _ALL_GONE and going_on:
                    # What we have is no part of what is there now.
                    _forget(place)
                    raise UnreachableError(f"{error}: it is fetched from its beginning") from None
                raise

        fetched = retrying(attempt, policy=patience(source))
    if fetched.outcome == "unchanged":
        return None
    with (place / RECEIVED).open("rb") as file:
        if looks_like_html(file.read(1 << 16)):
            _forget(place)
            raise ReadError(
                f"couldn't read {public_url(fetched.final_url)} as a zone: the server sent a web page; it was dropped,"
                " see whether the address has moved or wants a key"
            )
    about = _About(
        url=source.location,
        etag=fetched.etag or "",
        last_modified=fetched.last_modified or "",
        fetched_at=fetched.fetched_at,
    )
    _write_about(place, about)
    return about


def _going_on(source: Source, place: Path) -> dict[str, str]:
    """The headers that ask for the rest of what came before; none where nothing did that can be told apart."""
    about, size = _read_about(place), _size(place)
    strong = about.etag if not about.etag.startswith("W/") else ""
    named = strong or ("" if about.etag else about.last_modified)
    if not size or not named or about.url != source.location:
        return {}
    return {"Range": f"bytes={size}-", "If-Range": named}


class _Spool:
    """Writes a body to the disk as it comes."""

    def __init__(self, source: Source, place: Path) -> None:
        self._source = source
        self._place = place

    def read(self, response: httpx.Response, url: httpx.URL, limits: HttpLimits) -> tuple[bytes, int]:
        """Take the body, or the rest of one; nothing of it is given back, as it is on the disk."""
        shown = public_url(str(url))
        begin = self._begin(response, shown)
        declared = response.headers.get("content-length", "")
        expected = int(declared) if declared.isdigit() and len(declared) <= 18 else 0
        if begin + expected > limits.max_bytes:
            _forget(self._place)
            raise OversizedError(f"couldn't fetch {shown}: more than {limits.max_bytes} bytes; it was dropped")
        need_room(self._place, expected, f"fetch {shown}")
        if response.headers.get("content-encoding", "").strip().lower() not in {"", "identity", "gzip", "x-gzip"}:
            raise ReadError(f"couldn't fetch {shown}: its coding was not asked for; it was dropped")
        if not begin:
            # In this order: whoever dies in between must not take what came of one file for a part of another.
            _forget(self._place)
            _write_about(
                self._place,
                _About(
                    url=self._source.location,
                    etag=validator(response.headers.get("etag")) or "",
                    last_modified=validator(response.headers.get("last-modified")) or "",
                ),
            )
        size = begin
        with (self._place / RECEIVED).open("r+b" if begin else "wb") as file:
            file.seek(begin)
            file.truncate()
            # gzip as a coding and gzip as the file's own form are the same bytes: whoever reads it looks at them.
            for piece in response.iter_raw():
                size += len(piece)
                if size > limits.max_bytes:
                    file.truncate(0)
                    raise OversizedError(f"couldn't fetch {shown}: more than {limits.max_bytes} bytes; it was dropped")
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        return b"", size - begin

    def _begin(self, response: httpx.Response, shown: str) -> int:
        """Where the body goes on; 0 for one from its beginning."""
        if response.status_code != _PARTIAL:
            return 0
        matched = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if matched is None or not 0 < int(matched[1]) <= _size(self._place):
            _forget(self._place)
            raise UnreachableError(
                f"couldn't go on with {shown}: the server sent another part than was asked for; it is tried again from"
                " the beginning"
            )
        return int(matched[1])


def _size(place: Path) -> int:
    with suppress(FileNotFoundError):
        return (place / RECEIVED).stat().st_size
    return 0


def _read_about(place: Path) -> _About:
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode((place / ABOUT).read_bytes(), type=_About)
    return _About(url="")


def _write_about(place: Path, about: _About) -> None:
    beside = place / f"{ABOUT}.part"
    beside.write_bytes(msgspec.json.encode(about))
    beside.replace(place / ABOUT)


def _forget(place: Path) -> None:
    # What is known of it goes first: a file of which nothing is known is written anew.
    for name in (ABOUT, RECEIVED):
        (place / name).unlink(missing_ok=True)


def forget_received(source: str) -> None:
    """Remove a file that was read, or that cannot be."""
    _forget(zones.folder_of(source))
