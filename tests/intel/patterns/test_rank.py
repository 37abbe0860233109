from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from intel.patterns.background import Background, Names
from intel.patterns.operate import threshold
from intel.patterns.rank import TAKEN, Ranker, weights_of
from intel.patterns.records import Settings
from intel.traits import Name, Profile
from tests.intel.patterns.invented import DAY_0, campaign, strangers

STRANGERS = strangers(700)
BACKGROUND = Background(STRANGERS, Names(one.domain for one in STRANGERS))
SETTINGS = Settings()


def bits(ranker: Ranker, *profiles: Profile) -> list[float]:
    return [ranker.score(one).bits for one in profiles]


def test_the_next_ones_are_above_all_strangers() -> None:
    ranker = Ranker(campaign(20), BACKGROUND, SETTINGS)
    assert min(bits(ranker, *campaign(10, seed=5))) > max(bits(ranker, *strangers(300, seed=6)))


def test_each_family_says_what_it_gives() -> None:
    known = campaign(20)
    said = Ranker(known, BACKGROUND, SETTINGS).score(campaign(1, seed=5)[0])
    assert said.bits == pytest.approx(sum(said.families.values()))
    assert {"naming", "registrant", "hosting"} <= set(said.families)
    assert {piece.evidence.trait for piece in said.pieces} >= {Name.REGISTRAR, Name.MAIL_PROVIDER}


def test_what_is_missing_says_nothing() -> None:
    ranker = Ranker(campaign(20), BACKGROUND, SETTINGS)
    assert Name.MAIL_PROVIDER not in {one.trait for one in ranker.evidence(Profile(domain="bare.test"))}


def test_what_the_actor_did_last_counts_more() -> None:
    turned = [*campaign(12), *campaign(4, registrar="iana:7777", mail="new.example", day=120, seed=7)]
    ranker = Ranker(turned, BACKGROUND, SETTINGS)
    old, new = campaign(1, seed=8)[0], campaign(1, registrar="iana:7777", mail="new.example", seed=8)[0]
    assert bits(ranker, new)[0] > bits(ranker, old)[0]
    assert weights_of(turned, SETTINGS)[0] < weights_of(turned, SETTINGS)[-1] == 1.0


def test_no_absolute_date_is_evidence() -> None:
    ranker = Ranker(campaign(20), BACKGROUND, SETTINGS)
    one = campaign(1, seed=5)[0]
    for days in (-3000, 0, 3000):
        moved = msgspec.structs.replace(one, created=DAY_0 + timedelta(days=days))
        assert bits(ranker, moved) == bits(ranker, one)


def test_few_known_domains_give_less_than_many() -> None:
    one = campaign(1, seed=5)[0]
    few, many = (Ranker(campaign(count), BACKGROUND, SETTINGS).score(one).bits for count in (1, 30))
    assert few < many


def test_a_hub_in_common_says_nothing() -> None:
    known = [msgspec.structs.replace(one, addresses=("198.51.100.7",)) for one in campaign(8)]
    other = Profile(domain="other.test", addresses=("198.51.100.7",))
    plain = Ranker(known, BACKGROUND, SETTINGS)
    wary = Ranker(known, BACKGROUND, SETTINGS, lambda trait: float(trait.name != Name.ADDRESS))
    assert bits(plain, other)[0] > bits(wary, other)[0]
    assert Name.ADDRESS not in {one.trait for one in wary.evidence(other)}


def test_a_seizure_links_nothing_but_says_what_was_taken_together() -> None:
    party = "invented court"
    taken = [Profile(domain=f"taken{number}.test", created=DAY_0, ended_by=party) for number in range(2)]
    other = Profile(domain="elsewhere.invalid", ended_by=party)
    one = Ranker([*campaign(10), taken[0]], BACKGROUND, SETTINGS)
    assert TAKEN not in {piece.trait for piece in one.evidence(other)}
    both = Ranker([*campaign(10), *taken], BACKGROUND, SETTINGS)
    pieces = [piece for piece in both.evidence(other) if piece.trait == TAKEN]
    assert [(piece.family, piece.what) for piece in pieces] == [("report", party)]
    assert "not linked" in pieces[0].why


def test_who_never_uses_a_mailbox_twice_is_not_contradicted_by_another() -> None:
    ranker = Ranker(campaign(20), BACKGROUND, SETTINGS)
    said = {one.trait: one.bits for one in ranker.evidence(campaign(1, seed=5)[0])}
    assert said.get(Name.EMAIL, 0.0) >= 0


def test_the_operating_point_keeps_strangers_out() -> None:
    assert threshold([10.0] * 30, [3.0, 2.0, 1.0], 0.95) == pytest.approx(4.5)
    assert threshold([3.2] * 30, [3.0], 0.95) == pytest.approx(3.1)


def test_where_nothing_is_known_to_be_right_nothing_is_shown() -> None:
    assert threshold([], [1.0], 0.95) is None
    assert threshold([9.0] * 5, [], 0.95) is None
    assert threshold([-1.0] * 50, [-2.0], 0.95) is None


def test_shuffled_labels_find_nothing() -> None:
    draw = random.Random(7)
    everyone = [msgspec.structs.replace(one, created=DAY_0 + timedelta(days=draw.randrange(40))) for one in STRANGERS]
    draw.shuffle(everyone)
    known, apart, rest = everyone[:60], everyone[60:120], everyone[120:]
    ranker = Ranker(known, Background(rest, Names(one.domain for one in rest)), SETTINGS)
    limit = threshold(bits(ranker, *apart), bits(ranker, *rest), SETTINGS.precision)
    assert limit is None


@examples(max_examples=40)
@given(
    st.lists(st.floats(-20, 20), max_size=40),
    st.lists(st.floats(-20, 20), max_size=40),
    st.randoms(use_true_random=False),
)
def test_a_threshold_holds_what_it_promises(right: list[float], wrong: list[float], draw: random.Random) -> None:
    limit = threshold(right, wrong, 0.95)
    draw.shuffle(right)
    draw.shuffle(wrong)
    assert threshold(right, wrong, 0.95) == limit
    if limit is not None:
        assert limit > 0
        found, false = sum(one >= limit for one in right), sum(one >= limit for one in wrong)
        assert found >= 0.95 * (found + false + 1)
