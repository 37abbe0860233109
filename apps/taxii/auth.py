"""Who asks: a key, as the password of HTTP Basic, as a Bearer or Token, or in `x-api-key`.

The key is looked up by its SHA-256, so that the time of the look-up tells nothing of how much of it was right. Nothing
is remembered between requests: a partner who was deactivated is out with the next one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from db.partners import key_digest

_MAX_HEADER: Final = 4096
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="TAXII", charset="UTF-8", Bearer realm="TAXII"'}
# Uses uq_partner_key_sha256.
_PARTNER: Final = "SELECT id, name, collections FROM partner WHERE key_sha256 = $1 AND active"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The partner who asks. `collections` are the TAXII ids that they may read."""

    id: int
    name: str
    collections: tuple[UUID, ...]


async def authenticate(pool: asyncpg.Pool, headers: Headers) -> Caller:
    """The partner whose key the request carries. Raises the HTTPException of 401 where there is none."""
    for key in _keys(headers):
        row = await pool.fetchrow(_PARTNER, key_digest(key))
        if row is not None:
            return Caller(id=row["id"], name=row["name"], collections=tuple(row["collections"]))
    raise HTTPException(HTTPStatus.UNAUTHORIZED, "this needs the key that you were given", _CHALLENGE)


def _keys(headers: Headers) -> Iterator[str]:
    """The keys that a request carries: at most two, in the order in which they count."""
    authorization = headers.get("authorization", "")
    scheme, _, value = authorization[:_MAX_HEADER].strip().partition(" ")
    value = value.strip()
    if value and scheme.lower() == "basic":
        yield from _password(value)
    elif value and scheme.lower() in {"bearer", "token"}:
        yield value
    key = headers.get("x-api-key", "")[:_MAX_HEADER].strip()
    if key:
        yield key


def _password(encoded: str) -> Iterator[str]:
    try:
        pair = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return
    _, colon, password = pair.partition(":")
    if colon and password:
        yield password
