"""A lab log as an ASGI application: a request in, the log's answer or that of its faults out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lab import ct_rfc6962, ct_tiles

if TYPE_CHECKING:
    from lab.ct import CtLog

Answer = Callable[["CtLog", Request], Response]

_RFC6962: Final[dict[str, Answer]] = {f"/ct/v1/{call}": answer for call, answer in ct_rfc6962.CALLS.items()}
_DATA_AND_ISSUERS: Final[dict[str, Answer]] = {
    "/tile/data/{tile:path}": ct_tiles.data_tile,
    "/issuer/{fingerprint}": ct_tiles.issuer,
}
_STATIC: Final[dict[str, Answer]] = {
    **_DATA_AND_ISSUERS,
    "/checkpoint": ct_tiles.checkpoint,
    "/tile/{level:int}/{tile:path}": ct_tiles.hash_tile,
}
_ROUTES: Final = {"rfc6962": _RFC6962, "static": _STATIC, "hybrid": {**_RFC6962, **_DATA_AND_ISSUERS}}


def log_app(log: CtLog) -> Starlette:
    """Everything that a log of this protocol answers."""
    at_once = 0

    def route(path: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            nonlocal at_once
            at_once += 1
            log.most_at_once = max(log.most_at_once, at_once)
            try:
                answered = await _answered(log, request, answer)
            finally:
                at_once -= 1
            log.statuses[answered.status_code] += 1
            return answered

        return Route(path, endpoint)

    return Starlette(routes=[route(path, answer) for path, answer in _ROUTES[log.protocol].items()])


async def _answered(log: CtLog, request: Request, answer: Answer) -> Response:
    agent = request.headers.get("user-agent", "")
    log.requests.append(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)
    log.agents.add(agent)
    if log.before_answer is not None:
        log.before_answer(request.url.path)
    faults = log.faults
    instead = await faults.instead(request)
    if instead is not None:
        return instead
    shown = log
    if log.other is not None and faults.split_view is not None and faults.split_view in agent:
        shown = log.other
    try:
        return faults.paced(request, answer(shown, request))
    except LookupError as error:
        status = 404 if log.protocol == "static" or "/ct/v1/" not in request.url.path else 400
        return Response(f"no such thing: {error}", status_code=status)
    except ValueError as error:
        return Response(f"bad request: {error}", status_code=400)
