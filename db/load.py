"""Load: staged facts become entities, facts, history and links, in one transaction with cursor and run.

Comes in: a `Batch` whose facts lie in staging. Goes out: `Loaded`, with what was new. Everything is a set operation on
a chunk of at most 100,000 facts; nothing is done per row. Within a chunk rows are written in the order of their keys,
so that two loads that touch the same entities wait for one another; over several chunks they can still deadlock, and
`tasks/load/load.py` then loads again.

Time: a stream states points. A snapshot states spans: from when a fact is first stated (its own time, or the
snapshot's) until the first snapshot that lacks it, and again from the snapshot that has it back. A snapshot that is
older than the last one taken says that something was so then, and nothing of what came after.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from db import load_sql as sql
from db import runs
from db.rows import driver
from db.staging import tables
from intel.errors import WarehouseError


class Batch(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What passes between the tasks of a run: rows and files are pointed to, never carried.

    `source` and `source_id` name the source, `documents` are ids. `as_of` is the event time of a snapshot. `cursor`
    is written with the facts. `last` closes the run. `max_shrink` is the share of standing facts that one snapshot
    may end; a snapshot that would end more, or that is older than the one before, or that lacks a part (`problems`),
    ends nothing.
    """

    source: str
    source_id: int
    run_id: int
    snapshot: bool = False
    documents: tuple[int, ...] = ()
    facts: int = 0
    rejects: int = 0
    as_of: datetime | None = None
    cursor: dict[str, Any] | None = None
    last: bool = True
    max_shrink: float = 0.5
    problems: tuple[str, ...] = ()


