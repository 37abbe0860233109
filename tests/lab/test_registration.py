from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from intel.registration import FieldState, Outcome
from intel.registration_words import read_words
from lab.registration import DAY_ONE, NOT_FOUND_FORMS, Registry, lab
from lab.registration_records import history, register
from tasks.collect import rdap as rdap_client
from tasks.collect.http import NetworkPolicy, open_client
from tasks.normalize.rdap import read_rdap
from tasks.normalize.whois import read_whois
from tests.asking import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intel.registration import Registration
    from lab.registration import Privacy, RegistrationLab

    Ask = Callable[[RegistrationLab, str], list[Registration]]

WORDS = read_words((Path(__file__).parents[2] / "configs" / "registration.yaml").read_bytes())


@pytest.fixture
def internet() -> Iterator[RegistrationLab]:
    with lab() as made:
        yield made


def over_whois(internet: RegistrationLab, domain: str) -> list[Registration]:
    host, port = internet.whois["registry"]
    answer = follow(host, domain, port=port, allow=internet.allow)
    return [
        read_whois(hop.body, WORDS, domain=answer.domain, server=hop.server, fetched_at=hop.fetched_at)
        for hop in answer.hops
    ]


def over_rdap(internet: RegistrationLab, domain: str) -> list[Registration]:
    policy = NetworkPolicy(allow=internet.allow)
    with open_client(policy, user_agent="lapsewatch-test", limits=rdap_client.RDAP_LIMITS) as client:
        answers = [rdap_client.fetch_answer(client, f"{internet.rdap['registry']}/domain/{domain}")]
        if following := rdap_client.referral(answers[0].body):
            answers.append(rdap_client.fetch_answer(client, following))
    return [
        read_rdap(one.body, one.status, WORDS, domain=domain, server=one.final_url, fetched_at=one.fetched_at)
        for one in answers
    ]


@pytest.mark.parametrize("ask", [over_whois, over_rdap])
def test_the_registrant_is_exposed_on_day_one_and_redacted_on_day_three(internet: RegistrationLab, ask: Ask) -> None:
    thin, first = ask(internet, "lapse.example")
    assert thin.registrant.name.state is FieldState.ABSENT
    assert first.registrant.name.value == "Ada Invented"
    internet.registry.move(days=1)
    assert ask(internet, "lapse.example")[1].registrant.name.value == "Ada Invented"
    internet.registry.move(days=1)
    third = ask(internet, "lapse.example")[1]
    assert third.registrant.name.state is FieldState.REDACTED
    assert third.registrant.email.state is FieldState.REDACTED
    assert first.updated.at
    assert third.updated.at
    assert third.updated.at > first.updated.at
    assert third.created == first.created


@pytest.mark.parametrize("ask", [over_whois, over_rdap])
def test_masked_and_proxied_registrants_are_told_apart(internet: RegistrationLab, ask: Ask) -> None:
    assert ask(internet, "masked.example")[1].registrant.name.state is FieldState.REDACTED
    assert ask(internet, "masked.example")[1].registrant.email.state is FieldState.PLACEHOLDER
    assert ask(internet, "proxied.test")[1].registrant.organisation.state is FieldState.PROXY
    assert ask(internet, "proxied.test")[1].registrant.email.state is FieldState.PROXY


@pytest.mark.parametrize("ask", [over_whois, over_rdap])
def test_absence_and_throttling_are_told_apart(internet: RegistrationLab, ask: Ask) -> None:
    for form in NOT_FOUND_FORMS:
        internet.behaviour["registry"].not_found_form = form
        assert [one.outcome for one in ask(internet, "nobody.example")] == [Outcome.NOT_FOUND]
    internet.behaviour["registry"].throttled = True
    for domain in ("nobody.example", "lapse.example"):
        assert [one.outcome for one in ask(internet, domain)] == [Outcome.THROTTLED]


@pytest.mark.parametrize("ask", [over_whois, over_rdap])
def test_servers_say_what_time_their_data_has(internet: RegistrationLab, ask: Ask) -> None:
    internet.registry.lag = timedelta(minutes=10)
    internet.registry.move(days=1)
    answers = ask(internet, "lapse.example")
    assert [one.as_of for one in answers] == [internet.registry.now - timedelta(minutes=10)] * 2


@pytest.mark.parametrize("ask", [over_whois, over_rdap])
def test_an_exposed_contact_has_its_handle(internet: RegistrationLab, ask: Ask) -> None:
    first = ask(internet, "lapse.example")[1]
    assert first.registrant.handle.value == "C1001-LAB"
    internet.registry.move(days=2)
    assert ask(internet, "lapse.example")[1].registrant.handle.state is not FieldState.VALUE


PRIVACY: tuple[Privacy, ...] = (
    "placeholder", "declared", "proxy", "emptied", "partial", "replaced", "remarked", "silent", "prose",
)  # fmt: skip


@pytest.mark.parametrize("privacy", PRIVACY)
@pytest.mark.parametrize("ask", [over_whois, over_rdap])
def test_no_way_of_hiding_a_registrant_leaves_a_value(ask: Ask, privacy: Privacy) -> None:
    registry = Registry(versions={"hidden.example": history((DAY_ONE, register(privacy=privacy)))})
    with lab(registry) as internet:
        shown = ask(internet, "hidden.example")[-1].registrant
    # What is left of a partial value ("A.") is a value of its own kind: a reader may or may not take it for one.
    told = {part: getattr(shown, part) for part in ("name", "organisation", "email", "phone", "handle")}
    assert {"Ada Invented", "ada@registrant.example", "+44.2079460123"}.isdisjoint({one.value for one in told.values()})
    if privacy not in {"partial", "proxy", "prose"}:
        assert [part for part, one in told.items() if one.state is FieldState.VALUE] == []


def test_no_socket_is_left_open_after_the_lab() -> None:
    with lab() as internet:
        address = internet.whois["registry"]
    with pytest.raises(Exception, match="couldn't reach"):
        follow(address[0], "lapse.example", port=address[1], allow=frozenset({address}))
