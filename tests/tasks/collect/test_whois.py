from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ReadError, RefusedError, UnreachableError
from lab.registration import lab
from lab.registries_faults import COMMON, WHOIS
from tasks.collect.whois import WhoisLimits, referral
from tasks.collect.whois import ask as ask_one
from tests.asking import follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.registration import RegistrationLab, Tier
    from tests.asking import Hops


@pytest.fixture
def internet() -> Iterator[RegistrationLab]:
    with lab() as made:
        yield made


def ask(internet: RegistrationLab, domain: str = "lapse.example", tier: Tier = "registry", **options: Any) -> Hops:
    host, port = internet.whois[tier]
    return follow(host, domain, port=port, allow=internet.allow, **options)


def test_the_referral_leads_from_registry_to_registrar(internet: RegistrationLab) -> None:
    answer = ask(internet)
    assert answer.detail == ""
    assert [tier for tier, _ in internet.asked] == ["registry", "registrar"]
    assert b"Ada Invented" not in answer.hops[0].body
    assert b"Ada Invented" in answer.hops[1].body
    assert answer.hops[0].query == "lapse.example"
    assert answer.hops[0].fetched_at.tzinfo is not None


def test_a_name_is_asked_in_a_labels(internet: RegistrationLab) -> None:
    ask(internet, "B\u00fccher.example.")
    assert internet.asked[-1][1] == "xn--bcher-kva.example"


def test_a_dripping_server_ends_with_what_it_sent_kept(internet: RegistrationLab) -> None:
    internet.behaviour["registry"].drip_seconds = 0.05
    started = time.monotonic()
    answer = ask(internet, limits=WhoisLimits(hop_seconds=0.5))
    assert time.monotonic() - started < 2
    assert answer.hops[0].cut == "time"
    assert answer.hops[0].body.startswith(b"Domain")


def test_size_is_capped(internet: RegistrationLab) -> None:
    answer = ask(internet, limits=WhoisLimits(hop_bytes=100))
    assert answer.hops[0].cut == "size"
    assert len(answer.hops[0].body) == 100


def test_loopback_is_refused_unless_allowed(internet: RegistrationLab) -> None:
    host, port = internet.whois["registry"]
    with pytest.raises(RefusedError):
        follow(host, "lapse.example", port=port)
    with pytest.raises(RefusedError):
        follow(host, "lapse.example")
    assert internet.asked == []


def test_a_referral_into_loopback_is_refused_and_the_registry_kept(internet: RegistrationLab) -> None:
    host, port = internet.whois["registry"]
    answer = follow(host, "lapse.example", port=port, allow=frozenset({(host, port)}))
    assert "couldn't" in answer.detail
    assert len(answer.hops) == 1


def test_a_server_that_is_not_there_is_unreachable(internet: RegistrationLab) -> None:
    host, _ = internet.whois["registry"]
    gone = frozenset({(host, 1)})
    with pytest.raises(UnreachableError):
        follow(host, "lapse.example", port=1, allow=gone)


def test_the_root_leads_to_the_registry_and_it_to_the_registrar(internet: RegistrationLab) -> None:
    root = internet.servers.sites["root"].where
    answer = follow(root[0], "lapse.example", port=root[1], allow=internet.allow)
    assert answer.detail == ""
    assert [tier for tier, _ in internet.asked] == ["registry", "registrar"]
    assert b"refer:" in answer.hops[0].body
    assert b"Ada Invented" in answer.hops[2].body


def test_the_root_knows_suffixes_that_have_no_server(internet: RegistrationLab) -> None:
    root = internet.servers.sites["root"].where
    hop = ask_one(root, "nowhere", allow=internet.allow)
    assert b"NOWHERE" in hop.body
    assert referral(hop.body) is None


@pytest.mark.parametrize("query", ["a.example\r\nb.example", "b\u00fccher.example", "a\0.example", "a\tb"])
def test_what_is_no_line_is_not_sent(internet: RegistrationLab, query: str) -> None:
    with pytest.raises(ReadError):
        ask_one(internet.whois["registry"], query, allow=internet.allow)
    assert internet.asked == []


@pytest.mark.parametrize("name", ["close", "cut quietly", "random bytes", "NULs", "UTF-16", "invalid bytes"])
def test_whatever_a_server_sends_is_kept_as_it_came(internet: RegistrationLab, name: str) -> None:
    internet.behaviour["registrar"].fault = (COMMON | WHOIS)[name]
    hop = ask_one(internet.whois["registrar"], "lapse.example", allow=internet.allow)
    internet.behaviour["registrar"].fault = None
    right = ask_one(internet.whois["registrar"], "lapse.example", allow=internet.allow)
    assert hop.cut == ""
    assert hop.body != right.body


def test_a_server_that_sends_for_ever_is_cut_by_size(internet: RegistrationLab) -> None:
    internet.behaviour["registry"].fault = COMMON["endless"]
    hop = ask_one(internet.whois["registry"], "lapse.example", allow=internet.allow)
    assert (hop.cut, len(hop.body)) == ("size", WhoisLimits().hop_bytes)


@pytest.mark.parametrize("domain", ["a.example\r\nb.example", "example", "a b.example", "-T.example x", ""])
def test_what_is_no_name_is_not_asked(internet: RegistrationLab, domain: str) -> None:
    with pytest.raises(ReadError):
        ask(internet, domain)
    assert internet.asked == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"refer:        whois.registry.example\n", ("whois.registry.example", 43)),
        (b"whois:   whois.nic.test", ("whois.nic.test", 43)),
        (b"   Registrar WHOIS Server: WHOIS.Registrar.Example\r\n", ("whois.registrar.example", 43)),
        (b"ReferralServer: rwhois://whois.registrar.example:4321\n", ("whois.registrar.example", 4321)),
        (b"Registrar WHOIS Server: http://registrar.example/whois\n", None),
        (b"Registrar WHOIS Server:\nRegistrar: x\n", None),
        (b"Registrar WHOIS Server: whois.a.example:99999\n", None),
        (b"see refer: whois.a.example\n", None),
    ],
)
def test_referrals_are_found(text: bytes, found: tuple[str, int] | None) -> None:
    assert referral(text) == found


@settings(max_examples=100)
@given(st.binary(max_size=1000) | st.binary(max_size=200).map(lambda tail: b"whois: " + tail))
def test_any_bytes_refer_somewhere_or_nowhere(body: bytes) -> None:
    found = referral(body)
    assert found is None or 0 < found[1] < 65536


@pytest.mark.parametrize("unit", [b" ", b"\t", b"whois:", b"refer: a", b"whois: \n"])
def test_long_repetition_stays_in_time(unit: bytes) -> None:
    started = time.monotonic()
    referral(unit * (250_000 // len(unit)))
    assert time.monotonic() - started < 2
