"""What is watched: watch files, who we are and what people ask for, brought into the warehouse.

Comes in: `WatchFile` records (configs/watches/), the organisation (configs/organisation.yaml), or the same items from a
command or an incident. Goes out: rows, through db/watching.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from db import watching
from db.watching import EXPECTED, Definition, Item, list_watches, remove_watch
from intel.config.organisation import Organisation, read_organisation
from intel.config.watches import WatchedItem, WatchFile, read_watches
from intel.errors import ConfigError, ReadError
from intel.rules import Rule
from tasks.watch.certificate_items import expected_items
from tasks.watch.ours import RULES as OUR_RULES
from tasks.watch.ours import WATCH as OURS
from tasks.watch.ours import ours
from tasks.watch.read_items import read_items
from tasks.watch.rules import BY_NAME

__all__ = ["Changed", "add_watch", "list_watches", "read_items", "remove_watch", "sync", "sync_files"]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The watches that the files hold now, and those that went with their files.

    `left_out` says what of ourselves cannot be looked for, and why.
    """

    watches: int
    removed: int
    left_out: tuple[str, ...] = ()


def sync(connection: Connection, configs: Path) -> Changed:
    """Bring the watches of all files of a folder `configs` to what they say. Raises ConfigError, changing nothing."""
    # Who says nothing of himself watches nothing for himself.
    told = (configs / "organisation.yaml").exists()
    return sync_files(connection, read_watches(configs), read_organisation(configs) if told else Organisation())


def sync_files(connection: Connection, files: Sequence[WatchFile], organisation: Organisation | None = None) -> Changed:
    """Bring the watches of files to what the files say; the caller's transaction holds all of it.

    Without an organisation, its watch stays as it is. Raises ConfigError where an item cannot be read; nothing is
    changed then.
    """
    definitions = [_of_file(file) for file in files]
    left_out: tuple[str, ...] = ()
    kept = {definition.name for definition in definitions}
    if organisation is None:
        kept.add(OURS)
    else:
        found = ours(organisation)
        left_out = found.left_out
        if found.items:
            definitions.append(_of_ours(found.items))
            kept.add(OURS)
    for definition in definitions:
        watching.put_watch(connection, definition)
    gone = [name for name in watching.names_from_files(connection) if name not in kept]
    for name in gone:
        remove_watch(connection, name)
    return Changed(watches=len(definitions), removed=len(gone), left_out=left_out)


def _of_file(file: WatchFile) -> Definition:
    if file.name == OURS:
        raise ConfigError(
            f"couldn't use watch {OURS}: that is what the watch of configs/organisation.yaml is called; nothing is"
            " changed, and this one needs another name"
        )
    return _definition(
        name=file.name,
        origin="file",
        reason=file.reason,
        actor=file.actor or "",
        follow_actor=file.follow_actor,
        rules=file.built_in,
        own=file.own,
        items=file.items,
        expected=file.expected,
    )


def _of_ours(items: Iterable[Item]) -> Definition:
    found: dict[tuple[str, str, str], Item] = {}
    for item in items:
        _add(found, item)
    return Definition(
        name=OURS,
        origin="file",
        reason="our own names (configs/organisation.yaml)",
        rules=OUR_RULES,
        items=tuple(found.values()),
    )


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
    expected: Iterable[str] = (),
) -> int:
    """Make or change a watch, and return its id. Asking for the same again changes nothing.

    `actor` is an actor's id as its naming authority calls it. `expected` are SHA-256 of certificates, their TBS or
    keys, findings on which say that they are expected. Raises ConfigError where an item cannot be read, a rule
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
            expected=tuple(expected),
        ),
    )


def _definition(
    *,
    name: str,
    items: tuple[WatchedItem, ...],
    rules: tuple[str, ...],
    own: tuple[Rule, ...] = (),
    expected: tuple[str, ...] = (),
    **rest: object,
) -> Definition:
    unknown = sorted(set(rules) - set(BY_NAME) - {"*"})
    if unknown:
        raise ConfigError(
            f"couldn't use watch {name}: there is no rule {', '.join(unknown)}; nothing is changed"
            f" (there are {', '.join(BY_NAME)})"
        )
    for rule in own:
        if rule.name in BY_NAME:
            raise ConfigError(
                f"couldn't use watch {name}: rule {rule.name}: a built-in rule is called so; nothing is changed"
            )
    if len({rule.name for rule in own}) < len(own):
        raise ConfigError(f"couldn't use watch {name}: two of its rules have one name; nothing is changed")
    if rest.get("follow_actor") and not rest.get("actor"):
        raise ConfigError(f"couldn't use watch {name}: it follows an actor and names none; nothing is changed")
    found: dict[tuple[str, str, str], Item] = {}
    for number, wanted in enumerate(items, 1):
        try:
            for item in read_items(wanted):
                _add(found, item)
        except ReadError as error:
            raise ConfigError(f"couldn't use watch {name}: item {number}: {error}; nothing is changed") from error
    for value in expected:
        try:
            for item in expected_items(EXPECTED, value):
                _add(found, item)
        except ReadError as error:
            raise ConfigError(f"couldn't use watch {name}: expected {value}: {error}; nothing is changed") from error
    return msgspec.convert(
        {"name": name, "rules": rules, "own": own, "items": tuple(found.values()), **rest}, Definition
    )


def _add(found: dict[tuple[str, str, str], Item], item: Item) -> None:
    key = (item.match, item.kind, item.value)
    other = found.setdefault(key, item)
    # Known longest, or without a day, looks for more.
    if other.since is not None and (item.since is None or item.since < other.since):
        found[key] = item
