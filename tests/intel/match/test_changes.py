from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.match.changes import MAX_TWINS, ChangeKind, changes, one_edit, ordinal, twins
from intel.match.glyphs import are_twins

WORD = st.text(alphabet="abcdlo1rnm-", max_size=8)


def distance(one: str, other: str) -> int:
    """Damerau's, restricted: by the definition."""
    table = [[max(row, column) for column in range(len(other) + 1)] for row in range(len(one) + 1)]
    for row in range(1, len(one) + 1):
        for column in range(1, len(other) + 1):
            best = min(
                table[row - 1][column] + 1,
                table[row][column - 1] + 1,
                table[row - 1][column - 1] + (one[row - 1] != other[column - 1]),
            )
            if row > 1 and column > 1 and one[row - 2 : row] == other[column - 2 : column][::-1]:
                best = min(best, table[row - 2][column - 2] + 1)
            table[row][column] = best
    return table[-1][-1]


@settings(max_examples=500, deadline=None)
@given(WORD, WORD)
def test_one_edit_is_found_where_the_distance_is_one(one: str, other: str) -> None:
    edit = one_edit(one, other)
    assert (edit is not None) == (distance(one, other) == 1)
    if edit is not None:
        start = edit.place - 1
        assert one[:start] + edit.after + one[start + len(edit.before) :] == other


@settings(max_examples=500, deadline=None)
@given(WORD, WORD)
def test_changes_make_the_one_of_the_other_and_are_few(one: str, other: str) -> None:
    found = changes(one, other)
    if found is None:
        assert distance(one, other) > 1
        return
    made, at = "", 0
    for change in found:
        made += one[at : change.place - 1] + change.after
        at = change.place - 1 + len(change.before)
    assert made + one[at:] == other
    assert sum(change.kind is not ChangeKind.LOOKS for change in found) <= 1
    assert len(found) <= MAX_TWINS + 1
    assert (found == ()) == (one == other)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("example", "exampxe", "one letter replaced: l by x, at the 6th place"),
        ("example", "examp1e", "looks alike: 1 for l, at the 6th place"),
        ("example", "examplle", "one letter added: l, at the 7th place"),
        ("sampleco", "smpleco", "one letter left out: a, at the 2nd place"),
        ("example", "xeample", "two letters swapped: e and x, at the 1st place"),
        ("example", "ex-ample", "a hyphen added, at the 3rd place"),
    ],
)
def test_an_edit_says_what_it_is(before: str, after: str, words: str) -> None:
    edit = one_edit(before, after)
    assert edit is not None
    assert str(edit) == words
    assert [change.kind for change in changes(before, after) or ()] == [edit.kind]


def test_pairs_are_told_both_ways() -> None:
    assert [str(change) for change in changes("modern", "rnodem") or ()] == [
        "looks alike: rn for m, at the 1st place",
        "looks alike: m for rn, at the 5th place",
    ]


def test_twins_of_one_length() -> None:
    found = twins("google", "goo9ie")
    assert found is not None
    assert [(change.before, change.after, change.alike) for change in found] == [("g", "9", True), ("l", "i", True)]
    assert twins("aaaa", "4444") is None
    assert are_twins("c", "e")
    assert not are_twins("a", "a")


def test_more_than_one_edit_is_too_much() -> None:
    assert changes("example", "exxmpxe") is None
    assert changes("example", "examplexx") is None
    assert changes("oooo", "0000") is None
    assert changes("", "") == ()


def test_ordinals() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "103rd", "111th")
    ]


def test_long_labels_take_little_time() -> None:
    started = time.monotonic()
    for _ in range(20):
        changes("rn" * 31, "m" * 31)
        changes("a" * 63, "4" * 63)
    assert time.monotonic() - started < 2
