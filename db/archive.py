"""The archive's writer: what was read of verified entries in, Parquet files and their rows in the manifest out.

A file holds a run of one log's entries, `log=NAME/day=DAY/FIRST-NEXT-TOKEN.parquet`, by the day (UTC) of its earliest
entry. It is in the archive once its row in `archive_segment` is, which is written in the transaction that moves the
log's cursor: a process that is killed before that leaves a file that nobody reads and upkeep removes.

A digest of 32 octets that is searched for is two columns: `*_head`, its first eight as a little-endian integer, and
`*_tail`, the rest. A hunt reads eight octets an entry in the place of 32.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, insert, select

from db.archive_store import need, open_store, store_at
from db.models import ArchiveSegment
from intel.config.ct import Archive
from intel.errors import UnavailableError
from intel.match.entries import Columns

DIGESTS: Final = ("tbs", "fingerprint", "key")
"""Digests that are searched for. `leaf_hash` is not."""
COLUMNS: Final = (
    "index", "timestamp", "leaf_hash", "tbs_head", "tbs_tail", "fingerprint_head", "fingerprint_tail", "key_head",
    "key_tail", "names", "addresses", "issuer", "not_before", "not_after",
)  # fmt: skip
_LATEST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST: Final = 2**63 - 1
_HASH: Final = 32


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A file of entries `first` to `next` (not included) of a log, and its index of names where it has one.

    Paths are below the archive's folder, `location`. Times are event time. `rows` are the entries that could be read.
    """

    location: str
    source: str
    first: int
    next: int
    rows: int
    time_min: datetime
    time_max: datetime
    path: str
    bytes: int
    names_path: str = ""
    level: int = 0


def to_arrow(columns: Columns) -> bytes:
    """The rows of one answer, as an Arrow IPC stream of one record batch. Raises ConfigError without the extra."""
    pa = need("pyarrow")
    batch = _batch(pa, columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def write_segment(  # noqa: PLR0917 - what, where, whose, and from where to where
    archive: Archive,
    home: Path,
    source: str,
    columns: Sequence[bytes | Columns],
    first: int,
    next: int,  # noqa: A002 - the word of the manifest
) -> Segment:
    """Write entries `first` to `next` of log `source`: what `to_arrow` made of its answers, in their order.

    It is flushed to disk before this returns, and not in the archive until `add_segment`. Raises UnavailableError where
    it cannot be kept.
    """
    pa = need("pyarrow")
    store = open_store(archive, home)
    batches = [batch for one in columns if one for batch in _read(pa, one)]
    table = pa.Table.from_batches(batches, schema=schema())
    time_min, time_max = _times(table)
    path = segment_path(source, time_min, first, next)
    with store.create(path) as file:
        write_table(table, str(file))
        size = file.stat().st_size
    return Segment(
        location=store.root,
        source=source,
        first=first,
        next=next,
        rows=table.num_rows,
        time_min=time_min,
        time_max=time_max,
        path=path,
        bytes=size,
    )


def add_segment(
    connection: Connection, segment: Segment, *, source_id: int, run_id: int | None, judged_at: datetime
) -> int:
    """Put a segment into the archive: its row in the manifest, in the caller's transaction. Returns the row's id.

    `judged_at` is `clock` of just before the watch set was loaded that its entries were matched with: what is watched
    since later is hunted for in it (tasks/load/ct_hunt.py).

    Upkeep removes files without a row, and holds the manifest's lock meanwhile (`db/archive_retain.py`). Here the row
    comes first, then the look at the file: either upkeep waits for this transaction and then sees the row, or it was
    first, and the file is missed here. Raises UnavailableError then; the entries are read and written again.
    """
    values = {
        "source_id": source_id,
        "run_id": run_id,
        "first": segment.first,
        "next": segment.next,
        "time_min": segment.time_min,
        "time_max": segment.time_max,
        "level": segment.level,
        "path": segment.path,
        "names_path": segment.names_path,
        "bytes": segment.bytes,
        "judged_at": judged_at,
    }
    made = connection.execute(insert(ArchiveSegment).values(**values).returning(ArchiveSegment.id)).scalar_one()
    store = store_at(segment.location)
    if not all(store.holds(path) for path in (segment.path, segment.names_path) if path):
        raise UnavailableError(
            f"couldn't archive entries {segment.first} to {segment.next} of {segment.source}: their file is gone;"
            " nothing of them is committed, the next run reads them again"
        )
    return int(made)


def clock(connection: Connection) -> datetime:
    """The database's clock, now (recorded time): the one clock that all hosts share."""
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now


def schema() -> Any:
    """The columns of a file, as Arrow types."""
    pa = need("pyarrow")
    head, tail, integer, text = pa.int64(), pa.binary(_HASH - 8), pa.int64(), pa.string()
    kinds = {"leaf_hash": pa.binary(_HASH), "names": text, "addresses": text, "issuer": text}
    kinds |= {f"{digest}_head": head for digest in DIGESTS} | {f"{digest}_tail": tail for digest in DIGESTS}
    return pa.schema([pa.field(name, kinds.get(name, integer)) for name in COLUMNS])


def write_table(table: Any, path: str) -> None:
    """Write a table as one file; of a large one, `row_group` entries go together."""
    parquet = need("pyarrow.parquet")
    with parquet.ParquetWriter(path, table.schema, **options()) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP)


