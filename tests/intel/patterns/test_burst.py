from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from intel.errors import ReadError
from intel.patterns.background import Background
from intel.patterns.burst import LEAST_CHANCE, Burst, members, read_burst
from intel.patterns.learn import learn
from intel.patterns.records import Settings
from intel.patterns.rule import to_rule
from intel.rules import read_rule
from intel.traits import Name, Profile, Trait
from tests.intel.patterns.invented import DAY_0, campaign, strangers

SETTINGS = Settings(per_million=1e-12)


def bursts(known: list[Profile], daily: float | None) -> list[tuple[str, float | None]]:
    found = learn(known, Background(strangers(700), daily=daily), SETTINGS)
    return [(one.value, each.per_million) for each in found for one in each.traits if one.name == Name.BURST]


def test_bursts_are_learned_where_they_help() -> None:
    known = campaign(20)  # four a day
    with_rate = bursts(known, 1_000.0)
    assert with_rate
    assert {value for value, _ in with_rate} == {"10 within 3 days"}
    # Where nobody knows how many come a day nothing is discounted; nor is what came one by one a burst.
    assert bursts(known, None) == []
    slow = [msgspec.structs.replace(one, created=DAY_0 + timedelta(days=9 * place)) for place, one in enumerate(known)]
    assert bursts(slow, 1_000.0) == []


def test_what_chance_does_is_a_poisson_tail() -> None:
    burst = Burst(at_least=2, days=1)
    assert burst.by_chance(0.0) == LEAST_CHANCE
    assert burst.by_chance(0.5) == pytest.approx(1 - 2.718281828**-1.0)
    assert burst.by_chance(1e6) == 1.0
    traits = [Trait(Name.SUFFIX.value, "test"), Trait(Name.BURST.value, "3 within 3 days")]
    background = Background(strangers(700), daily=10.0)
    alone, _ = background.per_million(traits[:1])
    expected, basis = background.per_million(traits)
    assert alone is not None
    assert expected == pytest.approx(alone * Burst(at_least=3, days=3).by_chance(alone / 1e6 * 10.0))
    assert expected is not None
    assert expected < alone
    assert "10 new domains a day" in basis


def test_who_came_together_is_told_from_who_did_not() -> None:
    days = (0, 1, 2, 9, 20, 22)
    listed = [Profile(domain=f"{day}.test", created=DAY_0 + timedelta(days=day)) for day in days]
    assert members(Burst(at_least=3, days=3), [*listed, Profile(domain="undated.test")]) == 0b111
    assert members(Burst(at_least=2, days=2), listed) == 0b110111


def test_it_becomes_a_condition_of_a_rule() -> None:
    wanted = [Trait(Name.REGISTRAR.value, "iana:4242"), Trait(Name.BURST.value, "5 within 3 days")]
    rule = read_rule(to_rule("pattern-1", wanted, severity=50))
    assert rule.burst is not None
    assert (rule.burst.at_least, rule.burst.within, rule.burst.created) == (5, 3 * 86_400, True)
    for wrong in ("1 within 3 days", "5", "5 within 0 days", "x" * 500):
        with pytest.raises(ReadError):
            read_burst(wrong)
