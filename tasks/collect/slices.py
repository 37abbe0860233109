"""Collection of one slice of a source: ask the world, keep the bytes, write the document rows.

Comes in: a source's entry and a run that holds its lock. Goes out: `Collected`. What was read before is known from the
warehouse alone, so a slice can be asked for again after a crash: what had been committed is not asked for twice.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import Engine

from db import documents, runs
from intel.config.sources import Source, read_network
from intel.errors import CollectError, ConfigError, ReadError
from intel.settings import settings
from tasks.collect import misp, taxii
from tasks.collect.credentials import Credentials
from tasks.collect.fetched import Fetched, expect_media
from tasks.collect.files import list_files, read_file
from tasks.collect.http import HttpLimits, fetch, open_client
from tasks.collect.media import parse_http_date
from tasks.collect.network import NetworkPolicy
from tasks.collect.retry import RetryPolicy
from tasks.collect.taxii_client import TaxiiHttp
from tasks.records import Collected, Run

MAX_SLICE_DOCUMENTS: Final = 200
MAX_SLICE_BYTES: Final = 64 << 20
_USER_AGENT: Final = "Lapsewatch/0.1"


@dataclass(frozen=True, kw_only=True)
class Received:
    """A document that is new, before it is stored."""

    location: str
    body: bytes
    as_of: datetime
    fetched_at: datetime
    media_type: str = ""
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What one look at a source brought."""

    received: tuple[Received, ...] = ()
    as_of: datetime | None = None
    cursor: dict[str, Any] | None = None
    more: bool = False
    problems: tuple[str, ...] = ()


def collect_slice(engine: Engine, source: Source, run: Run) -> Collected:
    """The next slice of `source`, stored. Raises CollectError, ReadError or ConfigError; nothing is committed then."""
    with engine.connect() as connection:
        known = runs.last_documents(connection, run.source_id)
        cursor = runs.read_cursor(connection, f"source:{source.name}") or {}
        used = runs.used(connection, run.run_id)
    found = (
        _taxii(source, cursor, used)
        if source.transport == "taxii"
        else _TRANSPORTS[source.transport](source, known, cursor)
    )
    received = found.received
    if not source.snapshot:
        received = _unknown(engine, run, received)
    moved = found.cursor is not None and found.cursor != cursor
    ids = _store(engine, run, received)
    return Collected(
        source=source.name,
        source_id=run.source_id,
        run_id=run.run_id,
        snapshot=source.snapshot,
        documents=ids,
        as_of=found.as_of,
        cursor=found.cursor if moved else None,
        more=found.more,
        problems=found.problems,
    )


def policy() -> NetworkPolicy:
    """Which addresses may be reached, from configs/network.yaml."""
    pairs = (pair.rpartition(":") for pair in read_network(settings().configs).allow)
    return NetworkPolicy(allow=frozenset((host.strip("[]"), int(port)) for host, _, port in pairs))


@contextmanager
def http_client(source: Source) -> Iterator[tuple[httpx.Client, HttpLimits]]:
    """A client that keeps to the address policy, and the limits of `source`."""
    limits = _http_limits(source)
    with open_client(policy(), user_agent=_USER_AGENT, limits=limits) as client:
        yield client, limits


def _http_limits(source: Source) -> HttpLimits:
    return HttpLimits(
        max_bytes=source.limits.bytes, max_seconds=source.limits.seconds, max_expansion=source.limits.expansion
    )


def patience(source: Source) -> RetryPolicy:
    """How often and how long a source is waited for."""
    return RetryPolicy(retries=source.limits.retries, max_retry_after=source.limits.wait)


def credentials(source: Source) -> Credentials | None:
    """The source's key, from the environment variable that its entry names. Raises ConfigError where it is not set."""
    if not source.secret:
        return None
    secret = os.environ.get(source.secret, "")
    if not secret:
        raise ConfigError(f"couldn't ask {source.name}: set the environment variable {source.secret} to its key")
    if source.options.username:
        return Credentials(kind="basic", user=source.options.username, secret=secret)
    if source.secret_header.lower() == "x-api-key":
        return Credentials(kind="x-api-key", secret=secret)
    return Credentials(kind="bearer", secret=secret)


def as_of(source: Source, location: str, fetched: Fetched) -> datetime:
    """The event time of a document: what its name says (options.as_of), its Last-Modified, or when it came."""
    if source.options.as_of:
        match = re.search(source.options.as_of, location)
        if match is None:
            raise ReadError(f"couldn't date {location}: options.as_of of {source.name} does not match it")
        parts = {name: int(value) for name, value in match.groupdict().items() if value}
        return datetime(
            parts["year"], parts["month"], parts["day"], parts.get("hour", 0), parts.get("minute", 0), tzinfo=UTC
        )
    dated = parse_http_date(fetched.last_modified) if fetched.last_modified else None
    return dated or fetched.fetched_at


def _received(source: Source, location: str, fetched: Fetched) -> Received:
    expect_media(fetched, source.format.value)
    return Received(
        location=location,
        body=fetched.body,
        as_of=as_of(source, location, fetched),
        fetched_at=fetched.fetched_at,
        media_type=fetched.media_type or "",
        etag=fetched.etag or "",
        last_modified=fetched.last_modified or "",
    )


def _http(source: Source, known: dict[str, Any], _cursor: dict[str, Any]) -> Slice:
    last = known.get(source.location)
    key = credentials(source)
    with http_client(source) as (client, limits):
        fetched = fetch(
            client,
            source.location,
            limits=limits,
            etag=last.etag if last else None,
            last_modified=last.last_modified if last else None,
            headers=key.headers() if key else None,
            retry=patience(source),
        )
    if fetched.outcome == "unchanged" or (last and hashlib.sha256(fetched.body).digest() == last.sha256):
        return Slice()
    document = _received(source, source.location, fetched)
    return Slice(received=(document,), as_of=document.as_of)


