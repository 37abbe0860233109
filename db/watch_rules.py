"""Rules of watches' own in the warehouse: made, changed, removed and listed, each change in the caller's transaction.

Comes in: `Rule`s from a watch's file, a command or a pattern. Goes out: rows of `watch_rule`. A rule keeps its row for
as long as its name lives, so that findings keep what they matched; one that left is inactive if it found something.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from db.models import Finding, Watch, WatchRule
from intel.errors import ConfigError
from intel.rules import Rule, rule_digest, write_rule

FILE: Final = "file"

# What tells that history has to be judged again: another definition, other items, populations counted anew, a day gone.
# Uses uq_watch_item_watch_id_match_digest.
_ITEMS: Final = "SELECT count(*) || ' ' || coalesce(max(id), 0) FROM watch_item WHERE watch_id = :watch_id"
# Reads the few populations whole.
_POPULATIONS: Final = "SELECT coalesce(max(counted_at)::text, '') FROM population"


class OwnRule(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `watch_rule` with its watch's name. `added_at` is recorded time."""

    id: int
    watch_id: int
    watch: str
    name: str
    definition: dict[str, Any]
    digest: UUID
    origin: str
    active: bool
    swept: UUID | None
    added_at: datetime
    findings: int = 0


def put_rules(connection: Connection, watch_id: int, rules: Sequence[Rule], *, origin: str = FILE) -> None:
    """Let a watch have these rules of an origin and no others of it; those of other origins stay.

    Raises ConfigError where a rule of another origin has one of the names.
    """
    for rule in rules:
        put_rule(connection, watch_id, rule, origin=origin)
    left = select(WatchRule.id).where(
        WatchRule.watch_id == watch_id,
        WatchRule.origin == origin,
        WatchRule.name.not_in([rule.name for rule in rules]),
    )
    for rule_id in connection.execute(left).scalars().all():
        remove_rule(connection, rule_id)


def put_rule(connection: Connection, watch_id: int, rule: Rule, *, origin: str) -> int:
    """The id of a rule, made or changed; the same again changes nothing. Raises ConfigError as `put_rules` does."""
    digest = rule_digest(rule).hex()
    made = upsert(WatchRule).values(
        watch_id=watch_id, name=rule.name, definition=write_rule(rule), digest=digest, origin=origin, active=True
    )
    changed = made.on_conflict_do_update(
        index_elements=["watch_id", "name"],
        set_={
            "definition": made.excluded.definition,
            "digest": made.excluded.digest,
            "active": True,
            # A rule that slept has missed batches.
            "swept": None,
            "added_at": func.clock_timestamp(),
        },
        where=(WatchRule.origin == made.excluded.origin)
        & ((WatchRule.digest != made.excluded.digest) | ~WatchRule.active),
    )
    connection.execute(changed)
    found = connection.execute(
        select(WatchRule.id, WatchRule.origin).where(WatchRule.watch_id == watch_id, WatchRule.name == rule.name)
    ).one()
    if found.origin != origin:
        raise ConfigError(
            f"couldn't use rule {rule.name}: one of that name was made by {found.origin} for the same watch; it stays"
            " as it is, and this one needs another name"
        )
    return int(found.id)


def remove_rule(connection: Connection, rule_id: int) -> None:
    """Evaluate a rule no more; what it found is kept, and the rule with it, inactive."""
    if connection.execute(select(exists().where(Finding.watch_rule_id == rule_id))).scalar_one():
        connection.execute(update(WatchRule).where(WatchRule.id == rule_id).values(active=False, swept=None))
    else:
        connection.execute(delete(WatchRule).where(WatchRule.id == rule_id))


def list_rules(connection: Connection, *, active: bool | None = None, name: str = "") -> list[OwnRule]:
    """The rules by watch and name. `active`: only those that are evaluated (or not), `name`: only of that name."""
    findings = (
        select(func.count())
        .where(Finding.watch_rule_id == WatchRule.id, Finding.status != "withdrawn")
        .scalar_subquery()
    )
    wanted = (
        select(WatchRule.__table__, Watch.name.label("watch"), findings.label("findings"))
        .join(Watch, Watch.id == WatchRule.watch_id)
        .order_by(Watch.name, WatchRule.name)
    )
    if active is not None:
        evaluated = WatchRule.active & Watch.active
        wanted = wanted.where(evaluated if active else ~evaluated)
    if name:
        wanted = wanted.where(WatchRule.name == name)
    return [msgspec.convert(row, OwnRule, from_attributes=True) for row in connection.execute(wanted)]


def lock_rule(connection: Connection, rule_id: int) -> OwnRule | None:
    """A rule, locked for this transaction; None where it is gone or evaluated no more."""
    connection.execute(select(WatchRule.id).where(WatchRule.id == rule_id).with_for_update())
    return next((one for one in list_rules(connection, active=True) if one.id == rule_id), None)


def mark_swept(connection: Connection, rule_id: int, mark: UUID | None) -> None:
    """Say that history was judged with a rule as `mark` says, or, with None, that it has to be."""
    connection.execute(update(WatchRule).where(WatchRule.id == rule_id).values(swept=mark))


def wake(connection: Connection, watch_id: int) -> None:
    """Have history judged with all rules of a watch that slept: it has missed batches."""
    connection.execute(update(WatchRule).where(WatchRule.watch_id == watch_id).values(swept=None))


def items_mark(connection: Connection, watch_id: int) -> str:
    """Another text for other items of a watch."""
    return str(connection.execute(text(_ITEMS), {"watch_id": watch_id}).scalar_one())


def populations_mark(connection: Connection) -> str:
    """Another text once populations are counted anew."""
    return str(connection.execute(text(_POPULATIONS)).scalar_one())
