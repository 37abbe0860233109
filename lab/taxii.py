"""A small TAXII 2.1 server to read from, which can be told to misbehave as real ones do.

In: collections of STIX objects with the moments they were added, and switches. Out: a Starlette application: discovery,
API root, collections, objects, manifest (TAXII 2.1 sections 4.1, 4.2, 5.1, 5.2, 5.3, 5.4). Reading only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

MEDIA_TYPE = "application/taxii+json;version=2.1"
_MEDIA_TYPE_20 = "application/vnd.oasis.taxii+json; version=2.0"


@dataclass
class LabCollection:
    """A collection; `records` are (moment added, STIX object) in the order they were added."""

    id: str
    title: str
    can_read: bool = True
    records: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    def add(self, at: datetime, *objects: Mapping[str, Any]) -> None:
        """Add objects, all at one moment, as a POST does."""
        self.records += [(at, dict(item)) for item in objects]


@dataclass
class TaxiiFaults:
    """What the server does wrong; all off."""

    pages_for_ever: bool = False  # the same objects, always another token
    endless_new: bool = False  # always new objects, always another token
    empty_for_ever: bool = False  # no objects, always another token
    repeated_next: bool = False  # the same token on every page
    more_without_next: bool = False
    inclusive_added_after: bool = False
    no_dates: bool = False  # no X-TAXII-Date-Added headers
    no_manifest: bool = False
    odd_dates: str | None = None  # "http", "js", "seconds", "future" or "nonsense"
    empty_body: bool = False  # `{}` for everything
    no_objects_key: bool = False  # `{"more": false}`
    not_json: bool = False
    nested: bool = False  # brackets 200,000 deep
    html: bool = False
    taxii_20: bool = False
    not_acceptable: bool = False
    media_type: str | None = None
    expired_tokens: bool = False  # 400 for every token
    throttle: int = 0  # this many 429s first
    retry_after: str = "3"
    max_limit: int = 10_000


@dataclass
class TaxiiLab:
    """The server's content and state; `authorization` is the exact header it wants, if any (else 401)."""

    collections: list[LabCollection] = field(default_factory=list)
    faults: TaxiiFaults = field(default_factory=TaxiiFaults)
    authorization: str | None = None
    roots: list[str] = field(default_factory=lambda: ["/api/"])
    asked: list[str] = field(default_factory=list)

    def find(self, name: str) -> LabCollection | None:
        return next((item for item in self.collections if item.id == name), None)


def _stamp(date: datetime, odd: str | None) -> str:
    date = date.astimezone(UTC)
    if odd == "http":
        return date.strftime("%a, %d %b %Y %H:%M:%S GMT")
    if odd == "js":
        return date.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)")
    if odd == "seconds":
        return date.strftime("%Y-%m-%d %H:%M:%S")
    if odd == "future":
        return "9999-12-31T23:59:59.000000Z"
    if odd == "nonsense":
        return "yesterday"
    return date.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


class _BadRequest(Exception):  # noqa: N818 - it is an answer, not a failure
    pass


@dataclass
class _Page:
    records: list[tuple[datetime, dict[str, Any]]]
    more: bool
    token: str


def _select(lab: TaxiiLab, collection: LabCollection, request: Request) -> _Page:
    """Apply added_after, match[type], next and limit. A token is the position in the filtered list."""
    faults, query = lab.faults, request.query_params
    records = collection.records
    if text := query.get("added_after"):
        after = _moment(text)
        if after is None:
            raise _BadRequest
        inclusive = faults.inclusive_added_after
        records = [item for item in records if item[0] > after or (inclusive and item[0] == after)]
    if kinds := query.get("match[type]"):
        records = [item for item in records if item[1].get("type") in kinds.split(",")]
    token, limit = query.get("next") or "0", query.get("limit") or "100"
    if not token.isdigit() or not limit.isdigit() or int(limit) < 1 or (faults.expired_tokens and query.get("next")):
        raise _BadRequest
    start, size = int(token), min(int(limit), faults.max_limit)
    if faults.pages_for_ever or faults.empty_for_ever:
        shown = [] if faults.empty_for_ever else records[:size]
        return _Page(records=shown, more=True, token=str(start + 1))
    if faults.endless_new:
        template = {"type": "x-lab", "spec_version": "2.1"}
        made = [(datetime(2026, 1, 1, tzinfo=UTC), {**template, "id": f"x-lab--{start + n}"}) for n in range(size)]
        return _Page(records=made, more=True, token=str(start + size))
    end = start + size
    more = end < len(records) or faults.repeated_next
    return _Page(records=records[start:end], more=more, token="7" if faults.repeated_next else str(end))