def folder(source: Source) -> Path:
    """Where a source's files lie; a relative location is below LAPSEWATCH_DATA."""
    path = Path(source.location)
    return path if path.is_absolute() else settings().data / path


def _folder(source: Source, known: dict[str, Any], _cursor: dict[str, Any]) -> Slice:
    root = folder(source)
    paths = [root] if root.is_file() else list_files(root, source.options.pattern)
    base = root.parent if root.is_file() else root
    found: list[Received] = []
    problems: list[str] = []
    changed = False
    for path in paths:
        location = path.relative_to(base).as_posix()
        try:
            fetched = read_file(path, max_bytes=source.limits.bytes, max_expansion=source.limits.expansion, within=base)
            document = _received(source, location, fetched)
        except (ReadError, CollectError) as error:
            problems.append(f"{location}: {error}")
            continue
        last = known.get(location)
        fresh = last is None or last.sha256 != hashlib.sha256(document.body).digest()
        changed = changed or fresh
        # A snapshot in several files speaks only as a whole: one changed file brings all of them.
        if fresh or (source.snapshot and source.options.documents == "together"):
            found.append(document)
    if not changed:
        return Slice(problems=tuple(problems))
    if source.options.documents == "sequence":
        found.sort(key=lambda document: (document.as_of, document.location))
        return Slice(received=(found[0],), as_of=found[0].as_of, more=len(found) > 1, problems=tuple(problems))
    return Slice(received=tuple(found), as_of=max(document.as_of for document in found), problems=tuple(problems))


def _misp(source: Source, _known: dict[str, Any], cursor: dict[str, Any]) -> Slice:
    problems: list[str] = []
    received: list[Received] = []
    seen: dict[str, int] = dict(cursor.get("events", {}))
    more, size = False, 0
    with http_client(source) as (client, limits):
        if source.location.startswith(("http://", "https://")):
            key = credentials(source)
            headers = key.headers() if key else None
            get = misp.from_url(client, source.location, limits=limits, headers=headers, retry=patience(source))
        else:
            get = misp.from_folder(folder(source), max_bytes=source.limits.bytes)
        events = misp.events(get, seen, problem=lambda name, error: problems.append(f"{name}: {error}"))
        for fetched, update in events:
            if len(received) >= MAX_SLICE_DOCUMENTS or size > MAX_SLICE_BYTES:
                more = True
                break
            name = fetched.url.rpartition("/")[2]
            received.append(_received(source, name, fetched))
            size += len(fetched.body)
            seen |= update
    return Slice(
        received=tuple(received),
        cursor={"events": seen} if received else None,
        more=more,
        problems=tuple(problems),
    )


def _taxii(source: Source, cursor: dict[str, Any], used: runs.Used) -> Slice:
    limits = replace(_http_limits(source), max_bytes=min(source.limits.bytes, MAX_SLICE_BYTES))
    http = TaxiiHttp(policy=policy(), user_agent=_USER_AGENT, limits=limits, retry=patience(source))
    wanted = taxii.TaxiiSource(
        api_root=source.options.api_root or source.location,
        collection=source.options.collection,
        credentials=credentials(source),
        max_pages=source.limits.pages,
        max_bytes=source.limits.bytes,
        max_seconds=source.limits.seconds,
        pages_before=used.documents,
        bytes_before=used.bytes,
        seconds_before=used.seconds,
    )
    received: list[Received] = []
    size, more = 0, False
    last: dict[str, Any] | None = None
    for page in taxii.pages(wanted, {name: str(value) for name, value in cursor.items()}, http=http):
        last = page.cursor
        if page.count:
            received.append(
                Received(
                    location=page.url,
                    body=page.body,
                    as_of=page.fetched_at,
                    fetched_at=page.fetched_at,
                    media_type="application/taxii+json",
                )
            )
            size += len(page.body)
        if len(received) >= MAX_SLICE_DOCUMENTS or size > MAX_SLICE_BYTES:
            more = True
            break
    return Slice(received=tuple(received), cursor=last, more=more)


def _unknown(engine: Engine, run: Run, received: tuple[Received, ...]) -> tuple[Received, ...]:
    """Those documents of a stream whose bytes were never loaded: the same bytes say nothing new."""
    digests = [hashlib.sha256(document.body).digest() for document in received]
    with engine.connect() as connection:
        loaded = runs.loaded_digests(connection, run.source_id, digests)
    return tuple(document for document, digest in zip(received, digests, strict=True) if digest not in loaded)


_TRANSPORTS: Final = {"http": _http, "folder": _folder, "misp": _misp}


def _store(engine: Engine, run: Run, received: tuple[Received, ...]) -> tuple[int, ...]:
    """Keep the bytes, then the rows: a row never names bytes that are not there."""
    store = settings().document_store
    digests = [documents.put(store, document.body) for document in received]
    ids = []
    with engine.begin() as connection:
        for document, digest in zip(received, digests, strict=True):
            ids.append(
                runs.new_document(
                    connection,
                    source_id=run.source_id,
                    run_id=run.run_id,
                    location=document.location,
                    sha256=digest,
                    size=len(document.body),
                    media_type=document.media_type[:200],
                    etag=document.etag,
                    last_modified=document.last_modified,
                    as_of=document.as_of,
                    fetched_at=document.fetched_at,
                )
            )
        if received:
            size = sum(len(document.body) for document in received)
            runs.count(connection, run.run_id, documents=len(received), bytes=size)
    return tuple(ids)
