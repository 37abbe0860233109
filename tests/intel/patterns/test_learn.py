from __future__ import annotations

import random

import msgspec
import pytest

from intel.errors import ReadError
from intel.evidence import Prevalence
from intel.patterns.background import Background, Names
from intel.patterns.learn import learn
from intel.patterns.records import Settings, key_of
from intel.patterns.rule import to_rule
from intel.rules.read import read_rule
from intel.traits import Name, Trait, traits
from tests.intel.patterns.invented import campaign, strangers

STRANGERS = strangers(900)
BACKGROUND = Background(STRANGERS, Names(one.domain for one in STRANGERS), called="900 invented strangers")
SETTINGS = Settings()


def test_what_known_domains_have_in_common_and_others_have_not_is_proposed() -> None:
    known = campaign(12)
    first = learn(known, BACKGROUND, SETTINGS)[0]
    assert (first.support, first.known) == (12, 12)
    assert {Trait("registrar", "iana:4242"), Trait("mail-provider", "odd.example")} & set(first.traits)
    assert first.per_million is not None
    assert first.per_million <= SETTINGS.per_million
    assert "900 invented strangers" in first.basis
    assert set(first.examples) <= {one.domain for one in known}


def test_support_alone_proposes_nothing() -> None:
    everywhere = [msgspec.structs.replace(one, registrar="iana:9900") for one in STRANGERS]
    common = Background(everywhere, called="strangers who all have it")
    known = [msgspec.structs.replace(one, domain=f"w{number}.invalid", emails=(), addresses=(), networks=(),
             name_servers=(), registrar="iana:9900") for number, one in enumerate(campaign(40))]  # fmt: skip
    assert not [one for one in learn(known, common, SETTINGS) if (one.per_million or 0) <= SETTINGS.per_million]


def test_what_nobody_counted_is_unknown_not_rare() -> None:
    found = learn(campaign(12), Background(), SETTINGS)
    assert found
    assert {one.per_million for one in found} == {None}
    assert {one.basis for one in found} == {""}


def test_a_handful_of_strangers_makes_nothing_rare() -> None:
    handful = strangers(5)
    background = Background(handful, Names(one.domain for one in handful))
    assert {one.per_million for one in learn(campaign(12), background, SETTINGS)} == {None}
    few = {Trait("registrar", "iana:4242"): Prevalence(count=0, total=5)}
    assert Background(counted=few).per_million(list(few)) == (None, "")


def test_what_few_have_counted_discounts_nothing_that_many_have() -> None:
    alone, _ = BACKGROUND.per_million([Trait("registrar", "iana:4242")])
    assert BACKGROUND.per_million([Trait("registrar", "iana:4242"), Trait("issuer", "CN=R1")])[0] == alone
    some = {Trait("issuer", "CN=R1"): Prevalence(count=0, total=20)}
    both = [Trait("registrar", "iana:4242"), *some]
    assert Background(STRANGERS, counted=some).per_million(both)[0] == alone


def test_neither_the_order_nor_the_doubles_of_what_is_known_matter() -> None:
    known = campaign(20)
    shuffled = [*known, *known[:5]]
    random.Random(3).shuffle(shuffled)
    assert learn(shuffled, BACKGROUND, SETTINGS) == learn(known, BACKGROUND, SETTINGS)


def test_shuffled_labels_give_nothing_that_may_be_accepted_for_more_than_a_few() -> None:
    drawn = random.Random(4).sample(STRANGERS, 60)
    names = {one.domain for one in drawn}
    rest = Background([one for one in STRANGERS if one.domain not in names], called="the rest")
    found = [one for one in learn(drawn, rest, SETTINGS) if one.per_million and one.per_million <= SETTINGS.per_million]
    fresh = strangers(900, seed=9)
    hits = sum(set(one.traits) <= traits(stranger) for one in found for stranger in fresh)
    assert hits <= 3


def test_a_word_of_the_names_is_a_trait() -> None:
    known = [msgspec.structs.replace(one, domain=f"sampleco{number}.test", registrar="", emails=(), name_servers=(),
             networks=()) for number, one in enumerate(campaign(10))]  # fmt: skip
    first = learn(known, BACKGROUND, SETTINGS)[0]
    assert any(one.name == Name.WORD and one.value in "sampleco" for one in first.traits)


def test_a_hub_is_no_habit() -> None:
    known = [msgspec.structs.replace(one, addresses=("198.51.100.7",)) for one in campaign(8)]
    found = learn(known, BACKGROUND, SETTINGS, lambda trait: 0.0 if trait.name == Name.ADDRESS else 1.0)
    assert not [one for one in found for trait in one.traits if trait.name == Name.ADDRESS]


def test_a_larger_population_goes_before_the_sample() -> None:
    trait = Trait("registrar", "iana:4242")
    assert (BACKGROUND.share(trait) or 1) < 0.002
    counted = Background(STRANGERS, counted={trait: Prevalence(count=500_000, total=1_000_000)})
    assert counted.share(trait) == pytest.approx(0.5, abs=0.01)


def test_what_the_sample_shows_together_is_not_taken_for_independent() -> None:
    both = [msgspec.structs.replace(one, registrar="iana:4242", networks=("AS64499",)) for one in STRANGERS[:90]]
    background = Background([*both, *STRANGERS[90:]])
    expected, basis = background.per_million([Trait("registrar", "iana:4242"), Trait("network", "AS64499")])
    assert expected is not None
    assert expected > 90_000
    assert basis.startswith("90 of ")


def test_a_pattern_is_a_rule_like_any_other() -> None:
    wanted = (
        Trait("hour", "08"),
        Trait("mail-hosts", "mx.example.org"),
        Trait("mail-provider", "odd.example"),
        Trait("name-server-provider", "cloudy.example"),
        Trait("name-servers", "a.example b.example"),
        Trait("network", "AS64500"),
        Trait("registrar", "iana:4242"),
        Trait("shape", "9-12"),
        Trait("suffix", "example"),
        Trait("word", "sampleco"),
    )
    rule = read_rule(to_rule("pattern-1", wanted, severity=50, registrars=["iana:4242", "Sample Registrar"]))
    assert len(rule.when) == len(wanted)
    with pytest.raises(ReadError, match="burst"):
        to_rule("pattern-2", [Trait("burst", "3")], severity=50)


def test_a_combination_is_the_same_in_any_order() -> None:
    one, other = Trait("suffix", "test"), Trait("network", "AS64500")
    assert key_of((one, other)) == key_of((other, one)) != key_of((one,))