def _envelope(lab: TaxiiLab, page: _Page, objects: list[dict[str, Any]]) -> Response:
    faults = lab.faults
    body: dict[str, Any] = {}
    if objects:
        body["objects"] = objects
    if page.more:
        body["more"] = True
        if not faults.more_without_next:
            body["next"] = page.token
    if faults.empty_body:
        body = {}
    elif faults.no_objects_key:
        body = {"more": False}
    headers = {}
    if page.records and not faults.no_dates:
        headers["X-TAXII-Date-Added-First"] = _stamp(page.records[0][0], faults.odd_dates)
        headers["X-TAXII-Date-Added-Last"] = _stamp(page.records[-1][0], faults.odd_dates)
    return _answer(lab, body, headers=headers)


def _answer(
    lab: TaxiiLab, body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    faults = lab.faults
    media_type = faults.media_type or (_MEDIA_TYPE_20 if faults.taxii_20 else MEDIA_TYPE)
    content = json.dumps(body).encode()
    if faults.not_json:
        content = b'{"objects": ['
    elif faults.nested:
        content = b'{"objects": ' + b"[" * 200_000
    elif faults.html:
        content = b"<!DOCTYPE html><html><body>Sign in</body></html>"
    return Response(content, status_code=status, headers={**(headers or {}), "Content-Type": media_type})


def _error(status: int, title: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"title": title, "http_status": str(status)}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _refusal(lab: TaxiiLab, request: Request) -> Response | None:
    lab.asked.append(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    given = request.headers.get("authorization") or request.headers.get("x-api-key")
    if lab.authorization is not None and given != lab.authorization:
        return _error(401, "who are you", {"WWW-Authenticate": "Basic"})
    if lab.faults.throttle > 0:
        lab.faults.throttle -= 1
        return _error(429, "slow down", {"Retry-After": lab.faults.retry_after})
    if lab.faults.not_acceptable:
        return _error(406, "only application/vnd.oasis.taxii+json")
    return None


def _described(item: LabCollection) -> dict[str, Any]:
    return {
        "id": item.id,
        "title": item.title,
        "can_read": item.can_read,
        "can_write": False,
        "media_types": ["application/stix+json;version=2.1"],
    }


def _discovery(lab: TaxiiLab, _request: Request) -> Response:
    return _answer(lab, {"title": "Lab", "api_roots": lab.roots, "default": lab.roots[0]})


def _root(lab: TaxiiLab, _request: Request) -> Response:
    return _answer(lab, {"title": "Lab root", "versions": [MEDIA_TYPE], "max_content_length": 10_485_760})


def _collections(lab: TaxiiLab, _request: Request) -> Response:
    listed = [_described(item) for item in lab.collections]
    return _answer(lab, {"collections": listed} if listed else {})


def _readable(lab: TaxiiLab, request: Request) -> LabCollection | None:
    found = lab.find(request.path_params["name"])
    return found if found is not None and found.can_read else None


def _collection(lab: TaxiiLab, request: Request) -> Response:
    found = lab.find(request.path_params["name"])
    return _error(404, "no such collection") if found is None else _answer(lab, _described(found))


def _objects(lab: TaxiiLab, request: Request) -> Response:
    found = _readable(lab, request)
    if found is None:
        return _error(404, "no such collection")
    page = _select(lab, found, request)
    return _envelope(lab, page, [item for _, item in page.records])


def _manifest(lab: TaxiiLab, request: Request) -> Response:
    found = _readable(lab, request)
    if found is None or lab.faults.no_manifest:
        return _error(404, "no such collection")
    page = _select(lab, found, request)
    entries = [
        {
            "id": item["id"],
            "date_added": _stamp(added, lab.faults.odd_dates),
            "version": item.get("modified", _stamp(added, None)),
            "media_type": "application/stix+json;version=2.1",
        }
        for added, item in page.records
    ]
    return _envelope(lab, page, entries)


_ROUTES = {
    "/taxii2/": _discovery,
    "/api/": _root,
    "/api/collections/": _collections,
    "/api/collections/{name}/": _collection,
    "/api/collections/{name}/objects/": _objects,
    "/api/collections/{name}/manifest/": _manifest,
}


def taxii_app(lab: TaxiiLab) -> Starlette:
    """Make the application; change `lab` while it runs."""

    def route(path: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return _refusal(lab, request) or _ROUTES[path](lab, request)
            except _BadRequest:
                return _error(400, "bad parameter")

        return Route(path, endpoint, methods=["GET"])

    return Starlette(routes=[route(path) for path in _ROUTES])
