"""Rules as people write them: what is read, what is refused and how that is said."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ReadError
from intel.match.rule_tests import read_time, shell
from intel.rules import read_rule, rule_digest, write_rule
from intel.rules.records import AnyOf, Burst, Link
from intel.rules.words import duration, duration_words, rarity, rarity_words
from lab import rule_histories as made

RULE = """
name: lure-registrations
about: domain
when:
  - registered-through: Example Registrar
  - uses-name-servers: {below: example.net}
  - created: {within: 30 days, hour: [8, 11]}
  - label: {words: [login, mail], length: [5, 20]}
  - not: {resolves-to: {in: 203.0.113.0/24}}
  - burst: {at-least: 5, within: 3 days, sharing: [registered-through], by: created}
over: 30 days
rare: 20 per million
say: "{subject} was registered with {count} others through {found} on {day}"
severity: 60
lapse: true
"""


def wrong(**more: Any) -> dict[str, Any]:
    return {"name": "one", "when": [{"registrar": "Example Registrar"}], "say": "{subject}", **more}


def test_a_rule_is_read_as_it_is_written() -> None:
    rule = read_rule(yaml.safe_load(RULE))
    assert rule.over == 30 * 86_400
    assert (rule.rare, rule.severity, rule.lapse) == (20, 60, True)
    assert rule.burst == Burst(at_least=5, within=3 * 86_400, sharing=("registered-through",), created=True)
    assert isinstance(rule.timed[-1], AnyOf)  # what `rare` asks
    assert all(isinstance(one, Link) and one.tests.rarer_than == 20 for one in rule.timed[-1].of)
    assert read_rule(yaml.safe_load(yaml.safe_dump(write_rule(rule)))) == rule


def test_every_kind_of_condition_is_written_as_it_is_read() -> None:
    for rule in made.made_rules(5, 200):
        again = read_rule(yaml.safe_load(yaml.safe_dump(write_rule(rule))))
        assert again == rule
        assert rule_digest(again) == rule_digest(rule)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "expected a rule: a mapping"),
        ({"when": [], "say": "x"}, "a rule needs a name"),
        ({"name": "one", "say": "x"}, "rule one: `when` is missing"),
        (wrong(severety=1), "severety: a rule has no such key"),
        (wrong(about="domains"), "about: there is no kind 'domains'"),
        (wrong(over="thirty days"), "over: 'thirty days' is no time of up to ten years"),
        (wrong(rare="seldom"), "rare: 'seldom' is no rarity: say `20 per million`"),
        (wrong(severity=101), "severity: expected a whole number from 0 to 100"),
        (wrong(say="{who}"), "say: there is no {who}: it takes {subject}"),
        (wrong(say="{subject.__class__}"), "say: there is no {subject.__class__}"),
        (wrong(say="{{subject}"), "say: a brace stands alone"),
        (wrong(over="1 day"), "over: there are no two conditions with a time"),
        (wrong(when=[{"suffix": "test"}]), "nothing in it has a time"),
        (wrong(when=[{"resolves-to": {}}]), "nothing says what to look for"),
        (wrong(when=[{"a": 1, "b": 2}]), "condition 1: expected a mapping with one key"),
        (wrong(when=[{"registerd-through": "x"}]), "registerd-through: there is no such condition"),
        (wrong(when=[{"resolves-to": {"inn": "x"}}]), "resolves-to: inn: a link has no such key"),
        (wrong(when=[{"resolves-to": "not an address"}]), "is no ip or domain"),
        (wrong(when=[{"resolves-to": {"in": "192.0.2.0/99"}}]), "in: '192.0.2.0/99' is no network"),
        (wrong(when=[{"registrar": {"matches": "**"}}]), "matches: the pattern '**' matches everything"),
        (wrong(when=[{"resolves-to": {"watched": "yes"}}]), "watched: expected true or false"),
        (wrong(when=[{"registrar": {"state": "secret"}}]), "state: 'secret' is none of value"),
        (wrong(when=[{"not": {"burst": {"at-least": 2, "within": "1 day"}}}]), "a burst is a condition of the whole"),
        (wrong(when=[{"burst": {"at-least": 2, "within": "1 day"}}]), "a burst needs conditions besides"),
        (
            wrong(when=[{"any": [{"suffix": "test"}, {"registrar": "x"}]}]),
            "some of them have a time and some have none",
        ),
        (wrong(when=[{"not": {"not": {"not": {"not": {"registrar": "x"}}}}}]), "too deep inside one another"),
        (wrong(when=[{"label": {"words": "ab"}}]), "no run of at least 3 letters"),
        (wrong(when=[{"created": {"hour": [8, 24]}}]), "from 0 to 23"),
        (wrong(when=[{"uses-mail-host": {"below": "."}}]), "below: '.' is no name"),
        (wrong(when=[{"any": [{"any": [{"registrar": ["x"] * 100}] * 100}] * 100}]), "more than 10000 keys and values"),
        (wrong(when=[{"created": {"after": "2026-02-31"}}]), "after: '2026-02-31' is no day"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: object, said: str) -> None:
    with pytest.raises(ReadError) as caught:
        read_rule(value)
    assert said in str(caught.value)


_WORDS = st.sampled_from(
    ["name", "when", "say", "any", "not", "is", "below", "in", "where", "resolves-to", "registrar", "burst", "absent"]
)
_MESS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_MESS)
def test_whatever_is_written_is_a_rule_or_an_error_that_says_so(mess: object) -> None:
    for value in (mess, wrong(when=mess), wrong(when=[mess]), wrong(when=[{"resolves-to": mess}])):
        try:
            rule = read_rule(value)
        except ReadError:
            continue
        assert read_rule(write_rule(rule)) == rule


@given(st.integers(min_value=1, max_value=10 * 365 * 86_400))
def test_durations_are_said_as_they_are_read(seconds: int) -> None:
    assert duration(duration_words(seconds)) == seconds


@given(st.integers(min_value=1, max_value=1_000_000))
def test_rarities_are_said_as_they_are_read(number: int) -> None:
    assert rarity(rarity_words(float(number))) == number


def test_patterns_match_as_a_shell_has_them_and_take_no_time() -> None:
    assert shell("a*b?c").match("a-x-bxc")
    assert not shell("a*b?c").match("a-x-bc")
    assert not shell("ab").match("ab\n")
    assert shell("*a*a*a*a*a*a*a*b").match("a" * 50_000) is None


def test_only_times_that_exist_are_read() -> None:
    assert read_time("2024-02-29") is not None
    assert read_time("2026-02-29") is None
    assert read_time("0000-01-01") is None
    assert read_time("2026-01-01\n") is None
    assert read_time("2026-01-01T24:00:00Z") is None
