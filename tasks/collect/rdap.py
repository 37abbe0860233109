"""An RDAP client: a base URL and a domain in, the server's answer out, whatever its status.

RFC 9082 section 3.1.3 (the URL), RFC 9224 (IANA's bootstrap file), RFC 7480 section 5 (statuses). Unlike a document's
fetch, a 404 is an answer here, and so are 403, 422 and 429: what they mean is read from status and body together, by
`tasks.normalize.rdap`. One attempt is made: when to ask again is the caller's to say. Reach: registry, and registrar
where the caller follows a referral.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from intel.errors import ReadError
from intel.names import canonical_name
from tasks.collect.fetched import Fetched, utc_now
from tasks.collect.http import HttpLimits, RetryPolicy, fetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import httpx

RDAP_LIMITS: Final = HttpLimits(max_bytes=1 << 20, max_seconds=30.0, read_seconds=20.0, max_redirects=3)
_ACCEPT: Final = "application/rdap+json, application/json;q=0.9"
_ONCE: Final = RetryPolicy(retries=0)


def bootstrap(iana_json: bytes, tld: str) -> tuple[str, ...]:
    """The base URLs of the RDAP servers for a TLD or a name below it, https first; empty where there is none.

    `iana_json` is IANA's dns.json. The longest entry that ends the name wins (RFC 9224 section 4). Raises ReadError
    where the file is not a bootstrap file; a service that is not as it should be costs itself.
    """
    try:
        document = msgspec.json.decode(iana_json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadError(f"couldn't read the RDAP bootstrap file: {error}; the one before stays in use") from error
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, list):
        raise ReadError("couldn't read the RDAP bootstrap file: it has no services; the one before stays in use")
    labels = tld.lower().strip(".").split(".")
    endings = [".".join(labels[index:]) for index in range(len(labels))]
    best: tuple[int, tuple[str, ...]] = (len(endings), ())
    for service in services:
        if not (isinstance(service, list) and len(service) >= 2 and all(isinstance(part, list) for part in service)):
            continue
        entries = {str(entry).lower() for entry in service[0]}
        rank = next((index for index, ending in enumerate(endings) if ending in entries), len(endings))
        urls = tuple(url for url in service[1] if isinstance(url, str) and _is_base(url))
        if urls and rank < best[0]:
            best = (rank, tuple(sorted(urls, key=lambda url: not url.startswith("https://"))))
    return best[1]


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def lookup(
    client: httpx.Client,
    base_url: str,
    domain: str,
    *,
    limits: HttpLimits = RDAP_LIMITS,
    clock: Callable[[], datetime] = utc_now,
) -> Fetched:
    """Ask one RDAP server about one domain; `client` is one of `tasks.collect.http.open_client`.

    Raises ReadError where `domain` is no name, and what `fetch_answer` raises.
    """
    return fetch_answer(client, f"{base_url.rstrip('/')}/domain/{canonical_name(domain)}", limits=limits, clock=clock)


def referral(body: bytes) -> str | None:
    """The registrar's RDAP URL for the same domain that a registry's record links to ("related"), or None."""
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    links = document.get("links") if isinstance(document, dict) else None
    for link in links if isinstance(links, list) else ():
        if not isinstance(link, dict) or link.get("rel") != "related":
            continue
        href = link.get("href")
        if link.get("type") == "application/rdap+json" and isinstance(href, str) and _is_base(href):
            return href
    return None


def fetch_answer(
    client: httpx.Client, url: str, *, limits: HttpLimits = RDAP_LIMITS, clock: Callable[[], datetime] = utc_now
) -> Fetched:
    """GET `url` once and keep what comes, with any status; redirects are followed as far as `limits` allow.

    Raises RefusedError (address, scheme, a redirect from https to http or without end), UnreachableError,
    OversizedError and ReadError (a content coding that does not decode).
    """
    return fetch(client, url, limits=limits, headers={"Accept": _ACCEPT}, retry=_ONCE, any_status=True, clock=clock)
