"""`hunt`: how long a question to 20 million archived entries takes, what an entry costs, on disk and to write.

The entries are invented (_hunt_rows.py: random digests, one to five names with a skew, 200 issuers), written through
the real writer in segments of 16,384 and merged by the real compaction; the last million stays as followed. Each
question is asked through `db.archive_hunt.hunt`, the manifest included: once with the archive's files out of the page
cache (posix_fadvise, POSIX_FADV_DONTNEED), then five times with what is in it. `key_s`, `tree_s` and
`regex_s` are the first, cold ones.

The processor time to write an entry is of one process: `to_arrow` of what a reader gives, and the file. A new watch is
hunted for as `tasks.load.ct_hunt` does it. `LAPSEWATCH_BENCH_ENTRIES` changes the 20 million, for a quick look.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine, text

from db.archive import add_segment, clock, to_arrow, write_segment
from db.archive_compact import Compacted, compact
from db.archive_duckdb import connect
from db.archive_hunt import Wanted, hunt, rows
from db.archive_manifest import held, state
from db.archive_match import matches
from db.archive_retain import tidy
from db.archive_store import open_store
from db.runs import ensure_source
from intel.config.ct import Archive
from intel.ct_archived import Archived
from intel.match.certificates import WatchSet
from intel.settings import CHECKOUT, settings
from lab.archived import columns
from lab.bench._hunt_rows import HOSTS
from lab.bench._hunt_rows import rows as invented
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from tasks.load import ct_hunt

ENTRIES: Final = int(os.environ.get("LAPSEWATCH_BENCH_ENTRIES", "20000000"))
CHUNK: Final = 16_384
_BLOCK: Final = 122 * CHUNK  # what is merged into one segment
_WARM: Final = 5
_ALL: Final = 1_000_000
_WATCHED: Final = 1_000
_MEASURED: Final = 16
_AT_ONCE: Final = timedelta()
ON: Final = Archive(enabled=True, max_bytes=1 << 50)


def run(entries: int = ENTRIES) -> Result:
    """Write, merge, ask, and hunt for a new watch."""
    with fresh_warehouse(CHECKOUT) as engine:
        bench = _Bench(engine, entries)
        bench.fill()
        asked = bench.ask_all()
        hunted = bench.watch()
        parts = tuple(bench.bytes_by_part())
        figures: dict[str, int | float | str] = {
            **{f"{name}_s": round(cold, 3) for name, (_, _, cold, _) in asked.items()},
            **{f"{name}_warm_s": round(warm, 3) for name, (_, _, _, warm) in asked.items()},
            "bytes_per_entry": round(bench.bytes_per_entry(), 1),
            "write_us_per_entry": round(bench.write_cost(), 2),
            "compact_entries_per_s": round(bench.compacted_per_second),
            "entries": entries,
        }
    return Result(
        tables=(
            Table(
                title=f"seconds for a question to {entries:,} entries",
                columns=("question", "found", "cold", f"then, median of {_WARM}"),
                rows=tuple((said, found, round(cold, 3), round(warm, 3)) for said, found, cold, warm in asked.values()),
            ),
            Table(title="a new watch hunts backwards", columns=("of", "entries", "hits", "seconds"), rows=hunted),
            Table(title="bytes an entry, by what they hold", columns=("what", "bytes"), rows=parts),
        ),
        figures=figures,
    )


class _Bench:
    """An archive of so many entries, and what making it cost."""

    def __init__(self, engine: Engine, entries: int) -> None:
        self.engine = engine
        self.home = settings().home
        self.entries = entries
        self.compacted_per_second = 0.0
        self._sample: list[Archived] = []
        with engine.begin() as connection:
            self._source = ensure_source(
                connection, name="bench-log", title="Bench", reliability="A", tlp=0, snapshot=False,
                redistribution=True, commercial_use=True,
            )  # fmt: skip

    def fill(self) -> None:
        """Write all, merging block by block; the last twentieth stays as followed."""
        merged = self.entries - self.entries // 20
        seconds, count = 0.0, 0
        for first in range(0, self.entries, _BLOCK):
            table = invented(first, min(first + _BLOCK, self.entries))
            self._sample += rows("bench-log", table.slice(table.num_rows // 2, 100))
            self._write(table, first)
            if first + _BLOCK <= merged:
                began = time.monotonic()
                done = self._compact()
                seconds, count = seconds + time.monotonic() - began, count + done.entries
        self.compacted_per_second = count / seconds if seconds else 0.0

    def _write(self, table: Any, first: int) -> None:
        for start in range(0, table.num_rows, CHUNK):
            some = table.slice(start, CHUNK).combine_chunks()
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, some.schema) as stream:
                stream.write_table(some)
            at = first + start
            segment = write_segment(ON, self.home, "bench-log", [bytes(sink.getvalue())], at, at + some.num_rows)
            with self.engine.begin() as connection:
                add_segment(connection, segment, source_id=self._source, run_id=None, judged_at=clock(connection))

    def _compact(self) -> Compacted:
        # A block is as large as a segment gets: it is merged whole, as it is when the next one follows.
        done = compact(self.engine, ON, self.home, target=_BLOCK)
        tidy(self.engine, ON, self.home, spared=_AT_ONCE)
        return done

    def ask_all(self) -> dict[str, tuple[str, int, float, float]]:
        """(what is asked, how many are found, cold seconds, warm seconds) by name."""
        one = next(entry for entry in self._sample if entry.names and "busy" not in entry.names[0])
        host = one.names[0].removeprefix("*.")
        domain = next((host.removeprefix(label) for label in HOSTS if label and host.startswith(label)), host)
        ending = domain.partition(".")[0][-5:]
        rare = rf"^(login|vpn)\.[a-z]*{ending}[0-9]{{3}}\.shop\.test$"
        questions = {
            "key": ("key", Wanted(key=one.key or b"")),
            "tree": (f"tree {domain}", Wanted(tree=domain)),
            "regex": (f"regex {rare}", Wanted(regex=rare, limit=_ALL)),
            "regex_many": (r"regex [a-z]9[0-9]9\.", Wanted(regex=r"[a-z]9[0-9]9\.", limit=1_000)),
            "name": (f"name {host}", Wanted(name=host)),
            "certificate": ("certificate, either form", Wanted(certificate=one.digest)),
            "suffix": (f"suffix {ending}.shop.test", Wanted(suffix=f"{ending}.shop.test", limit=_ALL)),
            "issuer": ("issuer and tree", Wanted(issuer=one.issuer[:20], tree=domain)),
        }
        return {name: (said, *self._ask(wanted)) for name, (said, wanted) in questions.items()}

    def _ask(self, wanted: Wanted) -> tuple[int, float, float]:
        self._forget()
        found, cold = _timed(lambda: list(hunt(self.engine, ON, self.home, wanted)))
        warm = [_timed(lambda: list(hunt(self.engine, ON, self.home, wanted)))[1] for _ in range(_WARM)]
        return sum(len(answer.found) for answer in found), cold, statistics.median(warm)

    def _forget(self) -> None:
        """Take the archive's files out of the page cache; they are on the disk, so nothing keeps them there."""
        for path in (self.home / "archive").rglob("*.parquet"):
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)

    def watch(self) -> tuple[tuple[str | int | float, ...], ...]:
        """Hunt for a new watch of names and keys, then for one of lookalikes and keywords in one segment."""
        names = sorted({entry.names[0].removeprefix("*.") for entry in self._sample if entry.names})[:_WATCHED]
        keys = [entry.key.hex() for entry in self._sample if entry.key is not None][:_WATCHED]
        with self.engine.begin() as connection:
            watch = connection.execute(
                text("INSERT INTO watch (name, origin, rules) VALUES ('bench', 'command', '{*}') RETURNING id")
            ).scalar_one()
            for kind, values in (("domain", names), ("public-key", [f"sha256:{key}" for key in keys])):
                connection.execute(
                    text("INSERT INTO watch_item (watch_id, match, kind, value) SELECT :watch, 'entity', :kind,"
                         " unnest(CAST(:values AS text[])) ON CONFLICT DO NOTHING"),
                    {"watch": watch, "kind": kind, "values": values},
                )  # fmt: skip
        done, seconds = _timed(lambda: ct_hunt.hunt(self.engine, max_seconds=3600))
        looked_up = (f"{len(names)} names, {len(keys)} keys", done.entries, done.hits, round(seconds, 1))
        brands = [f"quex{first}{second}post.example" for first in "abcdefghij" for second in "klmnoprstu"]
        pattern = WatchSet(lookalikes=frozenset(brands), keywords=frozenset({"quexpost", "quexbank", "quexair"}))
        with self.engine.connect() as connection:
            segment = max(held(connection), key=lambda one: one.entries)
        store = open_store(ON, self.home)
        with connect(store) as duckdb:
            met, seconds = _timed(lambda: sum(1 for _ in matches(duckdb, store, segment, pattern)))
        return looked_up, ("100 lookalikes, 3 keywords; one segment", segment.entries, met, round(seconds, 1))

    def bytes_per_entry(self) -> float:
        """Of all that stands, the indexes of names included."""
        with self.engine.connect() as connection:
            (row,) = state(connection)
        return float(row["bytes"]) / float(row["entries"])

    def bytes_by_part(self) -> list[tuple[str, float]]:
        """Bytes an entry of each column of the largest segment, and of its index."""
        with self.engine.connect() as connection:
            segment = max(held(connection), key=lambda one: one.entries)
        sizes: dict[str, int] = {}
        for name, path in (("", segment.path), ("names index, ", segment.names_path)):
            if path:
                metadata = pq.read_metadata(self.home / "archive" / path)
                for group in range(metadata.num_row_groups):
                    for at in range(metadata.num_columns):
                        column = metadata.row_group(group).column(at)
                        part = name + column.path_in_schema
                        sizes[part] = sizes.get(part, 0) + column.total_compressed_size
        return [(name, round(size / segment.entries, 2)) for name, size in sizes.items()]

    def write_cost(self) -> float:
        """Microseconds of processor time to archive an entry, from what a reader gives to a file that is flushed."""
        table = invented(self.entries, self.entries + _MEASURED * CHUNK)
        chunks = [
            [columns(list(rows("bench-log", table.slice(start + at, 256)))) for at in range(0, CHUNK, 256)]
            for start in range(0, table.num_rows, CHUNK)
        ]
        began = time.process_time()
        for number, chunk in enumerate(chunks):
            at = self.entries + number * CHUNK
            write_segment(ON, self.home, "bench-log", [to_arrow(one) for one in chunk], at, at + CHUNK)
        return (time.process_time() - began) / (len(chunks) * CHUNK) * 1e6


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    result = call()
    return result, time.monotonic() - began
