from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ReadError
from intel.match.name_model import FORM, NameModel, features, read_model, write_model

MODEL = NameModel(
    made_at=datetime(2026, 3, 1, tzinfo=UTC),
    listed=300,
    ordinary=400,
    bias=-2.0,
    threshold=1.5,
    weights={"suffix .test": 1.0, "word login": 2.0, "^my": -0.5, "gin$": 0.25},
)


def test_a_score_is_the_sum_of_what_a_name_has() -> None:
    assert MODEL.scores(["my-login.test", "quiet.example"]) == [-2.0 + 1.0 + 2.0 - 0.5 + 0.25, -2.0]


def test_the_reasons_are_what_adds_most() -> None:
    assert [(part.feature, part.weight) for part in MODEL.why("my-login.test")] == [
        ("word login", 2.0),
        ("suffix .test", 1.0),
        ("gin$", 0.25),
    ]


def test_features_say_what_a_name_looks_like() -> None:
    wanted = {
        "suffix .co.uk", "length 8", "digits 1", "hyphens 1", "vowels 3 of 10", "consonants 2 in a row", "word ab1",
        "word xyzt", "^a", "ab1-x", "t$",
    }  # fmt: skip
    assert wanted <= set(features("ab1-xyzt.co.uk"))
    assert "vowels 0 of 10" in set(features("123.example"))


def test_a_model_comes_back_as_it_was_written() -> None:
    assert read_model(write_model(MODEL)) == MODEL


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b'{"made_at": 1}'])
def test_what_is_no_model_is_refused(body: bytes) -> None:
    with pytest.raises(ReadError):
        read_model(body)


def test_a_model_of_other_features_is_refused() -> None:
    with pytest.raises(ReadError, match="another release"):
        read_model(write_model(MODEL).replace(f'"form":{FORM}'.encode(), b'"form":0'))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_text_has_features_and_a_score(name: str) -> None:
    assert len(MODEL.scores([name])) == 1
    assert all(isinstance(one, str) for one in features(name))
