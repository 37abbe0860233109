from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from intel.registration import FieldState, Outcome
from intel.registration_words import read_words
from lab.registration import NOT_FOUND_FORMS, lab
from tasks.collect import rdap as rdap_client
from tasks.collect import whois as whois_client
from tasks.collect.http import NetworkPolicy, open_client
from tasks.normalize.rdap import read_rdap
from tasks.normalize.whois import read_whois

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intel.registration import Registration
    from lab.registration import RegistrationLab

    Ask = Callable[[RegistrationLab, str], list[Registration]]

WORDS = read_words((Path(__file__).parents[2] / "configs" / "registration.yaml").read_bytes())


@pytest.fixture
def internet() -> Iterator[RegistrationLab]:
    with lab() as made:
        yield made


def over_whois(internet: RegistrationLab, domain: str) -> list[Registration]:
    host, port = internet.whois["registry"]
    answer = whois_client.lookup(host, domain, port=port, allow=internet.allow)
    return [
        read_whois(hop.body, WORDS, domain=answer.domain, server=hop.server, fetched_at=hop.fetched_at)
        for hop in answer.hops
    ]


def over_rdap(internet: RegistrationLab, domain: str) -> list[Registration]:
    policy = NetworkPolicy(allow=internet.allow)
    with open_client(policy, user_agent="lapsewatch-test", limits=rdap_client.RDAP_LIMITS) as client:
        answers = [rdap_client.lookup(client, internet.rdap["registry"], domain)]
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


def test_no_socket_is_left_open_after_the_lab() -> None:
    with lab() as internet:
        address = internet.whois["registry"]
    with pytest.raises(Exception, match="couldn't reach"):
        whois_client.lookup(address[0], "lapse.example", port=address[1], allow=frozenset({address}))
