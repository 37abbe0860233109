"""What the archive's hunter looks for: each thing that is watched of certificates, and since when the hunter knows it.

A term is one value of one set of `WatchSet`. One that is new has the database's time of when the hunter saw it; a
segment whose entries were matched with a watch set of before that time is hunted through for it.

Nothing falls between the two. A follower takes the time first and loads the watch set then; the hunter loads first and
takes the time then. So a watch that a follower's set lacks was committed after the follower's time, `judged_at`, and
the time of its term is later still: the segment is hunted. A set that was loaded later than the term's time has it.
A watch that goes and comes back between two looks would slip through, were it not for its items, which are new: a term
that a new item names is new again, and with it the keys and certificates, which no item need name.

Subjects and serial numbers are not archived (intel/ct_archived.py), so they are no terms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from db import runs
from db.archive import clock
from db.rows import driver
from db.watched import load_watch_set
from intel.entities import digest
from intel.match.certificates import WatchSet

TEXTS: Final = ("scopes", "subtrees", "zones", "names", "addresses", "lookalikes", "keywords", "issuers")
DIGESTS: Final = ("certificates", "keys")
_KEPT: Final = 8

_WANTED: Final = "CREATE TEMP TABLE hunt_wanted (digest uuid, kind text, value text) ON COMMIT DROP"
# Terms that are watched no longer. Uses pk_hunt_term.
_GONE: Final = "DELETE FROM hunt_term t WHERE NOT EXISTS (SELECT FROM hunt_wanted w WHERE w.digest = t.digest)"

# Uses pk_hunt_term.
_NEW: Final = """
INSERT INTO hunt_term (digest, kind, value, added_at) SELECT digest, kind, value, :now FROM hunt_wanted
ON CONFLICT (digest) DO NOTHING
"""

# The values of items that came since the last look: as they are, and without the word in front of a digest or pattern.
# Uses pk_watch_item.
_AGAIN: Final = """
WITH fresh AS (
    SELECT value FROM watch_item WHERE id > :seen
    UNION SELECT substr(value, strpos(value, ':') + 1) FROM watch_item WHERE id > :seen
)
UPDATE hunt_term t SET added_at = :now FROM fresh f WHERE t.value = f.value AND t.added_at < :now
"""

# No item need name them.
_FOUND_AGAIN: Final = "UPDATE hunt_term SET added_at = :now WHERE kind IN ('certificates', 'keys')"


class Terms:
    """Terms, by when they were seen. Sets of them are made where they are asked for, and the last few are kept."""

    def __init__(self, rows: Sequence[tuple[str, str, datetime]]) -> None:
        self._rows: Final = sorted(rows, key=lambda row: row[2])
        self._times: Final = [added_at for _, _, added_at in self._rows]
        self._made: dict[int, WatchSet] = {}

    def after(self, moment: datetime) -> WatchSet | None:
        """The terms that were seen after a moment; None where there are none."""
        first = bisect_right(self._times, moment)
        if first == len(self._rows):
            return None
        if first not in self._made:
            if len(self._made) == _KEPT:
                self._made.clear()
            self._made[first] = _watch_set(self._rows[first:])
        return self._made[first]


def learn(engine: Engine) -> datetime | None:
    """Bring the terms up to what the warehouse says is watched now.

    Returns when the newest of them was seen (recorded time), None where nothing is watched. Raises BusyError where
    another process is at it.
    """
    with runs.exclusive(engine, "hunt:terms"):
        with engine.connect() as connection:
            seen = connection.execute(text("SELECT coalesce(max(id), 0) FROM watch_item")).scalar_one()
            watch = load_watch_set(connection)
        with engine.begin() as connection:
            now = clock(connection)
            before = (runs.read_cursor(connection, "hunt") or {}).get("items", seen)
            connection.exec_driver_sql(_WANTED)
            with driver(connection).cursor().copy("COPY hunt_wanted FROM STDIN") as copy:
                for kind, value in _terms(watch):
                    copy.write_row((digest(kind, value).hex(), kind, value))
            connection.exec_driver_sql("ANALYZE hunt_wanted")
            connection.exec_driver_sql(_GONE)
            if connection.execute(text(_AGAIN), {"seen": before, "now": now}).rowcount:
                connection.execute(text(_FOUND_AGAIN), {"now": now})
            connection.execute(text(_NEW), {"now": now})
            runs.write_cursor(connection, "hunt", {"items": seen}, None)
            newest: datetime | None = connection.execute(text("SELECT max(added_at) FROM hunt_term")).scalar_one()
    return newest


def terms(connection: Connection, after: datetime) -> Terms:
    """The terms that were seen after a moment."""
    rows = connection.execute(
        text("SELECT kind, value, added_at FROM hunt_term WHERE added_at > :after"), {"after": after}
    )
    return Terms([(kind, value, added_at) for kind, value, added_at in rows])


def _terms(watch: WatchSet) -> Iterator[tuple[str, str]]:
    for kind in TEXTS:
        for value in getattr(watch, kind):
            yield kind, value
    for kind in DIGESTS:
        for octets in getattr(watch, kind):
            yield kind, octets.hex()


def _watch_set(rows: Sequence[tuple[str, str, datetime]]) -> WatchSet:
    held: dict[str, set[Any]] = {kind: set() for kind in (*TEXTS, *DIGESTS)}
    for kind, value, _ in rows:
        if kind in held:  # another release may know more
            held[kind].add(bytes.fromhex(value) if kind in DIGESTS else value)
    return WatchSet(**{kind: frozenset(some) for kind, some in held.items()})
