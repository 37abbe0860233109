"""Sources, runs, documents, batches and cursors: the book-keeping of collection. SQLAlchemy Core, one effect each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, case, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from db.models import Batch, Cursor, Document, Run, Source
from intel.errors import BusyError

_LOCK_SPACE: Final = 0x4C57  # advisory locks of sources, logs and monitors; migrations use another key


@contextmanager
def exclusive(engine: Engine, name: str) -> Iterator[None]:
    """Hold the advisory lock `name` (source:NAME, ct:LOG, monitor:NAME) for as long as the block lasts.

    The lock belongs to a connection of its own: it goes when the process dies, however it dies. Raises BusyError
    where another process holds it.
    """
    with engine.connect() as connection:
        taken = connection.execute(
            text("SELECT pg_try_advisory_lock(:space, hashtext(:name))"), {"space": _LOCK_SPACE, "name": name}
        ).scalar_one()
        connection.commit()
        if not taken:
            raise BusyError(f"couldn't start {name}: another process is at it; its next run takes over from there")
        try:
            yield
        finally:
            connection.execute(
                text("SELECT pg_advisory_unlock(:space, hashtext(:name))"), {"space": _LOCK_SPACE, "name": name}
            )
            connection.commit()


def ensure_source(connection: Connection, **values: Any) -> int:
    """The id of the source `name`, its row brought up to date with its entry. Takes the columns of `source`."""
    current = connection.execute(select(Source.__table__).where(Source.name == values["name"])).mappings().one_or_none()
    if current is not None and all(current[column] == value for column, value in values.items()):
        return int(current["id"])
    statement = upsert(Source).values(**values)
    changed = {column: statement.excluded[column] for column in values if column != "name"}
    row = connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_=changed).returning(Source.id)
    )
    return row.scalar_one()


def begin(connection: Connection, source_id: int, *, flow_run: str = "") -> int:
    """A new run. A run of the same source that still says it is running was killed: it becomes `interrupted`.

    Call it while holding the source's lock.
    """
    interrupt(connection, source_id)
    return connection.execute(insert(Run).values(source_id=source_id, flow_run=flow_run).returning(Run.id)).scalar_one()


def interrupt(connection: Connection, source_id: int) -> int:
    """Close the runs of a source that say they are running; their process is dead, since the caller has the lock."""
    return connection.execute(
        update(Run)
        .where(Run.source_id == source_id, Run.outcome == "running")
        .values(
            outcome="interrupted",
            finished_at=func.clock_timestamp(),
            error="the process was ended before the run was; the next run starts where the last committed one ended",
        )
    ).rowcount


def warn(connection: Connection, run_id: int, message: str) -> None:
    """Note on a run what could not be had or was refused; it then ends as `partial`."""
    joined = func.concat_ws("; ", func.nullif(Run.error, ""), message)
    connection.execute(update(Run).where(Run.id == run_id).values(error=func.left(joined, 10_000)))


def lock_run(connection: Connection, run_id: int) -> str:
    """The outcome of a run, its row locked for this transaction; empty where there is none."""
    return connection.execute(select(Run.outcome).where(Run.id == run_id).with_for_update()).scalar_one_or_none() or ""


def finish(connection: Connection, run_id: int, *, outcome: str, error: str = "") -> None:
    """Close a run. One that was warned about ends as `partial` where it would have ended as `ok` or `unchanged`."""
    values: dict[str, Any] = {"outcome": outcome, "finished_at": func.clock_timestamp()}
    if error:
        values["error"] = error
    elif outcome in {"ok", "unchanged"}:
        values["outcome"] = case((Run.error == "", outcome), else_="partial")
    connection.execute(update(Run).where(Run.id == run_id).values(values))


def finish_if_running(connection: Connection, run_id: int) -> None:
    """Close a run whose last look brought nothing: `ok` where an earlier one did, `partial` where it was warned about,
    `unchanged` otherwise.
    """
    run = connection.execute(select(Run.outcome, Run.documents, Run.facts).where(Run.id == run_id)).one()
    if run.outcome == "running":
        finish(connection, run_id, outcome="ok" if run.documents or run.facts else "unchanged")


def count(connection: Connection, run_id: int, **counts: int) -> None:
    """Add to the counts of a run: documents, facts, facts_new, facts_ended, rejects, bytes."""
    columns = Run.__table__.c
    connection.execute(
        update(Run).where(Run.id == run_id).values({name: columns[name] + value for name, value in counts.items()})
    )


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has had so far: documents and bytes stored, seconds since it began."""

    documents: int
    bytes: int
    seconds: float


