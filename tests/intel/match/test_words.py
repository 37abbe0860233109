from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.match.words import MAX_WORD, WordSearch

TEXT = st.text(alphabet="abcé\n", max_size=40)


@settings(max_examples=300, deadline=None)
@given(st.frozensets(st.text(alphabet="abcé", min_size=1, max_size=12), max_size=8), TEXT)
def test_every_place_of_every_word_is_among_the_spans(words: frozenset[str], text: str) -> None:
    spans = WordSearch(words).spans(text)
    assert len(spans) == len(set(spans))
    assert all(0 <= start < end <= len(text) for start, end in spans)
    wanted = {(at, at + len(word)) for word in words for at in range(len(text)) if text.startswith(word, at)}
    assert {span for span in spans if text[slice(*span)] in words} == wanted


def test_words_of_no_length_or_too_long_are_left_out() -> None:
    search = WordSearch(["", "x" * (MAX_WORD + 1), "y" * MAX_WORD])
    assert search.spans("x" * 80 + "y" * MAX_WORD) == [(80, 80 + MAX_WORD)]
    assert WordSearch([]).spans("anything") == []
