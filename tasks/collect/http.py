"""Fetches one document over HTTP: the only place that talks to web servers.

In: a client that keeps to the address policy, a URL, limits, the validators of the last answer. Out: a `Fetched`, or an
error of the collect tree. RFC 9110 (HTTP semantics: redirects in 15.4, conditional requests in 13, content codings in
8.4), RFC 9112 (framing). Bodies are read in pieces: nothing here holds more than its limit.
"""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpcore
import httpx

from intel.errors import (
    OversizedError,
    ReadError,
    RefusedError,
    StatusError,
    ThrottledError,
    UnreachableError,
)
from tasks.collect import network
from tasks.collect.fetched import Fetched, expect_media, looks_like_html, public_url, utc_now
from tasks.collect.inflate import Inflater
from tasks.collect.media import charset_of, parse_media_type, parse_retry_after, validator
from tasks.collect.network import NetworkPolicy
from tasks.collect.retry import RetryPolicy, SpentError, retrying

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

__all__ = [
    "Fetched",
    "HttpLimits",
    "NetworkPolicy",
    "Read",
    "RetryPolicy",
    "SpentError",
    "expect_media",
    "fetch",
    "looks_like_html",
    "open_client",
    "public_url",
]

# httpx logs every address at INFO, with the keys that some sources want in the query.
logging.getLogger("httpx").setLevel(logging.WARNING)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# 202, 204 and 206 carry no whole document: a snapshot taken for one would end what it does not name.
_SUCCESS = frozenset({200, 203})
_PARTIAL = 206
_KEPT_HEADERS = frozenset(
    {
        "age",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "etag",
        "expires",
        "last-modified",
        "link",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "retry-after",
        "server",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-taxii-date-added-first",
        "x-taxii-date-added-last",
    }
)
# What describes the request rather than who asks stays when a redirect leads to another origin.
_NEUTRAL_HEADERS = frozenset({"accept", "accept-language", "if-none-match", "if-modified-since", "accept-encoding"})
# httpx percent-encodes what cannot stand in a host; a name with that in it would only ask the resolver for nonsense.
_HOST = re.compile(rb"[0-9A-Za-z._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_CODINGS = {"": "identity", "identity": "identity", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}


@dataclass(frozen=True, kw_only=True)
class HttpLimits:
    """How much and how long one transfer may take; sizes in bytes (both on the wire and decoded), times in seconds.

    `max_seconds` bounds one attempt as a whole, redirects included; `max_expansion` is decoded to wire bytes.
    """

    max_bytes: int = 64 << 20
    max_seconds: float = 300.0
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    max_expansion: float = 100.0
    max_redirects: int = 5


Read = Callable[[httpx.Response, httpx.URL, HttpLimits], tuple[bytes, int]]
"""Takes the body of an answer: (decoded bytes, number of wire bytes)."""


class _GuardedTransport(httpx.HTTPTransport):
    """httpx's transport on a pool that connects through the address policy."""

    def __init__(self, policy: NetworkPolicy, ssl_context: ssl.SSLContext) -> None:
        super().__init__(verify=ssl_context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=20,
            max_keepalive_connections=10,
            keepalive_expiry=5.0,
            network_backend=network.GuardedBackend(policy),
        )


def _timeout(limits: HttpLimits) -> httpx.Timeout:
    return httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)


