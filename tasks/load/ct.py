"""Follows a Certificate Transparency log into the warehouse: read, verify, match, commit, chunk by chunk.

Comes in: a source's entry (transport ct) and a run that holds its lock. Goes out: `Head`, then `Followed`. A stream is
neither documents nor facts: what touches a watch is. Nothing is judged before the log's signed head confirms it.

What does not add up is asked for once more, then the log is stopped: the heads are kept, the position stays, the run
fails, and no run reads on until a person has called `resume`. What could not be had (no connection, told to wait, a
web page) fails the run and stops nothing: the next one goes on from the position.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Engine

from db import runs
from intel.config.sources import Source
from intel.ct import SignedTreeHead, read_digitally_signed
from intel.errors import CollectError, VerificationError
from intel.merkle import verify_consistency
from tasks.collect.ct_log import PATIENCE, LogReader, open_log
from tasks.collect.retry import RetryPolicy
from tasks.load.ct_chunk import CHUNK, check_head
from tasks.load.ct_position import (
    Position,
    Progress,
    halt,
    note,
    read_position,
    read_progress,
    refuse_halted,
    resume,
)
from tasks.load.ct_slice import Slice, twice
from tasks.normalize.ct import verify_leaves
from tasks.records import Run

__all__ = ["PATIENCE", "Followed", "Head", "follow", "head", "resume"]

FEW: Final = 20_000
"""Entries that are read in this process: starting others for them would take longer."""


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


def head(engine: Engine, source: Source, run: Run, *, patience: RetryPolicy = PATIENCE) -> Head:
    """The head that the log shows now.

    Raises VerificationError (the log is stopped then, or was), the collect tree's errors, ReadError for what is no
    head, and ConfigError for an entry without the log's key.
    """
    with engine.connect() as connection:
        refuse_halted(connection, source.name)
        position = read_position(connection, source.name)
        progress = read_progress(connection, source.name)
    before = position.head if position is not None else None
    shown: list[SignedTreeHead] = []

    with _asked(engine, source, run, progress, patience) as log:

        def look() -> SignedTreeHead:
            shown.append(log.head())
            found = check_head(shown[-1], before)
            if found is not shown[-1]:
                _continued(log, shown[-1], found)
            elif position is not None:
                _continues(log, position, found)
            return found

        try:
            found = twice(engine, run, look)
        except VerificationError as error:
            raise _stopped(engine, source, run, error, [*([before] if before else []), *shown]) from error
    with engine.begin() as connection:
        note(
            connection,
            source.name,
            run.run_id,
            head_size=found.tree_size,
            head_at=found.timestamp,
            asked_at=datetime.now(UTC),
        )
        if found is not shown[-1]:
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


def _continues(log: LogReader, position: Position, found: SignedTreeHead) -> None:
    """A head that was not reached yet is compared with the next one: no frontier will ever meet it."""
    before = position.head
    if position.frontier.size < before.tree_size < found.tree_size:
        proof = log.consistency(before.tree_size, found)
        verify_consistency(before.tree_size, found.tree_size, before.root_hash, found.root_hash, proof)


def _continued(log: LogReader, older: SignedTreeHead, known: SignedTreeHead) -> None:
    """A head that is older than the known one is of the same tree, or the log shows two."""
    try:
        proof = log.consistency(older.tree_size, known)
    except CollectError:
        return  # it comes from a server that does not know the newer tree yet
    verify_consistency(older.tree_size, known.tree_size, older.root_hash, known.root_hash, proof)


def follow(
    engine: Engine,
    source: Source,
    run: Run,
    head: Head,
    *,
    max_seconds: float = 600.0,
    max_entries: int | None = None,
    chunk_entries: int = CHUNK,
    few: int = FEW,
    patience: RetryPolicy = PATIENCE,
) -> Followed:
    """Read from the position to `head`, for `max_seconds` and `max_entries` at most, and commit chunk by chunk.

    So `few` entries are read in this process, more of them in processes of their own. Errors as for `head`; what was
    committed before one stays.
    """
    signed, until = head.signed, time.monotonic() + max_seconds
    with engine.connect() as connection:
        refuse_halted(connection, source.name)
        position = read_position(connection, source.name)
        progress = read_progress(connection, source.name)
    with _asked(engine, source, run, progress, patience) as log:
        slice_ = Slice(
            engine=engine,
            source=source,
            run=run,
            log=log,
            signed=signed,
            chunk_entries=chunk_entries,
            few=few,
            step=progress.chunk,
        )
        try:
            if position is None:
                position = slice_.begin()
            if position.frontier.size >= signed.tree_size:
                verify_leaves(position.frontier, (), signed, slice_.key)
            stop = signed.tree_size
            if max_entries is not None:
                stop = min(stop, position.frontier.size + max_entries)
            position = slice_.read(position, stop, until)
        except VerificationError as error:
            known = slice_.position or position
            raise _stopped(engine, source, run, error, [*([known.head] if known else []), signed]) from error
    if slice_.entries:
        with engine.begin() as connection:
            if progress.chunk:  # the log gave all that there was time for
                note(connection, source.name, run.run_id, chunk=0)
            runs.finish(connection, run.run_id, outcome="ok")
    return Followed(
        source=source.name,
        source_id=run.source_id,
        run_id=run.run_id,
        position=position.frontier.size,
        tree_size=signed.tree_size,
        entries=slice_.entries,
        hits=slice_.hits,
        batches=tuple(slice_.batches),
    )


@contextmanager
def _asked(engine: Engine, source: Source, run: Run, progress: Progress, patience: RetryPolicy) -> Iterator[LogReader]:
    """The log, asked at the pace of before; what it thinks of that is kept, however the block ends."""
    with open_log(source, patience=patience, pace=progress.pace) as log:
        try:
            yield log
        finally:
            state = log.pace.state()
            if state != progress.pace:
                with engine.begin() as connection:
                    note(connection, source.name, run.run_id, pace=state)


def _stopped(
    engine: Engine, source: Source, run: Run, error: VerificationError, heads: list[SignedTreeHead]
) -> VerificationError:
    halt(engine, source, run, error, heads)
    return VerificationError(
        f"couldn't believe {source.name}: {error}; the heads are kept, and nothing is read of it until a person lets it"
        " go on"
    )
