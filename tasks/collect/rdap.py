"""An RDAP client: a base URL and a thing in, the server's answer out, whatever its status.

RFC 9082 section 3.1 (the URLs), RFC 7480 section 5 (statuses), RFC 9083 section 4.2 (links). Unlike a document's fetch,
a 404 is an answer here, and so are 403, 422 and 429: what they mean is read from status and body together, by
`tasks.normalize.rdap`. One attempt is made: when to ask again is the caller's to say. Reach: registry, and registrar
where the caller follows a referral.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from intel.entities import Kind
from intel.errors import ReadError
from intel.names import canonical_name
from intel.rdap_bootstrap import is_base_url
from tasks.collect.fetched import Fetched, utc_now
from tasks.collect.http import HttpLimits, RetryPolicy, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import httpx

    from intel.entities import Entity

RDAP_LIMITS: Final = HttpLimits(max_bytes=1 << 20, max_seconds=30.0, read_seconds=20.0, max_redirects=3)
_ACCEPT: Final = "application/rdap+json, application/json;q=0.9"
_ONCE: Final = RetryPolicy(retries=0)
_RDAP_TYPES: Final = frozenset({"application/rdap+json", "application/json"})
_MOST_LINKS: Final = 64
# What stands around the address of some registrars, who told it to their registry in a form or an e-mail.
_JUNK: Final = " \t\r\n\"'<>,;\\"
_DOMAIN_PATH: Final = re.compile(r"/{1,8}domain/{1,8}([^/]{1,253})/{0,8}", re.IGNORECASE)


def object_url(base_url: str, subject: Entity) -> str:
    """The URL at which a server knows a thing. Raises ReadError where RDAP has no class for its kind."""
    if subject.kind == Kind.DOMAIN:
        path = f"domain/{canonical_name(subject.value)}"
    elif subject.kind == Kind.NAME_SERVER:
        path = f"nameserver/{canonical_name(subject.value)}"
    elif subject.kind in (Kind.IP, Kind.NETWORK):
        path = f"ip/{subject.value}"
    elif subject.kind == Kind.AS:
        path = f"autnum/{subject.value.removeprefix('AS')}"
    elif subject.kind == Kind.HANDLE:
        path = f"entity/{quote(bare_handle(subject.value), safe='~')}"
    else:
        raise ReadError(f"couldn't ask about a value of kind {subject.kind}: RDAP knows no such thing; nothing is sent")
    return f"{base_url.rstrip('/')}/{path}"


def bare_handle(value: str) -> str:
    """A handle as its server knows it: without the @ and the server's domain by which it is told from others'."""
    return value.rpartition("@")[0] or value


def referral(body: bytes, *, asked: str = "") -> str | None:
    """The registrar's RDAP URL for the same domain that a registry's record links to ("related"), or None.

    `asked` is the URL that gave the record: a link to itself refers nowhere. A link without a type is one where its
    path is that of the domain; a link to another domain's record is none.
    """
    record = _object(body)
    name = _name(record, asked)
    links = list(_links(record))
    own = {_compared(href) for rel, _, href in links if rel == "self"} | {_compared(asked)}
    typed = [href for rel, kind, href in links if rel == "related" and kind in _RDAP_TYPES]
    untyped = [href for rel, kind, href in links if rel == "related" and not kind]
    for href, plain in [*((href, False) for href in typed), *((href, True) for href in untyped)]:
        url = _cleaned(href, asked, name, must_be_domain=plain)
        if url and _compared(url) not in own:
            return url
    return None


def fetch_answer(
    client: httpx.Client,
    url: str,
    *,
    limits: HttpLimits = RDAP_LIMITS,
    redirected: Callable[[str], None] | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Fetched:
    """GET `url` once and keep what comes, with any status; redirects are followed as far as `limits` allow, and
    `redirected` is told of each before it is followed.

    Raises RefusedError (address, scheme, a redirect from https to http or without end), UnreachableError,
    OversizedError and ReadError (a content coding that does not decode).
    """
    return fetch(
        client,
        url,
        limits=limits,
        headers={"Accept": _ACCEPT},
        retry=_ONCE,
        any_status=True,
        redirected=redirected,
        clock=clock,
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _name(record: dict[str, Any], asked: str) -> str:
    match = _DOMAIN_PATH.search(asked[:2048])
    for text in (record.get("ldhName"), record.get("unicodeName"), match[1] if match else None):
        if isinstance(text, str):
            try:
                return canonical_name(text)
            except ReadError:
                continue
    return ""


def _links(record: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(relation, media type without parameters, address) of each link; some servers send the one link bare."""
    found = record.get("links")
    for link in ([found] if isinstance(found, dict) else found if isinstance(found, list) else [])[:_MOST_LINKS]:
        href = link.get("href") if isinstance(link, dict) else None
        if isinstance(href, str) and len(href) <= 2048:
            kind = str(link.get("type") or "")[:128].partition(";")[0].strip().lower()
            yield str(link.get("rel") or "")[:64].strip().lower(), kind, href


def _cleaned(href: str, asked: str, name: str, *, must_be_domain: bool) -> str | None:
    try:
        url = urljoin(asked, href.strip(_JUNK))
        parts = urlsplit(url)
    except ValueError:
        return None
    if not is_base_url(url):
        return None
    match = _DOMAIN_PATH.search(parts.path)
    if match is None or match.end() != len(parts.path):
        return None if must_be_domain else parts._replace(fragment="").geturl()
    try:
        same = not name or canonical_name(match[1]) == name
    except ReadError:
        return None
    path = f"{parts.path[: match.start()]}/domain/{match[1]}"
    return parts._replace(path=path, fragment="").geturl() if same else None


def _compared(url: str) -> str:
    """A URL as it is compared: http and https of one host and path, in any case, are one place."""
    try:
        parts = urlsplit(url.strip(_JUNK))
    except ValueError:
        return ""
    return f"{parts.netloc.lower()}{parts.path.rstrip('/').lower()}" if parts.netloc else ""
