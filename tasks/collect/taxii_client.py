"""taxii2-client on our own transport: its requests session asks through `tasks.collect.http.fetch`.

taxii2-client 2.3.0 has no time-outs and retries, reads bodies of any size and hides response headers. Mounting one
adapter gives it the address policy, limits, retries and redirect rules of every other source; a response hook hands
over the headers and the bytes. TAXII 2.1 sections 1.6.8 (media types) and 3.2 (HTTP headers).
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import requests
from requests.adapters import BaseAdapter
from taxii2client.common import _HTTPConnection
from taxii2client.exceptions import TAXIIServiceException

from intel.errors import LapsewatchError, ReadError, RefusedError, StatusError
from tasks.collect.fetched import Fetched, expect_media, public_url, utc_now
from tasks.collect.http import HttpLimits, fetch, open_client
from tasks.collect.media import parse_media_type
from tasks.collect.network import NetworkPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType

    import httpx

    from tasks.collect.credentials import Credentials
    from tasks.collect.retry import RetryPolicy

MEDIA_TYPE = "application/taxii+json;version=2.1"
_SENT_HEADERS = frozenset({"accept", "authorization", "x-api-key"})
_TAXII_20 = frozenset({"application/vnd.oasis.taxii+json", "application/vnd.oasis.stix+json"})


@dataclass(frozen=True, kw_only=True)
class TaxiiHttp:
    """How a TAXII server is talked to; `clock` gives recorded time, `sleep` waits between attempts."""

    policy: NetworkPolicy = field(default_factory=NetworkPolicy)
    user_agent: str = "lapsewatch"
    limits: HttpLimits = field(default_factory=HttpLimits)
    retry: RetryPolicy | None = None
    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep


def _refuse_20(url: str) -> ReadError:
    return ReadError(
        f"couldn't read {public_url(url)}: the server speaks TAXII 2.0, only 2.1 is spoken here; "
        "name its 2.1 API root or another source"
    )


class _FetchAdapter(BaseAdapter):
    """What requests sends through: one `fetch` for each request."""

    def __init__(self, client: httpx.Client, http: TaxiiHttp) -> None:
        super().__init__()
        self._client = client
        self._http = http

    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> requests.Response:
        url = request.url or ""
        if request.method != "GET":
            raise RefusedError(f"couldn't ask {public_url(url)}: only reading is done here; nothing was sent")
        fetched = self._fetch(url, {k: str(v) for k, v in request.headers.items() if k.lower() in _SENT_HEADERS})
        response = requests.Response()
        response.request = request
        response.url = fetched.final_url
        response.status_code = fetched.status
        response.headers.update(fetched.headers)
        # Judged above; taxii2-client compares the tokens and would reject an absent version or a charset of its own.
        response.headers["Content-Type"] = MEDIA_TYPE
        response.raw = io.BytesIO(fetched.body)
        return response

    def _fetch(self, url: str, headers: dict[str, str]) -> Fetched:
        http = self._http
        try:
            fetched = fetch(
                self._client,
                url,
                limits=http.limits,
                headers=headers,
                retry=http.retry,
                clock=http.clock,
                sleep=http.sleep,
            )
        except StatusError as error:
            if error.status not in {406, 415}:
                raise
            message = f"{error}; a TAXII 2.0 server says so, only 2.1 is spoken here"
            raise StatusError(message, status=error.status) from None
        media_type, parameters = parse_media_type(fetched.headers.get("content-type"))
        if media_type in _TAXII_20 or parameters.get("version") == "2.0":
            raise _refuse_20(url)
        expect_media(fetched, "json")
        return fetched

    def close(self) -> None:
        """Leave the client open: whoever opened it closes it."""


class TaxiiConnection:
    """A taxii2-client connection with our transport, for one server; use it in a `with`.

    `conn` is what taxii2-client's classes take; `get` asks for one resource through it.
    """

    def __init__(self, http: TaxiiHttp, credentials: Credentials | None) -> None:
        self._client = open_client(http.policy, user_agent=http.user_agent, limits=http.limits)
        self.conn: Any = _HTTPConnection(version="2.1", user_agent=http.user_agent)
        session: requests.Session = self.conn.session
        # Nothing from the environment: no proxy, no .netrc.
        session.trust_env = False
        session.adapters.clear()
        adapter = _FetchAdapter(self._client, http)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        if credentials is not None:
            session.headers.update(credentials.headers())
        session.hooks["response"].append(self._keep)
        self._last: requests.Response | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.conn.close()
        self._client.close()

    def _keep(self, response: requests.Response, **_: object) -> None:
        self._last = response

    def call(self, ask: Callable[[], Any], what: str) -> tuple[bytes, Mapping[str, str]]:
        """Let taxii2-client ask, and give (body as received, headers by any case) of its answer.

        Raises the errors of `fetch`, and ReadError where taxii2-client could not read the answer.
        """
        self._last = None
        try:
            ask()
        except LapsewatchError:
            raise
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            raise RefusedError(f"couldn't ask {what}: not an http or https URL; nothing was sent") from None
        except (TAXIIServiceException, requests.RequestException, ValueError, RecursionError) as error:
            raise ReadError(f"couldn't read {what}: {type(error).__name__}; it was dropped") from None
        if self._last is None:
            raise ReadError(f"couldn't read {what}: there was no answer; it is left until the next run")
        return self._last.content, self._last.headers

    def get(self, url: str) -> bytes:
        """Ask for one resource by its URL."""
        return self.call(lambda: self.conn.get(url), public_url(url))[0]
