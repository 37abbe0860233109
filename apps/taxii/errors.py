"""Answers and errors in TAXII's form (TAXII 2.1, sections 3.6.1 and 1.6.8).

Every answer of the server, errors included, has TAXII's media type with its version: clients compare it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import asyncpg
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE: Final = "application/taxii+json;version=2.1"
# What a partner reads is for that partner: a cache on the way knows Authorization, not x-api-key.
_ALWAYS: Final = {"Content-Type": MEDIA_TYPE, "Cache-Control": "private, no-cache"}
_RETRY_SECONDS: Final = "5"
UNAVAILABLE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError)
"""What a database that is down, overloaded or stopping raises."""


def answer(content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A resource. Empty lists and texts are left out by whoever makes it; they may not stand in an answer."""
    return raw_answer(msgspec.json.encode(content), headers)


def raw_answer(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """A resource that is JSON already."""
    return Response(body, headers={**_ALWAYS, **(headers or {})})


def error_answer(status: int, description: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """An error message: `http_status` is a string, as the standard wants."""
    content = {"title": HTTPStatus(status).phrase, "http_status": str(status)}
    if description:
        content["description"] = description
    return Response(msgspec.json.encode(content), status, headers={**_ALWAYS, **(headers or {})})


def bad_request(description: str) -> HTTPException:
    """A parameter that cannot be read. The description never quotes it."""
    return HTTPException(HTTPStatus.BAD_REQUEST, description)


def not_found() -> HTTPException:
    """What is not there, and what may not be seen: the same answer, so that nobody learns which."""
    return HTTPException(HTTPStatus.NOT_FOUND, "there is nothing here for you")


async def on_http_error(_request: Request, error: Exception) -> Response:
    """An HTTPException of ours or of the router's."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    return error_answer(error.status_code, "" if error.detail == phrase else error.detail, error.headers)


async def on_unavailable(_request: Request, _error: Exception) -> Response:
    """The database did not answer."""
    return error_answer(
        HTTPStatus.SERVICE_UNAVAILABLE, "the database doesn't answer; try again", {"Retry-After": _RETRY_SECONDS}
    )


async def on_fault(_request: Request, _error: Exception) -> Response:
    """A mistake of ours: it is in our log, not in the answer."""
    return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR)
