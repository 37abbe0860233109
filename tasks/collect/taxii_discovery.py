"""What a TAXII 2.1 server offers: its API roots and their collections (TAXII 2.1 sections 4.1, 4.2, 5.1).

In: the URL of a discovery resource or of an API root. Out: what could be read, each root with its own trouble if any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import msgspec

from intel.errors import CollectError, ReadError, ThrottledError
from tasks.collect.fetched import public_url
from tasks.collect.taxii_client import TaxiiConnection, TaxiiHttp

if TYPE_CHECKING:
    from tasks.collect.credentials import Credentials

_MAX_ROOTS = 100
_MAX_COLLECTIONS = 10_000
_MAX_TEXT = 1000


@dataclass(frozen=True, kw_only=True)
class CollectionInfo:
    """A collection as its server describes it; `id` is often, not always, a UUID."""

    id: str
    title: str
    description: str
    can_read: bool
    media_types: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ApiRootInfo:
    """An API root; `problem` says why its collections could not be read, if so."""

    url: str
    title: str = ""
    versions: tuple[str, ...] = ()
    collections: tuple[CollectionInfo, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """A server; `default` is the URL of the root that it recommends."""

    title: str
    default: str | None
    roots: tuple[ApiRootInfo, ...]


def discover(url: str, *, http: TaxiiHttp, credentials: Credentials | None = None) -> Discovery:
    """Ask a server what it offers. Roots on another origin are named, but not asked: our credentials are not theirs.

    Raises what `fetch` raises, and ReadError for TAXII 2.0 and for what is no discovery resource.
    """
    url = url if url.endswith("/") else url + "/"
    with TaxiiConnection(http, credentials) as connection:
        found = _object(connection.get(url), url)
        if "api_roots" not in found and ("versions" in found or "max_content_length" in found):
            return Discovery(title=_text(found.get("title")), default=url, roots=(_root(connection, url, url),))
        named = [item for item in _list(found.get("api_roots")) if isinstance(item, str)][:_MAX_ROOTS]
        if not named:
            raise ReadError(f"couldn't read {public_url(url)}: it names no API roots; give the root's own URL")
        default = found.get("default")
        return Discovery(
            title=_text(found.get("title")),
            default=_join(url, default) if isinstance(default, str) else None,
            roots=tuple(_root(connection, url, _join(url, name)) for name in dict.fromkeys(named)),
        )


def _root(connection: TaxiiConnection, server: str, url: str) -> ApiRootInfo:
    """Read one root; its failure is its own, except that a server which asks us to wait means all of it."""
    if _origin(url) != _origin(server):
        return ApiRootInfo(url=url, problem="it is on another origin; name it as a source of its own to read it")
    title: str = ""
    versions: tuple[str, ...] = ()
    try:
        found = _object(connection.get(url), url)
        title = _text(found.get("title"))
        versions = tuple(_text(item) for item in _list(found.get("versions"))[:20])
        listed = _list(_object(connection.get(url + "collections/"), url).get("collections"))
    except ThrottledError:
        raise
    except (CollectError, ReadError) as error:
        return ApiRootInfo(url=url, title=title, versions=versions, problem=str(error))
    collections = tuple(_collection(item) for item in listed[:_MAX_COLLECTIONS] if isinstance(item, dict))
    readable = tuple(item for item in collections if item.id)
    return ApiRootInfo(url=url, title=title, versions=versions, collections=readable)


def _collection(found: dict[str, Any]) -> CollectionInfo:
    return CollectionInfo(
        id=_text(found.get("id")),
        title=_text(found.get("title")),
        description=_text(found.get("description")),
        can_read=found.get("can_read") is not False,
        media_types=tuple(_text(item) for item in _list(found.get("media_types"))[:20]),
    )


def _join(base: str, name: str) -> str:
    try:
        joined = urljoin(base, name)
    except ValueError:
        return ""
    return joined if joined.endswith("/") else joined + "/"


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ReadError(f"couldn't read {public_url(url)}: it is no JSON object; it was dropped") from None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return str(value)[:_MAX_TEXT] if isinstance(value, str | int) else ""
