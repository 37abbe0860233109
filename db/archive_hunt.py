"""Asks the archive: names, keys, certificates, issuers and times in, archived entries out, the newest first.

The manifest says which segments may hold an answer; each is asked through DuckDB. A compacted one is asked for a name
through its index. Regular expressions are RE2's: they take time in proportion to what they read, whatever they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from db.archive_duckdb import THREADS, connect, files, readable
from db.archive_manifest import Held, held
from db.archive_names import below, covering, exactly, find
from db.archive_store import Store, need, open_store
from intel.config.ct import Archive
from intel.ct_archived import Archived
from intel.errors import ConfigError, ReadError

TOGETHER: Final = 2_000_000
"""Entries of segments without an index that are asked at once."""
_LISTED: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; what is given must all be so. Names are canonical, digests have 32 octets.

    `name` is met by the wildcards that cover it too, `tree` is a name and all below it, `suffix` the end of a name as
    text, `regex` is looked for in each name alone. `certificate` is its fingerprint, or that of its TBSCertificate
    without SCTs and poison (`tbs`). `issuer` is a part of the issuer's text, in any case. Times are those at which an
    entry was logged: from `since` to before `until`.
    """

    name: str = ""
    tree: str = ""
    suffix: str = ""
    regex: str = ""
    key: bytes = b""
    tbs: bytes = b""
    certificate: bytes = b""
    issuer: str = ""
    since: datetime | None = None
    until: datetime | None = None
    logs: tuple[str, ...] = ()
    limit: int = 100


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of the archive answered.

    `entries` were searched of `total` that are to be. `more`: the limit was reached, and there may be further ones.
    `problem` says why the part could not be read, and is empty where it could.
    """

    found: tuple[Archived, ...]
    entries: int
    total: int
    more: bool = False
    problem: str = ""


def hunt(engine: Engine, archive: Archive, home: Path, wanted: Wanted, *, threads: int = THREADS) -> Iterator[Answered]:
    """Ask segment by segment, the newest first, until `limit` entries are found; each answer says how far it is.

    Raises ConfigError where the extra `archive` is not installed, the archive is off and empty, or the regular
    expression is wrong. A file that cannot be read costs its part alone.
    """
    with engine.connect() as connection:
        segments = held(connection, logs=wanted.logs, since=wanted.since, until=wanted.until)
        empty = not segments and not archive.enabled and not held(connection)
    if empty:
        raise ConfigError(
            "couldn't hunt: the archive is switched off and holds nothing; `archive: {enabled: true}` in"
            " configs/ct.yaml keeps what is read from now on"
        )
    store = open_store(archive, home)
    total = sum(one.entries for one in segments)
    left = wanted.limit
    with connect(store, threads=threads) as duckdb:
        _check_regex(duckdb, wanted.regex)
        for part in parts(segments):
            if left <= 0:
                break
            searched = sum(one.entries for one in part)
            try:
                found = ask(duckdb, store, part, wanted, limit=left)
            except ReadError as error:
                yield Answered(found=(), entries=searched, total=total, problem=str(error))
                continue
            left -= len(found)
            yield Answered(found=tuple(found), entries=searched, total=total, more=left <= 0)


def parts(segments: Sequence[Held]) -> list[list[Held]]:
    """Segments as they are asked, the newest first: one with an index alone, others of a log some together."""
    made: list[list[Held]] = []
    for one in segments:
        last = made[-1] if made else []
        alone = one.names_path or not last or last[0].names_path or last[0].source_id != one.source_id
        if alone or sum(each.entries for each in last) + one.entries > TOGETHER:
            made.append([one])
        else:
            last.append(one)
    return sorted(made, key=lambda part: max(one.time_max for one in part), reverse=True)


def ask(duckdb: Any, store: Store, part: Sequence[Held], wanted: Wanted, *, limit: int) -> list[Archived]:
    """The last entries of a part, `limit` at most, that are wanted. Raises ReadError where it cannot be read."""
    conditions, values = _conditions(wanted)
    table = files(store, [one.path for one in part])
    ranges = _ranges(wanted)
    with readable(part), ExitStack() as listing:
        if part[0].names_path and ranges:
            named = sorted(find(store, part[0].names_path, ranges))
            if not named:
                return []
            conditions.insert(0, listing.enter_context(listed(duckdb, named)))
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        last = f'SELECT "index" FROM {table} {where} ORDER BY "index" DESC LIMIT {int(limit)}'  # noqa: S608 - bound
        indexes = [index for (index,) in duckdb.execute(last, values).fetchall()]
    return [entry for entry in fetch(duckdb, store, part, indexes) if _has_digests(entry, wanted)]


def _has_digests(entry: Archived, wanted: Wanted) -> bool:
    return (
        (not wanted.key or entry.key == wanted.key)
        and (not wanted.tbs or entry.tbs == wanted.tbs)
        and (not wanted.certificate or wanted.certificate in entry.digests)
    )


def fetch(duckdb: Any, store: Store, part: Sequence[Held], indexes: Sequence[int]) -> list[Archived]:
    """Entries of a part by their indexes, in the order of the log. Raises ReadError where it cannot be read."""
    if not indexes:
        return []
    table = files(store, [one.path for one in part])
    with readable(part), listed(duckdb, sorted(indexes)) as condition:
        statement = f'SELECT * FROM {table} WHERE {condition} ORDER BY "index"'  # noqa: S608 - no value is in it
        return list(rows(part[0].log, duckdb.sql(statement).to_arrow_table()))


@contextmanager
def listed(duckdb: Any, indexes: Sequence[int]) -> Iterator[str]:
    """The condition that an entry is one of these, which are in order.

    Of few in a list, the row groups are found by their statistics; many are joined, which takes a tenth of the time.
    """
    if len(indexes) <= _LISTED:
        yield f'"index" IN ({", ".join(map(str, indexes))})'
        return
    pa = need("pyarrow")
    duckdb.register("listed_entries", pa.table({"wanted": pa.array(indexes, pa.int64())}))
    try:
        yield f'"index" BETWEEN {indexes[0]} AND {indexes[-1]} AND "index" IN (SELECT wanted FROM listed_entries)'  # noqa: S608 - numbers
    finally:
        duckdb.unregister("listed_entries")


def rows(log: str, table: Any) -> Iterator[Archived]:
    """The rows of a table of the archive's columns."""
    for row in table.to_pylist():
        yield Archived(
            log=log,
            index=row["index"],
            timestamp=row["timestamp"],
            leaf_hash=row["leaf_hash"],
            tbs=_digest(row, "tbs") or b"",
            fingerprint=_digest(row, "fingerprint"),
            key=_digest(row, "key"),
            names=tuple(row["names"].split("\n")) if row["names"] else (),
            addresses=tuple(row["addresses"].split("\n")) if row["addresses"] else (),
            issuer=row["issuer"] or "",
            not_before=row["not_before"],
            not_after=row["not_after"],
        )


