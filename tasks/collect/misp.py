"""Reads a MISP feed: a manifest and one file for each event, over HTTP or from a folder (MISP core format).

In: a way to get a document by name, and the cursor {event uuid: timestamp}. Out: each event that is new or newer, with
what it adds to the cursor. Knows neither the database nor where the documents come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import msgspec

from intel.errors import LapsewatchError, OversizedError, ReadError, StatusError
from tasks.collect.fetched import Fetched, expect_media, public_url
from tasks.collect.files import read_file
from tasks.collect.http import HttpLimits, fetch

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

Get = Callable[[str], Fetched]
Problem = Callable[[str, LapsewatchError], None]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MAX_EVENTS = 1_000_000
# The year 9999; MISP's timestamps are seconds since 1970.
_MAX_TIMESTAMP = 253_402_300_799


@dataclass(frozen=True, kw_only=True)
class MispManifest:
    """The manifest as received and what it lists: event uuid (lower case) -> (name of the file, event time of change).

    `rejected` counts entries that could not be read.
    """

    fetched: Fetched
    events: Mapping[str, tuple[str, int]]
    rejected: int


def _timestamp(value: object) -> int | None:
    """Read an epoch second, a number or its digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_TIMESTAMP else None


def read_manifest(get: Get) -> MispManifest:
    """Get and read manifest.json; an unchanged one lists nothing.

    Raises what `get` raises, ReadError where it is no manifest. A key that is no uuid is rejected: it names a file.
    """
    fetched = get("manifest.json")
    if fetched.outcome == "unchanged":
        return MispManifest(fetched=fetched, events={}, rejected=0)
    expect_media(fetched, "json")
    try:
        entries = msgspec.json.decode(fetched.body.removeprefix(b"\xef\xbb\xbf"), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ReadError(
            f"couldn't read {public_url(fetched.final_url)}: it is no MISP manifest; it was dropped"
        ) from None
    if len(entries) > _MAX_EVENTS:
        raise OversizedError(
            f"couldn't read {public_url(fetched.final_url)}: more than {_MAX_EVENTS} events; it was dropped"
        )
    events: dict[str, tuple[str, int]] = {}
    for uuid, entry in entries.items():
        timestamp = _timestamp(entry.get("timestamp")) if isinstance(entry, dict) else None
        if timestamp is not None and _UUID.fullmatch(uuid):
            events[uuid.lower()] = (f"{uuid}.json", timestamp)
    return MispManifest(fetched=fetched, events=events, rejected=len(entries) - len(events))


def events(
    get: Get, cursor: Mapping[str, int], *, manifest: MispManifest | None = None, problem: Problem | None = None
) -> Iterator[tuple[Fetched, dict[str, int]]]:
    """Get the events whose manifest timestamp is newer than the cursor's, oldest change first.

    Each comes with the entry to add to the cursor once it is stored. An event that cannot be read or is missing costs
    itself alone where `problem(name, error)` takes it (its cursor stays, so it is asked for again); without `problem`
    it is raised. What concerns the whole server (unreachable, throttled, refused) is always raised.
    """
    listed = (manifest or read_manifest(get)).events
    newer = [item for item in listed.items() if item[1][1] > cursor.get(item[0], -1)]
    for uuid, (name, timestamp) in sorted(newer, key=lambda item: (item[1][1], item[0])):
        try:
            fetched = get(name)
            expect_media(fetched, "json")
        except (ReadError, StatusError) as error:
            if problem is None or (isinstance(error, StatusError) and error.status not in {404, 410}):
                raise
            problem(name, error)
            continue
        yield fetched, {uuid: timestamp}


def from_url(client: httpx.Client, base: str, *, limits: HttpLimits, **options: Any) -> Get:
    """Make a `get` for a feed on a web server; `options` are those of `fetch`."""
    base = base if base.endswith("/") else base + "/"

    def get(name: str) -> Fetched:
        return fetch(client, urljoin(base, name), limits=limits, **options)

    return get


def _from_folder(folder: Path, max_bytes: int, name: str) -> Fetched:
    if not (folder / name).is_file():
        raise StatusError(f"couldn't open {name}: there is no such file; it is left until the next run", status=404)
    return read_file(folder / name, max_bytes=max_bytes, within=folder)


def from_folder(folder: Path, *, max_bytes: int) -> Get:
    """Make a `get` for a feed in a local folder."""
    return partial(_from_folder, folder, max_bytes)
