"""Compares a zone with the day before: a sorted snapshot in, what arrived, left and moved out, with row and cursor.

A snapshot (tasks/load/zones_snapshot.py) is held against the last one; the first is a baseline. What differs is loaded
in slices, and with each slice goes how far it came; the row goes with the end of it. Kill it anywhere: the next run
goes on with the same snapshot from the last slice that was committed.

A snapshot that is of another zone, older, of a serial that is not later, or cut, changes nothing; one that lacks more
than its source allows ends nothing. Each is an alarm on the run, and the snapshot before stays the one that is
compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Engine

from db import runs, zones
from intel.config.sources import Source
from intel.errors import ReadError, WarehouseError
from intel.names import canonical_name
from intel.new_domains import Arrival, Channel
from tasks.collect.folder import folder
from tasks.collect.zones import forget_received
from tasks.load.new_domains import Ranker, Work, load_arrivals, open_work
from tasks.load.zones_compare import Difference, differences
from tasks.load.zones_file import LineWriter, read_blocks
from tasks.load.zones_refuse import lack, refusal, same
from tasks.load.zones_snapshot import Snapshot
from tasks.records import Run

SLICE: Final = 20_000
"""Changes that are committed together."""
KEPT: Final = 2
"""Snapshots of a source whose files are kept: the last, and the one before it."""
_CHANGES: Final = "changes"


class Compared(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a snapshot changed. `baseline`: it was the first. `alarm` says what was refused, or is empty.

    `batches` are what the monitors judge; `matched` counts what touches a watch, `wanted` what shall be looked up.
    """

    run_id: int
    source: str
    zone: str = ""
    names: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    new: int = 0
    matched: int = 0
    wanted: int = 0
    baseline: bool = False
    alarm: str = ""
    batches: tuple[int, ...] = ()


def compare(
    engine: Engine, source: Source, run: Run, snapshot: Snapshot, *, ranker: Ranker | None = None, slice_: int = SLICE
) -> Compared:
    """Hold a snapshot against the last one, and load what differs. Raises WarehouseError, UnavailableError."""
    with engine.connect() as connection:
        cursor = runs.read_cursor(connection, f"source:{source.name}") or {}
        before = zones.last_snapshot(connection, run.source_id)
        holder = zones.taken_by(connection, snapshot.zone, snapshot.as_of)
    work = _Comparison(engine, source, run, snapshot=snapshot, cursor=cursor, ranker=ranker, slice_=slice_)
    place = zones.folder_of(source.name)
    if before is not None and same(snapshot, before):
        return work.unchanged()
    if alarm := lack(source, place, snapshot) or refusal(source, snapshot, before, closed=bool(cursor.get("closed"))):
        return work.refuse(alarm)
    if holder is not None:
        return work.refuse(f"the snapshot of {source.name} is one that was given already; it changes nothing")
    if before is None:
        return work.take(baseline=True)
    try:
        comparable = bool(before.path) and work.find(place / before.path)
    except ReadError:
        return work.refuse(
            f"the sorted file of {source.name} is damaged, and not all of it was loaded; the next one is compared"
            " instead"
        )
    if not comparable:
        said = f"the file of the last snapshot of {source.name} is gone or damaged; the one that came now is the first"
        return work.take(baseline=True, problem=said)
    if before.names and work.removed / before.names > source.limits.max_shrink:
        work.load(only_added=True)
        return work.refuse(
            f"the snapshot of {source.name} lacks {work.removed} of {before.names} names that stood, more than its"
            f" entry allows ({source.limits.max_shrink:.0%}); it ends nothing"
        )
    work.load()
    return work.take()


