from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from db import enrich
from intel.entities import Kind
from intel.facts import Predicate
from lab.world import FRIDAY, MONDAY, WEDNESDAY
from tasks.enrich.certificates import certificates
from tasks.enrich.known import TOP_CLAIMS, known
from tasks.enrich.network import network, prefixes
from tasks.enrich.passive_dns import passive_dns
from tasks.enrich.records import Case
from tests.homes import said

if TYPE_CHECKING:
    from tests.homes import Home

CERTIFICATE = "certificate:" + "11" * 32
OTHER = "certificate:" + "22" * 32
KEY = "33" * 32


def fill(home: Home) -> None:
    home.state(
        "feed",
        [
            said("evil.example", Predicate.LISTED, "phishing", kind=Kind.LABEL, reference="https://r.example/1", tlp=1),
            said("https://www.evil.example/x", Predicate.LISTED, "phishing", kind=Kind.LABEL),
            said("evil.example", Predicate.ATTRIBUTED_TO, "feed:heron", kind=Kind.ACTOR),
            said("203.0.113.10:443", Predicate.LISTED, "c2", kind=Kind.LABEL),
        ],
        at=MONDAY,
    )
    home.state(
        "dns",
        [
            said("evil.example", Predicate.RESOLVES_TO, "203.0.113.10"),
            said("other.test", Predicate.RESOLVES_TO, "203.0.113.10"),
            said("www.evil.example", Predicate.RESOLVES_TO, "198.51.100.9"),
            said("203.0.113.10", Predicate.PART_OF, "AS64500", kind=Kind.AS),
            said("network:203.0.113.0/24", Predicate.PART_OF, "AS64501", kind=Kind.AS),
        ],
        at=WEDNESDAY,
    )
    home.state(
        "log",
        [
            said(CERTIFICATE, Predicate.NAMES, "www.evil.example"),
            said(CERTIFICATE, Predicate.HAS_KEY, KEY, kind=Kind.PUBLIC_KEY),
            said(OTHER, Predicate.NAMES, "unrelated.test"),
            said(OTHER, Predicate.HAS_KEY, KEY, kind=Kind.PUBLIC_KEY),
            said(OTHER, Predicate.VALID_FROM, "2026-03-01T00:00:00Z", kind=Kind.TIME),
        ],
        at=FRIDAY,
    )


def test_claims_links_and_neighbours_are_known(home: Home) -> None:
    fill(home)
    case = home.case("evil.example", "203.0.113.10")
    found = known(home.engine, case)
    of_domain = [one for one in found.claims if one.about == case.subjects[0].id]
    assert {(one.subject.value, one.predicate) for one in of_domain} == {
        ("evil.example", "listed"),
        ("evil.example", "attributed-to"),
        ("https://www.evil.example/x", "listed"),
    }
    listed = next(one for one in of_domain if one.reference)
    assert (listed.source, listed.reliability, listed.tlp, listed.first, listed.ended) == (
        "feed",
        "B",
        1,
        MONDAY,
        False,
    )
    assert {(one.subject.value, one.object.value) for one in found.ties} == {
        ("evil.example", "203.0.113.10"),
        ("other.test", "203.0.113.10"),
        ("203.0.113.10", "AS64500"),
    }
    near = {(about, one.value) for about, one in found.near}
    assert (case.subjects[0].id, "www.evil.example") in near
    assert (case.subjects[1].id, "203.0.113.10:443") in near


def test_an_end_is_told(home: Home) -> None:
    fact = said("evil.example", Predicate.LISTED, "phishing", kind=Kind.LABEL)
    home.state("feed", [fact], at=MONDAY)
    ended = said("evil.example", Predicate.LISTED, "phishing", kind=Kind.LABEL, ends=True)
    home.state("feed", [ended], at=FRIDAY)
    (claim,) = known(home.engine, home.case("evil.example")).claims
    assert (claim.first, claim.last, claim.ended) == (MONDAY, MONDAY, True)


