"""One slice of following a log: from its position towards a signed head, chunk by chunk.

Where to begin with a log that was never read, how many processes read for us, what is asked for once more, and what is
known of the log beside its position.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Engine

from db import runs
from intel.config.ct import read_ct
from intel.config.sources import Source
from intel.ct import SignedTreeHead
from intel.ct_answer import read_answer
from intel.errors import CollectError, LapsewatchError, ReadError, StatusError, VerificationError
from intel.match.entries import MAX_TIMESTAMP
from intel.settings import settings
from tasks.collect.ct_log import LogReader, log_key, start_index
from tasks.load.ct_archive import Segments
from tasks.load.ct_chunk import Chunk, Way
from tasks.load.ct_hits import Kept, commit, gather
from tasks.load.ct_position import Position, note, refuse_taken_over
from tasks.load.ct_readers import Readers
from tasks.load.ct_watching import Watched
from tasks.records import Run

T = TypeVar("T")


@dataclass(kw_only=True)
class Slice:
    """One slice of following: what it reads, and what it has read so far.

    Of a log that stopped giving too soon the last time, `step` entries are asked for and confirmed before the next ones
    (`Progress.chunk`); 0 for one that did not.
    """

    engine: Engine
    source: Source
    run: Run
    log: LogReader
    signed: SignedTreeHead
    chunk_entries: int
    few: int
    step: int = 0
    position: Position | None = None
    entries: int = 0
    hits: int = 0
    batches: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = log_key(self.source)
        self._config = read_ct(settings().configs)
        self._segments = Segments(self._config.archive)
        self._watched = Watched(self.engine)
        self._learned: set[bytes] = set()
        self._began = time.monotonic()
        self._way: Way | None = None
        self._until = float("inf")
        self._no_issuers: set[bytes] = set()
        self._gives_issuers = True

    def begin(self) -> Position:
        """Where to begin with a log that was never read; that is committed before anything is read."""
        size = start_index(self.log, self.source, self.signed)
        frontier = twice(self.engine, self.run, lambda: self.log.frontier(size, self.signed))
        self.position = Position(frontier=frontier, head=self.signed)
        with self.engine.begin() as connection:
            refuse_taken_over(connection, self.source.name, self.run.run_id)
            runs.write_cursor(connection, f"source:{self.source.name}", self.position.cursor(), self.run.run_id)
            note(connection, self.source.name, self.run.run_id, **self._known(frontier.size, 0))
        return self.position

    def read(self, position: Position, stop: int, until: float) -> Position:
        """Read and commit up to `stop`. A log that lies and a transfer that went wrong look alike once: what does not
        add up is asked for once more. Raises VerificationError where it does not add up then.
        """
        self.position, self._until = position, until
        count = 0 if stop - position.frontier.size <= self.few else self._config.readers
        doubt: VerificationError | None = None
        while self.position.frontier.size < stop and (not self.entries or time.monotonic() < until):
            try:
                with Readers(count) as readers:
                    for _ in self._chunks(readers, stop, until):
                        if doubt is not None:
                            self._warn(f"{doubt}; asked for once more, it added up")
                            doubt = None
                break
            except CollectError:
                self._take_less()
                raise
            except VerificationError as error:
                if doubt is not None:
                    raise
                doubt = error
        if doubt is not None:
            self._warn(f"{doubt}; there was no time to ask once more")
        return self.position

    def _chunks(self, readers: Readers, stop: int, until: float) -> Iterator[None]:
        """Commit chunk by chunk; each time that one is, go on."""
        assert self.position is not None
        self._watched.give(readers, archive=self._segments.enabled)
        self._way = Way(log=self.log, readers=readers, head=self.signed, key=self.key)
        for end in (*range(self.position.frontier.size + self.step, stop, self.step), stop) if self.step else (stop,):
            if self.entries and time.monotonic() >= until:
                return
            for chunk in self._way.chunks(self.position.frontier, stop=end, most=self.chunk_entries, until=until):
                self._commit(chunk)
                yield
                if chunk.cut is not None:
                    raise chunk.cut
                self._watched.give(readers, archive=self._segments.enabled)

    def _take_less(self) -> None:
        """Where the log stopped giving before what it had given could be confirmed, the next run has it confirmed
        sooner: else a log that gives little between long rests would never be got any further.
        """
        assert self.position is not None
        lost = self._way.downloaded - self.position.frontier.size if self._way is not None else 0
        if lost > 0 and not self.entries:
            with self.engine.begin() as connection:
                note(connection, self.source.name, self.run.run_id, chunk=max(1, lost // 2))

    def _warn(self, said: str) -> None:
        with self.engine.begin() as connection:
            runs.warn(connection, self.run.run_id, said)

    def _commit(self, chunk: Chunk) -> None:
        kept = gather(chunk.reads, self._learned)
        kept = msgspec.structs.replace(kept, issuers=tuple(self._issuers(kept)))
        self.entries += chunk.entries
        self.position, batch = commit(
            self.engine,
            self.source,
            self.run,
            chunk=chunk,
            kept=kept,
            head=self.signed,
            known=self._known(chunk.frontier.size, _logged_at(chunk)),
            segments=self._segments,
        )
        misplaced = [index for one in chunk.reads for index in one.judged.misplaced]
        if misplaced:
            self._warn(f"{len(misplaced)} entries from {misplaced[0]} on say that they stand elsewhere in the log")
        self.hits += kept.hits
        self.batches += [batch] if batch is not None else []

    def _issuers(self, kept: Kept) -> Iterator[bytes]:
        """The certificates that signed what is kept, as far as a tiled log gives them; the tree does not cover them."""
        wanted = {logged.issuers[0] for logged in kept.entries if logged.issuers}
        for fingerprint in sorted(wanted - self._no_issuers):
            # The entries wait for them: a log that is slow to give what is beside its tree must not hold those up.
            if not self._gives_issuers or time.monotonic() >= self._until:
                return
            try:
                yield self.log.issuer(fingerprint)
            except (CollectError, ReadError) as error:
                self._no_issuers.add(fingerprint)
                self._gives_issuers = isinstance(error, ReadError) or _is_missing(error)
                self._warn(f"couldn't have the issuer {fingerprint.hex()}: {error}; what is kept counts without it")

    def _known(self, reached: int, logged_at: int) -> dict[str, Any]:
        took = time.monotonic() - self._began
        known: dict[str, Any] = {
            "downloaded": max(reached, self._way.downloaded if self._way is not None else 0),
            "rate": round(self.entries / took, 1) if took > 0 else 0.0,
        }
        # Of a chunk that nobody can read, the time of the one before stands.
        return {**known, "logged_at": logged_at} if logged_at else known


def _is_missing(error: LapsewatchError) -> bool:
    return isinstance(error, StatusError) and error.status < 500


def twice(engine: Engine, run: Run, call: Callable[[], T]) -> T:
    """What does not add up is asked for once more."""
    try:
        return call()
    except VerificationError as error:
        result = call()
        with engine.begin() as connection:
            runs.warn(connection, run.run_id, f"{error}; asked for once more, it added up")
        return result


def _logged_at(chunk: Chunk) -> int:
    for one in reversed(chunk.reads):
        for logged in reversed(read_answer(one.answer)):
            if logged.entry is not None and logged.entry.timestamp <= MAX_TIMESTAMP:
                return logged.entry.timestamp
    return 0
