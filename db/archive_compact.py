"""Compaction: small segments of a log in, one large segment with an index of names out.

Comes in: what stands in the manifest. Goes out: the same entries in fewer files. Both files are whole on the disk
before one transaction takes the old rows out and puts the new one in: a process that is killed anywhere leaves either,
and files without a row, which upkeep removes. The old files stay for an hour, for readers that have opened them.

A segment is merged with its neighbours until it has `TARGET` entries. What is smaller than all that follows it is
merged with it, so that an entry is written again about as often as a segment can double, not each time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from db import runs
from db.archive import ROW_GROUP, Segment, add_segment, clock, options, schema, segment_path
from db.archive_duckdb import connect, readable
from db.archive_manifest import Held, held, retire
from db.archive_names import write_names
from db.archive_store import Store, need, open_store
from intel.config.ct import Archive
from intel.errors import ReadError

TARGET: Final = 2_000_000
MANY: Final = 128
"""So many small segments are merged however few entries they hold."""
SOME: Final = 8
"""So many are merged once the oldest has waited for `PATIENCE`: what is not compacted is searched entry by entry."""
PATIENCE: Final = timedelta(hours=1)
_MEMORY: Final = "512MB"


class Compacted(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a compaction came to. `problems` are segments that could not be read; they stay as they are."""

    merged: int = 0
    made: int = 0
    entries: int = 0
    problems: tuple[str, ...] = ()


def compact(
    engine: Engine, archive: Archive, home: Path, *, max_seconds: float = 1_500.0, target: int = TARGET
) -> Compacted:
    """Merge what is due, for `max_seconds`; what is left over is due the next time.

    Raises BusyError where another process compacts, UnavailableError where a file cannot be written.
    """
    until = time.monotonic() + max_seconds
    merged = made = entries = 0
    problems: list[str] = []
    with runs.exclusive(engine, "archive:compact"):
        store = open_store(archive, home)
        with engine.connect() as connection:
            groups = list(due(held(connection), clock(connection) - PATIENCE, target=target))
        for group in groups:
            if time.monotonic() >= until:
                break
            try:
                done = _merge(engine, store, group)
            except ReadError as error:
                problems.append(str(error))
                continue
            if done:
                merged, made, entries = merged + len(group), made + 1, entries + sum(one.entries for one in group)
    return Compacted(merged=merged, made=made, entries=entries, problems=tuple(problems))


def due(segments: Sequence[Held], waited_since: datetime, *, target: int = TARGET) -> Iterator[list[Held]]:
    """The groups of neighbours that are merged, each in the order of the log."""
    for _, of_log in groupby(segments, key=lambda one: one.source_id):
        for group, closed in _neighbours(list(of_log), target):
            ready = group if closed else _worth(group)
            small = [one for one in ready if one.level == 0]
            many = len(ready) >= MANY or (len(ready) >= SOME and any(one.created_at < waited_since for one in small))
            if (closed and (len(group) > 1 or small)) or many:
                yield ready


def _neighbours(segments: list[Held], target: int) -> Iterator[tuple[list[Held], bool]]:
    """Neighbours that fit into one segment, and whether they can never grow. A large segment is none."""
    group: list[Held] = []
    for one in segments:
        if group and (one.first != group[-1].next or sum(held.entries for held in group) + one.entries > target):
            yield group, True
            group = []
        if one.level > 0 and one.entries > target // 2:
            if group:
                yield group, True
                group = []
            continue
        group.append(one)
    if group:
        yield group, sum(held.entries for held in group) >= target


def _worth(group: list[Held]) -> list[Held]:
    """The end of a group that is not smaller than its first: to write the first again for less would be a waste."""
    rest = sum(one.entries for one in group)
    for number, one in enumerate(group):
        rest -= one.entries
        if one.entries <= rest:
            return group[number:]
    return []


def _merge(engine: Engine, store: Store, group: list[Held]) -> bool:
    """Write the segment that takes the place of `group`; False where another process was first with one of them."""
    first, next_ = group[0].first, group[-1].next
    path = segment_path(group[0].log, group[0].time_min, first, next_)
    names_path = f"{path.removesuffix('.parquet')}.names.parquet"
    with ExitStack() as files:
        names = files.enter_context(store.create(names_path))
        entries = files.enter_context(store.create(path))
        rows = _write_entries(store, group, entries)
        with connect(memory=_MEMORY) as duckdb, readable(group):
            write_names(duckdb, str(entries), str(names))
        size = entries.stat().st_size + names.stat().st_size
    segment = Segment(
        location=store.root,
        source=group[0].log,
        first=first,
        next=next_,
        rows=rows,
        time_min=min(one.time_min for one in group),
        time_max=max(one.time_max for one in group),
        path=path,
        bytes=size,
        names_path=names_path,
        level=1,
    )
    with engine.connect() as connection:
        judged = retire(connection, [one.id for one in group])
        if len(judged) == len(group):
            # Whoever hunted through one of them meanwhile has moved its time; the oldest holds for all of them.
            add_segment(connection, segment, source_id=group[0].source_id, run_id=None, judged_at=min(judged))
            connection.commit()
            return True
    store.remove(path)
    store.remove(names_path)
    return False


def _write_entries(store: Store, group: list[Held], path: Path) -> int:
    """Copy the entries of `group`, in their order, into row groups of one size. Returns how many."""
    pa, parquet = need("pyarrow"), need("pyarrow.parquet")
    rows = 0
    with parquet.ParquetWriter(str(path), schema(), **options()) as writer:
        pending: list[Any] = []
        for one in group:
            for batch in _batches(store, one):
                pending.append(batch)
                waiting = sum(each.num_rows for each in pending)
                if waiting >= ROW_GROUP:
                    table = pa.Table.from_batches(pending).combine_chunks()
                    whole = waiting - waiting % ROW_GROUP
                    writer.write_table(table.slice(0, whole), row_group_size=ROW_GROUP)
                    rows += whole
                    pending = table.slice(whole).to_batches()
        if pending:
            table = pa.Table.from_batches(pending)
            writer.write_table(table, row_group_size=ROW_GROUP)
            rows += table.num_rows
    return rows


def _batches(store: Store, one: Held) -> Iterator[Any]:
    """The rows of a segment. Raises ReadError where its file is not what was written."""
    parquet = need("pyarrow.parquet")
    with (
        readable([one]),
        store.open(one.path) as raw,
        parquet.ParquetFile(raw, page_checksum_verification=True) as file,
    ):
        for batch in file.iter_batches(ROW_GROUP):
            yield batch.cast(schema())