def used(connection: Connection, run_id: int) -> Used:
    """What the run has had so far, so that limits hold for the run and not anew for each of its slices."""
    seconds = func.extract("epoch", func.clock_timestamp() - Run.started_at)
    row = connection.execute(select(Run.documents, Run.bytes, seconds.label("seconds")).where(Run.id == run_id)).one()
    return Used(documents=row.documents, bytes=row.bytes, seconds=float(row.seconds))


def new_document(connection: Connection, **values: Any) -> int:
    """Write a document's row; its bytes are in the document store already."""
    return connection.execute(insert(Document).values(**values).returning(Document.id)).scalar_one()


def last_documents(connection: Connection, source_id: int, location: str | None = None) -> dict[str, Any]:
    """The newest loaded document of each location of a source, or of one location: sha256, etag, last_modified, as_of,
    fetched_at, run_id, id. Uses ix_document_source_id_location.
    """
    columns = ("location", "sha256", "etag", "last_modified", "as_of", "fetched_at", "run_id", "id")
    statement = (
        select(*(getattr(Document, name) for name in columns))
        .ext(distinct_on(Document.location))
        .where(Document.source_id == source_id, Document.loaded)
        .order_by(Document.location, Document.id.desc())
    )
    if location is not None:
        statement = statement.where(Document.location == location)
    return {row.location: row for row in connection.execute(statement)}


def unloaded_document(connection: Connection, source_id: int, location: str, sha256: bytes) -> int | None:
    """A document of the same bytes that was stored and never loaded. Uses ix_document_source_id_location."""
    statement = select(Document.id).where(
        Document.source_id == source_id,
        Document.location == location,
        Document.sha256 == sha256,
        Document.loaded.is_(False),
    )
    return connection.execute(statement.order_by(Document.id.desc()).limit(1)).scalar_one_or_none()


def loaded_digests(connection: Connection, source_id: int, digests: Sequence[bytes]) -> set[bytes]:
    """Which of these SHA-256 belong to documents of the source that were loaded. Uses ix_document_sha256."""
    rows = connection.execute(
        select(Document.sha256).where(Document.sha256.in_(digests), Document.source_id == source_id, Document.loaded)
    )
    return {bytes(row.sha256) for row in rows}


def documents(connection: Connection, ids: Sequence[int]) -> list[Any]:
    """The rows of documents, in the order of their ids."""
    return list(connection.execute(select(Document.__table__).where(Document.id.in_(ids)).order_by(Document.id)))


def mark_loaded(connection: Connection, ids: Sequence[int]) -> None:
    """Say that the facts of these documents are committed."""
    if ids:
        connection.execute(update(Document).where(Document.id.in_(ids)).values(loaded=True))


def new_batch(connection: Connection, run_id: int) -> int:
    """A batch for what this transaction writes."""
    return connection.execute(insert(Batch).values(run_id=run_id, facts_new=0).returning(Batch.id)).scalar_one()


def close_batch(connection: Connection, batch_id: int, *, facts_new: int, restated: int, ended: int) -> None:
    """Say how many facts a batch brought; one that changed nothing is removed, since nobody needs to judge it."""
    if not (facts_new or restated or ended):
        connection.execute(delete(Batch).where(Batch.id == batch_id))
        return
    connection.execute(update(Batch).where(Batch.id == batch_id).values(facts_new=facts_new))


def read_cursor(connection: Connection, name: str) -> dict[str, Any] | None:
    """The cursor `name`, None where it was never written."""
    return connection.execute(select(Cursor.value).where(Cursor.name == name)).scalar_one_or_none()


def write_cursor(connection: Connection, name: str, value: dict[str, Any], run_id: int | None) -> None:
    """Move the cursor `name`, in the transaction that writes what was read."""
    statement = upsert(Cursor).values(name=name, value=value, run_id=run_id)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": value, "run_id": run_id, "updated_at": func.clock_timestamp()}
        )
    )


def snapshot_time(connection: Connection, source: str) -> datetime | None:
    """The event time of the last snapshot that was taken in full from `source`."""
    value = read_cursor(connection, f"snapshot:{source}")
    return None if value is None else datetime.fromisoformat(value["as_of"])
