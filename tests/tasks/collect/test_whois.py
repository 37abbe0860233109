from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ReadError, RefusedError, UnreachableError
from lab.registration import lab
from tasks.collect.whois import WhoisLimits, lookup, referral

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.registration import RegistrationLab, Tier
    from tasks.collect.whois import WhoisAnswer


@pytest.fixture
def internet() -> Iterator[RegistrationLab]:
    with lab() as made:
        yield made


def ask(
    internet: RegistrationLab, domain: str = "lapse.example", tier: Tier = "registry", **options: Any
) -> WhoisAnswer:
    host, port = internet.whois[tier]
    return lookup(host, domain, port=port, allow=internet.allow, **options)


def test_the_referral_leads_from_registry_to_registrar(internet: RegistrationLab) -> None:
    answer = ask(internet)
    assert answer.end == "answered"
    assert [tier for tier, _ in internet.asked] == ["registry", "registrar"]
    assert b"Ada Invented" not in answer.hops[0].body
    assert b"Ada Invented" in answer.hops[1].body
    assert answer.hops[0].query == "lapse.example"
    assert answer.hops[0].fetched_at.tzinfo is not None


def test_a_name_is_asked_in_a_labels(internet: RegistrationLab) -> None:
    ask(internet, "B\u00fccher.example.")
    assert internet.asked[-1][1] == "xn--bcher-kva.example"


def test_a_server_may_want_another_form_of_query(internet: RegistrationLab) -> None:
    ask(internet, queries={"127.0.0.1": "domain {domain}"})
    assert internet.asked[0][1] == "domain lapse.example"


def test_a_circle_of_referrals_ends(internet: RegistrationLab) -> None:
    internet.behaviour["registrar"].circular = True
    answer = ask(internet)
    assert answer.end == "circle"
    assert len(answer.hops) == 2


def test_hops_are_capped(internet: RegistrationLab) -> None:
    assert ask(internet, limits=WhoisLimits(hops=1)).end == "hop cap"


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
        lookup(host, "lapse.example", port=port)
    with pytest.raises(RefusedError):
        lookup(host, "lapse.example")
    assert internet.asked == []


def test_a_referral_into_loopback_is_refused_and_the_registry_kept(internet: RegistrationLab) -> None:
    host, port = internet.whois["registry"]
    answer = lookup(host, "lapse.example", port=port, allow=frozenset({(host, port)}))
    assert answer.end == "refused"
    assert len(answer.hops) == 1


def test_a_server_that_is_not_there_is_unreachable(internet: RegistrationLab) -> None:
    host, _ = internet.whois["registry"]
    gone = frozenset({(host, 1)})
    with pytest.raises(UnreachableError):
        lookup(host, "lapse.example", port=1, allow=gone)


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