def open_client(
    policy: NetworkPolicy, *, user_agent: str, limits: HttpLimits, ssl_context: ssl.SSLContext | None = None
) -> httpx.Client:
    """Open a client whose every connection keeps to the policy; close it when done. `fetch` is how to use it.

    It follows no redirects by itself, keeps no cookies and takes nothing from the environment.
    """
    context = ssl_context or httpx.create_ssl_context(trust_env=False)
    return httpx.Client(
        transport=_GuardedTransport(policy, context),
        headers={"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate"},
        timeout=_timeout(limits),
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


def fetch(
    client: httpx.Client,
    url: str,
    *,
    limits: HttpLimits,
    etag: str | None = None,
    last_modified: str | None = None,
    headers: Mapping[str, str] | None = None,
    retry: RetryPolicy | None = None,
    any_status: bool = False,
    read: Read | None = None,
    redirected: Callable[[str], None] | None = None,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched:
    """GET one document; "unchanged" where the server says so (304) of the validators given.

    With `any_status` an answer is an answer whatever its status says (redirects are followed all the same). `read`
    takes a body that is too large for memory, as it comes and within the limits; a part of one (206) is an answer then.
    `redirected` is told where a redirect leads before anything is sent there, and raises what is to end it.
    Raises RefusedError (scheme, address, redirect: nothing is tried again), UnreachableError (also a body cut short),
    StatusError, ThrottledError (429 or 503 that asks for more patience than `retry.max_retry_after`), OversizedError
    and ReadError (a content coding that does not decode).
    """
    asked = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", **(headers or {})}
    if etag := validator(etag):
        asked["If-None-Match"] = etag
    if last_modified := validator(last_modified):
        asked["If-Modified-Since"] = last_modified
    target = _parse(url, url)

    def attempt() -> Fetched:
        with network.deadline(limits.max_seconds):
            return _attempt(
                client, target, asked, limits, clock, any_status=any_status, read=read, redirected=redirected
            )

    return retrying(attempt, policy=retry, sleep=sleep)


def _parse(url: str, shown: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise RefusedError(f"couldn't fetch {public_url(shown)}: not a URL; nothing was sent") from None
    return _checked(parsed, shown)


def _checked(url: httpx.URL, shown: str) -> httpx.URL:
    if url.scheme not in {"http", "https"}:
        scheme = url.scheme[:20] or "none"
        raise RefusedError(
            f"couldn't fetch {public_url(shown)}: scheme {scheme!r} is not http or https; nothing was sent"
        )
    if not _HOST.fullmatch(url.raw_host):
        raise RefusedError(f"couldn't fetch {public_url(shown)}: it names no host; nothing was sent")
    return url


def _next_hop(response: httpx.Response, current: httpx.URL) -> httpx.URL:
    """Where a redirect leads, judged before anything is sent there; user and password in it are dropped."""
    shown = public_url(str(current))
    try:
        target = current.join(response.headers.get("location", "")).copy_with(fragment=None, userinfo=b"")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise RefusedError(f"couldn't follow the redirect of {shown}: it leads to no URL; nothing was sent") from None
    if current.scheme == "https" and target.scheme == "http":
        raise RefusedError(f"couldn't follow the redirect of {shown}: it leads from https to http; nothing was sent")
    return _checked(target, str(target))


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _attempt(
    client: httpx.Client,
    url: httpx.URL,
    headers: Mapping[str, str],
    limits: HttpLimits,
    clock: Callable[[], datetime],
    *,
    any_status: bool,
    read: Read | None,
    redirected: Callable[[str], None] | None,
) -> Fetched:
    target = url
    for _ in range(limits.max_redirects + 1):
        with _translated(target):
            request = client.build_request("GET", target, headers=dict(headers), timeout=_timeout(limits))
            response = client.send(request, stream=True)
        try:
            if response.status_code not in _REDIRECTS or "location" not in response.headers:
                with _translated(target):
                    return _finish(response, (url, target), headers, limits, clock, any_status=any_status, read=read)
            hop = _next_hop(response, target)
        finally:
            response.close()
        if redirected is not None:
            redirected(str(hop))
        if _origin(hop) != _origin(target):
            headers = {name: value for name, value in headers.items() if name.lower() in _NEUTRAL_HEADERS}
        target = hop
    raise RefusedError(
        f"couldn't fetch {public_url(str(url))}: more than {limits.max_redirects} redirects; it is left for now"
    )


@contextlib.contextmanager
def _translated(url: httpx.URL) -> Iterator[None]:
    """Turn httpx's errors into ours. Their texts can quote what was sent, so only those about the transfer are kept."""
    shown = public_url(str(url))
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, UnicodeError):
        raise RefusedError(f"couldn't ask for {shown}: the request is not valid HTTP; nothing was sent") from None
    except httpx.TransportError as error:
        if network.spent():
            raise SpentError(f"couldn't fetch {shown}: it took too long; it is left until the next run") from error
        if _is_untrusted(error):
            raise SpentError(
                f"couldn't fetch {shown}: its certificate is not trusted; it is left until the next run"
            ) from error
        cause = ascii(str(error))[1:-1][:120] or type(error).__name__
        raise UnreachableError(f"couldn't fetch {shown}: {cause}; it is tried again a few times, then left") from error


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _finish(
    response: httpx.Response,
    urls: tuple[httpx.URL, httpx.URL],
    headers: Mapping[str, str],
    limits: HttpLimits,
    clock: Callable[[], datetime],
    *,
    any_status: bool,
    read: Read | None,
) -> Fetched:
    url, final = urls
    conditional = "If-None-Match" in headers or "If-Modified-Since" in headers
    unchanged = response.status_code == 304 and conditional
    if not (unchanged or any_status or (read is not None and response.status_code == _PARTIAL)):
        _raise_for_status(response, final, clock())
    body, wire = (b"", 0) if unchanged else (read or _read)(response, final, limits)
    media_type, parameters = parse_media_type(response.headers.get("content-type"))
    return Fetched(
        url=_without_user(url),
        final_url=_without_user(final),
        status=response.status_code,
        outcome="unchanged" if unchanged else "new",
        body=body,
        wire_bytes=wire,
        media_type=media_type,
        charset=charset_of(parameters),
        # A 304 may leave out what has not changed (RFC 9110 section 15.4.5).
        etag=validator(response.headers.get("etag")) or (headers.get("If-None-Match") if unchanged else None),
        last_modified=validator(response.headers.get("last-modified"))
        or (headers.get("If-Modified-Since") if unchanged else None),
        fetched_at=clock(),
        headers={name: value[:1024] for name, value in response.headers.items() if name in _KEPT_HEADERS},
    )


def _without_user(url: httpx.URL) -> str:
    return str(url.copy_with(userinfo=b""))


def _raise_for_status(response: httpx.Response, url: httpx.URL, now: datetime) -> None:
    status = response.status_code
    if status in _SUCCESS:
        return
    retry_after = parse_retry_after(response.headers.get("retry-after"), now)
    shown = public_url(str(url))
    if status == 429 or (status == 503 and retry_after is not None):
        wait = "without saying for how long" if retry_after is None else f"for {retry_after:g} s"
        raise ThrottledError(
            f"couldn't fetch {shown}: the server asks to wait {wait}; it is left until then", retry_after=retry_after
        )
    raise StatusError(f"couldn't fetch {shown}: status {status}; it is left until the next run", status=status)


def _read(response: httpx.Response, url: httpx.URL, limits: HttpLimits) -> tuple[bytes, int]:
    """Read and decode the body within the limits: (decoded bytes, number of wire bytes)."""
    shown = public_url(str(url))
    too_much = OversizedError(f"couldn't fetch {shown}: more than {limits.max_bytes} bytes; it was dropped")
    declared = response.headers.get("content-length", "")
    # A length of 5,000 digits would be slow to convert, and is larger than any limit.
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limits.max_bytes):
        raise too_much
    coding = response.headers.get("content-encoding", "").strip().lower()
    body, wire = bytearray(), 0
    try:
        decoder = Inflater(_CODINGS.get(coding, coding), max_bytes=limits.max_bytes, max_expansion=limits.max_expansion)
        for piece in response.iter_raw():
            wire += len(piece)
            if wire > limits.max_bytes:
                raise too_much
            body += decoder.feed(piece)
    except ReadError as error:
        raise type(error)(f"couldn't fetch {shown}: {error}") if error is not too_much else error from None
    if not decoder.complete:
        raise UnreachableError(
            f"couldn't fetch {shown}: its {coding} body is cut short; it is tried again a few times, then left"
        )
    return bytes(body), wire