def test_lists_are_bounded_and_their_totals_are_told(home: Home) -> None:
    many = [
        said(f"https://evil.example/{number}", Predicate.LISTED, "phishing", kind=Kind.LABEL,
             event_time=MONDAY + timedelta(minutes=number))
        for number in range(60)
    ]  # fmt: skip
    home.state("feed", many, at=MONDAY)
    found = known(home.engine, home.case("evil.example"))
    assert len(found.claims) == TOP_CLAIMS
    assert found.claims[0].subject.value == "https://evil.example/59"
    assert [(one.total, one.capped) for one in found.claim_counts] == [(60, False)]


def test_a_network_of_an_incident_knows_what_stands_in_it(home: Home) -> None:
    fill(home)
    found = known(home.engine, home.case("203.0.113.0/24"))
    assert {one.value for _, one in found.near} >= {"203.0.113.0/24", "203.0.113.10", "203.0.113.10:443"}
    assert "198.51.100.9" not in {one.value for _, one in found.near}


def test_certificates_are_found_by_name_and_by_key(home: Home) -> None:
    fill(home)
    case = home.case("evil.example")
    found = certificates(home.engine, case, known(home.engine, case))
    assert [(one.names, one.same_key_only, one.key, one.sources) for one in found.certificates] == [
        (("unrelated.test",), True, f"sha256:{KEY}", ("log",)),
        (("www.evil.example",), False, f"sha256:{KEY}", ("log",)),
    ]
    assert found.certificates[0].valid_from == "2026-03-01T00:00:00Z"
    assert found.certificates[0].seen == FRIDAY


def test_a_key_of_an_incident_finds_its_certificates(home: Home) -> None:
    fill(home)
    ids = home.rows("SELECT id FROM entity WHERE kind = 'public-key'")
    with home.engine.connect() as connection:
        assert len(enrich.certificates(connection, [ids[0].id], top=9)) == 2


def test_resolutions_are_told_both_ways(home: Home) -> None:
    fill(home)
    case = home.case("evil.example", "203.0.113.10")
    found = passive_dns(home.engine, case, known(home.engine, case))
    assert {(one.name, one.target) for one in found.resolutions} == {
        ("evil.example", "203.0.113.10"),
        ("other.test", "203.0.113.10"),
        ("www.evil.example", "198.51.100.9"),
    }
    assert {one.sources for one in found.resolutions} == {("dns",)}
    assert {one.first for one in found.resolutions} == {WEDNESDAY}


def test_an_address_knows_its_holders_and_its_names(home: Home) -> None:
    fill(home)
    case = home.case("evil.example")
    found = network(home.engine, case, known(home.engine, case))
    by_address = {one.address: one for one in found.addresses}
    assert set(by_address) == {"203.0.113.10", "198.51.100.9"}
    one = by_address["203.0.113.10"]
    assert {(holder.kind, holder.value) for holder in one.holders} == {
        ("network", "203.0.113.0/24"),
        ("as", "AS64500"),
        ("as", "AS64501"),
    }
    assert (set(one.names), one.names_total) == ({"evil.example", "other.test"}, 2)


def test_a_case_of_nothing_known_is_empty(home: Home) -> None:
    assert known(home.engine, Case(incident=1)) == known(home.engine, Case(incident=2))
    case = home.case("nobody.example")
    told = known(home.engine, case)
    assert told.claims == told.ties == ()
    assert certificates(home.engine, case, told).total == 0
    assert passive_dns(home.engine, case, told).total == 0
    assert network(home.engine, case, told).addresses == ()


@given(st.ip_addresses())
def test_prefixes_hold_the_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    found = [ipaddress.ip_network(one) for one in prefixes(str(address))]
    assert all(address in one for one in found)
    assert [one.prefixlen for one in found] == sorted((one.prefixlen for one in found), reverse=True)