def head(digest: bytes) -> int:
    """The number that a digest's `*_head` column holds."""
    return int.from_bytes(digest[:8], "little", signed=True)


def _digest(row: dict[str, Any], name: str) -> bytes | None:
    start, rest = row[f"{name}_head"], row[f"{name}_tail"]
    return None if start is None or rest is None else start.to_bytes(8, "little", signed=True) + rest


def _ranges(wanted: Wanted) -> list[tuple[str, str]]:
    """The ranges of keys of which one at least is named; none where an index does not help."""
    if wanted.name:
        return [exactly(wanted.name), covering(wanted.name)]
    return [exactly(wanted.tree), below(wanted.tree)] if wanted.tree else []


def _conditions(wanted: Wanted) -> tuple[list[str], dict[str, Any]]:
    """Conditions and the values that are bound in them; the cheap ones come first."""
    made: list[str] = []
    values: dict[str, Any] = {}

    def add(condition: str, **bound: Any) -> None:
        made.append(condition)
        values.update(bound)

    if wanted.since is not None:
        add("timestamp >= $since", since=_milliseconds(wanted.since))
    if wanted.until is not None:
        add("timestamp < $until", until=_milliseconds(wanted.until))
    # Eight octets tell digests apart; the rest is compared in what is found, since to read it here takes four times as
    # long where nothing is in the page cache.
    for name in ("key", "tbs"):
        digest = getattr(wanted, name)
        if digest:
            add(f"{name}_head = ${name}", **{name: head(digest)})
    if wanted.certificate:
        add("(tbs_head = $certificate OR fingerprint_head = $certificate)", certificate=head(wanted.certificate))
    if wanted.issuer:
        add("contains(lower(issuer), lower($issuer))", issuer=wanted.issuer)
    if wanted.name:
        add("contains(names, $parent)", parent=wanted.name.partition(".")[2] or wanted.name)
        add(_LINE, name=_whole(wanted.name))
    if wanted.tree:
        add("contains(names, $tree)", tree=wanted.tree)
        add("regexp_matches(names, $below)", below=rf"(?m)(?:^|\.){_escaped(wanted.tree)}$")
    if wanted.suffix:
        add("contains(names, $suffix)", suffix=wanted.suffix)
        add("regexp_matches(names, $ending)", ending=f"(?m){_escaped(wanted.suffix)}$")
    if wanted.regex:
        if _ANYWHERE.search(wanted.regex) is None:
            add("regexp_matches(names, $joined)", joined=f"(?m){wanted.regex}")
        add(_EACH, regex=wanted.regex)
    return made, values


_PUNCTUATION: Final = re.compile(r"[!-,./:-@\[-^`{-~]")
_LINE: Final = "regexp_matches(names, $name)"
_EACH: Final = "len(list_filter(string_split(names, chr(10)), lambda name: regexp_matches(name, $regex))) > 0"
# What sees the ends of the text, or may change what ^ and $ see: not looked for in the joined text first.
_ANYWHERE: Final = re.compile(r"\\[Az]|\(\?[a-zA-Z]*-[a-zA-Z]*m")


def _whole(name: str) -> str:
    """A regular expression for a name, or a wildcard that covers it, as a line of its own."""
    parent = name.partition(".")[2]
    return rf"(?m)^(?:{_escaped(name)}|[^\n]*[*?][^.\n]*\.{_escaped(parent)})$"


def _escaped(text: str) -> str:
    """Text as RE2 takes it: Python's own escaping writes what RE2 does not know."""
    return _PUNCTUATION.sub(r"\\\g<0>", text)


def _milliseconds(moment: datetime) -> int:
    return round((moment - _EPOCH).total_seconds() * 1000)


def _check_regex(duckdb: Any, regex: str) -> None:
    if not regex:
        return
    try:
        duckdb.execute("SELECT regexp_matches('', $regex)", {"regex": regex}).fetchall()
    except need("duckdb").Error as error:
        said = str(error).splitlines()[0][:200]
        raise ConfigError(
            f"couldn't hunt for a regular expression: {said}; RE2's syntax has neither look-around nor references back"
        ) from error
