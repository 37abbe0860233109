"""How many logged certificates each issuer and each key has: segments of the archive in, counts out.

DuckDB counts within its limit of memory and spills to the disk. A precertificate and its certificate are one: they have
the same TBSCertificate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from db.archive_duckdb import connect, files, readable
from db.archive_manifest import Held
from db.archive_store import Store

# Each certificate once. Reads five columns of the files.
_ONCE: Final = """
CREATE TEMP TABLE logged AS
SELECT DISTINCT tbs_head, tbs_tail, coalesce(issuer, '') AS issuer, key_head, key_tail FROM {files}
"""
# How many there are, and of how many issuer and key are known.
_TOTALS: Final = """
SELECT count(*), count(*) FILTER (WHERE issuer <> ''), count(*) FILTER (WHERE key_head IS NOT NULL) FROM logged
"""
# Issuers that many have.
_ISSUERS: Final = """
SELECT issuer, count(*) AS n FROM logged WHERE issuer <> '' GROUP BY issuer HAVING count(*) >= {least}
ORDER BY n DESC, issuer LIMIT {most}
"""
# Keys that many have.
_KEYS: Final = """
SELECT key_head, key_tail, count(*) AS n FROM logged WHERE key_head IS NOT NULL GROUP BY key_head, key_tail
HAVING count(*) >= {least} ORDER BY n DESC, key_head LIMIT {most}
"""


class Logged:
    """Certificates that can be counted; good within the block of `logged`."""

    def __init__(self, duckdb: Any) -> None:
        self._duckdb = duckdb
        self.total, self.with_issuer, self.with_key = duckdb.execute(_TOTALS).fetchone()

    def issuers(self, least: int, most: int) -> Iterator[tuple[str, int]]:
        """The issuers' names that at least so many have, and how many."""
        yield from self._duckdb.execute(_ISSUERS.format(least=int(least), most=int(most))).fetchall()

    def keys(self, least: int, most: int) -> Iterator[tuple[bytes, int]]:
        """The keys (SHA-256 of the SPKI) that at least so many have, and how many."""
        for head, tail, count in self._duckdb.execute(_KEYS.format(least=int(least), most=int(most))).fetchall():
            yield int(head).to_bytes(8, "little", signed=True) + bytes(tail), count


@contextmanager
def logged(store: Store, segments: Sequence[Held]) -> Iterator[Logged]:
    """The certificates of segments, each once. Raises ReadError where a file cannot be read."""
    with connect(store) as duckdb, readable(segments):
        duckdb.execute(_ONCE.format(files=files(store, [one.path for one in segments])))
        yield Logged(duckdb)