class _Comparison:
    """One snapshot on its way into the warehouse."""

    def __init__(
        self,
        engine: Engine,
        source: Source,
        run: Run,
        *,
        snapshot: Snapshot,
        cursor: dict[str, Any],
        ranker: Ranker | None,
        slice_: int,
    ) -> None:
        self._engine, self._source, self._run = engine, source, run
        self._snapshot, self._cursor = snapshot, {name: cursor[name] for name in cursor if name != "pending"}
        self._ranker, self._slice = ranker, slice_
        self._place = zones.folder_of(source.name)
        self.added = self.removed = self.changed = 0
        self._found = Compared(run_id=run.run_id, source=source.name, zone=snapshot.zone, names=snapshot.names)

    def find(self, before: Path) -> bool:
        """Compare, and keep what differs on the disk: it may be half of the zone. False where `before` is no help."""
        damaged = False

        def last() -> Iterator[list[bytes]]:
            nonlocal damaged
            try:
                yield from read_blocks(before)
            except ReadError:
                damaged = True
                raise

        writer = LineWriter(self._place / _CHANGES)
        try:
            found = differences(last(), read_blocks(self._place / self._snapshot.path))
            while some := list(islice(found, 10_000)):
                self.added += sum(not one.before for one in some)
                self.removed += sum(not one.after for one in some)
                self.changed += sum(bool(one.before and one.after) for one in some)
                writer.write([b"\t".join(one) for one in some])
            writer.finish()
        except BaseException:
            writer.abandon()
            if damaged:
                return False
            raise
        return True

    def load(self, *, only_added: bool = False) -> None:
        """Load what differs, slice by slice, from where an earlier run ended."""
        changes = (Difference(*line.split(b"\t")) for lines in read_blocks(self._place / _CHANGES) for line in lines)
        if only_added:
            changes = (one for one in changes if not one.before)
        done = self._snapshot.done
        rest = islice(changes, done, None)
        work: Work | None = None
        while some := list(islice(rest, self._slice)):
            done += len(some)
            work = work or open_work(self._engine, self._ranker)
            pending = msgspec.to_builtins(msgspec.structs.replace(self._snapshot, done=done))
            arrived = load_arrivals(
                self._engine,
                self._source,
                self._run,
                Channel.ZONE,
                _arrivals(some, self._snapshot.zone, self._snapshot.as_of),
                # What was refused is not gone on with: the same file loads the same again, which writes nothing.
                cursor=None if only_added else {**self._cursor, "pending": pending},
                location=f"zone:{self._snapshot.zone}:{self._snapshot.serial}:{done}",
                work=work,
                last=False,
            )
            self._found = msgspec.structs.replace(
                self._found,
                new=self._found.new + arrived.new,
                matched=self._found.matched + arrived.matched,
                wanted=self._found.wanted + arrived.wanted,
                batches=self._found.batches + arrived.batches,
            )

    def take(self, *, baseline: bool = False, problem: str = "") -> Compared:
        """Make the snapshot the one that the next is compared with."""
        one = self._snapshot
        counts = {} if baseline else {"added": self.added, "removed": self.removed, "changed": self.changed}
        with self._engine.begin() as connection:
            self._still_ours(connection)
            zones.add_snapshot(
                connection,
                source_id=self._run.source_id,
                run_id=self._run.run_id,
                zone=one.zone,
                serial=one.serial,
                as_of=one.as_of,
                path=one.path,
                sha256=bytes.fromhex(one.sha256),
                names=one.names,
                **counts,
            )
            gone = zones.retire(connection, self._run.source_id, kept=KEPT)
            held = zones.held_paths(connection, self._run.source_id)
            runs.count(connection, self._run.run_id, documents=1, bytes=one.size, rejects=one.malformed)
            if one.malformed:
                lines = f"{one.malformed} lines of {one.location} could not be read, the first {one.first_malformed}"
                problem = f"{problem}; {lines}" if problem else lines
            self._seen(connection, problem, closed=one.closed)
        for path in gone:
            (self._place / path).unlink(missing_ok=True)
        self._clear(held)
        return msgspec.structs.replace(self._found, baseline=baseline, alarm=problem if baseline else "", **counts)

    def refuse(self, alarm: str) -> Compared:
        """Say why, and let the snapshot go."""
        with self._engine.begin() as connection:
            self._still_ours(connection)
            self._seen(connection, alarm)
            held = zones.held_paths(connection, self._run.source_id)
        self._clear(held)
        return msgspec.structs.replace(self._found, alarm=alarm)

    def unchanged(self) -> Compared:
        """The last snapshot once more."""
        with self._engine.begin() as connection:
            self._still_ours(connection)
            self._seen(connection, "")
            held = zones.held_paths(connection, self._run.source_id)
        self._clear(held)
        return self._found

    def _seen(self, connection: Connection, problem: str, **more: Any) -> None:
        """Move the cursor: this file was read, whatever came of it."""
        one = self._snapshot
        cursor = self._cursor | {"received": one.received, **more}
        if one.ours:
            cursor |= {"etag": one.etag, "last_modified": one.last_modified}
            if not one.resumed:
                # A server that knows no validators would give the same file again and again.
                cursor["asked"] = self._run.run_id
        else:
            root = folder(self._source)
            root = root.parent if root.is_file() else root
            known = {name: stamp for name, stamp in self._cursor.get("files", {}).items() if (root / name).is_file()}
            cursor["files"] = {**known, one.location: one.stamp}
        runs.write_cursor(connection, f"source:{self._source.name}", cursor, self._run.run_id)
        if problem:
            runs.warn(connection, self._run.run_id, problem)

    def _still_ours(self, connection: Connection) -> None:
        """An advisory lock goes with its connection: where it was lost, another run has closed ours before it began."""
        outcome = runs.lock_run(connection, self._run.run_id)
        if outcome != "running":
            raise WarehouseError(
                f"couldn't load run {self._run.run_id} of {self._source.name}: it is {outcome or 'unknown'}, so another"
                " process has taken over; nothing was written, and that process goes on"
            )

    def _clear(self, held: set[str]) -> None:
        """Remove what is needed no longer, now that the cursor says so; `held` are the files that rows name."""
        (self._place / _CHANGES).unlink(missing_ok=True)
        if self._snapshot.path and self._snapshot.path not in held:
            (self._place / self._snapshot.path).unlink(missing_ok=True)
        if self._snapshot.ours:
            forget_received(self._source.name)


def _arrivals(changes: list[Difference], zone: str, as_of: datetime) -> Iterator[Arrival]:
    for name, before, after in changes:
        try:
            whole = canonical_name(f"{name.decode()}.{zone}")
        except ReadError:
            continue  # a name that the DNS knows and no registry sells
        hosts = tuple(host for one in (after or before).decode().split(" ") if (host := _canonical(one)))
        change: Literal["added", "removed", "name-servers"]
        change = "added" if not before else "removed" if not after else "name-servers"
        yield Arrival(name=whole, seen_at=as_of, change=change, name_servers=hosts)


def _canonical(host: str) -> str:
    try:
        return canonical_name(host)
    except ReadError:
        return ""
