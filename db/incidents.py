"""Incidents: what happened, with its indicators as given and as read, and the report on it.

An incident is known by its indicators: the same again is the same incident. What it is about is stored here first;
flows take its id only, because their parameters are shown to everybody who sees Prefect's page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from db.entities import ensure_entities
from db.models import Entity as EntityRow
from db.models import Incident as IncidentRow
from db.models import IncidentItem as ItemRow
from intel.entities import Entity, Kind, entity, guess
from intel.errors import ReadError, WarehouseError
from intel.facts import TLP

Status = Literal["new", "investigating", "reported", "failed"]

MOST_ITEMS: Final = 1_000
_KINDS: Final = frozenset(str(kind) for kind in Kind)
_LONGEST: Final = 1_000  # bytes


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One indicator: `text` as given, the entity that it was read as, or why it could not be."""

    text: str
    entity_id: int | None
    kind: str = ""
    value: str = ""
    scope: str = ""
    address: str = ""
    reason: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as it is stored. Times are recorded times."""

    id: int
    title: str
    publish: bool
    tlp: TLP = TLP.AMBER
    status: str
    report: str
    created_at: datetime
    reported_at: datetime | None
    items: tuple[Item, ...]


def read_indicator(text: str) -> Entity:
    """The entity that an indicator names, its kind told by its form or written `kind:value`. Raises ReadError."""
    kind, colon, rest = text.strip().partition(":")
    return entity(kind.lower(), rest.strip()) if colon and kind.lower() in _KINDS else guess(text)


def create(
    connection: Connection, *, title: str, indicators: Sequence[str], publish: bool = False, tlp: TLP | None = None
) -> int:
    """The id of the incident with these indicators, made where it is new; the caller's transaction holds it.

    The order of indicators and the way in which they are defanged do not matter. `publish` may be given later, never
    taken back here. `tlp` says how far what it is about may go; None leaves it as it is, AMBER where the incident is
    new. Raises WarehouseError where there is no indicator, or too many.
    """
    read = _read(indicators)
    marked = {} if tlp is None else {"tlp": int(tlp)}
    changed = {"publish": or_(IncidentRow.publish, literal(publish)), **marked}
    statement = (
        insert(IncidentRow)
        .values(title=_plain(title), key=_key(read), publish=publish, **marked)
        .on_conflict_do_update(index_elements=["key"], set_=changed)
        .returning(IncidentRow.id)
    )
    number = connection.execute(statement).scalar_one()
    _store(connection, number, read)
    return number


def add(connection: Connection, incident_id: int, indicators: Sequence[str]) -> int:
    """Add indicators to an incident that goes on; returns how many were new to it.

    Its key stays that of the indicators that it was made with. Raises WarehouseError where there is no such incident.
    """
    _lock(connection, incident_id)
    added = _store(connection, incident_id, _read(indicators))
    if added:
        set_status(connection, incident_id, "new")
    return added


def read(connection: Connection, incident_id: int) -> Incident:
    """An incident with its items, in the order in which they were given. Raises WarehouseError where there is none."""
    row = connection.execute(select(IncidentRow.__table__).where(IncidentRow.id == incident_id)).one_or_none()
    if row is None:
        raise _missing(incident_id)
    rows = connection.execute(
        select(
            ItemRow.text,
            ItemRow.entity_id,
            func.coalesce(EntityRow.kind, "").label("kind"),
            func.coalesce(EntityRow.value, "").label("value"),
            func.coalesce(EntityRow.scope, "").label("scope"),
            func.coalesce(func.host(EntityRow.address), "").label("address"),
            ItemRow.reason,
        )
        .outerjoin(EntityRow, EntityRow.id == ItemRow.entity_id)
        .where(ItemRow.incident_id == incident_id)
        .order_by(ItemRow.id)
    )
    return Incident(
        id=row.id,
        title=row.title,
        publish=row.publish,
        tlp=TLP(row.tlp),
        status=row.status,
        report=row.report,
        created_at=row.created_at,
        reported_at=row.reported_at,
        items=tuple(msgspec.convert(dict(item), Item) for item in rows.mappings()),
    )


def set_status(connection: Connection, incident_id: int, status: Status) -> None:
    """Say how far an incident is. Raises WarehouseError where there is none."""
    _change(connection, incident_id, status=status)


def release(connection: Connection, incident_id: int) -> None:
    """Allow the incident's findings to be published. Raises WarehouseError where there is none."""
    _change(connection, incident_id, publish=True)


def write_report(connection: Connection, incident_id: int, report: str, *, at: datetime) -> None:
    """Keep the report (Markdown), written at `at` (recorded time). Raises WarehouseError where there is no incident."""
    _change(connection, incident_id, report=report, status="reported", reported_at=at)


def list_incidents(connection: Connection, *, limit: int = 50) -> list[Incident]:
    """The newest incidents, without their items and reports."""
    rows = connection.execute(select(IncidentRow.__table__).order_by(IncidentRow.id.desc()).limit(limit))
    return [
        Incident(
            id=row.id,
            title=row.title,
            publish=row.publish,
            tlp=TLP(row.tlp),
            status=row.status,
            report="",
            created_at=row.created_at,
            reported_at=row.reported_at,
            items=(),
        )
        for row in rows
    ]


_Read = dict[str, tuple[Entity | None, str]]
"""Text as given -> (the entity, why there is none)."""


def _read(indicators: Sequence[str]) -> _Read:
    found: _Read = {}
    for given in indicators:
        text = _plain(given)
        if not text:
            continue
        try:
            item: tuple[Entity | None, str] = (read_indicator(text), "")
        except ReadError as error:
            item = (None, str(error))
        found.setdefault(_short(text), item)
    if not found or len(found) > MOST_ITEMS:
        raise WarehouseError(
            f"couldn't store an incident with {len(found)} indicators: it takes 1 to {MOST_ITEMS}; nothing is stored"
        )
    return found


def _plain(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode().strip()


def _short(text: str) -> str:
    """The text as it is kept: an index entry takes 2,704 bytes at most, and a digest tells long ones apart."""
    if len(text.encode()) <= _LONGEST:
        return text
    beginning = text.encode()[: _LONGEST - 80].decode("utf-8", "ignore")
    return f"{beginning}... sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _key(read: _Read) -> UUID:
    said = {f"text\0{text}".encode() if item is None else item.digest for text, (item, _) in read.items()}
    return UUID(bytes=hashlib.sha256(b"\0".join(sorted(said))).digest()[:16])


def _store(connection: Connection, incident_id: int, read: _Read) -> int:
    ids = ensure_entities(connection, [item for item, _ in read.values() if item is not None])
    rows = [
        {
            "incident_id": incident_id,
            "text": text,
            "entity_id": None if item is None else ids[item.digest],
            "reason": reason,
        }
        for text, (item, reason) in read.items()
    ]
    statement = insert(ItemRow).values(rows).on_conflict_do_nothing(index_elements=["incident_id", "text"])
    return len(connection.execute(statement.returning(ItemRow.id)).all())


def _lock(connection: Connection, incident_id: int) -> None:
    row = connection.execute(select(IncidentRow.id).where(IncidentRow.id == incident_id).with_for_update()).first()
    if row is None:
        raise _missing(incident_id)


def _change(connection: Connection, incident_id: int, **values: object) -> None:
    changed = connection.execute(update(IncidentRow).where(IncidentRow.id == incident_id).values(**values)).rowcount
    if not changed:
        raise _missing(incident_id)


def _missing(incident_id: int) -> WarehouseError:
    return WarehouseError(f"couldn't find incident {incident_id}: there is none; nothing is changed")
