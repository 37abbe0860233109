"""The logs that lists of logs name or named: table `ct_log`, one row for each log key.

A row's name is its source's name: it is made once and stays when the list renames the log or no longer names it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, insert, select, text, update

from db import runs
from db.models import CtLog
from intel.ct_log_list import ListedLog, LogList
from intel.errors import ReadError

LIST_SOURCE: Final = "ct-log-list"
"""The source that lists are documents of; its cursor says which list was applied last."""
# When a list was last looked at. Uses uq_source_name and ix_run_source_id_started_at.
LAST_LOOKS: Final = """
SELECT max(r.finished_at) FILTER (WHERE r.outcome IN ('ok', 'unchanged', 'partial')) AS good, max(r.started_at) AS last
FROM run r JOIN source s ON s.id = r.source_id WHERE s.name = :source
"""
# How much each log's archived entries of the last week are, and what they take. Uses ix_archive_segment_source_id and
# pk_source.
ARCHIVED: Final = """
SELECT s.name, sum(a.next - a.first) AS entries, sum(a.bytes) AS bytes,
    extract(epoch FROM max(a.time_max) - min(a.time_min)) AS seconds
FROM archive_segment a JOIN source s ON s.id = a.source_id
WHERE a.retired_at IS NULL AND a.time_min > now() - interval '7 days' GROUP BY s.name
"""
# The head that confirmed the last entry and the one that was shown last, of each log that was read. Uses pk_cursor.
HEADS: Final = """
SELECT substr(p.name, 8) AS name, CAST(p.value ->> 'position' AS bigint) AS position,
    CAST(p.value -> 'head' ->> 'size' AS bigint) AS size, CAST(p.value -> 'head' ->> 'timestamp' AS bigint) AS signed,
    CAST(k.value ->> 'head_size' AS bigint) AS size_now, CAST(k.value ->> 'head_at' AS bigint) AS signed_now
