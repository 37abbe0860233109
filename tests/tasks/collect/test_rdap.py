from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from intel.errors import OversizedError, ReadError, RefusedError, UnreachableError
from lab.registration import lab
from lab.server import serve
from tasks.collect.http import HttpLimits, NetworkPolicy, open_client
from tasks.collect.rdap import RDAP_LIMITS, bootstrap, fetch_answer, lookup, referral

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from lab.registration import RegistrationLab

FILE = {
    "version": "1.0",
    "services": [
        [["example", "test"], ["http://rdap.nic.example/", "https://rdap.nic.example/"]],
        [["co.example"], ["https://rdap.co.example/"]],
        [["bad"], ["ftp://rdap.bad.example/", 7]],
        "broken",
        [["x"]],
    ],
}


@pytest.fixture(scope="module")
def internet() -> Iterator[RegistrationLab]:
    with lab() as made:
        yield made


@pytest.fixture(scope="module")
def client(internet: RegistrationLab) -> Iterator[httpx.Client]:
    with open_client(NetworkPolicy(allow=internet.allow), user_agent="lapsewatch-test", limits=RDAP_LIMITS) as made:
        yield made


def test_a_record_is_fetched_and_its_referral_followed(internet: RegistrationLab, client: httpx.Client) -> None:
    first = lookup(client, internet.rdap["registry"], "LAPSE.example.")
    assert (first.status, first.media_type) == (200, "application/rdap+json")
    assert first.url.endswith("/domain/lapse.example")
    following = referral(first.body)
    assert following is not None
    second = fetch_answer(client, following)
    assert b"Ada Invented" in second.body


def test_not_found_and_throttled_are_answers(internet: RegistrationLab, client: httpx.Client) -> None:
    missing = lookup(client, internet.rdap["registry"], "nobody.example")
    assert (missing.status, json.loads(missing.body)["errorCode"]) == (404, 404)
    internet.behaviour["registry"].throttled = True
    try:
        refused = lookup(client, internet.rdap["registry"], "lapse.example")
    finally:
        internet.behaviour["registry"].throttled = False
    assert (refused.status, refused.headers["retry-after"]) == (429, "30")


def test_what_is_no_name_is_not_asked(internet: RegistrationLab, client: httpx.Client) -> None:
    with pytest.raises(ReadError):
        lookup(client, internet.rdap["registry"], "../entity/1")


def test_loopback_is_refused_unless_allowed(internet: RegistrationLab) -> None:
    with (
        open_client(NetworkPolicy(), user_agent="lapsewatch-test", limits=RDAP_LIMITS) as plain,
        pytest.raises(RefusedError),
    ):
        lookup(plain, internet.rdap["registry"], "lapse.example")


def test_a_server_that_is_not_there_is_unreachable() -> None:
    allow = frozenset({("127.0.0.1", 1)})
    with (
        open_client(NetworkPolicy(allow=allow), user_agent="lapsewatch-test", limits=RDAP_LIMITS) as plain,
        pytest.raises(UnreachableError),
    ):
        lookup(plain, "http://127.0.0.1:1", "lapse.example")


def test_redirects_are_followed_to_an_end_and_sizes_capped() -> None:
    app = Starlette(
        routes=[
            Route("/domain/moved.example", lambda _: RedirectResponse("/domain/here.example")),
            Route("/domain/here.example", lambda _: Response(b"x" * 5000)),
            Route("/domain/round.example", lambda _: RedirectResponse("/domain/round.example")),
            Route("/domain/ftp.example", lambda _: RedirectResponse("ftp://ftp.example/")),
            Route("/domain/out.example", lambda _: RedirectResponse("http://127.0.0.2:1/")),
        ]
    )
    with (
        serve(app) as served,
        open_client(
            NetworkPolicy(allow=frozenset({served.address})), user_agent="lapsewatch-test", limits=RDAP_LIMITS
        ) as plain,
    ):
        moved = lookup(plain, served.url + "/", "moved.example")
        assert len(moved.body) == 5000
        assert moved.final_url.endswith("/domain/here.example")
        for name in ("round.example", "out.example", "ftp.example"):
            with pytest.raises(RefusedError):
                lookup(plain, served.url, name)
        with pytest.raises(OversizedError):
            lookup(plain, served.url, "here.example", limits=HttpLimits(max_bytes=1000))


@pytest.mark.parametrize(
    ("tld", "urls"),
    [
        ("example", ("https://rdap.nic.example/", "http://rdap.nic.example/")),
        ("A.TEST.", ("https://rdap.nic.example/", "http://rdap.nic.example/")),
        ("a.co.example", ("https://rdap.co.example/",)),
        ("bad", ()),
        ("x", ()),
        ("unknown", ()),
    ],
)
def test_the_bootstrap_names_servers(tld: str, urls: tuple[str, ...]) -> None:
    assert bootstrap(json.dumps(FILE).encode(), tld) == urls


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"services": {}}', b"\xff", b"[" * 5000])
def test_a_file_that_is_no_bootstrap_is_refused(data: bytes) -> None:
    with pytest.raises(ReadError):
        bootstrap(data, "example")


@given(st.binary(max_size=300))
def test_any_bytes_refer_somewhere_or_nowhere(body: bytes) -> None:
    assert referral(body) is None
    with pytest.raises(ReadError):
        bootstrap(body, "example")


@pytest.mark.data
def test_the_real_bootstrap_names_servers(data_dir: Path) -> None:
    path = data_dir / "registration" / "rdap" / "openrdap" / "bootstrap" / "dns.json"
    assert bootstrap(path.read_bytes(), "cz") == ("https://rdap.nic.cz",)
