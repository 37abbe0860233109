"""The resources of the server (TAXII 2.1, sections 4 and 5): discovery, API root, collections, manifest, objects.

Objects are served as they were written: their text is put side by side, and never read again. Collections are for
reading: adding and deleting are refused with 403, or 404 where there is nothing to see. Submissions (POST, status),
per-partner policies and delivery receipts come beside these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import asyncpg
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from apps.taxii import queries
from apps.taxii.auth import Caller, authenticate
from apps.taxii.errors import MEDIA_TYPE, answer, not_found, raw_answer
from apps.taxii.media import acceptable
from apps.taxii.paging import Selection, Signer, read_selection
from apps.taxii.queries import CollectionRow

API_ROOT: Final = "/api/"
_STIX: Final = "application/stix+json;version=2.1"
_MAX_CONTENT: Final = 104_857_600
_VERSION_FILTERS: Final = ("match[version]", "match[spec_version]")
_MAX_STIX_ID: Final = 300


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of itself."""

    title: str
    description: str = ""
    contact: str = ""


Handler = Callable[[Request], Awaitable[Response]]
Resource = Callable[[Request, Caller], Awaitable[Response]]


def guarded(resource: Resource) -> Handler:
    """A resource behind the key and the media type; who has no key learns nothing else."""

    async def handle(request: Request) -> Response:
        caller = await authenticate(_pool(request), request.headers)
        if not acceptable(",".join(request.headers.getlist("accept"))):
            raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"this server answers in {MEDIA_TYPE}")
        return await resource(request, caller)

    return handle


async def health(request: Request) -> Response:
    """Whether the server and its database answer; needs no key and says nothing else."""
    await _pool(request).fetchval("SELECT 1")
    return JSONResponse({"status": "ok"})


async def discovery(request: Request, _caller: Caller) -> Response:
    """4.1: what is served here."""
    said: Description = request.app.state.description
    texts = {"description": said.description, "contact": said.contact}
    return answer({"title": said.title, **_filled(texts), "default": API_ROOT, "api_roots": [API_ROOT]})


async def api_root(request: Request, _caller: Caller) -> Response:
    """4.2: the one API root."""
    said: Description = request.app.state.description
    texts = _filled({"description": said.description})
    return answer({"title": said.title, **texts, "versions": [MEDIA_TYPE], "max_content_length": _MAX_CONTENT})


async def status(_request: Request, _caller: Caller) -> Response:
    """4.3: nothing can be submitted, so there is no status of it."""
    raise not_found()


async def collections(request: Request, caller: Caller) -> Response:
    """5.1: the collections that the caller may read."""
    listed = [_described(held) for held in await queries.collections(_pool(request), caller)]
    return answer({"collections": listed} if listed else {})


async def collection(request: Request, caller: Caller) -> Response:
    """5.2: one collection."""
    return answer(_described(await _collection(request, caller)))


async def manifest(request: Request, caller: Caller) -> Response:
    """5.3: which versions there are, and since when."""
    held = await _collection(request, caller)
    found = await _Page.read(request, caller, held, "manifest", "p.stix_id, p.version")
    entries = [
        {
            "id": row["stix_id"],
            "date_added": taxii_time(row["date_added"]),
            "version": stix_time(row["version"]),
            "media_type": _STIX,
        }
        for row in found.rows
    ]
    # The list is encoded at once, and loses its brackets: the envelope has its own.
    return found.answer("objects", [msgspec.json.encode(entries).decode()[1:-1]] if entries else [])


async def objects(request: Request, caller: Caller) -> Response:
    """5.4: the objects."""
    held = await _collection(request, caller)
    found = await _Page.read(request, caller, held, "objects", "p.body")
    return found.answer("objects", [row["body"] for row in found.rows])


async def add_objects(request: Request, caller: Caller) -> Response:
    """5.5: not here. The collection says `can_write: false`."""
    await _collection(request, caller)
    raise HTTPException(HTTPStatus.FORBIDDEN, "this collection is for reading")


