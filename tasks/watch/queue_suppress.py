"""What dismissing a finding teaches: findings like it are worth less from then on, and say why.

Comes in: a finding that was dismissed, with a reason, and for what that holds. Goes out: a row of `suppression`, and
the annotation `suppressed` on the open findings that it touches, and on those that come. Nothing is dropped: an
annotation takes from the severity as a list's does, and is gone when the suppression is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, select, text

from db import finding_suppressions as store
from db.entities import ensure_entities
from db.models import Entity as EntityRow
from db.models import Finding, WatchItem
from intel.entities import PERSONAL, Entity, Kind, entity
from intel.errors import WarehouseError
from tasks.watch.describe import SHARED, annotated, shown
from tasks.watch.rules import BY_NAME

HUB: Final = "suppressed"
TAKES: Final = 40
"""What a suppression takes from the severity unless another is given: what a hub does."""
For = Literal["alike", "watch", "rule", "everything"]
"""For which findings it holds: those of the same watch and rule, of the watch, of the rule in any watch, or all."""

# The values that a finding turns on, in the order in which they say most: what the new facts name. Uses
# pk_finding_fact, pk_fact and pk_entity.
_SHARED: Final = """
SELECT e.kind, e.value, e.scope, coalesce(host(e.address), '') AS address, e.digest
FROM finding_fact ff JOIN fact f ON f.id = ff.fact_id JOIN entity e ON e.id = f.object_id
WHERE ff.finding_id = :id AND ff.role = 'new' AND e.kind = ANY(:kinds)
ORDER BY array_position(CAST(:kinds AS text[]), e.kind), e.id LIMIT 1
"""
_TELLING: Final = (Kind.PUBLIC_KEY, Kind.EMAIL, Kind.PHONE, Kind.HANDLE, Kind.REGISTRANT)


class Taught(msgspec.Struct, frozen=True, kw_only=True):
    """What was taught: the suppression, what it is on (people's data masked), and how many findings it lowers now."""

    id: int
    on: str
    lowered: int


def teach(
    connection: Connection,
    finding_id: int,
    reason: str,
    *,
    holds_for: For = "alike",
    on: Entity | None = None,
    takes: int = TAKES,
) -> Taught:
    """Let findings that touch `on` be worth less, for the reason that a finding was dismissed for.

    Without `on` it is the registrable domain of the finding's subject; where that is what is watched, or there is none,
    the value in common that its new facts name (a key, a registrant), or else the subject itself. To be called before
    the finding itself is changed. Raises WarehouseError where there is no such finding.
    """
    store.lock(connection)
    row = connection.execute(
        select(
            Finding.watch_id,
            Finding.rule,
            EntityRow.kind,
            EntityRow.value,
            EntityRow.scope,
            WatchItem.value.label("watched"),
        )
        .join(EntityRow, EntityRow.id == Finding.subject_id)
        .outerjoin(WatchItem, WatchItem.id == Finding.item_id)
        .where(Finding.id == finding_id)
    ).one_or_none()
    if row is None:
        raise WarehouseError(f"couldn't learn from finding {finding_id}: there is none; nothing is changed")
    thing = on or _turns_on(connection, finding_id, row)
    entity_id = ensure_entities(connection, [thing])[thing.digest]
    suppression = store.add(
        connection,
        watch_id=row.watch_id if holds_for in {"alike", "watch"} else None,
        rule=row.rule if holds_for in {"alike", "rule"} else "",
        entity_id=entity_id,
        takes=takes,
        reason=reason,
        finding_id=finding_id,
    )
    lowered = apply(connection, [one for one in store.touched_by(connection, entity_id) if one != finding_id])
    return Taught(id=suppression, on=f"{thing.kind} {shown(thing.kind, thing.value)}", lowered=lowered)


def forget(connection: Connection, suppression_id: int) -> int:
    """Undo a suppression; returns how many findings are worth what they were. Raises WarehouseError where none is."""
    store.lock(connection)
    if not store.undo(connection, suppression_id):
        raise WarehouseError(f"couldn't undo suppression {suppression_id}: none such is in force; nothing is changed")
    return apply(connection, store.annotated_by(connection, suppression_id))


def apply(connection: Connection, ids: Sequence[int]) -> int:
    """Bring the annotations of findings to what was taught; returns how many changed."""
    changed = []
    for row in store.applied(connection, ids):
        kept = [one for one in row.annotations if one.get("hub") != HUB]
        taught = [_annotation(one) for one in row.suppressions]
        now = [*kept, *taught]
        if taught != [one for one in row.annotations if one.get("hub") == HUB]:
            changed.append((row.id, now, severity(row.rule, row.severity, row.annotations, now, row.definition)))
    store.annotate(connection, changed)
    return len(changed)


def of_found(connection: Connection) -> None:
    """Apply what was taught to what a monitor has found in this transaction (`lock_shared` is held)."""
    if connection.execute(text(store.ANY)).scalar_one():
        apply(connection, store.found(connection))


def severity(
    rule: str,
    worth: int,
    before: Sequence[dict[str, Any]],
    now: Sequence[dict[str, Any]],
    definition: dict[str, Any],
) -> int:
    """What a finding is worth with the annotations `now`, where it was `worth` with those `before`.

    `definition` is that of a rule of the watch's own, which says what it is worth by itself.
    """
    own = definition.get("severity")
    if isinstance(own, int) or rule in BY_NAME:
        return annotated(rule, now, [], frozenset(), own)[1]
    return min(100, max(0, worth + _takes(before) - _takes(now)))


def _takes(annotations: Sequence[dict[str, Any]]) -> int:
    listed = max((one["takes"] for one in annotations if one["about"] != SHARED), default=0)
    return int(listed + sum(one["takes"] for one in annotations if one["about"] == SHARED))


def _annotation(said: dict[str, Any]) -> dict[str, Any]:
    by = f" by {said['who']}" if said["who"] else ""
    on = f"{said['kind']} {shown(said['kind'], said['value'])}"
    why = f"one that touches {on} was dismissed{by} on {said['day']}: {said['reason']}"
    return {"about": HUB, "list": f"suppression:{said['id']}", "hub": HUB, "takes": said["takes"], "why": why}


def _turns_on(connection: Connection, finding_id: int, row: Any) -> Entity:
    # Lowering all that touches the very thing that is watched would blind the watch.
    if row.scope and row.kind not in PERSONAL and row.scope != row.watched:
        return entity(Kind.DOMAIN, row.scope)
    kinds = [str(one) for one in _TELLING]
    named = connection.execute(text(_SHARED), {"id": finding_id, "kinds": kinds}).one_or_none()
    if named is not None and named.value != row.watched:
        return Entity(named.kind, named.value, named.scope, named.address, named.digest.bytes)
    return entity(row.kind, row.value)
