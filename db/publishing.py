"""Publishing into collections: versions of objects appended in an order that a reader can hold on to.

A collection's row lock is taken before anything is read or written in it, and given back at commit. So positions and
`date_added` rise in the order in which transactions commit: a reader who has seen a position has seen every lower one,
and nothing is ever added below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from db.models import Collection, Cursor, Publication, Withheld
from db.publishing_records import MILLISECOND, Standing, Version, floor
from db.runs import write_cursor
from intel.errors import ConfigError


def ensure_collections(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Bring the rows of the collections up to date with their entries; unchanged ones are not written.

    Raises ConfigError where an alias stands for another id: clients hold their position in a collection by its id.
    """
    known = {row.alias: row.id for row in connection.execute(select(Collection.alias, Collection.id))}
    for row in rows:
        if known.get(row["alias"], row["id"]) != row["id"]:
            raise ConfigError(
                f"couldn't use collection {row['alias']}: it has another id in the warehouse; give it back its id, or"
                " choose another alias"
            )
        statement = upsert(Collection).values(**row)
        changed = {column: statement.excluded[column] for column in row if column != "id"}
        differs = or_(*(getattr(Collection, column).is_distinct_from(value) for column, value in changed.items()))
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed, where=differs))


def published_states(connection: Connection, alias: str) -> dict[int, str]:
    """The state of each block that was last published to a collection."""
    prefix = f"publish:{alias}:"
    rows = connection.execute(select(Cursor.name, Cursor.value).where(Cursor.name.startswith(prefix, autoescape=True)))
    return {int(row.name.removeprefix(prefix)): str(row.value["state"]) for row in rows}


def remember_state(connection: Connection, alias: str, block: int, state: str) -> None:
    """Say that a block was published in this state, in the transaction that publishes it."""
    write_cursor(connection, f"publish:{alias}:{block}", {"state": state}, None)


def lock_collection(connection: Connection, collection_id: UUID) -> None:
    """Take the collection until commit; a second publisher waits here, and sees what the first one wrote.

    Readers are not held up.
    """
    connection.execute(select(Collection.id).where(Collection.id == collection_id).with_for_update()).one()


def last_versions(connection: Connection, collection_id: UUID, stix_ids: Iterable[str]) -> dict[str, Standing]:
    """The last version of each object that the collection has, of those named. Uses the unique key of `publication`."""
    wanted = sorted(set(stix_ids))
    rows = connection.execute(
        select(
            Publication.stix_id,
            Publication.type,
            Publication.tlp,
            Publication.version,
            Publication.content,
            Publication.body,
        )
        .ext(distinct_on(Publication.stix_id))
        .where(Publication.collection_id == collection_id, Publication.stix_id == func.any(wanted))
        .order_by(Publication.stix_id, Publication.version.desc())
    )
    return {row["stix_id"]: Standing(**row) for row in rows.mappings()}


def append(connection: Connection, collection_id: UUID, versions: Sequence[Version]) -> None:
    """Append versions of objects to a collection, in their order. Call it while holding `lock_collection`.

    Each gets the next position, and a `date_added` of its own: the clock's, or a millisecond after the last one where
    the clock is not past it. Clients that page by `added_after` alone then lose nothing at the edge of a page.
    """
    if not versions:
        return
    held = connection.execute(
        select(Collection.position, Collection.last_added, func.clock_timestamp().label("now")).where(
            Collection.id == collection_id
        )
    ).one()
    before = floor(held.now.astimezone(UTC)) - MILLISECOND
    if held.last_added is not None:
        before = max(before, held.last_added)
    rows = [
        {
            "collection_id": collection_id,
            "position": held.position + number,
            "stix_id": version.stix_id,
            "type": version.type,
            "version": version.version or before + number * MILLISECOND,
            "date_added": before + number * MILLISECOND,
            "tlp": version.tlp,
            "finding_id": version.finding_id,
            "content": version.content,
            "body": version.body,
        }
        for number, version in enumerate(versions, start=1)
    ]
    connection.execute(insert(Publication), rows)
    connection.execute(
        update(Collection)
        .where(Collection.id == collection_id)
        .values(position=rows[-1]["position"], last_added=rows[-1]["date_added"])
    )


def set_withheld(connection: Connection, collection_id: UUID, decisions: Mapping[int, str]) -> None:
    """Write why findings are withheld from a collection; an empty reason means that the finding is not.

    A reason that stands already is not written again.
    """
    withheld = [
        {"collection_id": collection_id, "finding_id": finding_id, "reason": reason}
        for finding_id, reason in decisions.items()
        if reason
    ]
    freed = [finding_id for finding_id, reason in decisions.items() if not reason]
    if withheld:
        statement = upsert(Withheld)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["collection_id", "finding_id"],
                set_={"reason": statement.excluded.reason, "decided_at": func.clock_timestamp()},
                where=Withheld.reason != statement.excluded.reason,
            ),
            withheld,
        )
    if freed:
        connection.execute(
            delete(Withheld).where(Withheld.collection_id == collection_id, Withheld.finding_id == func.any(freed))
        )


def withheld_reasons(connection: Connection, collection_id: UUID) -> dict[str, int]:
    """How many findings are withheld from a collection now, by reason."""
    rows = connection.execute(
        select(Withheld.reason, func.count())
        .where(Withheld.collection_id == collection_id)
        .group_by(Withheld.reason)
        .order_by(Withheld.reason)
    )
    return {row[0]: int(row[1]) for row in rows}