async def one_object(request: Request, caller: Caller) -> Response:
    """5.6: the versions of one object; the last one, unless others are asked for."""
    held = await _collection(request, caller)
    stix_id = await _object_id(request, held)
    found = await _Page.read(request, caller, held, "object", "p.body", stix_id=stix_id, allowed=_VERSION_FILTERS)
    return found.answer("objects", [row["body"] for row in found.rows])


async def delete_object(request: Request, caller: Caller) -> Response:
    """5.7: not here: what is withdrawn is revoked, which pollers see."""
    await _collection(request, caller)
    raise HTTPException(HTTPStatus.FORBIDDEN, "this collection is for reading")


async def versions(request: Request, caller: Caller) -> Response:
    """5.8: all versions of one object."""
    held = await _collection(request, caller)
    stix_id = await _object_id(request, held)
    found = await _Page.read(
        request,
        caller,
        held,
        "versions",
        "p.version",
        stix_id=stix_id,
        allowed=("match[spec_version]",),
        every_version=True,
    )
    return found.answer("versions", [f'"{stix_time(row["version"])}"' for row in found.rows])


def taxii_time(moment: datetime) -> str:
    """A TAXII timestamp: UTC, exactly six fractional digits."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def stix_time(moment: datetime) -> str:
    """A version, as objects write it: three fractional digits."""
    text = taxii_time(moment)
    return text[:-4] + "Z" if text.endswith("000Z") else text


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of rows, and the token of the next one where there is more."""

    rows: list[Any]
    following: str | None

    @classmethod
    async def read(
        cls,
        request: Request,
        caller: Caller,
        held: CollectionRow,
        resource: str,
        columns: str,
        *,
        stix_id: str | None = None,
        allowed: Sequence[str] | None = None,
        every_version: bool = False,
    ) -> _Page:
        signer: Signer = request.app.state.signer
        scope = (str(caller.id), str(held.id), resource, stix_id or "")
        names = {} if allowed is None else {"allowed": allowed}
        selection: Selection = read_selection(request.query_params, signer, scope, **names)
        if every_version:
            selection = msgspec.structs.replace(selection, versions=("all",))
        rows = await queries.page(_pool(request), held, selection, columns, stix_id=stix_id)
        if len(rows) <= selection.limit:
            return cls(rows=rows, following=None)
        rows = rows[: selection.limit]
        return cls(rows=rows, following=signer.sign(selection, rows[-1]["position"], scope))

    def answer(self, name: str, texts: Sequence[str]) -> Response:
        """The envelope around JSON texts; empty where there are none."""
        if not texts:
            return raw_answer(b"{}")
        head = f'"more":true,"next":"{self.following}",' if self.following is not None else '"more":false,'
        return raw_answer(
            f'{{{head}"{name}":[{",".join(texts)}]}}'.encode(),
            {
                "X-TAXII-Date-Added-First": taxii_time(self.rows[0]["date_added"]),
                "X-TAXII-Date-Added-Last": taxii_time(self.rows[-1]["date_added"]),
            },
        )


def _pool(request: Request) -> asyncpg.Pool:
    pool: asyncpg.Pool = request.app.state.pool
    return pool


async def _collection(request: Request, caller: Caller) -> CollectionRow:
    name = request.path_params["collection"]
    held = None if "\0" in name else await queries.collection(_pool(request), caller, name)
    if held is None:
        raise not_found()
    return held


async def _object_id(request: Request, held: CollectionRow) -> str:
    stix_id: str = request.path_params["object"]
    if "\0" in stix_id or len(stix_id) > _MAX_STIX_ID or not await queries.has_object(_pool(request), held, stix_id):
        raise not_found()
    return stix_id


def _described(held: CollectionRow) -> dict[str, Any]:
    texts = _filled({"description": held.description, "alias": held.alias})
    return {
        "id": str(held.id),
        "title": held.title,
        **texts,
        "can_read": True,
        "can_write": False,
        "media_types": [_STIX],
    }


def _filled(texts: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}
