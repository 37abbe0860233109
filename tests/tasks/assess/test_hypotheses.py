from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.evidence import Evidence, Family, Prevalence
from tasks.assess.hypotheses import SAME, SHARED, UNKNOWN, Scale, compare
from tasks.assess.judgement import Option, Point, judge
from tasks.assess.likelihood import WORDS, confidence, in_words, percent

SCALE = Scale(caps={"registrant": 18, "hosting": 14, "naming": 13, "certificate": 18}, hard=frozenset({"certificate"}))
COUNTED = Prevalence(count=3, total=1_000_000, population="zone:example")


def piece(family: str, bits: float, **values: object) -> Evidence:
    made = {"trait": family, "what": f"{family} {bits}", "prevalence": COUNTED, "overlap": 1.0} | values
    return Evidence(family=family, bits=bits, **made)  # type: ignore[arg-type] # the test's own words


KEY = piece("certificate", 14)
MAILBOX = piece("registrant", 16)
SERVERS = piece("naming", 12)
ADDRESS = piece("hosting", 12)


def test_two_families_that_a_service_would_not_explain_are_of_one_hand() -> None:
    found = compare([KEY, SERVERS], SCALE)
    assert found.answer == SAME
    assert found.word == "almost certain"
    assert found.diagnostic == KEY
    assert found.hard_to_forge
    assert set(found.flips) == {KEY, SERVERS}  # each alone is one family
    assert not compare([MAILBOX, SERVERS], SCALE).hard_to_forge


def test_one_family_concludes_nothing_however_heavy() -> None:
    found = compare([MAILBOX, piece("registrant", 15, what="another")], SCALE)
    assert (found.answer, found.families) == ("", ("registrant",))
    weak = compare([MAILBOX, piece("naming", 2)], SCALE)  # what one stranger in four has is no second family
    assert weak.answer == ""


def test_what_a_hoster_explains_as_well_is_a_shared_service() -> None:
    found = compare([piece("hosting", 8), piece("naming", 7)], SCALE)
    assert found.answer == SHARED
    assert found.chances[SAME] < found.chances[SHARED]


def test_less_than_two_families_conclude_nothing_not_even_that_it_is_somebody_else() -> None:
    assert compare([], SCALE).answer == ""
    assert compare([piece("naming", 5)], SCALE).answer == ""
    assert compare([piece("naming", 4), piece("report", 4)], SCALE).answer == UNKNOWN


def test_evidence_to_the_contrary_takes_a_conclusion_away() -> None:
    with_contrary = compare([MAILBOX, SERVERS, piece("registrant", -16, what="two owners at once")], SCALE)
    assert with_contrary.answer != SAME
    assert with_contrary.chances[SAME] < compare([MAILBOX, SERVERS], SCALE).chances[SAME]


pieces = st.builds(
    piece,
    st.sampled_from([str(family) for family in Family]),
    st.floats(-20, 20, allow_nan=False),
    what=st.text(max_size=4),
    echo=st.sampled_from(["", "a", "b"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(pieces, max_size=7), st.randoms())
def test_chances_add_up_in_any_order(evidence: list[Evidence], chance: object) -> None:
    found = compare(evidence, SCALE)
    assert sum(found.chances.values()) == pytest.approx(1)
    assert set(found.chances) == {SAME, SHARED, UNKNOWN}
    shuffled = list(evidence)
    chance.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis gives a Random
    again = compare(shuffled, SCALE)
    assert again.answer == found.answer
    assert again.chances[SAME] == pytest.approx(found.chances[SAME])
    if found.answer == SAME:
        assert len(found.families) >= 2
    echoed = [*evidence, *(one for one in evidence if one.echo)]
    assert compare(echoed, SCALE).chances[SAME] == pytest.approx(found.chances[SAME])


def test_words_of_likelihood_are_in_order() -> None:
    steps = [in_words(number / 100) for number in range(1, 100)]
    assert list(dict.fromkeys(steps)) == list(WORDS)
    assert (in_words(0.93), in_words(0.5), in_words(0.3)) == ("very likely", "roughly even chance", "unlikely")
    assert (percent(0.0), percent(0.5), percent(1.0)) == ("under 1 %", "50 %", "over 99 %")


def test_confidence_is_of_the_evidence() -> None:
    assert confidence([KEY, MAILBOX, SERVERS]).level == "high"
    assert confidence([KEY, MAILBOX]).level == "moderate"
    assert confidence([KEY]).level == "low"
    uncounted = confidence([piece("certificate", 14, prevalence=None), MAILBOX, piece("naming", 3)])
    assert uncounted.level == "high"
    guessed = confidence([piece("certificate", 18, prevalence=None), piece("registrant", 4), piece("naming", 4)])
    assert any("assumption" in why for why in guessed.why)


def option(name: str, pro: str, contra: str = "") -> Option:
    def points(text: str) -> tuple[Point, ...]:
        return tuple(Point(family=family, said="x") for family in text.split())

    return Option(name=name, pro=points(pro), contra=points(contra))


def test_an_answer_takes_two_families_and_more_than_its_rivals() -> None:
    assert judge([option("a", "x y"), option("b", "")]).answer == "a"
    assert judge([option("a", "x x x"), option("b", "")]).answer == ""
    assert judge([option("a", "x y", "z w"), option("b", "z w", "x y")]).answer == ""
    assert judge([option("a", "x y", "z"), option("b", "x y z", "w")]).answer == "b"
    assert judge([option("a", "x y"), option("b", "v w")]).answer == ""
