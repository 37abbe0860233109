from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.config.evidence import read_evidence
from intel.errors import ConfigError
from intel.evidence import Evidence, Family, Level, Prevalence, bits, speaking, weigh
from intel.facts import Predicate
from intel.settings import CHECKOUT

CAPS = {"hosting": 10.0, "registrant": 18.0}
FAMILIES = ("registrant", "hosting", "certificate")
PIECES = st.lists(
    st.builds(
        Evidence,
        family=st.sampled_from(FAMILIES),
        trait=st.sampled_from(("email", "address", "key")),
        what=st.sampled_from(("a", "b", "c")),
        bits=st.floats(-20, 20),
        echo=st.sampled_from(("", "", "one report", "another")),
    ),
    max_size=8,
)


def piece(family: str, size: float, what: str = "x", **values: Any) -> Evidence:
    return Evidence(family=family, trait="t", what=what, bits=size, **values)


@settings(max_examples=80, deadline=None)
@given(PIECES, st.integers())
def test_the_order_in_which_pieces_come_does_not_matter(pieces: list[Evidence], seed: int) -> None:
    shuffled = list(pieces)
    random.Random(seed).shuffle(shuffled)
    one, other = weigh(pieces, caps=CAPS), weigh(shuffled, caps=CAPS)
    assert (one.bits, one.families, one.level) == (other.bits, other.families, other.level)
    assert one.pieces == other.pieces


@settings(max_examples=80, deadline=None)
@given(PIECES, PIECES)
def test_what_is_said_again_never_raises_the_sum(pieces: list[Evidence], more: list[Evidence]) -> None:
    said = [Evidence(family=one.family, trait=one.trait, what=one.what, bits=one.bits, echo=f"{n}")
            for n, one in enumerate(pieces)]  # fmt: skip
    again = [Evidence(family=one.family, trait=one.trait, what="by another feed", bits=one.bits, echo=one.echo)
             for one in said]  # fmt: skip
    assert weigh([*said, *again, *more], caps=CAPS).bits == pytest.approx(weigh([*said, *more], caps=CAPS).bits)


@settings(max_examples=80, deadline=None)
@given(PIECES, st.sampled_from(FAMILIES), st.floats(-20, 20))
def test_more_evidence_for_never_lowers_and_more_against_never_raises(
    pieces: list[Evidence], family: str, size: float
) -> None:
    alone = [one for one in pieces if not one.echo]
    before, after = weigh(alone, caps=CAPS).bits, weigh([*alone, piece(family, size)], caps=CAPS).bits
    assert (after >= before - 1e-9) if size > 0 else (after <= before + 1e-9)


@settings(max_examples=80, deadline=None)
@given(PIECES)
def test_no_family_gives_more_than_its_cap_or_than_twice_its_strongest(pieces: list[Evidence]) -> None:
    weighed = weigh(pieces, caps=CAPS)
    for family, said in weighed.families.items():
        strongest = max([one.bits for one in pieces if one.family == family and one.bits > 0], default=0.0)
        assert said <= min(CAPS.get(family, 1e9), 2 * strongest) + 1e-9
    assert sum(one.counts for one in weighed.pieces) == pytest.approx(weighed.bits)


def test_an_actor_needs_two_families_one_of_them_hard_to_forge() -> None:
    hard = {"certificate"}
    levels = [
        weigh(pieces, hard=hard).level
        for pieces in (
            [],
            [piece("certificate", 20)],
            [piece("registrant", 12), piece("hosting", 12)],
            [piece("registrant", 12), piece("certificate", 12)],
            [piece("registrant", 12), piece("certificate", 12), piece("report", -30)],
        )
    ]
    assert levels == [Level.NOTHING, Level.CLUSTER, Level.CLUSTER, Level.ACTOR, Level.NOTHING]


def test_what_speaks_against_is_no_echo_of_what_speaks_for() -> None:
    assert weigh([piece("registrant", 9, echo="r"), piece("registrant", -4, echo="r")]).bits == 5


def test_bits_are_how_much_likelier_one_hand_is() -> None:
    assert bits(0.5, 0.5 / 1024) == 10
    assert bits(0.1, 0.2) == -1
    assert Prevalence(count=0, total=999_999).share() == pytest.approx(5e-7)


def test_the_projects_numbers_are_read_and_every_link_says_why() -> None:
    file = read_evidence(CHECKOUT / "configs")
    assert set(file.families) == set(Family)
    names = {name.partition(" ")[0] for name in (*file.links, *file.nothing)} - {"stands-on"}
    assert names <= {one.value for one in Predicate}
    assert all(entry.why for entry in file.links.values())
    assert "uses-name-server" not in file.predicates  # a single host is many customers'
    assert file.link("registered-by", "email") is not file.link("registered-by", "organisation")


def test_a_wrong_number_is_said_with_its_place(tmp_path: Path) -> None:
    value = yaml.safe_load((CHECKOUT / "configs" / "evidence.yaml").read_text("utf-8"))
    value["links"]["resolves-to"]["shared"]["m"] = 2
    (tmp_path / "evidence.yaml").write_text(yaml.safe_dump(value), "utf-8")
    with pytest.raises(ConfigError, match=r"links.resolves-to.shared.m"):
        read_evidence(tmp_path)


def test_a_family_speaks_from_three_bits_on() -> None:
    assert speaking({"naming": 3.0, "hosting": 2.9, "tool": -5.0}) == ("naming",)
