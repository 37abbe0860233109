"""Partners: who reads our collections, and the keys that let them in.

A key is 256 random bits, shown once when it is made. The warehouse keeps its SHA-256: a slow hash protects passwords
that can be guessed, which a key of this length cannot, and would cost a second of processor time per ten requests.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from db.models import Collection, Partner
from intel.errors import ConfigError

_KEY_BYTES: Final = 32


class PartnerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A partner, without the key. `collections` are TAXII ids; `created_at` is when the key was made (recorded)."""

    id: int
    name: str
    collections: tuple[UUID, ...]
    active: bool
    created_at: datetime


def key_digest(key: str) -> bytes:
    """What the warehouse keeps of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def create_partner(connection: Connection, name: str, collections: Sequence[str]) -> str:
    """Make a partner who may read the collections with these aliases; gives the key, which cannot be had again.

    Raises ConfigError for an empty name, a name that is taken, and an alias that no collection has.
    """
    if not name.strip():
        raise ConfigError("couldn't create a partner: the name is empty; give one")
    if connection.execute(select(Partner.id).where(Partner.name == name)).first() is not None:
        raise ConfigError(
            f"couldn't create partner {name}: there is one already; renew the key, or choose another name"
        )
    ids = _collection_ids(connection, name, collections)
    key = secrets.token_urlsafe(_KEY_BYTES)
    connection.execute(insert(Partner).values(name=name, key_sha256=key_digest(key), collections=ids))
    return key


def renew_key(connection: Connection, name: str) -> str:
    """A new key for a partner, who becomes active; the old one is worth nothing from then on.

    Raises ConfigError where there is no such partner.
    """
    key = secrets.token_urlsafe(_KEY_BYTES)
    changed = connection.execute(
        update(Partner)
        .where(Partner.name == name)
        .values(key_sha256=key_digest(key), active=True, created_at=func.clock_timestamp())
    )
    if not changed.rowcount:
        raise _unknown(name)
    return key


def verify_key(connection: Connection, key: str) -> PartnerRecord | None:
    """The active partner whose key this is, or None.

    The look-up is by the digest, so that its time tells nothing of how much of a key was right.
    """
    row = connection.execute(_SELECT.where(Partner.key_sha256 == key_digest(key), Partner.active)).mappings().first()
    return None if row is None else PartnerRecord(**{**row, "collections": tuple(row["collections"])})


def list_partners(connection: Connection) -> list[PartnerRecord]:
    """All partners, in the order of their names."""
    rows = connection.execute(_SELECT.order_by(Partner.name)).mappings()
    return [PartnerRecord(**{**row, "collections": tuple(row["collections"])}) for row in rows]


def deactivate_partner(connection: Connection, name: str) -> None:
    """Accept the key of a partner no longer, from the next request on. Raises ConfigError where there is none."""
    if not connection.execute(update(Partner).where(Partner.name == name).values(active=False)).rowcount:
        raise _unknown(name)


_SELECT: Final = select(Partner.id, Partner.name, Partner.collections, Partner.active, Partner.created_at)


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"couldn't find partner {name}: there is none of that name; nothing was changed")


def _collection_ids(connection: Connection, name: str, aliases: Sequence[str]) -> list[UUID]:
    rows = connection.execute(
        select(Collection.alias, Collection.id).where(Collection.alias == func.any(list(aliases)))
    )
    found = {row.alias: row.id for row in rows}
    missing = [alias for alias in aliases if alias not in found]
    if missing:
        raise ConfigError(
            f"couldn't create partner {name}: there is no collection {missing[0]}; enter it in configs/publishing.yaml"
            " and publish"
        )
    return [found[alias] for alias in dict.fromkeys(aliases)]
