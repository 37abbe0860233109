from __future__ import annotations

import math
from typing import Any

import pytest

from intel.config.evidence import Chance, read_evidence
from intel.entities import Kind, entity
from intel.evidence import Prevalence
from intel.hubs import Hub, HubClass
from intel.settings import CHECKOUT
from tasks.pivot.lives import NO_END, Lives
from tasks.pivot.weights import WIDE, Worth, faded, hub_of, known_here, worth

CHANCE = Chance(m=0.5, prior=1 / 2**20)
KNOWN = 2**17


def said(hub: Hub | None = None, *, degree: int = 2, count: int | None = None, total: int = 2**30) -> Worth:
    counted = None if count is None else Prevalence(count=count, total=total, population="zone:example")
    return worth(CHANCE, hub, degree=degree, width=200, counted=counted, known=KNOWN)


def hub(kind: HubClass, factor: float) -> Hub:
    return Hub(hub=kind, why="everybody's", list="a list", factor=factor)


def test_what_a_value_is_matters_more_than_how_rare_it_is() -> None:
    assert said(hub(HubClass.CDN, 0.0), count=0).bits == 0
    assert said(hub(HubClass.CDN, 0.0)).hub == "cdn"
    assert said(hub(HubClass.CLOUD, 0.5)).bits == said().bits / 2
    assert "everybody's" in said(hub(HubClass.CLOUD, 0.5)).why


def test_the_reference_decides_and_our_own_facts_only_where_there_is_none() -> None:
    assert said(degree=2).bits == pytest.approx(15)  # 2 of 2 ** 17
    assert said(degree=1, count=2**20).bits == pytest.approx(9, abs=0.01)  # 2 ** 20 of 2 ** 30, however few here
    assert said(degree=150, count=0).bits == pytest.approx(19)  # never rarer than the prior
    assert said(degree=2, count=0, total=100).bits == said(degree=2).bits
    assert (said(degree=201).bits, said(degree=201).hub) == (0, WIDE)
    assert said(degree=201, count=0, total=100).bits == 0
    assert said(degree=201, count=2**20).bits == pytest.approx(9, abs=0.01)
    assert said(count=2**30).bits == 0  # what all have speaks for none, and against none


def test_what_many_have_of_one_thing_is_likelier_a_services() -> None:
    few = Chance(m=0.5, prior=1 / 2**20, few=5)
    known: dict[str, Any] = {"width": 200, "counted": None, "known": 2**17}
    assert worth(few, None, degree=5, **known).bits == worth(CHANCE, None, degree=5, **known).bits
    assert worth(few, None, degree=40, **known).bits == pytest.approx(worth(CHANCE, None, degree=40, **known).bits - 3)


def test_what_is_reserved_for_documentation_stands_for_a_real_one() -> None:
    for address in ("192.0.2.1", "2001:db8::1"):
        reserved = hub_of(entity(Kind.IP, address), "resolves-to")
        assert reserved is not None
        assert (said(reserved).bits, said(reserved).hub) == (said().bits, "")
    taken = hub_of(entity(Kind.EMAIL, "domains@microsoft.com"), "registered-by")
    assert taken is not None
    assert (taken.hub, taken.links) == (HubClass.SEIZURE, False)


def test_a_zones_contact_at_who_serves_zones_is_everybodys() -> None:
    contact = hub_of(entity(Kind.EMAIL, "dns@cloudflare.com"), "has-soa-contact")
    assert contact is not None
    assert not contact.links
    for mailbox in ("hostmaster@quay.example", "someone@gmail.com"):
        own = hub_of(entity(Kind.EMAIL, mailbox), "has-soa-contact")
        assert own is None or own.links


def test_an_address_that_passes_from_one_to_the_next_fades_and_an_identity_does_not() -> None:
    file = read_evidence(CHECKOUT / "configs")
    address, mailbox = file.links["resolves-to"], file.links["registered-by email"]
    assert address.fades is not None
    half = address.fades * 86_400
    assert faded(address, 0.4, 0, cloud=True) == (1.0, "")
    assert faded(address, 0, half, cloud=False)[0] == pytest.approx(0.5)
    assert faded(address, 0, half, cloud=True)[0] == 0
    assert faded(mailbox, 0, 20 * half, cloud=False) == (1.0, "")


def test_lives_are_somebodys_until_they_end() -> None:
    lives = Lives(((100, "seized"), (200, "re-registered"), (300, "expired")))
    assert [lives.somebodys(life) for life in range(4)] == [True, False, True, False]
    assert [lives.at(when) for when in (None, 50, 150, 250, 400)] == [0, 0, 0, 2, 2]
    assert lives.of(((150, 160),)) is None
    assert lives.of(((150, math.inf),)) == 2
    assert lives.end(0) == (100, "seized")
    assert lives.end(3) is None
    assert (NO_END.at(5), NO_END.of(((1, 1),)), NO_END.end(0)) == (0, 0, None)


def test_a_large_warehouse_makes_a_service_no_rarer() -> None:
    links = read_evidence(CHECKOUT / "configs")
    acted_on = links.acts.look_up
    certificate, address = links.links["names"].sharing, links.links["resolves-to"].shared
    assert certificate is not None
    for chance, degree in ((certificate, 41), (certificate, 100), (address, 150)):
        small, large = (
            worth(chance, None, degree=degree, width=200, counted=None, known=known_here(links, entities, chance))
            for entities in (1_000, 50_000_000)
        )
        assert large.bits < acted_on
        assert small.bits == large.bits


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.0.0.1", "240.0.0.1", "::1", "::", "fd00::1", "fe80::1", "64:ff9b::6810:101",
        "64:ff9b::7f00:1", "2002:6810:101::1",
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_or_to_a_content_network_links_nothing(address: str) -> None:
    hub = hub_of(entity(Kind.IP, address), "resolves-to")
    assert hub is not None
    assert not hub.links
