"""Rows of entities for the few that a person or a look-up names; bulk work goes through staging and load."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from db.models import Entity as EntityRow
from intel.entities import Entity


def ensure_entities(connection: Connection, entities: Iterable[Entity]) -> dict[bytes, int]:
    """The ids of entities by digest; those that have no row yet get one. Uses uq_entity_digest.

    Rows are written in the order of their digests, as the load does, so that two writers wait instead of deadlocking.
    """
    wanted = {item.digest: item for item in entities}
    if not wanted:
        return {}
    known = _ids(connection, wanted)
    missing = [wanted[digest] for digest in sorted(set(wanted) - set(known))]
    if missing:
        rows = [
            {
                "digest": UUID(bytes=item.digest),
                "kind": item.kind,
                "value": item.value,
                "scope": item.scope,
                "address": item.address or None,
            }
            for item in missing
        ]
        connection.execute(insert(EntityRow).values(rows).on_conflict_do_nothing(index_elements=["digest"]))
        known = _ids(connection, wanted)
    return known


def find_entities(connection: Connection, entities: Iterable[Entity]) -> dict[bytes, int]:
    """The ids of those entities that have a row, by digest. Uses uq_entity_digest."""
    return _ids(connection, [item.digest for item in entities])


def _ids(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    wanted = [UUID(bytes=digest) for digest in digests]
    rows = connection.execute(select(EntityRow.digest, EntityRow.id).where(EntityRow.digest.in_(wanted)))
    return {row.digest.bytes: row.id for row in rows}