ROW_GROUP: Final = 32_768
"""Entries that are read together where one is wanted."""


def options() -> dict[str, Any]:
    """How files are written. Digests are noise: compressing them costs time and saves nothing."""
    noise = {"leaf_hash", *(f"{digest}_{part}" for digest in DIGESTS for part in ("head", "tail"))}
    return {
        "version": "2.6",
        "compression": {name: "NONE" if name in noise else "ZSTD" for name in COLUMNS},
        "use_dictionary": ["issuer"],
        "column_encoding": dict.fromkeys(("index", "timestamp", "not_before", "not_after"), "DELTA_BINARY_PACKED"),
        "write_statistics": ["index", "timestamp"],
        "write_page_checksum": True,
    }


def segment_path(source: str, moment: datetime, first: int, next: int) -> str:  # noqa: A002 - the manifest's word
    """A path that no file ever had: what reads or removes one by its path cannot meet another."""
    token = secrets.token_hex(4)
    return f"log={source}/day={moment.astimezone(UTC):%Y-%m-%d}/{first}-{next}-{token}.parquet"


def _read(pa: Any, one: bytes | Columns) -> list[Any]:
    if isinstance(one, bytes):
        with pa.ipc.open_stream(one) as reader:
            return list(reader)
    return [_batch(pa, one)]


def _batch(pa: Any, columns: Columns) -> Any:
    pc = need("pyarrow.compute")
    made = {
        "index": pa.array(columns.index, pa.int64()),
        "timestamp": _integers(pa, columns.timestamp),
        "leaf_hash": _digests(pa, columns.leaf_hash),
        "names": _texts(pa, columns.names),
        "addresses": _texts(pa, columns.addresses),
        "issuer": _texts(pa, columns.issuer),
        "not_before": _integers(pa, columns.not_before),
        "not_after": _integers(pa, columns.not_after),
    }
    for digest in DIGESTS:
        whole = _digests(pa, getattr(columns, digest))
        made[f"{digest}_head"] = pc.binary_slice(whole, 0, 8).cast(pa.binary(8)).view(pa.int64())
        made[f"{digest}_tail"] = pc.binary_slice(whole, 8, _HASH).cast(pa.binary(_HASH - 8))
    return pa.RecordBatch.from_arrays([made[name] for name in COLUMNS], schema=schema())


def _digests(pa: Any, values: Sequence[bytes | None]) -> Any:
    return pa.array(values, pa.binary(_HASH))


def _integers(pa: Any, values: Sequence[int | None]) -> Any:
    try:
        return pa.array(values, pa.int64())
    except OverflowError:  # a log may write any 64 bits as a time
        return pa.array([None if one is None else max(min(one, _MOST), -_MOST) for one in values], pa.int64())


def _texts(pa: Any, values: Sequence[str | None]) -> Any:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair
        return pa.array([one and one.encode("utf-8", "replace").decode() for one in values], pa.string())


def _times(table: Any) -> tuple[datetime, datetime]:
    """The earliest and the latest entry; the beginning of time where there is none, so that it is dropped first."""
    if not table.num_rows:
        return _EPOCH, _EPOCH
    pc = need("pyarrow.compute")
    found = pc.min_max(table["timestamp"]).as_py()
    return _moment(found["min"]), _moment(found["max"])


def _moment(milliseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return _LATEST
