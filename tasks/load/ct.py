"""Follows a Certificate Transparency log into the warehouse: read, verify, match, commit, chunk by chunk (RFC 6962).

Comes in: a source's entry (transport ct) and a run that holds its lock. Goes out: `Head`, then `Followed`. A stream is
neither documents nor facts: what touches a watch is. Nothing is judged before the log's signed head confirms it.

What does not add up is asked for once more, then the log is stopped: the heads are kept, the position stays, the run
fails, and no run reads on until a person has called `resume`. What could not be had (no connection, told to wait, a
web page) fails the run and stops nothing: the next one goes on from the position.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy import Engine

from db import runs
from db.watched import load_watch_set
from intel.config.sources import Source
from intel.ct import SignedTreeHead, read_digitally_signed
from intel.errors import ConfigError, VerificationError
from intel.match.certificates import WatchSet
from intel.merkle import Frontier
from tasks.collect.retry import RetryPolicy
from tasks.collect.slices import http_client
from tasks.load.ct_chunk import CHUNK, PATIENCE, Log, attach, check_head, current_head, next_chunk
from tasks.load.ct_hits import commit, judge
from tasks.load.ct_position import Position, halt, read_position, refuse_halted, resume
from tasks.normalize.ct import verify_slice
from tasks.records import Run

__all__ = ["Followed", "Head", "follow", "head", "resume"]

T = TypeVar("T")

WATCHES_SECONDS: Final = 60.0
"""A slice that takes longer than this takes the watches of now."""


class Head(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a log shows, its signature checked. `timestamp` is event time, in milliseconds since 1970 UTC.

    `position` is the next entry to read, None where the log was never read. `root` and `signature` are hexadecimal.
    """

    source: str
    source_id: int
    run_id: int
    tree_size: int
    timestamp: int
    root: str
    signature: str
    position: int | None

    @property
    def signed(self) -> SignedTreeHead:
        """The signed tree head."""
        return SignedTreeHead(
            tree_size=self.tree_size,
            timestamp=self.timestamp,
            root_hash=bytes.fromhex(self.root),
            signature=read_digitally_signed(bytes.fromhex(self.signature)),
        )


