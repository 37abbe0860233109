"""Serves the documents of an invented world, as they are at the lab's moment.

In: a world (what documents there are at a moment) and a clock that the demo and the tests move. Out: a Starlette
application with ETag, Last-Modified and conditional answers (RFC 9110 section 13).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Protocol

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tasks.collect.media import parse_http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request


class World(Protocol):
    """What there is to fetch; the same moment always gives the same documents."""

    def documents(self, at: datetime) -> Mapping[str, tuple[bytes, str]]:
        """Give path (without the first slash) -> (body, media type) at this moment."""
        ...


@dataclass
class LabClock:
    """The lab's moment, aware UTC; whoever runs the lab moves it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


class _Changes:
    """When each document last changed, as far as this server has seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, datetime]] = {}

    def validators(self, path: str, body: bytes, now: datetime) -> tuple[str, datetime]:
        """Give the entity tag (a hash of the body) and the moment of the last change, in whole seconds."""
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        known = self._seen.get(path)
        if known is None or known[0] != tag:
            known = self._seen[path] = (tag, now.replace(microsecond=0))
        return known


def _is_unchanged(request: Request, tag: str, changed: datetime) -> bool:
    given = request.headers.get("if-none-match")
    if given is not None:  # wins over the date, RFC 9110 section 13.2.2
        tags = [item.strip().removeprefix("W/") for item in given.split(",")]
        return "*" in tags or tag in tags
    since = parse_http_date(request.headers.get("if-modified-since", ""))
    return since is not None and changed <= since


def feeds_app(world: World, clock: LabClock) -> Starlette:
    """Make the application; `app.state.clock` is the clock, `app.state.requests` the paths asked for, in order."""
    changes = _Changes()
    asked: list[str] = []

    async def document(request: Request) -> Response:
        path = request.path_params["path"]
        asked.append(path)
        found = world.documents(clock.now).get(path)
        if found is None:
            return Response(b"not found\n", status_code=404, media_type="text/plain")
        body, media_type = found
        tag, changed = changes.validators(path, body, clock.now)
        headers = {"ETag": tag, "Last-Modified": format_datetime(changed.astimezone(UTC), usegmt=True)}
        if _is_unchanged(request, tag, changed):
            return Response(status_code=304, headers=headers)
        return Response(body, headers={**headers, "Content-Type": media_type})

    app = Starlette(routes=[Route("/{path:path}", document, methods=["GET"])])
    app.state.clock = clock
    app.state.requests = asked
    return app