class Loaded(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a load changed. `batch_id` is None where nothing was new. `alarm` says what was refused, or is empty."""

    run_id: int
    source: str
    batch_id: int | None
    facts_new: int
    facts_ended: int
    last: bool = True
    alarm: str = ""


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a load must know of the snapshots before: how many facts stood, and when the last one was taken."""

    standing: int = 0
    before: datetime | None = None
    older: bool = False


def load(connection: Connection, batch: Batch) -> Loaded:
    """Move a batch from staging into the warehouse; the caller's transaction holds everything.

    Raises WarehouseError where the run is no longer running, since another process has taken the source over, and
    where staged rows are missing.
    """
    _still_ours(connection, batch)
    connection.exec_driver_sql(sql.TEMPORARY)
    # A chunk asks for 100,000 keys of tables that may hold a hundred million rows: by index, never by reading them
    # whole, which is what the planner prefers where it takes a page of the index to cost four of the table.
    connection.exec_driver_sql("SET LOCAL default_statistics_target = 10; SET LOCAL random_page_cost = 1.1")
    batch_id = runs.new_batch(connection, batch.run_id)
    snapshot = _before(connection, batch) if batch.snapshot else _Snapshot()
    staged, new, restated, ended = 0, 0, 0, 0
    names = tables(driver(connection), batch.run_id)
    for name in [name for name in names if name.startswith("fact_")]:
        counts = _chunk(connection, batch, batch_id, snapshot, fact=name, entity=name.replace("fact_", "entity_", 1))
        staged, new, restated, ended = staged + counts[0], new + counts[1], restated + counts[2], ended + counts[3]
    if staged != batch.facts:
        raise WarehouseError(
            f"couldn't load run {batch.run_id} of {batch.source}: {batch.facts} facts were staged and {staged} are"
            " there; the run is given up and the next one reads the documents again"
        )
    alarm = ""
    if batch.snapshot:
        missing, alarm = _end_missing(connection, batch, batch_id, snapshot)
        ended += missing
    merge_links(connection)
    rejects = _move_rejects(connection, batch.run_id, names)
    for name in names:
        connection.exec_driver_sql(f'DROP TABLE staging."{name}"')
    runs.close_batch(connection, batch_id, facts_new=new, restated=restated, ended=ended)
    runs.mark_loaded(connection, batch.documents)
    if batch.cursor is not None:
        runs.write_cursor(connection, f"source:{batch.source}", batch.cursor, batch.run_id)
    runs.count(connection, batch.run_id, facts=staged, facts_new=new, facts_ended=ended, rejects=rejects)
    said = "; ".join(part for part in (alarm, *batch.problems) if part)
    if said:
        runs.warn(connection, batch.run_id, said)
    if batch.last:
        runs.finish(connection, batch.run_id, outcome="ok")
    return Loaded(
        run_id=batch.run_id,
        source=batch.source,
        batch_id=batch_id if new or restated or ended else None,
        facts_new=new,
        facts_ended=ended,
        last=batch.last,
        alarm=alarm,
    )


def merge_links(connection: Connection) -> int:
    """Merge the links named in `load_link` from their facts. Returns how many were written."""
    connection.exec_driver_sql("ANALYZE load_link")
    connection.exec_driver_sql(sql.LOCK_LINKS)
    return connection.exec_driver_sql(sql.MERGE_LINKS).rowcount


def rebuild_links(connection: Connection) -> int:
    """Merge every link again from its facts; those that no fact states any more go. Returns how many there are.

    Loads wait meanwhile: a link that one of them adds would be lost.
    """
    connection.exec_driver_sql("LOCK TABLE link IN ACCESS EXCLUSIVE MODE")
    connection.exec_driver_sql(sql.TEMPORARY)
    connection.exec_driver_sql(
        "INSERT INTO load_link SELECT DISTINCT subject_id, predicate, object_id FROM fact WHERE object_id IS NOT NULL"
    )
    connection.exec_driver_sql("TRUNCATE link")
    return connection.exec_driver_sql(sql.MERGE_LINKS).rowcount


def _still_ours(connection: Connection, batch: Batch) -> None:
    """An advisory lock goes with its connection: where it was lost, another run has closed ours before it began."""
    outcome = runs.lock_run(connection, batch.run_id)
    if outcome != "running":
        raise WarehouseError(
            f"couldn't load run {batch.run_id} of {batch.source}: it is {outcome or 'unknown'}, so another process has"
            " taken over; nothing was written, and that process goes on"
        )


def _before(connection: Connection, batch: Batch) -> _Snapshot:
    if batch.as_of is None:
        raise WarehouseError(f"couldn't load the snapshot of {batch.source}: it has no time; nothing was written")
    before = runs.snapshot_time(connection, batch.source)
    standing = connection.execute(text(sql.COUNT_STANDING), {"source_id": batch.source_id}).scalar_one()
    return _Snapshot(standing=standing, before=before, older=before is not None and batch.as_of < before)


def _chunk(
    connection: Connection, batch: Batch, batch_id: int, snapshot: _Snapshot, *, fact: str, entity: str
) -> tuple[int, int, int, int]:
    """(staged, new, restated, ended) of one chunk."""
    known = {
        "source_id": batch.source_id,
        "batch_id": batch_id,
        "snapshot": batch.snapshot,
        "older": snapshot.older,
        "as_of": batch.as_of,
    }
    connection.exec_driver_sql("TRUNCATE load_entity, load_fact, load_stated, load_new_link")
    connection.exec_driver_sql(f'ANALYZE staging."{entity}"')
    connection.exec_driver_sql(f'ANALYZE staging."{fact}"')

    def run(statement: str) -> Any:
        said = statement.format(entity=f'"{entity}"', fact=f'"{fact}"')
        said = said.replace(":as_of", "CAST(:as_of AS timestamptz)")
        return connection.execute(text(said), {name: value for name, value in known.items() if f":{name}" in said})

    run(sql.INSERT_ENTITIES)
    run(sql.RESOLVE_ENTITIES)
    connection.exec_driver_sql("ANALYZE load_entity")
    new = run(sql.INSERT_FACTS).rowcount
    run(sql.RESOLVE_FACTS)
    connection.exec_driver_sql("ANALYZE load_fact")
    staged = connection.execute(text("SELECT count(*) FROM load_fact")).scalar_one()
    if staged > new and run(sql.TIGHTEN).rowcount:
        # Publishing looks at evidence again only where it is told of a change: db/publishing_findings.py.
        runs.write_cursor(connection, f"tightened:{batch.source}", {"batch": batch_id}, batch.run_id)
    stated, ended = run(sql.INSERT_HISTORY).one()
    if snapshot.older:
        run(sql.END_OLDER)
    run(sql.INSERT_LINKS)
    connection.exec_driver_sql("ANALYZE load_stated, load_new_link")
    run(sql.TOUCHED_LINKS)
    if batch.snapshot and not snapshot.older:
        run(sql.STAND_AGAIN)
        connection.exec_driver_sql("INSERT INTO load_seen SELECT id FROM load_fact")
    return staged, new, max(stated - new, 0), ended


def _end_missing(connection: Connection, batch: Batch, batch_id: int, snapshot: _Snapshot) -> tuple[int, str]:
    """End what the snapshot no longer states: (how many ended, alarm)."""
    if snapshot.older:
        return 0, (
            f"the snapshot of {batch.source} is of {batch.as_of:%Y-%m-%d %H:%M} UTC, older than the last, of"
            f" {snapshot.before:%Y-%m-%d %H:%M} UTC; it ends nothing"
        )
    if batch.problems:
        return 0, f"a part of the snapshot of {batch.source} could not be had; it ends nothing"
    connection.exec_driver_sql("ANALYZE load_seen")
    missing = connection.execute(text(sql.COUNT_MISSING), {"source_id": batch.source_id}).scalar_one()
    if snapshot.standing and missing / snapshot.standing > batch.max_shrink:
        return 0, (
            f"the snapshot of {batch.source} lacks {missing} of {snapshot.standing} facts that stood, more than its"
            f" entry allows ({batch.max_shrink:.0%}); it ends nothing"
        )
    values = {"source_id": batch.source_id, "as_of": batch.as_of, "before": snapshot.before, "batch_id": batch_id}
    ended = connection.execute(text(sql.END_MISSING), values).scalar_one() if missing else 0
    if batch.as_of is not None:
        runs.write_cursor(connection, f"snapshot:{batch.source}", {"as_of": batch.as_of.isoformat()}, batch.run_id)
    return ended, ""


def _move_rejects(connection: Connection, run_id: int, names: list[str]) -> int:
    """Keep the rejects of this run; what an earlier run refused of the same document is kept already."""
    if f"reject_{run_id}" not in names:
        return 0
    staged = connection.exec_driver_sql(f'SELECT count(*) FROM staging."reject_{int(run_id)}"').scalar_one()  # noqa: S608 - a number
    connection.exec_driver_sql(
        f"INSERT INTO reject (run_id, document_id, locator, reason, excerpt) SELECT {int(run_id)}, r.*"  # noqa: S608 - a number
        f' FROM staging."reject_{int(run_id)}" r WHERE NOT EXISTS (SELECT FROM reject x WHERE'
        " x.document_id = r.document_id AND x.run_id <> "
        f"{int(run_id)})"
    )
    return int(staged)
