"""Collection of one slice of a source: ask the world, keep the bytes, write the document rows.

Comes in: a source's entry and a run that holds its lock. Goes out: `Collected`. What was read before is known from the
warehouse alone, so a slice can be asked for again after a crash: what had been committed is not asked for twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx
from sqlalchemy import Connection, Engine

from db import documents, runs
from intel.config.sources import Source, read_network
from intel.errors import CollectError, ConfigError, ReadError
from intel.settings import settings
from tasks.collect import days, misp, taxii
from tasks.collect.credentials import Credentials
from tasks.collect.fetched import utc_now
from tasks.collect.folder import folder, take_next, take_together
from tasks.collect.http import HttpLimits, fetch, open_client
from tasks.collect.network import NetworkPolicy
from tasks.collect.received import Received, Slice, receive
from tasks.collect.retry import RetryPolicy
from tasks.collect.taxii_client import TaxiiHttp
from tasks.records import Collected, Run

MAX_SLICE_DOCUMENTS: Final = 200
MAX_SLICE_BYTES: Final = 64 << 20
_USER_AGENT: Final = "Lapsewatch/0.1"


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What the warehouse knows, asked for by the transports that use it."""

    engine: Engine
    name: str
    run: Run

    def known(self, location: str | None = None) -> dict[str, Any]:
        with self.engine.connect() as connection:
            return runs.last_documents(connection, self.run.source_id, location)

    def cursor(self) -> dict[str, Any]:
        with self.engine.connect() as connection:
            return runs.read_cursor(connection, f"source:{self.name}") or {}

    def used(self) -> runs.Used:
        with self.engine.connect() as connection:
            return runs.used(connection, self.run.run_id)

    def is_loaded(self, digest: bytes) -> bool:
        with self.engine.connect() as connection:
            return bool(runs.loaded_digests(connection, self.run.source_id, [digest]))


def collect_slice(engine: Engine, source: Source, run: Run) -> Collected:
    """The next slice of `source`, stored. Raises CollectError, ReadError or ConfigError; nothing is committed then."""
    found = _TRANSPORTS[source.transport](source, _Look(engine=engine, name=source.name, run=run))
    received = found.received
    if not source.snapshot:
        received = _unknown(engine, run, received)
    ids = _store(engine, run, received, found.again)
    return Collected(
        source=source.name,
        source_id=run.source_id,
        run_id=run.run_id,
        snapshot=source.snapshot,
        documents=ids,
        # A snapshot of which nothing new could be had has the time at which that was seen; it ends nothing.
        as_of=found.as_of or (utc_now() if source.snapshot and found.problems else None),
        cursor=found.cursor,
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


def _http(source: Source, look: _Look) -> Slice:
    if days.is_daily(source.location):
        with http_client(source) as (client, limits):
            return days.take_day(
                source, look.cursor(), lambda url: fetch(client, url, limits=limits, retry=patience(source))
            )
    last = look.known(source.location).get(source.location)
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
    document = receive(source, source.location, fetched)
    return Slice(received=(document,), as_of=document.as_of)


def _folder(source: Source, look: _Look) -> Slice:
    if source.snapshot and source.options.documents == "together":
        return take_together(source, look.known())
    return take_next(source, look.known(), look.is_loaded, max_documents=MAX_SLICE_DOCUMENTS, max_bytes=MAX_SLICE_BYTES)


def _misp(source: Source, look: _Look) -> Slice:
    cursor = look.cursor()
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
        with _keeping(received, problems):
            for fetched, update in events:
                if len(received) >= MAX_SLICE_DOCUMENTS or size > MAX_SLICE_BYTES:
                    more = True
                    break
                received.append(receive(source, fetched.url.rpartition("/")[2], fetched))
                size += len(fetched.body)
                seen |= update
    return Slice(
        received=tuple(received),
        cursor={"events": seen} if received else None,
        more=more,
        problems=tuple(problems),
    )


def _taxii(source: Source, look: _Look) -> Slice:
    cursor, used = look.cursor(), look.used()
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
    store = settings().document_store
    received: list[Received] = []
    problems: list[str] = []
    size, more = 0, False
    last: dict[str, Any] | None = None
    with _keeping(received, problems):
        for page in taxii.pages(wanted, {name: str(value) for name, value in cursor.items()}, http=http):
            if page.count:
                received.append(
                    Received(
                        location=page.url,
                        digest=documents.put(store, page.body),
                        size=len(page.body),
                        as_of=page.fetched_at,
                        fetched_at=page.fetched_at,
                        media_type="application/taxii+json",
                    )
                )
                size += len(page.body)
            last = page.cursor
            if len(received) >= MAX_SLICE_DOCUMENTS or size > MAX_SLICE_BYTES:
                more = True
                break
    moved = last if last != cursor else None
    return Slice(received=tuple(received), cursor=moved, more=more, problems=tuple(problems))


@contextmanager
def _keeping(received: list[Received], problems: list[str]) -> Iterator[None]:
    """Where the world fails half-way, what it gave before is kept, and the run says what is missing; the next run goes
    on from there. Where it gave nothing, the error is the run's.
    """
    try:
        yield
    except (CollectError, ReadError) as error:
        if not received:
            raise
        problems.append(str(error))


def _unknown(engine: Engine, run: Run, received: tuple[Received, ...]) -> tuple[Received, ...]:
    """Those documents of a stream whose bytes were never loaded: the same bytes say nothing new."""
    with engine.connect() as connection:
        loaded = runs.loaded_digests(connection, run.source_id, [document.digest for document in received])
    return tuple(document for document in received if document.digest not in loaded)


_TRANSPORTS: Final = {"http": _http, "folder": _folder, "misp": _misp, "taxii": _taxii}


def _store(
    engine: Engine, run: Run, received: tuple[Received, ...], again: tuple[Received, ...] = ()
) -> tuple[int, ...]:
    """Write the rows, whose bytes are in the document store. Returns the ids of what is to be read."""
    with engine.begin() as connection:
        # One that was stored and never loaded (its run was killed, or nobody could read it) is taken up again.
        ids = [
            runs.unloaded_document(connection, run.source_id, document.location, document.digest)
            or _row(connection, run, document)
            for document in received
        ]
        for document in again:
            _row(connection, run, document, loaded=True)
        if received:
            size = sum(document.size for document in received)
            runs.count(connection, run.run_id, documents=len(received), bytes=size)
    return tuple(ids)


def _row(connection: Connection, run: Run, document: Received, **values: Any) -> int:
    return runs.new_document(
        connection,
        source_id=run.source_id,
        run_id=run.run_id,
        location=document.location,
        sha256=document.digest,
        size=document.size,
        media_type=document.media_type[:200],
        etag=document.etag,
        last_modified=document.last_modified,
        as_of=document.as_of,
        fetched_at=document.fetched_at,
        **values,
    )