class Followed(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What following came to. `position` is the next entry to read; `entries` were read, `hits` of them kept.

    `batches` are what the monitors judge.
    """

    source: str
    source_id: int
    run_id: int
    position: int
    tree_size: int
    entries: int = 0
    hits: int = 0
    batches: tuple[int, ...] = ()

    @property
    def more(self) -> bool:
        """Whether the log has entries that were not read yet."""
        return self.position < self.tree_size


def head(engine: Engine, source: Source, run: Run, *, retry: RetryPolicy = PATIENCE) -> Head:
    """The head that the log shows now.

    Raises VerificationError (the log is stopped then, or was), the collect tree's errors, ReadError for what is no
    head, and ConfigError for an entry without the log's key.
    """
    key = log_key(source)
    with engine.connect() as connection:
        refuse_halted(connection, source.name)
        position = read_position(connection, source.name)
    before = position.head if position is not None else None
    shown: list[SignedTreeHead] = []

    def look() -> SignedTreeHead:
        shown.append(current_head(log))
        return check_head(shown[-1], key, before)

    with http_client(source) as (client, _):
        log = Log(client=client, url=source.location, key=key, retry=retry)
        try:
            found = _twice(engine, run, look)
        except VerificationError as error:
            raise _stopped(engine, source, run, error, [*([before] if before else []), *shown]) from error
    if found is not shown[-1]:
        with engine.begin() as connection:
            runs.warn(connection, run.run_id, f"{source.name} showed a head older than the one known; that one is kept")
    return Head(
        source=source.name,
        source_id=run.source_id,
        run_id=run.run_id,
        tree_size=found.tree_size,
        timestamp=found.timestamp,
        root=found.root_hash.hex(),
        signature=found.signature.to_bytes().hex(),
        position=position.frontier.size if position is not None else None,
    )


def follow(
    engine: Engine,
    source: Source,
    run: Run,
    head: Head,
    *,
    max_seconds: float = 600.0,
    max_entries: int | None = None,
    chunk_entries: int = CHUNK,
    retry: RetryPolicy = PATIENCE,
) -> Followed:
    """Read from the position to `head`, for `max_seconds` and `max_entries` at most, and commit chunk by chunk.

    A chunk ends at a multiple of `chunk_entries`. Errors as for `head`; what was committed before one stays.
    """
    signed, key = head.signed, log_key(source)
    until = time.monotonic() + max_seconds
    batches: list[int] = []
    entries = hits = 0
    with engine.connect() as connection:
        refuse_halted(connection, source.name)
        position = read_position(connection, source.name)
    with http_client(source) as (client, _):
        log = Log(client=client, url=source.location, key=key, retry=retry)
        try:
            if position is None:
                position = _begin(engine, source, run, log, signed)
            if position.frontier.size >= signed.tree_size:
                verify_slice(position.frontier, (), signed, key)
            watch = _Watched(engine)
            learned: set[bytes] = set()
            while position.frontier.size < signed.tree_size and time.monotonic() < until:
                most = chunk_entries if max_entries is None else min(chunk_entries, max_entries - entries)
                if most <= 0:
                    break
                at = position.frontier
                ask = partial(next_chunk, log, at, signed, most=most, until=until)
                chunk = _twice(engine, run, ask)
                judged = judge(chunk.entries, watch.now(), learned)
                position, batch = commit(engine, source, run, first=at.size, chunk=chunk, judged=judged, head=signed)
                entries, hits = entries + len(chunk.entries), hits + judged.hits
                batches += [batch] if batch is not None else []
                if chunk.cut is not None:
                    raise chunk.cut
        except VerificationError as error:
            heads = [signed] if position is None else [position.head, signed]
            raise _stopped(engine, source, run, error, heads) from error
    if entries:
        with engine.begin() as connection:
            runs.finish(connection, run.run_id, outcome="ok")
    return Followed(
        source=source.name,
        source_id=run.source_id,
        run_id=run.run_id,
        position=position.frontier.size,
        tree_size=signed.tree_size,
        entries=entries,
        hits=hits,
        batches=tuple(batches),
    )


def log_key(source: Source) -> bytes:
    """The log's key, SPKI in DER. Raises ConfigError where the entry has none that can be read."""
    try:
        key = base64.b64decode(source.options.log_key, validate=True)
        load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm) as error:  # binascii.Error is a ValueError
        raise ConfigError(
            f"couldn't follow {source.name}: options.log_key is not a public key (DER, base64); nothing is read of it"
        ) from error
    return key


def _twice(engine: Engine, run: Run, call: Callable[[], T]) -> T:
    """A log that lies and a transfer that went wrong look alike once: what does not add up is asked for once more."""
    try:
        return call()
    except VerificationError as error:
        result = call()
        with engine.begin() as connection:
            runs.warn(connection, run.run_id, f"{error}; asked for once more, it added up")
        return result


class _Watched:
    """The watch set, loaded again after a while: one assignment puts the new one in the place of the old."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loaded = float("-inf")
        self._set = WatchSet()

    def now(self) -> WatchSet:
        if time.monotonic() - self._loaded > WATCHES_SECONDS:
            with self._engine.connect() as connection:
                self._set = load_watch_set(connection)
            self._loaded = time.monotonic()
        return self._set


def _begin(engine: Engine, source: Source, run: Run, log: Log, signed: SignedTreeHead) -> Position:
    """Where to begin with a log that was never read; at its head, that is committed before anything is read."""
    if source.options.follow == "start":
        return Position(frontier=Frontier(), head=signed)
    position = Position(frontier=_twice(engine, run, lambda: attach(log, signed)), head=signed)
    with engine.begin() as connection:
        runs.write_cursor(connection, f"source:{source.name}", position.cursor(), run.run_id)
    return position


def _stopped(
    engine: Engine, source: Source, run: Run, error: VerificationError, heads: list[SignedTreeHead]
) -> VerificationError:
    halt(engine, source, run, error, heads)
    return VerificationError(
        f"couldn't believe {source.name}: {error}; the heads are kept, and nothing is read of it until a person lets it"
        " go on"
    )
