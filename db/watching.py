"""Watches in the warehouse: made, changed, removed and listed, each change in the caller's transaction.

Comes in: `Definition`, what a file, a command or an incident says. Goes out: rows of `watch` and `watch_item`. A watch
keeps its id for as long as its name lives, an item for as long as it is watched, so that findings keep what they
matched. What is watched anew is looked backwards for by the monitors (`watch_item.swept`).

Raw SQL where items move as a set: they come by COPY, 100,000 at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Self

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from db import runs, watch_rules
from db.models import Cursor, Entity, Finding, Watch, WatchItem
from db.rows import driver
from intel import entities
from intel.errors import ConfigError
from intel.rules import Rule

EXPECTED: Final = "expected"
"""The match of an item that is not looked for: what has this SHA-256 is expected in the findings of its watch."""
EXPECTED_EVERYWHERE: Final = "ours"
"""The same in the findings of all watches."""

LOCK_ITEMS: Final = "SELECT pg_advisory_xact_lock(19543, hashtext('watch items'))"
_LISTED: Final = """
CREATE TEMP TABLE watch_listed (match text, kind text, value text, network inet, since timestamptz) ON COMMIT DROP
"""
# What is no longer listed goes, but for what a source claims of the actor that the watch follows. Uses
# uq_watch_item_watch_id_match_digest, ix_entity_scope, ix_entity_address, uq_entity_digest and
# ix_fact_subject_id_predicate_object_id.
_DELETE_UNLISTED: Final = """
DELETE FROM watch_item i USING watch w
WHERE w.id = :watch_id AND i.watch_id = w.id
    AND NOT EXISTS (SELECT FROM watch_listed l WHERE l.match = i.match AND l.kind = i.kind AND l.value = i.value)
    AND (i.since IS NULL OR NOT w.follows_actor OR NOT EXISTS (
        SELECT FROM entity e JOIN fact f ON f.subject_id = e.id AND f.predicate = 'attributed-to'
            AND f.object_id = w.actor_id
        WHERE (i.match = 'scope' AND e.scope = i.value AND e.scope <> '')
            OR (i.match = 'network' AND e.address = i.network)
            OR (i.match = 'entity' AND e.digest = encode(substr(sha256(
                convert_to(i.kind, 'UTF8') || '\\x00'::bytea || convert_to(i.value, 'UTF8')), 1, 16), 'hex')::uuid)))
"""
_UPSERT_LISTED: Final = """
INSERT INTO watch_item (watch_id, match, kind, value, network, since)
SELECT :watch_id, match, kind, value, network, since FROM watch_listed ORDER BY match, kind, value
ON CONFLICT (watch_id, match, digest) DO UPDATE SET network = excluded.network, since = excluded.since, swept = '{}'
WHERE (watch_item.network, watch_item.since) IS DISTINCT FROM (excluded.network, excluded.since)
"""

# Findings that say of something that it is expected, where nothing lists that any more: what they matched is judged
# once more. Reads the findings whole; few lists of what is expected ever lose something.
_UNEXPECT: Final = """
UPDATE watch_item SET swept = '{}' WHERE id IN (
    SELECT n.item_id FROM finding n CROSS JOIN jsonb_array_elements(n.annotations) a (said)
    WHERE a.said->>'hub' = 'expected' AND NOT EXISTS (
        SELECT FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.active
        WHERE i.value = a.said->>'list' AND (i.match = 'ours' OR (i.match = 'expected' AND i.watch_id = n.watch_id))))
"""


class Item(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing to look for, or to expect.

    `match`: entity (of `kind`), scope (a registrable domain and what stands on it), subtree (a name and what stands
    below it), network, or what is expected (`EXPECTED`, `EXPECTED_EVERYWHERE`: SHA-256 of a certificate, its TBS or a
    key). `since`: known to belong from then on (event time, UTC); facts of that day are no news.
    """

    match: str
    value: str
    kind: str = ""
    network: str | None = None
    since: datetime | None = None


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A watch as it was asked for. `origin` is file, command or incident; `actor` an actor's id or empty.

    `rules` are names of built-in ones, `own` those that its file brings along.
    """

    name: str
    origin: str
    reason: str = ""
    actor: str = ""
    follow_actor: bool = False
    incident_id: int | None = None
    rules: tuple[str, ...] = ("*",)
    own: tuple[Rule, ...] = ()
    items: tuple[Item, ...] = ()

    @property
    def digest(self) -> str:
        """The same for the same definition, whatever the order of its items."""
        ordered = msgspec.structs.replace(
            self, items=tuple(sorted(self.items, key=lambda i: (i.match, i.kind, i.value)))
        )
        return hashlib.sha256(msgspec.json.encode(ordered)).hexdigest()


class WatchSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A watch as `list_watches` shows it."""

    id: int
    name: str
    origin: str
    actor: str
    follows_actor: bool
    active: bool
    rules: tuple[str, ...]
    reason: str
    items: int
    findings: int
    created_at: datetime

    @classmethod
    def of(cls, row: object) -> Self:
        """From a row with these columns."""
        return msgspec.convert(row, cls, from_attributes=True)


def lock_items(connection: Connection) -> None:
    """Hold the watch set for this transaction: whoever changes items or marks them as swept takes turns."""
    connection.execute(text(LOCK_ITEMS))