FROM cursor p LEFT JOIN cursor k ON k.name = 'ct:' || substr(p.name, 8)
WHERE p.name LIKE 'source:%' AND p.value ? 'frontier'
"""
_LONG_ENOUGH: Final = 300.0  # seconds, to tell a log's growth from
_LONGEST_NAME: Final = 56
_SLUG: Final = re.compile(r"[^a-z0-9]+")


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `ct_log`; see db/models.py."""

    log_id: bytes
    name: str
    description: str
    operator: str
    protocol: str
    url: str
    submission_url: str
    key: bytes
    mmd: int
    state: str
    not_after_start: datetime | None
    not_after_end: datetime | None
    final_head: dict[str, Any] | None
    listed: bool
    first_listed: datetime
    last_listed: datetime


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What a list changed: how many logs are new, how many are described otherwise, how many it no longer names."""

    new: int
    changed: int
    gone: int


def sync_logs(
    connection: Connection,
    listed: LogList,
    *,
    hybrid: Sequence[str] = (),
    taken: Iterable[str] = (),
    run_id: int | None = None,
    may_be_older: bool = False,
) -> Synced:
    """Make the table say what the list says, and note the list in its cursor; all in the caller's transaction.

    `hybrid` are shell patterns for the descriptions of logs that serve tiles under heads of RFC 6962; `taken` are names
    of other sources. Raises ReadError for a list older than the one that was applied last, unless it `may_be_older`: an
    old signature is as good as a new one.
    """
    # One at a time: two new logs must not take one name.
    connection.execute(text("LOCK TABLE ct_log IN SHARE ROW EXCLUSIVE MODE"))
    before = (runs.read_cursor(connection, f"source:{LIST_SOURCE}") or {}).get("made_at")
    if before is not None and not may_be_older and listed.made_at < datetime.fromisoformat(before):
        raise ReadError(
            f"couldn't use the list of logs made at {listed.made_at.isoformat()}: a newer one, of {before}, is known;"
            " that one stays"
        )
    known = {log.log_id: log for log in logs(connection)}
    names = {log.name for log in known.values()} | set(taken)
    new = changed = 0
    for entry in listed.logs:
        values = _values(entry, hybrid)
        old = known.get(entry.log_id)
        if old is None:
            name = _free(source_name(entry.operator, entry.description), names)
            names.add(name)
            # One statement each: `first_listed` then keeps the order of the list.
            connection.execute(insert(CtLog).values(name=name, listed=True, **values))
            new += 1
            continue
        changed += not old.listed or any(getattr(old, column) != value for column, value in values.items())
        connection.execute(
            update(CtLog)
            .where(CtLog.log_id == entry.log_id)
            .values(listed=True, last_listed=text("clock_timestamp()"), **values)
        )
    named = {entry.log_id for entry in listed.logs}
    gone = [log.log_id for log in known.values() if log.listed and log.log_id not in named]
    if gone:
        connection.execute(update(CtLog).where(CtLog.log_id.in_(gone)).values(listed=False))
    value = {"made_at": listed.made_at.isoformat(), "version": listed.version, "rejects": list(listed.rejects[:100])}
    runs.write_cursor(connection, f"source:{LIST_SOURCE}", value, run_id)
    return Synced(new=new, changed=changed, gone=len(gone))


def _values(entry: ListedLog, hybrid: Sequence[str]) -> dict[str, Any]:
    final = entry.final_head
    return {
        "log_id": entry.log_id,
        "description": entry.description,
        "operator": entry.operator,
        "protocol": protocol_of(entry.protocol, entry.description, hybrid),
        "url": entry.url,
        "submission_url": entry.submission_url,
        "key": entry.key,
        "mmd": entry.mmd,
        "state": entry.state,
        "not_after_start": entry.not_after_start,
        "not_after_end": entry.not_after_end,
        "final_head": None if final is None else {"size": final.tree_size, "root": final.root_hash.hex()},
    }


def protocol_of(protocol: str, description: str, hybrid: Sequence[str]) -> str:
    """How a log is read: as the list says, but for RFC 6962 logs that a pattern of `hybrid` names."""
    if protocol == "static":
        return protocol
    return "hybrid" if any(fits(description, pattern) for pattern in hybrid) else "rfc6962"


def fits(name: str, pattern: str) -> bool:
    """Whether a name fits a shell pattern, whatever its case."""
    return fnmatchcase(name.casefold(), pattern.casefold())


def logs(connection: Connection) -> list[Log]:
    """All logs, in the order in which they were first listed; those of one list in its order."""
    rows = connection.execute(select(CtLog.__table__).order_by(CtLog.first_listed, CtLog.name)).mappings()
    return [Log(**row) for row in rows]


def find_log(connection: Connection, name: str) -> Log | None:
    """The log whose source has this name."""
    row = connection.execute(select(CtLog.__table__).where(CtLog.name == name)).mappings().one_or_none()
    return None if row is None else Log(**row)


def list_cursor(connection: Connection) -> dict[str, Any]:
    """Which list was applied last: `made_at` (event time, ISO 8601), `version`, `rejects`; empty where none was."""
    return runs.read_cursor(connection, f"source:{LIST_SOURCE}") or {}


def last_looks(connection: Connection) -> tuple[datetime | None, datetime | None]:
    """When the list was last looked at with success, and when at all (recorded time)."""
    row = connection.execute(text(LAST_LOOKS), {"source": LIST_SOURCE}).one()
    return row.good, row.last


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What a log that was read has shown: the next entry to read, entries a second, octets an entry in the archive."""

    position: int
    entries_per_second: float | None = None
    archive_bytes: float | None = None


def growth(connection: Connection) -> dict[str, Growth]:
    """Of each log that was ever read, by its source's name."""
    archived = {row.name: row for row in connection.execute(text(ARCHIVED))}
    found: dict[str, Growth] = {}
    for row in connection.execute(text(HEADS)):
        rate: float | None = None
        kept = archived.get(row.name)
        if kept is not None and kept.seconds and float(kept.seconds) >= _LONG_ENOUGH:
            rate = float(kept.entries) / float(kept.seconds)
        elif row.signed_now is not None and row.signed_now - row.signed >= _LONG_ENOUGH * 1000:
            rate = max(0, row.size_now - row.size) / ((row.signed_now - row.signed) / 1000)
        found[row.name] = Growth(
            position=row.position,
            entries_per_second=rate,
            archive_bytes=float(kept.bytes) / float(kept.entries) if kept is not None and kept.entries else None,
        )
    return found


def source_name(operator: str, description: str) -> str:
    """A name for the log's source: its description, behind its operator where it does not begin with that."""
    owner, named = _slug(operator), _slug(description).removesuffix("-log")
    if not named.replace("-", "").startswith(owner.replace("-", "")):
        named = f"{owner}-{named}"
    return named.strip("-")[:_LONGEST_NAME].rstrip("-") or "log"


def _slug(words: str) -> str:
    plain = unicodedata.normalize("NFKD", words.replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", ""))
    return _SLUG.sub("-", plain.encode("ascii", "ignore").decode().lower()).strip("-")


def _free(name: str, taken: set[str]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
