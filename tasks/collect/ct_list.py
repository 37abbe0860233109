"""Gets the list of logs and makes table `ct_log` say what it says.

In: configs/ct.yaml `log_list` (a URL, or a file below the configuration's folder) and its detached signature, which
stands beside it: `log_list.sig` for `log_list.json`. Out: rows, a document, a run of source `ct-log-list`. A list that
cannot be had or believed changes nothing: the logs known before stay.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine

from db import ct_logs, documents, runs
from db.ct_logs import LIST_SOURCE, Synced
from intel.config.ct import CtConfig, read_ct
from intel.config.sources import Format, Licence, Source, read_sources
from intel.ct_log_list import MAX_BYTES, list_key, read_log_list, verify_log_list
from intel.errors import BusyError, ConfigError, LapsewatchError, OversizedError, VerificationError
from intel.settings import settings
from tasks.collect.ct_choice import chosen_sources, hybrid_patterns, is_remote, list_problem
from tasks.collect.ct_log import user_agent
from tasks.collect.fetched import Fetched, expect_media, utc_now
from tasks.collect.http import HttpLimits, fetch, open_client
from tasks.collect.session import open_run
from tasks.collect.slices import policy
from tasks.records import Run

__all__ = ["Refreshed", "chosen_names", "chosen_sources", "is_remote", "list_problem", "refresh"]

log = logging.getLogger(__name__)

EVERY: Final = timedelta(hours=24)
"""Google publishes it daily."""
STALE: Final = timedelta(days=14)
"""A list made longer ago no longer says what Chrome relies on (a build of Chrome enforces CT for ten weeks)."""
_RETRY: Final = timedelta(hours=1)
_LIMITS: Final = HttpLimits(max_bytes=MAX_BYTES, max_seconds=120.0)
_SIGNATURE: Final = HttpLimits(max_bytes=4096, max_seconds=60.0)


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: `synced` is None where the list is the one that was known."""

    made_at: datetime | None
    synced: Synced | None
    rejects: tuple[str, ...] = ()


class _Got(msgspec.Struct, frozen=True, kw_only=True):
    body: bytes
    location: str
    fetched_at: datetime
    media_type: str = "application/json"
    etag: str = ""
    last_modified: str = ""


def chosen_names(engine: Engine) -> list[str]:
    """The names of the logs to follow now; the list of logs is fetched first where that is due.

    A list that cannot be had or believed stops no log: its run says what was wrong.
    """
    config = read_ct(settings().configs)
    if list_problem(config) == "" and config.follow and _is_due(engine):
        try:
            refresh(engine)
        except BusyError:
            pass  # another run is at it; ours goes by the list of before
        except LapsewatchError as error:
            log.warning("%s", error)
    with engine.connect() as connection:
        return [source.name for source in chosen_sources(connection)]


def _is_due(engine: Engine) -> bool:
    """Whether the last good look is a day old, and the last look at all an hour."""
    with engine.connect() as connection:
        good, last = ct_logs.last_looks(connection)
    now = utc_now()
    return (good is None or now - good >= EVERY) and (last is None or now - last >= _RETRY)


def refresh(engine: Engine) -> Refreshed:
    """Read the list now. Raises ConfigError, the collect tree's errors, ReadError, VerificationError for a signature
    that is not the configured key's, and BusyError where another process is at it.
    """
    config = read_ct(settings().configs)
    if problem := list_problem(config):
        raise ConfigError(f"couldn't read the list of logs: {problem}")
    source = _source(config)
    with open_run(engine, source) as run:
        with engine.connect() as connection:
            last = runs.last_documents(connection, run.source_id).get(source.location)
        got = _fetched(config, last) if is_remote(source.location) else _read(config)
        if got is None or (last is not None and hashlib.sha256(got.body).digest() == last.sha256):
            return Refreshed(made_at=_made_at(engine), synced=None)
        listed = read_log_list(got.body)
        digest = documents.put(settings().document_store, got.body)
        with engine.begin() as connection:
            synced = ct_logs.sync_logs(
                connection,
                listed,
                hybrid=hybrid_patterns(config),
                taken=read_sources(settings().configs),
                run_id=run.run_id,
                # Whoever puts a file there without a key says which list is right.
                may_be_older=not config.log_list.key,
            )
            _note(connection, run, got, digest, as_of=min(listed.made_at, got.fetched_at))
            for reject in listed.rejects[:20]:
                runs.warn(connection, run.run_id, f"an entry of the list is left out: {reject}")
            runs.finish(connection, run.run_id, outcome="ok")
    return Refreshed(made_at=listed.made_at, synced=synced, rejects=listed.rejects)


