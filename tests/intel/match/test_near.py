from __future__ import annotations

import sys
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.match.changes import one_edit
from intel.match.near import Halves, NearIndex, WordIndex, remainders

WORDS = st.lists(st.text(alphabet="abc-", max_size=6), max_size=12)


@settings(max_examples=300, deadline=None)
@given(WORDS, st.text(alphabet="abc-", max_size=6))
def test_every_word_within_one_edit_is_found(words: list[str], asked: str) -> None:
    index = NearIndex(enumerate(words), len(words))
    found = set(index.near(asked))
    wanted = {number for number, word in enumerate(words) if word == asked or one_edit(word, asked)}
    assert wanted <= found
    assert all(abs(len(words[number]) - len(asked)) <= 1 for number in found)
    assert {number for number, word in enumerate(words) if asked in remainders(word)} == set(index.at(asked))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(alphabet="ab", max_size=9), max_size=6), st.lists(st.text(alphabet="ab", max_size=9), max_size=4)
)
def test_of_many_words_those_within_one_edit_are_told(words: list[str], asked: list[str]) -> None:
    found = set(NearIndex(enumerate(words), len(words)).has_near(asked, Halves(words)))
    wanted = {place for place, one in enumerate(asked) if any(word == one or one_edit(word, one) for word in words)}
    assert wanted <= found


@settings(max_examples=200, deadline=None)
@given(WORDS, st.text(alphabet="abc-", max_size=6))
def test_the_same_word_is_found_in_order(words: list[str], asked: str) -> None:
    index = WordIndex(enumerate(words), len(words))
    assert list(index.at(asked)) == [number for number, word in enumerate(words) if word == asked]


def test_what_is_left_of_a_word_comes_once() -> None:
    assert list(remainders("aab")) == ["aab", "ab", "aa"]
    assert list(remainders("")) == [""]


def test_an_empty_index_knows_nothing() -> None:
    assert list(NearIndex((), 0).near("example")) == []
    assert list(WordIndex((), 0).at("example")) == []


def test_a_hundred_thousand_words_are_small_and_quick() -> None:
    started = time.process_time()
    index = NearIndex(((number, f"brand{number:05}") for number in range(100_000)), 100_000)
    assert time.process_time() - started < 5
    assert sys.getsizeof(index._keys) + len(index._bits) < 20_000_000
    started = time.process_time()
    for number in range(20_000):
        index.at(f"other{number}")
    assert time.process_time() - started < 1
