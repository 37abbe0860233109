"""Publishing into collections: versions of objects appended in an order that a reader can hold on to.

A collection's row lock is taken before anything is read or written in it, and given back at commit. So positions and
`date_added` rise in the order in which transactions commit: a reader who has seen a position has seen every lower one,
and nothing is ever added below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from db.models import Collection, Publication, Withheld
from db.publishing_records import MILLISECOND, Standing, Version, floor
from db.runs import read_cursor, write_cursor
from intel.errors import ConfigError

# Raw SQL where a JSON value is taken apart or put together. `cursor` has a row for each block, source and log: it is
# read whole.
_KNOWN: Final = """
SELECT name, value->>'mark' AS mark FROM cursor
WHERE starts_with(name, :prefix) AND updated_at > clock_timestamp() - interval '1 day'
"""
# In one statement: a publisher who judged the block meanwhile wrote another state, which must stay.
_CONFIRM: Final = """
UPDATE cursor SET value = value || jsonb_build_object('mark', CAST(:mark AS text)), updated_at = clock_timestamp()
WHERE name = :name AND value->>'state' = :state
"""
# How laxly other blocks of the collection need the shared objects, by STIX id. Uses pk_cursor.
_ELSEWHERE: Final = """
SELECT s.key AS stix_id, min(s.value::int) AS tlp
FROM cursor c CROSS JOIN LATERAL jsonb_each_text(c.value->'shared') s
WHERE starts_with(c.name, :prefix) AND c.name <> :own AND c.value->>'size' = CAST(:size AS text) AND s.key = ANY(:ids)
GROUP BY s.key
"""
# Uses uq_publication_collection_id_stix_id_version.
_RAISE: Final = """
UPDATE publication p SET tlp = v.tlp
FROM unnest(CAST(:ids AS text[]), CAST(:tlps AS smallint[])) v (stix_id, tlp)
WHERE p.collection_id = :collection_id AND p.stix_id = v.stix_id AND p.tlp < v.tlp
"""


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


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A block of `size` findings as it was last published to a collection.

    `state` and `mark` as in db/publishing_findings.py. `shared` has the objects that do not belong to one finding, by
    id, with the laxest TLP under which a finding of the block needs it.
    """

    state: str
    mark: str = ""
    size: int = 0
    shared: dict[str, int] = {}


def known_marks(connection: Connection, alias: str) -> dict[int, str]:
    """The mark of each block that was last published to a collection; one not looked into for a day is left out.

    So a change that its writer did not tell of is seen within a day.
    """
    prefix = f"publish:{alias}:"
    rows = connection.execute(text(_KNOWN), {"prefix": prefix})
    return {int(row.name.removeprefix(prefix)): str(row.mark) for row in rows}


def confirm_mark(connection: Connection, alias: str, block: int, *, state: str, mark: str) -> bool:
    """Whether `state` is what was last published of a block; then `mark` is remembered, so that it need not be read."""
    values = {"name": f"publish:{alias}:{block}", "state": state, "mark": mark}
    return connection.execute(text(_CONFIRM), values).rowcount > 0


def read_block(connection: Connection, alias: str, block: int) -> Block | None:
    """A block as it was last published; None where it never was."""
    value = read_cursor(connection, f"publish:{alias}:{block}")
    return None if value is None else msgspec.convert(value, Block)


def remember_block(connection: Connection, alias: str, block: int, published: Block) -> None:
    """Say how a block was published, in the transaction that publishes it."""
    write_cursor(connection, f"publish:{alias}:{block}", msgspec.to_builtins(published), None)


def shared_elsewhere(
    connection: Connection, alias: str, block: int, size: int, stix_ids: Iterable[str]
) -> dict[str, int]:
    """The laxest TLP under which any other block needs a shared object, of those named that are needed at all."""
    wanted = sorted(stix_ids)
    if not wanted:
        return {}
    values = {"prefix": f"publish:{alias}:", "own": f"publish:{alias}:{block}", "size": str(size), "ids": wanted}
    return {row.stix_id: int(row.tlp) for row in connection.execute(text(_ELSEWHERE), values)}


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


def raise_tlp(connection: Connection, collection_id: UUID, tlps: Mapping[str, int]) -> None:
    """Make all versions of objects that stand as strict as said, by id; `HIDDEN` takes them back from all readers.

    Partners read by `publication.tlp`, so that an older version does not come back where the last one is above the
    ceiling. Call it before the new versions are appended, while holding `lock_collection`.
    """
    if tlps:
        values = {"collection_id": collection_id, "ids": list(tlps), "tlps": list(tlps.values())}
        connection.execute(text(_RAISE), values)


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
