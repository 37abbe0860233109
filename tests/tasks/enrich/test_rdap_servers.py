from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from intel.config.lookups import read_lookups
from intel.entities import Kind, entity
from intel.errors import ConfigError, ReadError
from lab.server import serve
from lab.world import WEDNESDAY
from tasks.enrich.rdap_servers import RdapServers, special_use
from tests.homes import CHECKOUT

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.homes import Home

DOCUMENTS = (
    "SELECT d.location, d.etag FROM document d JOIN source s ON s.id = d.source_id WHERE s.name = 'rdap-servers'"
)
DOMAIN = entity(Kind.DOMAIN, "a.example")
LISTS: dict[str, Any] = {
    "dns": [[["example"], ["https://dns.example/"]]],
    "ipv4": [[["203.0.113.0/24"], ["https://four.example/"]], [["192.0.0.0/8"], ["https://block.example/"]]],
    "ipv6": [[["2001:db8::/32"], ["https://six.example/"]]],
    "asn": [[["64496-64511"], ["https://as.example/"]]],
    "object-tags": [[[], ["EXREG"], ["https://tag.example/"]]],
}


@dataclass(kw_only=True)
class Iana:
    """A server of lists: what it was asked for, and how it misbehaves."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    etag: str = '"v1"'


@contextmanager
def iana(home: Home) -> Iterator[Iana]:
    made = Iana()

    def answer(request: Request) -> Response:
        name = request.path_params["name"]
        given = request.headers.get("if-none-match", "")
        made.asked.append((name, given))
        if made.status != 200:
            return Response(status_code=made.status)
        if made.body is not None:
            return Response(made.body)
        if given == made.etag:
            return Response(status_code=304)
        return JSONResponse({"services": LISTS[name]}, headers={"ETag": made.etag})

    with serve(Starlette(routes=[Route("/rdap/{name}.json", answer)])) as served:
        home.allow(served.address)
        home.lookups(rdap_servers={}, bootstrap=f"{served.url}/rdap/dns.json")
        made.url = served.url
        yield made


def servers(home: Home, moment: datetime = WEDNESDAY) -> RdapServers:
    return RdapServers(home.engine, read_lookups(home.configs), lambda: moment)


@pytest.mark.parametrize(
    ("kind", "value", "url"),
    [
        (Kind.DOMAIN, "a.example", "https://dns.example/"),
        (Kind.NAME_SERVER, "ns1.a.example", "https://dns.example/"),
        (Kind.IP, "203.0.113.9", "https://four.example/"),
        (Kind.NETWORK, "203.0.113.0/25", "https://four.example/"),
        (Kind.IP, "2001:db8::1", "https://six.example/"),
        (Kind.AS, "AS64500", "https://as.example/"),
        (Kind.HANDLE, "ADA-EXREG", "https://tag.example/"),
    ],
)
def test_each_kind_has_its_list(home: Home, kind: str, value: str, url: str) -> None:
    with iana(home) as there:
        assert servers(home).of(entity(kind, value)) == url
    assert len(there.asked) == 1


def test_a_list_is_used_for_days_and_then_asked_for_with_its_etag(home: Home) -> None:
    with iana(home) as there:
        assert servers(home).of(DOMAIN) == "https://dns.example/"
        assert servers(home, WEDNESDAY + timedelta(days=6)).of(DOMAIN) == "https://dns.example/"
        assert there.asked == [("dns", "")]
        assert servers(home, WEDNESDAY + timedelta(days=8)).of(DOMAIN) == "https://dns.example/"
        assert there.asked[1:] == [("dns", '"v1"')]
        # That nothing had changed counts as an answer of that day.
        assert servers(home, WEDNESDAY + timedelta(days=12)).of(DOMAIN) == "https://dns.example/"
        assert len(there.asked) == 2
    assert home.rows(DOCUMENTS) == [(f"{there.url}/rdap/dns.json", '"v1"')]


@pytest.mark.parametrize("fault", [{"status": 500}, {"body": b"<html>busy</html>"}, {"status": 429}, {"body": b"{"}])
def test_the_list_before_stays_in_use_and_the_fault_is_left_alone_for_an_hour(home: Home, fault: Any) -> None:
    later = WEDNESDAY + timedelta(days=30)
    with iana(home) as there:
        servers(home).of(DOMAIN)
        for name, value in fault.items():
            setattr(there, name, value)
        for minutes in (0, 30):
            assert servers(home, later + timedelta(minutes=minutes)).of(DOMAIN) == "https://dns.example/"
        assert len(there.asked) == 2
        with pytest.raises(ReadError, match="couldn't"):
            servers(home, later + timedelta(minutes=59)).of(entity(Kind.DOMAIN, "a.test"))
        assert servers(home, later + timedelta(minutes=61)).of(DOMAIN) == "https://dns.example/"
        assert len(there.asked) == 3
        there.status, there.body, there.etag = 200, None, '"v2"'
        assert servers(home, later + timedelta(hours=3)).of(DOMAIN) == "https://dns.example/"
    assert [row.etag for row in home.rows(DOCUMENTS + " ORDER BY d.id")] == ['"v1"', '"v2"']


def test_a_list_that_is_missing_does_not_cost_the_others(home: Home) -> None:
    with iana(home) as there:
        there.status = 404
        with pytest.raises(ReadError, match="status 404"):
            servers(home).of(entity(Kind.HANDLE, "ADA-EXREG"))
        there.status = 200
        assert servers(home).of(DOMAIN) == "https://dns.example/"
        with pytest.raises(ReadError, match="status 404"):
            servers(home).of(entity(Kind.HANDLE, "ADA-EXREG"))


def test_a_place_that_cannot_be_reached_is_left_alone_for_all_lists(home: Home) -> None:
    with iana(home) as there:
        pass
    for subject in (DOMAIN, entity(Kind.HANDLE, "ADA-EXREG")):
        with pytest.raises(ReadError, match=r"dns\.json"):
            servers(home).of(subject)
    assert there.asked == []


@pytest.mark.parametrize(
    "wrong", [{"example": "rdap.example"}, {"203.0.113.0/99": "http://127.0.0.1:1"}, {"a b": "http://a"}]
)
def test_a_wrong_override_is_a_wrong_setting(home: Home, wrong: dict[str, str]) -> None:
    home.lookups(rdap_servers=wrong)
    with pytest.raises(ConfigError, match="1 of 1"):
        servers(home)


def test_a_first_start_without_iana_takes_the_copy_that_came_along(home: Home) -> None:
    shutil.copytree(CHECKOUT / "configs" / "rdap", home.configs / "rdap")
    home.lookups(rdap_servers={}, bootstrap="http://127.0.0.1:9/rdap/dns.json")
    found = servers(home)
    assert found.of(entity(Kind.DOMAIN, "example.com")) == "https://rdap.verisign.com/com/v1/"
    assert found.of(entity(Kind.IP, "1.1.1.1")) == "https://rdap.apnic.net/"
    with pytest.raises(ReadError, match="couldn't"):
        found.of(DOMAIN)


def test_stored_bytes_that_are_gone_are_fetched_again(home: Home) -> None:
    with iana(home) as there:
        servers(home).of(DOMAIN)
        shutil.rmtree(home.configs.parent / "home" / "documents")
        assert servers(home).of(DOMAIN) == "https://dns.example/"
        assert there.asked == [("dns", ""), ("dns", "")]


def test_overrides_come_first_and_ask_nobody(home: Home) -> None:
    home.lookups(
        bootstrap="http://127.0.0.1:9/rdap/dns.json",
        rdap_servers={
            "example": "http://127.0.0.1:1",
            "sub.example": "http://127.0.0.1:2",
            "203.0.113.0/24": "http://127.0.0.1:3",
            "2001:db8::/32": "http://127.0.0.1:4",
            "AS64500-AS64505": "http://127.0.0.1:5",
            "as64510": "http://127.0.0.1:6",
            "-EXREG": "http://127.0.0.1:7",
        },
    )
    found = servers(home)
    asked = {
        (Kind.DOMAIN, "a.example"): 1,
        (Kind.DOMAIN, "a.sub.example"): 2,
        (Kind.IP, "203.0.113.7"): 3,
        (Kind.NETWORK, "2001:db8:1::/48"): 4,
        (Kind.AS, "AS64505"): 5,
        (Kind.AS, "AS64510"): 6,
        (Kind.HANDLE, "ada-exreg"): 7,
    }
    for (kind, value), port in asked.items():
        assert found.of(entity(kind, value)) == f"http://127.0.0.1:{port}"
    assert home.rows(DOCUMENTS) == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Kind.IP, "203.0.113.9"), (Kind.IP, "10.1.2.3"), (Kind.NETWORK, "2001:db8::/48"), (Kind.AS, "AS64500")],
)
def test_what_no_registry_gives_out_is_asked_of_nobody(home: Home, kind: str, value: str) -> None:
    home.lookups(rdap_servers={})
    with pytest.raises(ReadError, match="no registry gives it out"):
        servers(home).of(entity(kind, value))
    assert home.rows("SELECT count(*) FROM cursor") == [(0,)]


def test_a_block_around_a_reserved_range_is_not_meant_for_it(home: Home) -> None:
    with iana(home):
        with pytest.raises(ReadError, match="no registry gives it out"):
            servers(home).of(entity(Kind.IP, "192.0.2.1"))
        assert servers(home).of(entity(Kind.IP, "192.1.2.1")) == "https://block.example/"


def test_a_kind_that_rdap_does_not_know_is_said_so(home: Home) -> None:
    with pytest.raises(ReadError, match="no such thing"):
        servers(home).of(entity(Kind.URL, "https://a.example/"))


@pytest.mark.parametrize(("value", "special"), [("AS13335", False), ("AS0", True), ("AS4200000000", True)])
def test_special_numbers_are_known(value: str, special: bool) -> None:
    assert bool(special_use(entity(Kind.AS, value))) is special