def put_watch(connection: Connection, definition: Definition) -> int:
    """The id of the watch, made or brought up to date; nothing is written where it is as it was asked for.

    Raises ConfigError where another origin made a watch of that name.
    """
    lock_items(connection)
    current = connection.execute(select(Watch.__table__).where(Watch.name == definition.name)).one_or_none()
    cursor = f"watch:{definition.name}"
    if current is not None and current.active:
        if current.origin != definition.origin:
            raise ConfigError(
                f"couldn't use watch {definition.name}: one of that name was made by {current.origin}; it stays as it"
                " is, and this one needs another name"
            )
        if (runs.read_cursor(connection, cursor) or {}).get("definition") == definition.digest:
            return int(current.id)
    values = {
        "actor_id": _actor(connection, definition.actor) if definition.actor else None,
        "incident_id": definition.incident_id,
        "origin": definition.origin,
        "rules": list(definition.rules),
        "active": True,
        "follows_actor": definition.follow_actor,
        "reason": definition.reason,
    }
    if current is None:
        made = insert(Watch).values(name=definition.name, **values).returning(Watch.id)
        watch_id = int(connection.execute(made).scalar_one())
    else:
        watch_id = int(current.id)
        connection.execute(update(Watch).where(Watch.id == watch_id).values(**values))
        # New rules have not looked at what the old ones have, and a watch that slept has missed batches.
        if not current.active or set(current.rules) != set(definition.rules):
            connection.execute(update(WatchItem).where(WatchItem.watch_id == watch_id).values(swept=[]))
        if not current.active:
            watch_rules.wake(connection, watch_id)
    _replace_items(connection, watch_id, definition.items)
    if definition.origin == watch_rules.FILE:
        watch_rules.put_rules(connection, watch_id, definition.own)
    # The monitors read all claims about the actor again before they judge anything more.
    connection.execute(delete(Cursor).where(Cursor.name == f"follow:{watch_id}"))
    runs.write_cursor(connection, cursor, {"definition": definition.digest}, None)
    return watch_id


def remove_watch(connection: Connection, name: str) -> bool:
    """Stop watching; what it found is kept, and the watch with it, inactive. False where there is no such watch."""
    lock_items(connection)
    watch_id = connection.execute(select(Watch.id).where(Watch.name == name, Watch.active)).scalar_one_or_none()
    if watch_id is None:
        return False
    connection.execute(delete(Cursor).where(Cursor.name.in_([f"watch:{name}", f"follow:{watch_id}"])))
    expected = _expects(connection, watch_id)
    connection.execute(delete(WatchItem).where(WatchItem.watch_id == watch_id))
    if expected:
        connection.execute(text(_UNEXPECT))
    if connection.execute(select(Finding.id).where(Finding.watch_id == watch_id).limit(1)).first() is None:
        connection.execute(delete(Watch).where(Watch.id == watch_id))
    else:
        connection.execute(update(Watch).where(Watch.id == watch_id).values(active=False))
    return True


def names_from_files(connection: Connection) -> list[str]:
    """The active watches that files made."""
    return list(connection.execute(select(Watch.name).where(Watch.origin == "file", Watch.active)).scalars())


def list_watches(connection: Connection) -> list[WatchSummary]:
    """All watches by name, with how much they watch and have found (withdrawn findings left out)."""
    looked_for = WatchItem.match.not_in((EXPECTED, EXPECTED_EVERYWHERE))
    items = select(func.count()).where(WatchItem.watch_id == Watch.id, looked_for).scalar_subquery()
    found = select(func.count()).where(Finding.watch_id == Watch.id, Finding.status != "withdrawn").scalar_subquery()
    actor = func.coalesce(select(Entity.value).where(Entity.id == Watch.actor_id).scalar_subquery(), "")
    rows = connection.execute(
        select(
            Watch.id,
            Watch.name,
            Watch.origin,
            actor.label("actor"),
            Watch.follows_actor,
            Watch.active,
            Watch.rules,
            Watch.reason,
            items.label("items"),
            found.label("findings"),
            Watch.created_at,
        ).order_by(Watch.name)
    )
    return [WatchSummary.of(row) for row in rows]


def _actor(connection: Connection, name: str) -> int:
    """The id of an actor that a source may not have named yet."""
    made = entities.entity(entities.Kind.ACTOR, name)
    connection.execute(
        upsert(Entity)
        .values(digest=made.digest.hex(), kind=made.kind, value=made.value, scope="", address=None)
        .on_conflict_do_nothing(index_elements=["digest"])
    )
    return int(connection.execute(select(Entity.id).where(Entity.digest == made.digest.hex())).scalar_one())


def _replace_items(connection: Connection, watch_id: int, items: Iterable[Item]) -> None:
    connection.exec_driver_sql("DROP TABLE IF EXISTS pg_temp.watch_listed")
    connection.exec_driver_sql(_LISTED)
    with driver(connection).cursor().copy("COPY watch_listed FROM STDIN") as copy:
        for item in items:
            copy.write_row((item.match, item.kind, item.value, item.network, item.since))
    connection.exec_driver_sql("ANALYZE watch_listed")
    expected = _expects(connection, watch_id)
    connection.execute(text(_DELETE_UNLISTED), {"watch_id": watch_id})
    connection.execute(text(_UPSERT_LISTED), {"watch_id": watch_id})
    if not expected <= _expects(connection, watch_id):
        connection.execute(text(_UNEXPECT))


def _expects(connection: Connection, watch_id: int) -> set[tuple[str, str]]:
    """What a watch says is expected, as (match, value)."""
    said = select(WatchItem.match, WatchItem.value).where(
        WatchItem.watch_id == watch_id, WatchItem.match.in_((EXPECTED, EXPECTED_EVERYWHERE))
    )
    return {(row.match, row.value) for row in connection.execute(said)}
