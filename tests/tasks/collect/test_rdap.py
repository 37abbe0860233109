from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from intel.entities import Kind, entity
from intel.errors import OversizedError, ReadError, RefusedError, UnreachableError
from lab.registration import lab
from lab.server import serve
from tasks.collect.http import HttpLimits, NetworkPolicy, open_client
from tasks.collect.rdap import RDAP_LIMITS, fetch_answer, object_url, referral

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from lab.registration import RegistrationLab
    from tasks.collect.fetched import Fetched


@pytest.fixture(scope="module")
def internet() -> Iterator[RegistrationLab]:
    with lab() as made:
        yield made


@pytest.fixture(scope="module")
def client(internet: RegistrationLab) -> Iterator[httpx.Client]:
    with open_client(NetworkPolicy(allow=internet.allow), user_agent="lapsewatch-test", limits=RDAP_LIMITS) as made:
        yield made


def lookup(client: httpx.Client, base: str, domain: str, **options: Any) -> Fetched:
    return fetch_answer(client, object_url(base, entity(Kind.DOMAIN, domain)), **options)


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


ASKED = "https://rdap.registry.example/v1/domain/LAPSE.example"
THERE = "https://rdap.registrar.example/domain/lapse.example"
RDAP = "application/rdap+json"


def record(*links: Any) -> bytes:
    return json.dumps({"objectClassName": "domain", "ldhName": "Lapse.Example.", "links": list(links)}).encode()


def related(href: Any, kind: Any = RDAP, rel: Any = "related") -> dict[str, Any]:
    return {"rel": rel, "href": href, **({} if kind is None else {"type": kind})}


@pytest.mark.parametrize(
    ("links", "url"),
    [
        ([related(THERE)], THERE),
        ([related(THERE, kind=None)], THERE),
        ([related(THERE, kind="Application/RDAP+JSON; charset=utf-8", rel=" Related")], THERE),
        ([related(f"{THERE} \r\n")], THERE),
        ([related(f"<{THERE}/>,")], THERE),
        ([related("https://rdap.registrar.example//domain/LAPSE.EXAMPLE//")], THERE[:-13] + "LAPSE.EXAMPLE"),
        ([related("https://rdap.registrar.example/domain/lapse.example#x")], THERE),
        ([related("//rdap.registrar.example/domain/lapse.example")], THERE),
        ([related("https://www.registrar.example/whois", kind="text/html"), related(THERE)], THERE),
        ([related("https://www.registrar.example/whois", kind=None), related(THERE, kind=None)], THERE),
        ([related("https://rdap.registrar.example/d?name=lapse.example")], "https://rdap.registrar.example/d?name=lapse.example"),
        ([related(ASKED), related(THERE)], THERE),
        ([related(ASKED.lower().replace("https", "http") + "/")], None),
        ([related(THERE, rel="self"), related(THERE)], None),
        ([related(THERE.replace("lapse", "other"))], None),
        ([related("ftp://rdap.registrar.example/domain/lapse.example")], None),
        ([related("https://[/domain/lapse.example")], None),
        ([related("https://rdap.registrar.example/%%/lapse.example")], None),
        ([related(7), "x", None, related(THERE, rel=None)], None),
        ([related(THERE, rel="alternate")], None),
    ],
)  # fmt: skip
def test_a_referral_is_the_registrars_record_of_the_same_name(links: list[Any], url: str | None) -> None:
    assert referral(record(*links), asked=ASKED) == url


def test_the_one_link_may_stand_bare() -> None:
    assert referral(json.dumps({"ldhName": "lapse.example", "links": related(THERE)}).encode()) == THERE


@pytest.mark.parametrize(
    ("kind", "value", "path"),
    [
        (Kind.DOMAIN, "Lapse.example", "domain/lapse.example"),
        (Kind.NAME_SERVER, "ns1.lapse.example", "nameserver/ns1.lapse.example"),
        (Kind.IP, "203.0.113.9", "ip/203.0.113.9"),
        (Kind.IP, "2001:DB8::1", "ip/2001:db8::1"),
        (Kind.NETWORK, "203.0.113.0/24", "ip/203.0.113.0/24"),
        (Kind.AS, "as64500", "autnum/64500"),
        (Kind.HANDLE, "ADA1-EXREG", "entity/ADA1-EXREG"),
        (Kind.HANDLE, "a/../b ?#%@registry.example", "entity/a%2F..%2Fb%20%3F%23%25"),
    ],
)
def test_each_class_has_its_url(kind: str, value: str, path: str) -> None:
    for base in ("https://rdap.example/v1", "https://rdap.example/v1/"):
        assert object_url(base, entity(kind, value)) == f"https://rdap.example/v1/{path}"


def test_what_rdap_has_no_class_for_is_not_asked() -> None:
    with pytest.raises(ReadError, match="nothing is sent"):
        object_url("https://rdap.example", entity(Kind.URL, "https://a.example/"))


def test_a_number_registry_answers_for_another_with_a_redirect() -> None:
    app = Starlette(
        routes=[
            Route("/one/ip/203.0.113.0/24", lambda _: RedirectResponse("/two/ip/203.0.113.0/24")),
            Route("/two/ip/203.0.113.0/24", lambda _: Response(b'{"objectClassName": "ip network"}')),
        ]
    )
    with (
        serve(app) as served,
        open_client(
            NetworkPolicy(allow=frozenset({served.address})), user_agent="lapsewatch-test", limits=RDAP_LIMITS
        ) as plain,
    ):
        answer = fetch_answer(plain, object_url(f"{served.url}/one", entity(Kind.NETWORK, "203.0.113.0/24")))
    assert answer.final_url.endswith("/two/ip/203.0.113.0/24")
    assert b"ip network" in answer.body


@given(st.binary(max_size=300))
def test_any_bytes_refer_somewhere_or_nowhere(body: bytes) -> None:
    assert referral(body) is None


HREFS = st.text(max_size=40) | st.integers() | st.none() | st.sampled_from([THERE, ASKED, "//", "https://a:b/domain/x"])


@given(st.lists(st.fixed_dictionaries({"rel": st.just("related"), "href": HREFS, "type": HREFS}), max_size=3), HREFS)
def test_any_links_refer_to_a_url_or_nowhere(links: list[Any], other: Any) -> None:
    found = referral(json.dumps({"links": [*links, other]}).encode(), asked=ASKED)
    assert found is None or found.startswith(("http://", "https://"))
