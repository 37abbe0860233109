"""Invented log entries by the million, as Arrow tables of the archive's columns, made by DuckDB.

The digests are random. One to five names an entry, most have one or two; a fifth of the names stand below a few busy
domains, as those of hosting platforms do. 200 issuers, of which a few issue most. All names end in reserved suffixes.
"""

from __future__ import annotations

import os
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from db.archive import DIGESTS, schema

FIRST_TIME: Final = 1_767_225_600_000  # 2026-01-01, milliseconds
_STEP: Final = 250  # milliseconds from entry to entry: four a second

# Row number n in, names and the rest out. hash() of DuckDB is fixed by its input: the same rows each time.
_ROWS: Final = """
WITH n AS (
    SELECT i, CAST(hash(i) >> 1 AS BIGINT) AS h, CAST(hash(i // 3) >> 1 AS BIGINT) AS site,
        CAST(hash(i + 77) >> 1 AS BIGINT) AS g
    FROM range(CAST($first AS BIGINT), $next) r (i)
), named AS (
    SELECT i, h, g,
        CASE WHEN site % 5 = 0 THEN 'busy' || (site // 7 % 40) || '.example'
        ELSE $syllables[1 + site // 11 % 64] || $syllables[1 + site // 1000 % 64] || $syllables[1 + site // 70000 % 64]
            || CASE WHEN site % 3 = 0 THEN CAST(site // 13 % 1000 AS VARCHAR) ELSE '' END
            || $endings[1 + site // 17 % 8] END AS domain,
        CASE WHEN site % 5 = 0 THEN $syllables[1 + h // 11 % 64] || (h // 1000 % 100000) || '.' ELSE '' END AS tenant,
        [1, 1, 1, 2, 2, 2, 2, 3, 4, 5][1 + h % 10] AS many
    FROM n
)
SELECT i AS index, $start + i * $step + g % 200 AS timestamp,
    array_to_string(list_transform(range(many), lambda k:
        $hosts[1 + (h // 97 + k * [1, 5, 7, 11][1 + h // 7919 % 4]) % 12] || tenant || domain), chr(10)) AS names,
    CASE WHEN g % 500 = 0 THEN '192.0.2.' || (g // 500 % 256) END AS addresses,
    'CN=Lab Issuing ' || CAST(power((g % 1000003) / 1000003.0, 3) * 200 AS INT) || ',O=Lab Authority,C=ZZ' AS issuer,
    ($start + i * $step) // 1000 - 3600 - g % 60 AS not_before,
    ($start + i * $step) // 1000 - 3600 - g % 60 + [90, 90, 90, 47, 199][1 + h // 31 % 5] * 86400 AS not_after
FROM named
"""
_SYLLABLES: Final = [a + b for a in "bdfgklmnprstvzhw" for b in ("an", "el", "ior", "ou")]
_ENDINGS: Final = [".example", ".test", ".com.example", ".net.example", ".org.example", ".co.test", ".shop.test",
                   ".dev.example"]  # fmt: skip
HOSTS: Final = ["", "www.", "*.", "mail.", "api.", "login.", "shop.", "dev.", "cdn.", "vpn.", "app.", "static."]


def rows(first: int, next: int) -> Any:  # noqa: A002 - the word of the manifest
    """Entries `first` to `next`, as a table of the archive's columns; every other one is a precertificate."""
    values = {
        "first": first, "next": next, "start": FIRST_TIME, "step": _STEP, "syllables": _SYLLABLES,
        "endings": _ENDINGS, "hosts": HOSTS,
    }  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2; SET preserve_insertion_order = true")
        made = connection.sql(_ROWS, params=values).to_arrow_table()
    count = made.num_rows
    columns = {name: made[name] for name in made.column_names}
    columns["leaf_hash"] = _noise(count, pa.binary(32), 32)
    for digest in DIGESTS:
        columns[f"{digest}_head"] = _noise(count, pa.int64(), 8)
        columns[f"{digest}_tail"] = _noise(count, pa.binary(24), 24)
    for part in ("fingerprint_head", "fingerprint_tail"):
        kind = columns[part].type
        precerts = pa.array([True, False] * (count // 2 + 1), pa.bool_())[:count]
        columns[part] = pc.if_else(precerts, pa.nulls(count, kind), columns[part])
    return pa.table([columns[name] for name in schema().names], names=schema().names).cast(schema())


def _noise(count: int, kind: Any, width: int) -> Any:
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(os.urandom(count * width))])
