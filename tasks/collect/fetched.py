"""The record of one document as received, and the first look at whether it is what it should be.

In: bytes and what the server said about them. Out: a `Fetched`; ReadError where an error page came in place of data.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from intel.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = 1 << 16
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<title", b"<meta", b"<script", b"<h1", b"<center")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """One document as received.

    `url` is what was asked and `final_url` what answered, both without user and password; `body` is decoded (empty
    where `outcome` is "unchanged"), `wire_bytes` what its body took before decoding; `fetched_at` is recorded time,
    UTC; `headers` are a few, lower-case names. `charset` is what the server claims.
    """

    url: str
    final_url: str
    status: int
    outcome: Literal["new", "unchanged"]
    body: bytes = field(repr=False)
    wire_bytes: int
    media_type: str | None
    charset: str | None
    etag: str | None
    last_modified: str | None
    fetched_at: datetime
    headers: Mapping[str, str] = field(repr=False)


def utc_now() -> datetime:
    """The recorded time of now."""
    return datetime.now(UTC)


def _head(body: bytes) -> bytes:
    """The first bytes as lower-case ASCII, without byte order mark, white space, comments and XML declaration."""
    head = body[:_HEAD]
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if head.startswith(mark):
            head = head[2:].decode(codec, "replace").encode()
    head = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for opening, closing in ((b"<?xml", b"?>"), (b"<!--", b"-->"), (b"<!--", b"-->")):
        if head.startswith(opening):
            head = head.partition(closing)[2].lstrip()
    return head


def looks_like_html(body: bytes) -> bool:
    """Whether the body is a web page, whatever its media type says."""
    return _head(body).startswith(_HTML_STARTS)


def expect_media(fetched: Fetched, kind: str) -> None:
    """Raise ReadError where the body cannot be of this kind: a web page for anything but "html", no JSON for "json".

    `kind` is a format's name: csv, json, list, text, xml, html, ... What an unchanged document is was judged before.
    """
    if fetched.outcome == "unchanged" or kind == "html":
        return
    if looks_like_html(fetched.body):
        said = fetched.media_type or "no media type"
        raise ReadError(
            f"couldn't read {public_url(fetched.final_url)} as {kind}: the server sent a web page ({said}); "
            "the document was dropped, see whether the address has moved or wants a key"
        )
    if kind == "json" and not _head(fetched.body).startswith((b"{", b"[")):
        raise ReadError(
            f"couldn't read {public_url(fetched.final_url)} as json: it starts with neither an object nor a list; "
            "the document was dropped"
        )


def public_url(url: str) -> str:
    """A URL for messages and logs: without user, password, query and fragment, where keys hide."""
    bare = url.partition("#")[0].partition("?")[0]
    scheme, separator, rest = bare.partition("://")
    if separator:
        authority, slash, path = rest.partition("/")
        bare = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    return bare[:200].encode("ascii", "backslashreplace").decode()
