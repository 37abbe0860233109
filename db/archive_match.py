"""Which entries of a segment meet a watch set: the same matcher as for entries that are being read decides.

Where all that is looked for can be looked up, only the entries that may match are read: names by the index of a
compacted segment, digests by the first eight octets, addresses where there are any, issuers by each that there is.
Otherwise every entry goes through the matcher.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from db.archive_duckdb import files, readable
from db.archive_hunt import fetch, head
from db.archive_manifest import Held
from db.archive_names import below, exactly, find
from db.archive_store import Store, need
from intel.ct_archived import Archived
from intel.match.certificates import Hit, WatchSet
from intel.x509 import CertificateView

_READ: Final = ("index", "names", "addresses", "issuer", "key_head", "key_tail", "tbs_head", "tbs_tail",
                "fingerprint_head", "fingerprint_tail")  # fmt: skip
_BATCH: Final = 16_384
_AT_ONCE: Final = 20_000
_SELDOM: Final = 10
"""Where more than one of so many entries may match, each is read: it takes no longer."""

Met = tuple[Archived, tuple[Hit, ...]]


def matches(duckdb: Any, store: Store, segment: Held, watch: WatchSet) -> Iterator[Met]:
    """The entries of a segment that meet the watch set, in the order of the log, each with what it met.

    Raises ReadError where a file cannot be read.
    """
    indexes: list[int] | None = None
    if not (watch.lookalikes or watch.keywords) and (segment.names_path or not _names(watch)):
        indexes = _narrowed(duckdb, store, segment, watch)
    if indexes is None or len(indexes) * _SELDOM > segment.entries:
        indexes = list(_met(store, segment, watch))
    for start in range(0, len(indexes), _AT_ONCE):
        for entry in fetch(duckdb, store, [segment], indexes[start : start + _AT_ONCE]):
            hits = watch.match(entry.view, entry.digests)
            if hits:
                yield entry, hits


def _met(store: Store, segment: Held, watch: WatchSet) -> Iterator[int]:
    """The indexes of the entries that meet the set; every entry is read."""
    parquet = need("pyarrow.parquet")
    with (
        readable([segment]),
        store.open(segment.path) as raw,
        parquet.ParquetFile(raw, page_checksum_verification=True) as file,
    ):
        for batch in file.iter_batches(_BATCH, columns=list(_READ)):
            yield from _met_in(batch.to_pydict(), watch)


def _met_in(columns: dict[str, list[Any]], watch: WatchSet) -> Iterator[int]:
    by_digest = bool(watch.certificates)
    none: tuple[str, ...] = ()
    for index, names, addresses, issuer, key, key_tail, tbs, tbs_tail, print_, print_tail in zip(
        *(columns[name] for name in _READ), strict=True
    ):
        view = CertificateView(
            names=tuple(names.split("\n")) if names else none,
            ip_addresses=tuple(addresses.split("\n")) if addresses else none,
            issuer=issuer or "",
            spki_sha256=None if key is None else _digest(key, key_tail),
        )
        digests: tuple[bytes, ...] = ()
        if by_digest:
            digests = (_digest(tbs, tbs_tail),)
            if print_ is not None:
                digests = (_digest(print_, print_tail), *digests)
        if watch.match(view, digests):
            yield index


def _digest(start: int, rest: bytes) -> bytes:
    return start.to_bytes(8, "little", signed=True) + rest


def _narrowed(duckdb: Any, store: Store, segment: Held, watch: WatchSet) -> list[int]:
    """The indexes of the entries that may meet the set."""
    found: set[int] = set()
    table = files(store, [segment.path])
    with readable([segment]):
        ranges = name_ranges(watch)
        if ranges:
            found |= find(store, segment.names_path, ranges)
        for digests, columns in ((watch.keys, ("key",)), (watch.certificates, ("tbs", "fingerprint"))):
            if digests:
                found |= _by_heads(duckdb, table, sorted(map(head, digests)), columns)
        if watch.addresses:
            found |= _indexes(duckdb, f'SELECT "index" FROM {table} WHERE addresses IS NOT NULL')  # noqa: S608 - ours
        if watch.issuers:
            issued = duckdb.sql(f"SELECT DISTINCT issuer FROM {table}").fetchall()  # noqa: S608 - ours
            met = [one for (one,) in issued if watch.match(CertificateView(issuer=one or ""))]
            if met:
                statement = f'SELECT "index" FROM {table} WHERE list_contains($issuers, issuer)'  # noqa: S608 - ours
                found |= {index for (index,) in duckdb.execute(statement, {"issuers": met}).fetchall()}
    return sorted(found)


def _names(watch: WatchSet) -> bool:
    return bool(watch.scopes or watch.subtrees or watch.zones or watch.names)


def name_ranges(watch: WatchSet) -> list[tuple[str, str]]:
    """The ranges of keys in an index of names that hold all that may meet the set's names."""
    trees = watch.scopes | watch.subtrees | watch.zones
    ranges = [exactly(name) for name in trees | watch.names]
    ranges += [below(name) for name in trees]
    parents = {name.partition(".")[2] for name in watch.scopes | watch.subtrees | watch.names}
    return ranges + [exactly(f"*.{parent}") for parent in parents if parent]


def _by_heads(duckdb: Any, table: str, heads: list[int], columns: tuple[str, ...]) -> set[int]:
    pa = need("pyarrow")
    duckdb.register("hunted_heads", pa.table({"head": pa.array(heads, pa.int64())}))
    try:
        condition = " OR ".join(f"{column}_head IN (FROM hunted_heads)" for column in columns)
        return _indexes(duckdb, f'SELECT "index" FROM {table} WHERE {condition}')  # noqa: S608 - our columns
    finally:
        duckdb.unregister("hunted_heads")


def _indexes(duckdb: Any, statement: str) -> set[int]:
    return {index for (index,) in duckdb.sql(statement).fetchall()}
