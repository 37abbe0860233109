"""What is watched: watch files and what people ask for, read into items and brought into the warehouse.

Comes in: `WatchFile` records (configs/watches/) or the same items from a command or an incident. Goes out: rows,
through db/watching.py. A domain watch on a registrable domain takes all that stands on it; on a name below one, that
name and what is below it; on a suffix that strangers share (dynamic DNS, a public suffix), that very name alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection

from db import watching
from db.watching import Definition, Item, list_watches, remove_watch
from intel.config.watches import WatchedItem, WatchFile
from intel.entities import Entity, Kind, entity, guess
from intel.errors import ConfigError, ReadError
from intel.names import default_suffixes
from tasks.watch.rules import BY_NAME

__all__ = ["Changed", "add_watch", "list_watches", "read_items", "remove_watch", "sync_files"]

_KINDS: Final = frozenset(str(kind) for kind in Kind)
_FIELDS: Final = ("entity", "domain", "network", "certificate", "key")


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The watches that the files hold now, and those that went with their files."""

    watches: int
    removed: int


def sync_files(connection: Connection, files: Sequence[WatchFile]) -> Changed:
    """Bring the watches of files to what the files say; the caller's transaction holds all of it.

    Raises ConfigError where an item cannot be read; nothing is changed then.
    """
    definitions = [
        _definition(
            name=file.name,
            origin="file",
            reason=file.reason,
            actor=file.actor or "",
            follow_actor=file.follow_actor,
            rules=file.rules,
            items=file.items,
        )
        for file in files
    ]
    for definition in definitions:
        watching.put_watch(connection, definition)
    kept = {definition.name for definition in definitions}
    gone = [name for name in watching.names_from_files(connection) if name not in kept]
    for name in gone:
        remove_watch(connection, name)
    return Changed(watches=len(kept), removed=len(gone))


def add_watch(
    connection: Connection,
    name: str,
    items: Iterable[WatchedItem],
    *,
    origin: str = "command",
    reason: str = "",
    actor: str = "",
    follow_actor: bool = False,
    incident_id: int | None = None,
    rules: Sequence[str] = ("*",),
) -> int:
    """Make or change a watch, and return its id. Asking for the same again changes nothing.

    `actor` is an actor's id as its naming authority calls it. Raises ConfigError where an item cannot be read, a rule
    is unknown, or a watch of that name was made elsewhere.
    """
    return watching.put_watch(
        connection,
        _definition(
            name=name,
            origin=origin,
            reason=reason,
            actor=actor,
            follow_actor=follow_actor,
            incident_id=incident_id,
            rules=tuple(rules),
            items=tuple(items),
        ),
    )


def read_items(wanted: WatchedItem) -> Iterator[Item]:
    """The items that one entry stands for. Raises ReadError where it names nothing that can be watched."""
    given = [(field, value) for field in _FIELDS if (value := getattr(wanted, field)) is not None]
    if len(given) != 1:
        raise ReadError(f"couldn't read an item: it needs exactly one of {', '.join(_FIELDS)}")
    field, value = given[0]
    since = None if wanted.since is None else _time(wanted.since)
    if field == "domain":
        yield from _domain(entity(Kind.DOMAIN, value), since)
    elif field == "network":
        found = entity(Kind.NETWORK if "/" in value else Kind.IP, value)
        whole = found.address.removesuffix("/128" if ":" in found.address else "/32")
        yield Item(match="network", value=whole, network=whole, since=since)
    else:
        yield _exact(_entity(field, value), since)


def _definition(*, name: str, items: tuple[WatchedItem, ...], rules: tuple[str, ...], **rest: object) -> Definition:
    unknown = sorted(set(rules) - set(BY_NAME) - {"*"})
    if unknown:
        raise ConfigError(
            f"couldn't use watch {name}: there is no rule {', '.join(unknown)}; nothing is changed"
            f" (there are {', '.join(BY_NAME)})"
        )
    if rest.get("follow_actor") and not rest.get("actor"):
        raise ConfigError(f"couldn't use watch {name}: it follows an actor and names none; nothing is changed")
    found: dict[tuple[str, str, str], Item] = {}
    for number, wanted in enumerate(items, 1):
        try:
            for item in read_items(wanted):
                _add(found, item)
        except ReadError as error:
            raise ConfigError(f"couldn't use watch {name}: item {number}: {error}; nothing is changed") from error
    return msgspec.convert({"name": name, "rules": rules, "items": tuple(found.values()), **rest}, Definition)


def _add(found: dict[tuple[str, str, str], Item], item: Item) -> None:
    key = (item.match, item.kind, item.value)
    other = found.setdefault(key, item)
    # Known longest, or without a day, looks for more.
    if other.since is not None and (item.since is None or item.since < other.since):
        found[key] = item


def _entity(field: str, value: str) -> Entity:
    if field in {"certificate", "key"}:
        return entity(Kind.CERTIFICATE if field == "certificate" else Kind.PUBLIC_KEY, value)
    kind, colon, rest = value.partition(":")
    return entity(kind, rest) if colon and kind in _KINDS else guess(value)


def _exact(found: Entity, since: datetime | None) -> Item:
    # A host is a domain and a name server at once; what watches one matches both.
    kind = str(Kind.DOMAIN) if found.kind == Kind.NAME_SERVER else str(found.kind)
    return Item(match="entity", kind=kind, value=found.value, since=since)


def _domain(found: Entity, since: datetime | None) -> Iterator[Item]:
    if default_suffixes().is_suffix(found.value):
        yield _exact(found, since)
    elif found.scope == found.value:
        yield Item(match="scope", value=found.value, since=since)
    else:
        yield _exact(found, since)
        yield Item(match="subtree", value=found.value, since=since)


def _time(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReadError("couldn't read the time `since`: not a date or time of ISO 8601") from error
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
