from __future__ import annotations

import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from lab.registration_records import DAY_ONE, Registry, hide, history, register, transfer
from lab.registries import Plan, RegistrarPlan, registries
from lab.registries_limits import CROSSING_SECONDS, Limit, TooFast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.registries import Registries
    from lab.registries_sites import Site

DAY = timedelta(days=1)


def plans(**limits: Limit) -> list[Plan]:
    """A thin registry whose domain moves to another registrar, and a thick one."""
    moving = history(
        (DAY_ONE, register(registrar_iana_id="9001")), (DAY_ONE + DAY, transfer("Another Registrar Ltd", "9002"))
    )
    thick = history((DAY_ONE, register(privacy="emptied")), (DAY_ONE + DAY, hide("exposed")))
    return [
        Plan(
            name="thin",
            registry=Registry(versions={"moving.example": moving}, aside={"kept.example": "reserved"}),
            suffixes=("example",),
            limit=limits.get("thin"),
        ),
        Plan(
            name="thick",
            registry=Registry(versions={"thick.test": thick}),
            suffixes=("test",),
            thin=False,
            whois_form="rpsl",
            limit=limits.get("thick"),
        ),
    ]


@pytest.fixture
def net() -> Iterator[Registries]:
    with registries(plans(), [RegistrarPlan(iana_id="9001"), RegistrarPlan(iana_id="9002")]) as made:
        yield made


def get(site: Site, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{site.url}/{path}", headers=headers, trust_env=False)


def say(site: Site, query: str) -> str:
    with socket.create_connection(site.where, timeout=5) as peer:
        peer.sendall(f"{query}\r\n".encode())
        return b"".join(iter(lambda: peer.recv(65536), b"")).decode()


def test_the_root_and_the_list_lead_to_the_registry_and_it_to_the_registrar(net: Registries) -> None:
    services = httpx.get(net.bootstrap, trust_env=False).json()["services"]
    assert [suffixes for suffixes, _ in services] == [["example"], ["test"]]
    registry = net.sites["rdap thin"]
    assert services[0][1] == [f"{registry.url}/"]
    href = get(registry, "domain/moving.example").json()["links"][0]["href"]
    assert href == f"{net.sites['rdap 9001'].url}/domain/moving.example"
    assert httpx.get(href, trust_env=False).json()["entities"][1]["handle"] == "C1001-LAB"
    assert f"refer:        {net.sites['whois thin'].key}" in say(net.sites["root"], "moving.example")
    assert f"Registrar WHOIS Server: {net.sites['whois 9001'].key}" in say(net.sites["whois thin"], "moving.example")
    assert "Registrant Name: Ada Invented" in say(net.sites["whois 9001"], "moving.example")
    assert "registrant:" not in say(net.sites["whois thick"], "thick.test")


def test_a_transfer_moves_the_domain_to_the_other_registrar(net: Registries) -> None:
    net.move(DAY_ONE + 2 * DAY)
    assert f"Registrar WHOIS Server: {net.sites['whois 9002'].key}" in say(net.sites["whois thin"], "moving.example")
    assert "Registrant Name: Ada Invented" in say(net.sites["whois 9002"], "moving.example")
    assert "No match" in say(net.sites["whois 9001"], "moving.example")
    assert get(net.sites["rdap 9001"], "domain/moving.example").status_code == 404
    assert "contact:      C1001-LAB" in say(net.sites["whois thick"], "thick.test")


def test_the_lists_have_tags_and_say_when_they_have_not_changed(net: Registries) -> None:
    first = httpx.get(net.bootstrap, trust_env=False)
    again = httpx.get(net.bootstrap, headers={"If-None-Match": first.headers["etag"]}, trust_env=False)
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    for name in ("ipv4", "ipv6", "asn", "object-tags"):
        assert httpx.get(net.bootstrap.replace("dns", name), trust_env=False).json()["services"]


def test_the_rir_knows_networks_and_systems(net: Registries) -> None:
    rir = net.sites["rdap rir"]
    assert get(rir, "ip/203.0.113.10").json()["startAddress"] == "203.0.113.0"
    assert get(rir, "ip/2001:db8::1").json()["ipVersion"] == "v6"
    assert get(rir, "ip/198.51.100.200").status_code == 404
    assert get(rir, "autnum/64500").json()["name"] == "INVENTED-AS"
    assert get(rir, "entity/ORG-IH1-LAB").json()["objectClassName"] == "entity"
    assert get(rir, "ip/nonsense").status_code == 400


def test_what_is_reserved_is_said_to_be(net: Registries) -> None:
    assert "reserved" in say(net.sites["whois thin"], "kept.example")
    assert get(net.sites["rdap thin"], "domain/kept.example").status_code == 400
    assert get(net.sites["rdap thin"], "domain/nobody.example").status_code == 404


@pytest.mark.parametrize("form", list(TooFast))
def test_who_asks_too_fast_is_told_so_and_counted(form: TooFast) -> None:
    limit = Limit(queries=2, seconds=0.9, patience=0.9, form=form)
    with registries(plans(thin=limit), [RegistrarPlan(iana_id="9001")]) as net:
        site = net.sites["whois thin" if form in {TooFast.BAN, TooFast.PROSE, TooFast.CLOSE} else "rdap thin"]

        def ask() -> str:
            if site.protocol == "whois":
                return say(site, "moving.example")
            answer = get(site, "domain/moving.example")
            return f"{answer.status_code} {answer.text}"

        told = [ask() for _ in range(4)]
        assert "9001" in told[0]
        assert "9001" in told[1]
        stated = form in {TooFast.STATUS_429, TooFast.BAN}
        time.sleep(CROSSING_SECONDS)
        told.append(ask())
        expected = ["answered", "answered", "too fast", "crossing", "impatient" if stated else "too fast"]
        assert [one.verdict for one in site.queries] == expected
        assert not any("registration" in one or "Creation Date" in one for one in told[2:])
        time.sleep(0.5)
        assert "9001" in ask()


def test_fifty_servers_are_up_in_a_moment() -> None:
    many = [
        Plan(name=f"r{number}", registry=Registry(versions={}), suffixes=(f"s{number}.example",))
        for number in range(25)
    ]
    began = time.monotonic()
    with registries(many) as net:
        assert len(net.allow) == 53
        assert "No match" in say(net.sites["whois r7"], "any.s7.example")
    assert time.monotonic() - began < 2
