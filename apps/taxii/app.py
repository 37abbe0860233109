"""The TAXII 2.1 server as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from apps.taxii import errors, queries, resources
from apps.taxii.auth import Caller
from apps.taxii.paging import Signer
from apps.taxii.resources import Description, Resource, guarded

_POOL_SIZE: Final = 10
_COLLECTION: Final = "/api/collections/{collection}/"
_OBJECT: Final = _COLLECTION + "objects/{object}/"


def create_app(database_url: str, *, description: Description, pool_size: int = _POOL_SIZE) -> Starlette:
    """The server on a warehouse: any PostgreSQL URL, the embedded one's socket included."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.description = description
        app.state.signer = Signer(await queries.paging_secret(database_url))
        async with await queries.open_pool(database_url, size=pool_size) as app.state.pool:
            yield

    handlers = {HTTPException: errors.on_http_error, Exception: errors.on_fault}
    app = Starlette(
        routes=_routes(),
        lifespan=lifespan,
        middleware=[Middleware(TrailingSlash)],
        exception_handlers=handlers | dict.fromkeys(errors.UNAVAILABLE, errors.on_unavailable),
    )
    app.router.redirect_slashes = False
    return app


class TrailingSlash:
    """Sends requests without the slash that every TAXII path ends in to the path with it.

    308 keeps the method. Only below our own roots: the answer depends on the form of the path alone, and its place is
    a path of this server's, never another host's (`//elsewhere`).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("raw_path", b"").split(b"?")[0].decode("latin-1") if scope["type"] == "http" else ""
        if not path.endswith("/") and (path in {"/taxii2", "/api"} or path.startswith("/api/")):
            query = scope["query_string"].decode("latin-1")
            place = {"Location": f"{path}/?{query}" if query else f"{path}/"}
            response = errors.error_answer(HTTPStatus.PERMANENT_REDIRECT, "every path ends in a slash", place)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _by_method(**known: Resource) -> dict[str, Any]:
    """One route for the methods of a path, so that another method is told which ones there are (405, Allow)."""

    async def choose(request: Request, caller: Caller) -> Response:
        return await known["GET" if request.method == "HEAD" else request.method](request, caller)

    return {"endpoint": guarded(choose), "methods": list(known)}


def _routes() -> list[Route]:
    return [
        Route("/health", resources.health),
        Route("/taxii2/", guarded(resources.discovery)),
        Route("/api/", guarded(resources.api_root)),
        Route("/api/status/{status}/", guarded(resources.status)),
        Route("/api/collections/", guarded(resources.collections)),
        Route(_COLLECTION, guarded(resources.collection)),
        Route(_COLLECTION + "manifest/", guarded(resources.manifest)),
        Route(_COLLECTION + "objects/", **_by_method(GET=resources.objects, POST=resources.add_objects)),
        Route(_OBJECT, **_by_method(GET=resources.one_object, DELETE=resources.delete_object)),
        Route(_OBJECT + "versions/", guarded(resources.versions)),
    ]
