"""Zones for tests: a server of their files that can go on where it broke, and entries of their sources."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from intel.config.sources import Source

MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)


def zone_text(names: Mapping[str, str], *, serial: int = 1, zone: str = "example", closed: bool = False) -> bytes:
    """A zone file in ICANN's form: name -> name servers, parted by spaces."""
    soa = f"{zone}.\t900\tin\tsoa\ta.nic.{zone}. h.nic.{zone}. {serial} 1800 900 604800 86400\n"
    lines = [
        f"{name}.{zone}.\t172800\tin\tns\t{host}.\n" for name in sorted(names) for host in sorted(names[name].split())
    ]
    return (soa + "".join(lines) + (soa if closed else "")).encode()


def zone_source(location: str, **values: Any) -> Source:
    """The entry of a zone's source."""
    entry: dict[str, Any] = {
        "name": "lab-zone",
        "title": "Lab zone",
        "transport": "http" if "://" in location else "folder",
        "format": "zone",
        "location": location,
        "semantics": "snapshot",
        "cadence": "daily",
        "reliability": "A",
        "tlp": "clear",
        "licence": {"name": "invented", "commercial_use": True, "redistribution": True},
        "enabled": True,
        "limits": {"retries": 0, "wait": 1},
    }
    return Source.model_validate(entry | values)


@dataclass(kw_only=True)
class ZoneServer:
    """Gives `body` at /zone.gz. `break_at`: the next answers end after so many bytes, once each."""

    body: bytes = b""
    etag: str = '"one"'
    modified: datetime | None = MONDAY
    ranges: bool = True
    wrong_range: bool = False
    token: str = ""
    coding: str = ""
    break_at: list[int] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    def put(self, text: bytes, *, etag: str, modified: datetime | None) -> None:
        """Have a new file."""
        self.body, self.etag, self.modified = gzip.compress(text, 1, mtime=0), etag, modified

    def app(self) -> Starlette:
        """The application."""
        routes = [Route("/zone.gz", self._zone), Route("/moved", lambda _: RedirectResponse("/zone.gz"))]
        return Starlette(routes=routes)

    async def _zone(self, request: Request) -> Response:
        self.asked.append(dict(request.headers))
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Response(status_code=401)
        headers = {"etag": self.etag} if self.etag else {}
        if self.modified is not None:
            headers["last-modified"] = format_datetime(self.modified, usegmt=True)
        if self.coding:
            headers["content-encoding"] = self.coding
        if self.etag and request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        start, status = 0, 200
        wanted = request.headers.get("range", "")
        if self.ranges and wanted and request.headers.get("if-range") in set(headers.values()):
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(self.body):
                return Response(status_code=416)
            said = start + 1 if self.wrong_range else start
            headers["content-range"] = f"bytes {said}-{len(self.body) - 1}/{len(self.body)}"
        body = self.body[start:]
        self.sent.append(len(body))
        headers["content-length"] = str(len(body))
        until = self.break_at.pop(0) if self.break_at else None

        async def pieces() -> AsyncIterator[bytes]:
            yield body[:until]
            if until is not None:
                raise ConnectionResetError

        return StreamingResponse(pieces(), status_code=status, headers=headers, media_type="application/gzip")
