"""Reading collections with asyncpg.

A page is read by its position: never by counting rows off, which misses or repeats objects as soon as somebody
publishes. Positions are given in the order of commits (db/publishing.py), so that what is read up to a position stays
complete. The TLP of every row is compared with the collection's ceiling as it is now.

Raw SQL: asyncpg has no other, and the filters decide its parts; values are always parameters.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy.engine import make_url

from apps.taxii.auth import Caller
from apps.taxii.paging import Selection

_SECRET: Final = "taxii:paging"  # noqa: S105 - the name of a row, not a secret
_SESSION: Final = {
    "application_name": "lapsewatch-taxii",
    "timezone": "UTC",
    "default_transaction_read_only": "on",
    "statement_timeout": "30000",
    # Plans are made for the values at hand: a plan for any filter would fit a rare type as badly as a common one.
    "plan_cache_mode": "force_custom_plan",
}
_COLLECTIONS: Final = """
SELECT id, alias, title, description, tlp_ceiling FROM collection WHERE id = ANY($1) ORDER BY alias
"""
_COLLECTION: Final = """
SELECT id, alias, title, description, tlp_ceiling FROM collection WHERE id = ANY($1) AND (id = $2 OR alias = $3)
"""
_NEWER: Final = """EXISTS (SELECT FROM publication n WHERE n.collection_id = p.collection_id AND n.stix_id = p.stix_id
    AND n.version > p.version AND n.tlp <= $2)"""
_OLDER: Final = """EXISTS (SELECT FROM publication o WHERE o.collection_id = p.collection_id AND o.stix_id = p.stix_id
    AND o.version < p.version AND o.tlp <= $2)"""
# `date_added` rises with the position, so that a time is a position: found by ix_publication_collection_id_date_added,
# in the same statement, since what is published between two statements would be judged by the wrong one.
_ADDED_AFTER: Final = """p.position > coalesce((SELECT q.position FROM publication q
    WHERE q.collection_id = $1 AND q.date_added <= ${} ORDER BY q.date_added DESC LIMIT 1), 0)"""


class CollectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A collection that the caller may read."""

    id: UUID
    alias: str
    title: str
    description: str
    tlp_ceiling: int


def plain_url(database_url: str) -> str:
    """`database_url` without the name of a driver, as asyncpg takes it."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


async def open_pool(database_url: str, *, size: int) -> asyncpg.Pool:
    """Connections for reading only."""
    return await asyncpg.create_pool(
        plain_url(database_url), min_size=1, max_size=size, timeout=10, command_timeout=40, server_settings=_SESSION
    )


async def paging_secret(database_url: str) -> bytes:
    """The secret of this installation that `next` is signed with, made at the first start and kept in `cursor`.

    Whichever of several servers is first makes it; all of them read the same one.
    """
    connection = await asyncpg.connect(plain_url(database_url), timeout=10, command_timeout=40)
    try:
        await connection.execute(
            "INSERT INTO cursor (name, value) VALUES ($1, jsonb_build_object('secret', $2::text))"
            " ON CONFLICT DO NOTHING",
            _SECRET,
            secrets.token_hex(32),
        )
        return bytes.fromhex(await connection.fetchval("SELECT value->>'secret' FROM cursor WHERE name = $1", _SECRET))
    finally:
        await connection.close()


async def collections(pool: asyncpg.Pool, caller: Caller) -> list[CollectionRow]:
    """What the caller may read, in an order that stays."""
    return [CollectionRow(**row) for row in await pool.fetch(_COLLECTIONS, list(caller.collections))]


async def collection(pool: asyncpg.Pool, caller: Caller, name: str) -> CollectionRow | None:
    """The collection with this id or alias, None where there is none that the caller may read."""
    try:
        by_id = UUID(name)
    except ValueError:
        by_id = None
    row = await pool.fetchrow(_COLLECTION, list(caller.collections), by_id, name)
    return None if row is None else CollectionRow(**row)


async def page(
    pool: asyncpg.Pool, held: CollectionRow, selection: Selection, columns: str, *, stix_id: str | None = None
) -> list[asyncpg.Record]:
    """At most `limit` + 1 rows after the selection's position: one more than a page tells whether there is more."""
    if not selection.any_spec:
        return []
    values: list[Any] = [held.id, held.tlp_ceiling, selection.after]
    where = ["p.collection_id = $1", "p.tlp <= $2", "p.position > $3"]

    def add(condition: str, value: object) -> None:
        values.append(value)
        where.append(condition.format(len(values)))

    if selection.added_after is not None:
        add(_ADDED_AFTER, selection.added_after)
    if stix_id is not None:
        add("p.stix_id = ${}", stix_id)
    if selection.ids:
        add("p.stix_id = ANY(${})", list(selection.ids))
    if selection.types:
        add("p.type = ANY(${})", list(selection.types))
    if "all" not in selection.versions:
        either = [f"NOT {_NEWER}"] if "last" in selection.versions else []
        either += [f"NOT {_OLDER}"] if "first" in selection.versions else []
        exact = [version for version in selection.versions if isinstance(version, datetime)]
        either += ["p.version = ANY(${})"] if exact else []
        if exact:
            add(f"({' OR '.join(either)})", exact)
        else:
            where.append(f"({' OR '.join(either)})")
    values.append(selection.limit + 1)
    rows: list[asyncpg.Record] = await pool.fetch(
        f"SELECT p.position, p.date_added, {columns} FROM publication p WHERE {' AND '.join(where)}"  # noqa: S608 - parts are constants
        f" ORDER BY p.position LIMIT ${len(values)}",
        *values,
    )
    return rows


async def has_object(pool: asyncpg.Pool, held: CollectionRow, stix_id: str) -> bool:
    """Whether the collection has any version of an object. Uses the unique key of `publication`."""
    return bool(
        await pool.fetchval(
            "SELECT EXISTS (SELECT FROM publication WHERE collection_id = $1 AND stix_id = $2 AND tlp <= $3)",
            held.id,
            stix_id,
            held.tlp_ceiling,
        )
    )