def _note(connection: Connection, run: Run, got: _Got, digest: bytes, *, as_of: datetime) -> None:
    runs.new_document(
        connection,
        source_id=run.source_id,
        run_id=run.run_id,
        location=got.location,
        sha256=digest,
        size=len(got.body),
        media_type=got.media_type[:200],
        etag=got.etag,
        last_modified=got.last_modified,
        as_of=as_of,
        fetched_at=got.fetched_at,
        loaded=True,
    )
    runs.count(connection, run.run_id, documents=1, bytes=len(got.body))


def _made_at(engine: Engine) -> datetime | None:
    with engine.connect() as connection:
        made_at = ct_logs.list_cursor(connection).get("made_at")
    return None if made_at is None else datetime.fromisoformat(made_at)


def _source(config: CtConfig) -> Source:
    location = config.log_list.location
    if not is_remote(location):
        location = str(settings().configs / location)
    return Source(
        name=LIST_SOURCE,
        title="List of Certificate Transparency logs",
        transport="http",
        format=Format.JSON,
        location=location,
        semantics="stream",
        cadence="daily",
        reliability="A",
        tlp="TLP:CLEAR",
        licence=Licence(name="no facts are taken from it", commercial_use=True, redistribution=False),
        enabled=True,
    )


def _fetched(config: CtConfig, last: Any) -> _Got | None:
    """The list over the network, its signature checked; None where it is the one that was known."""
    location = config.log_list.location
    key = list_key(config.log_list.key)
    with open_client(policy(), user_agent=user_agent(), limits=_LIMITS) as client:

        def look(etag: str | None, modified: str | None) -> Fetched:
            return fetch(client, location, limits=_LIMITS, etag=etag, last_modified=modified)

        fetched = look(last.etag if last else None, last.last_modified if last else None)
        if fetched.outcome == "unchanged":
            return None
        expect_media(fetched, "json")
        try:
            verify_log_list(fetched.body, _signature(client, location), key)
        except VerificationError:
            # The two files are published one after the other, and we may have come between.
            fetched = look(None, None)
            verify_log_list(fetched.body, _signature(client, location), key)
    return _Got(
        body=fetched.body,
        location=location,
        fetched_at=fetched.fetched_at,
        media_type=fetched.media_type or "",
        etag=fetched.etag or "",
        last_modified=fetched.last_modified or "",
    )


def _signature(client: Any, location: str) -> bytes:
    return fetch(client, signature_place(location), limits=_SIGNATURE).body


def signature_place(location: str) -> str:
    """Where a list's signature stands: beside it, with `.sig` in the place of `.json`."""
    return f"{location.removesuffix('.json')}.sig"


def _read(config: CtConfig) -> _Got:
    """The list from a file; its signature is checked where there is a key to check it with."""
    path = settings().configs / config.log_list.location
    body = _file(path)
    if config.log_list.key:
        signature = _file(Path(signature_place(str(path))))
        verify_log_list(body, signature, list_key(config.log_list.key))
    return _Got(body=body, location=str(path), fetched_at=utc_now())


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"couldn't read {path}: {error.strerror}; log_list of ct.yaml names it") from error
    if len(body) > MAX_BYTES:
        raise OversizedError(f"couldn't read {path}: more than {MAX_BYTES} octets; the list known before stays")
    return body
