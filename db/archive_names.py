"""The index of names of a compacted segment: which entries name something below a name, without reading the entries.

A Parquet file of rows (`key`, `index`), sorted: for each name of each entry, its labels in reverse order
(`com.example.www`) and the entry's index in the log. All that stands below a name is one range of keys, in a few small
row groups whose statistics say so. What a star or question mark stands in is written as the matcher reads it
(intel/match/certificates.py): all in front of the last one, and that label, count as one star.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any, Final

from db.archive_store import Store, need

MAX_NAME: Final = 253  # RFC 1035 2.3.4
_ROW_GROUP: Final = 16_384
_BATCH: Final = 131_072

# Each name of each entry as a key, in order: cut as the matcher cuts what is longer than a name, with one star.
_SORTED: Final = f"""
WITH named AS (
    SELECT unnest(string_split(names, chr(10))) AS name, "index" FROM read_parquet($path)
), short AS (
    SELECT "index", CASE WHEN length(name) <= {MAX_NAME} THEN name
        WHEN contains(right(name, {MAX_NAME}), '.')
            THEN substr(right(name, {MAX_NAME}), instr(right(name, {MAX_NAME}), '.') + 1)
        ELSE '' END AS name
    FROM named
), plain AS (
    SELECT "index", CASE WHEN contains(name, '*') OR contains(name, '?')
        THEN regexp_replace(name, '^.*[*?][^.]*', '*') ELSE name END AS name
    FROM short WHERE name <> ''
)
SELECT array_to_string(list_reverse(string_split(name, '.')), '.') AS key, "index" FROM plain ORDER BY 1, 2
"""  # noqa: S608 - put together from constants


def write_names(duckdb: Any, entries: str, path: str) -> None:
    """Write the index of the file `entries` to `path`; both are local. `duckdb` sorts, and spills where it must."""
    pa, parquet = need("pyarrow"), need("pyarrow.parquet")
    schema = pa.schema([("key", pa.string()), ("index", pa.int64())])
    options = {
        "compression": "ZSTD",
        "compression_level": 3,
        "use_dictionary": False,
        "column_encoding": {"key": "DELTA_BYTE_ARRAY", "index": "DELTA_BINARY_PACKED"},
        "write_page_checksum": True,
    }
    reader = duckdb.sql(_SORTED, params={"path": entries}).to_arrow_reader(_BATCH)
    with parquet.ParquetWriter(path, schema, **options) as writer:
        for batch in reader:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema), row_group_size=_ROW_GROUP)


def key_of(name: str) -> str:
    """The key of a name of at most 253 characters."""
    return ".".join(reversed(name.split(".")))


def exactly(name: str) -> tuple[str, str]:
    """The range of keys of a name alone: from the first to before the second."""
    key = key_of(name)
    return key, key + "\0"


def below(name: str) -> tuple[str, str]:
    """The range of keys of what stands below a name."""
    key = key_of(name)
    return key + ".", key + "/"  # the character behind the full stop


def covering(name: str) -> tuple[str, str]:
    """The range of keys of the wildcards that cover a name."""
    return exactly("*." + name.partition(".")[2])


def find(store: Store, path: str, ranges: Iterable[tuple[str, str]]) -> set[int]:
    """The indexes of the entries that have a key in one of the ranges. Reads the row groups that may hold one."""
    parquet = need("pyarrow.parquet")
    starts, ends = _apart(ranges)
    found: set[int] = set()
    with store.open(path) as raw, parquet.ParquetFile(raw, page_checksum_verification=True) as file:
        for number in range(file.metadata.num_row_groups):
            statistics = file.metadata.row_group(number).column(0).statistics
            if statistics is not None and not _reach(starts, ends, statistics.min, statistics.max):
                continue
            group = file.read_row_group(number)
            keys, indexes = group["key"].to_pylist(), group["index"].to_pylist()
            for one in _reach(starts, ends, keys[0], keys[-1]):
                found.update(indexes[bisect_left(keys, starts[one]) : bisect_left(keys, ends[one])])
    return found


def _reach(starts: list[str], ends: list[str], least: str, greatest: str) -> range:
    """The ranges that reach between two keys, both included."""
    return range(bisect_right(ends, least), bisect_right(starts, greatest))


def _apart(ranges: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The ranges joined where they overlap: where each starts, and where it ends, both in order."""
    starts: list[str] = []
    ends: list[str] = []
    for start, end in sorted(ranges):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends
