from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from intel.errors import (
    OversizedError,
    ReadError,
    RefusedError,
    StatusError,
    ThrottledError,
    UnreachableError,
)
from lab import faults as lab_faults
from lab.server import serve
from tasks.collect.http import (
    Fetched,
    HttpLimits,
    NetworkPolicy,
    RetryPolicy,
    expect_media,
    fetch,
    looks_like_html,
    open_client,
    public_url,
)

if TYPE_CHECKING:
    from lab.faults import FaultServer

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def get(client: httpx.Client, url: str, limits: HttpLimits, slept: list[float] | None = None, **more: Any) -> Fetched:
    sleep = (slept if slept is not None else []).append
    return fetch(client, url, limits=limits, sleep=sleep, clock=lambda: NOW, **more)


def test_a_document_comes_with_what_is_known_of_it(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits
) -> None:
    got = get(client, f"{faults.url}/ok", limits)
    assert (got.status, got.outcome, got.body, got.wire_bytes) == (200, "new", lab_faults.CSV, len(lab_faults.CSV))
    assert (got.media_type, got.charset, got.fetched_at) == ("text/csv", None, NOW)
    assert got.url == got.final_url == f"{faults.url}/ok"
    headers = faults.asked[0][1]
    assert headers["user-agent"] == "lapsewatch-test"
    assert headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("path", ["/truncated", "/cut-chunks", "/broken-chunks", "/truncated-gzip"])
def test_a_body_cut_short_is_unreachable_and_tried_again(
    path: str, client: httpx.Client, faults: FaultServer, limits: HttpLimits, slept: list[float]
) -> None:
    with pytest.raises(UnreachableError):
        get(client, faults.url + path, limits, slept, retry=RetryPolicy(retries=2))
    assert len(faults.asked) == 3
    assert len(slept) == 2


def test_a_body_that_is_whole_the_second_time_is_taken(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits, slept: list[float]
) -> None:
    assert get(client, f"{faults.url}/truncated-once", limits, slept).body == lab_faults.CSV
    assert len(slept) == 1


@pytest.mark.parametrize("path", ["/oversized", "/oversized-declared", "/gzip-bomb"])
def test_more_than_allowed_is_dropped_and_not_tried_again(
    path: str, client: httpx.Client, faults: FaultServer, limits: HttpLimits
) -> None:
    with pytest.raises(OversizedError):
        get(client, faults.url + path, limits)
    assert len(faults.asked) == 1


def test_a_bomb_is_stopped_by_its_expansion_where_the_size_would_allow_it(
    client: httpx.Client, faults: FaultServer
) -> None:
    limits = HttpLimits(max_bytes=1 << 30, max_expansion=50, max_seconds=10)
    with pytest.raises(OversizedError, match="expands more than 50 times"):
        get(client, f"{faults.url}/gzip-bomb", limits)


@pytest.mark.parametrize("path", ["/drip", "/drip-headers"])
def test_a_drip_ends_at_the_deadline_and_is_not_tried_again(
    path: str, client: httpx.Client, faults: FaultServer, slept: list[float]
) -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="too long"):
        get(client, faults.url + path, HttpLimits(max_seconds=1.3, read_seconds=10), slept)
    assert time.monotonic() - began < 2.5
    assert slept == []


def test_a_server_that_never_answers_ends_at_the_read_limit(client: httpx.Client, faults: FaultServer) -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        get(client, f"{faults.url}/hang", HttpLimits(read_seconds=0.3), retry=RetryPolicy(retries=1))
    assert time.monotonic() - began < 2
    assert len(faults.asked) == 2


def test_endless_headers_end(client: httpx.Client, faults: FaultServer, limits: HttpLimits) -> None:
    with pytest.raises(UnreachableError):
        get(client, f"{faults.url}/endless-headers", limits, retry=RetryPolicy(retries=0))


@pytest.mark.parametrize("path", ["/throttled-seconds", "/throttled-date"])
def test_a_wait_that_is_asked_for_is_waited(
    path: str, client: httpx.Client, faults: FaultServer, limits: HttpLimits, slept: list[float]
) -> None:
    with pytest.raises(ThrottledError) as caught:
        fetch(client, faults.url + path, limits=limits, sleep=slept.append, retry=RetryPolicy(retries=2))
    assert len(slept) == 2
    assert all(5 <= wait <= 7 for wait in slept)
    assert caught.value.retry_after is not None
    assert 5 <= caught.value.retry_after <= 7


def test_a_short_wait_lets_the_next_attempt_through(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits, slept: list[float]
) -> None:
    assert get(client, f"{faults.url}/throttled-once", limits, slept).status == 200
    assert slept == [7.0]


def test_a_wait_beyond_the_cap_is_left_to_the_caller(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits, slept: list[float]
) -> None:
    with pytest.raises(ThrottledError) as caught:
        get(client, f"{faults.url}/throttled-long", limits, slept)
    assert (slept, caught.value.retry_after, len(faults.asked)) == ([], 86_400.0, 1)


def test_a_429_that_names_no_wait_is_backed_off_from(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits, slept: list[float]
) -> None:
    with pytest.raises(ThrottledError) as caught:
        get(client, f"{faults.url}/throttled-silent", limits, slept)
    assert len(slept) == 3
    assert caught.value.retry_after is None


def test_a_server_error_is_tried_again(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits, slept: list[float]
) -> None:
    assert get(client, f"{faults.url}/broken-twice", limits, slept).status == 200
    assert len(slept) == 2
    with pytest.raises(StatusError) as caught:
        get(client, f"{faults.url}/broken", limits, slept)
    assert caught.value.status == 500


@pytest.mark.parametrize(("path", "status"), [("/missing", 404), ("/partial", 206)])
def test_a_status_that_is_no_whole_document_is_an_error_at_once(
    path: str, status: int, client: httpx.Client, faults: FaultServer, limits: HttpLimits
) -> None:
    with pytest.raises(StatusError) as caught:
        get(client, faults.url + path, limits)
    assert caught.value.status == status
    assert len(faults.asked) == 1


@pytest.mark.parametrize("path", ["/to-metadata", "/to-file", "/to-nowhere", "/loop"])
def test_a_redirect_to_where_we_do_not_go_is_refused(
    path: str, client: httpx.Client, faults: FaultServer, limits: HttpLimits, slept: list[float]
) -> None:
    with pytest.raises(RefusedError):
        get(client, faults.url + path, limits, slept)
    assert slept == []


def test_a_redirect_into_this_machine_is_refused(faults: FaultServer, client: httpx.Client, limits: HttpLimits) -> None:
    with lab_faults.serve_faults() as other:

        async def inward(_: Request) -> Response:
            return RedirectResponse(f"{other.url}/ok")

        with serve(Starlette(routes=[Route("/", inward)])) as public:
            policy = NetworkPolicy(allow=frozenset({public.address}))
            with open_client(policy, user_agent="t", limits=limits) as guarded, pytest.raises(RefusedError):
                get(guarded, f"{public.url}/", limits)
        assert other.asked == []


@pytest.mark.parametrize("path", ["/to-ok", "/to-loopback", "/to-decimal"])
def test_an_allowed_redirect_is_followed(
    path: str, client: httpx.Client, faults: FaultServer, limits: HttpLimits
) -> None:
    got = get(client, faults.url + path, limits)
    assert got.url == faults.url + path
    assert got.final_url.endswith("/ok")


def test_secrets_stay_with_the_origin_they_were_meant_for(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits
) -> None:
    sent = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Accept": "text/csv"}
    get(client, f"{faults.url}/to-ok", limits, headers=sent)
    assert faults.asked[1][1]["authorization"] == "Bearer s3cret"
    get(client, f"{faults.url}/to-decimal", limits, headers=sent)
    headers = faults.asked[3][1]
    assert headers["accept"] == "text/csv"
    assert "s3cret" not in str(headers)


def test_messages_show_no_secrets(client: httpx.Client, faults: FaultServer, limits: HttpLimits) -> None:
    url = f"http://me:pw@127.0.0.1:{faults.port}/missing?key=s3cret#frag"
    with pytest.raises(StatusError) as caught:
        get(client, url, limits)
    assert f"127.0.0.1:{faults.port}/missing" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("pw", "s3cret", "frag"))
    with pytest.raises(RefusedError) as refused:
        get(client, f"{faults.url}/ok", limits, headers={"Authorization": "Bearer s3cret\nX: 1"})
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/hostname",
        "ftp://feeds.example/a",
        "gopher://x/",
        "",
        "/ok",
        "http://",
        "http://[::1/",
        "http://0177.0.0.1/",
        "javascript:alert(1)",
        "http://a\x00b/",
    ],
)
def test_what_is_not_a_web_address_is_refused(url: str, client: httpx.Client, limits: HttpLimits) -> None:
    with pytest.raises(RefusedError):
        get(client, url, limits)


def test_an_undecodable_body_is_a_read_error(client: httpx.Client, faults: FaultServer, limits: HttpLimits) -> None:
    with pytest.raises(ReadError, match="couldn't decode"):
        get(client, f"{faults.url}/not-gzip", limits)
    with pytest.raises(ReadError, match="not asked for"):
        get(client, f"{faults.url}/unasked-coding", limits)


def test_bytes_stay_bytes_whatever_the_server_claims(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits
) -> None:
    got = get(client, f"{faults.url}/wrong-encoding", limits)
    assert got.body == lab_faults.LATIN1
    assert got.charset == "utf-8"


def test_a_web_page_in_place_of_data_is_a_read_error(
    client: httpx.Client, faults: FaultServer, limits: HttpLimits
) -> None:
    got = get(client, f"{faults.url}/html", limits)
    for kind in ("csv", "json", "list"):
        with pytest.raises(ReadError, match="web page"):
            expect_media(got, kind)
    expect_media(got, "html")
    with pytest.raises(ReadError, match="neither an object nor a list"):
        expect_media(get(client, f"{faults.url}/ok", limits), "json")


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf \r\n<!DOCTYPE html>",
        b"<HTML lang=en>",
        b"<?xml version='1.0'?>\n<!-- a --><html xmlns=''>",
        "\ufeff<html>".encode("utf-16-le"),
        b"<head><title>x",
    ],
)
def test_web_pages_are_told_by_their_first_bytes(body: bytes) -> None:
    assert looks_like_html(body)


@pytest.mark.parametrize("body", [b"", b"a,b\n<html>", b"{}", b"# <html>\n", b"<rss>", b"<?xml version='1.0'?><x/>"])
def test_data_is_not_taken_for_a_web_page(body: bytes) -> None:
    assert not looks_like_html(body)


def test_validators_make_it_unchanged_and_cookies_are_not_kept(limits: HttpLimits) -> None:
    asked: list[dict[str, str]] = []

    async def document(request: Request) -> Response:
        asked.append(dict(request.headers))
        known = request.headers.get("if-none-match") == '"v1"'
        headers = {"ETag": '"v1"', "Last-Modified": "Sun, 01 Mar 2026 00:00:00 GMT", "Set-Cookie": "id=1; Path=/"}
        return Response(b"" if known else b"data", status_code=304 if known else 200, headers=headers)

    with serve(Starlette(routes=[Route("/d", document)])) as server:
        policy = NetworkPolicy(allow=frozenset({server.address}))
        with open_client(policy, user_agent="t", limits=limits) as client:
            first = get(client, f"{server.url}/d", limits)
            second = get(client, f"{server.url}/d", limits, etag=first.etag, last_modified=first.last_modified)
    assert (first.outcome, first.etag, first.last_modified) == ("new", '"v1"', "Sun, 01 Mar 2026 00:00:00 GMT")
    assert (second.outcome, second.status, second.body, second.etag) == ("unchanged", 304, b"", '"v1"')
    assert asked[1]["if-modified-since"] == first.last_modified
    assert "cookie" not in asked[1]
    assert "set-cookie" not in first.headers


def test_an_unasked_304_and_a_hostile_etag_do_no_harm(limits: HttpLimits) -> None:
    async def odd(request: Request) -> Response:
        if request.url.path == "/304":
            return Response(status_code=304)
        response = Response(b"data")
        response.raw_headers.append((b"etag", b'"\xe9"'))
        return response

    with serve(Starlette(routes=[Route("/{p}", odd)])) as server:
        policy = NetworkPolicy(allow=frozenset({server.address}))
        with open_client(policy, user_agent="t", limits=limits) as client:
            assert get(client, f"{server.url}/etag", limits).etag is None
            assert get(client, f"{server.url}/etag", limits, etag='"\xe9"').outcome == "new"
            with pytest.raises(StatusError):
                get(client, f"{server.url}/304", limits)


def test_public_url_keeps_only_where() -> None:
    assert public_url("https://u:p@feeds.example/a/b@c?k=1#x") == "https://feeds.example/a/b@c"
    assert public_url("nonsense?x") == "nonsense"
