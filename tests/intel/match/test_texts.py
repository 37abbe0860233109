from __future__ import annotations

import re
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.match.texts import MAX_MATCHED, TextPatterns, fits, literals

PATTERN = st.text(alphabet="ab,=?*", max_size=10)


def naive(pattern: str, text: str) -> bool:
    parts = (".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


@settings(max_examples=500, deadline=None)
@given(PATTERN, st.text(alphabet="ab,=\n", max_size=14))
def test_a_pattern_fits_as_a_regular_expression_would(pattern: str, text: str) -> None:
    assert fits(pattern, text) == naive(pattern, text)


@settings(max_examples=300, deadline=None)
@given(st.frozensets(PATTERN, max_size=8), st.text(alphabet="abAB,=", max_size=20))
def test_the_index_finds_what_a_scan_finds(patterns: frozenset[str], text: str) -> None:
    index = TextPatterns(patterns)
    wanted = tuple(pattern for pattern in sorted(patterns) if naive(pattern, text.lower()))
    assert index.find(text) == index.remembered(text) == index.remembered(text) == wanted


def test_the_whole_text_is_compared_without_case() -> None:
    index = TextPatterns({"cn=*,o=sample trust*", "*o=sample trust,c=us", "cn=r?,*"})
    text = "CN=R3,O=Sample Trust,C=US"
    assert index.find(text) == ("*o=sample trust,c=us", "cn=*,o=sample trust*", "cn=r?,*")
    assert index.find("CN=R33,O=Sample Trust,C=USA") == ("cn=*,o=sample trust*",)
    assert index.find("") == ()


def test_parts_are_those_without_wildcards() -> None:
    assert list(literals("ab*abcd?efgh*")) == ["abcd", "efgh"]


def test_what_a_text_matches_is_bounded() -> None:
    index = TextPatterns(
        {f"*sample*{number}*" for number in range(10)} | {f"sample*{'?' * number}*" for number in range(90)}
    )
    assert len(index.find("sample" + "0123456789" * 20)) == MAX_MATCHED


def test_a_hostile_text_takes_little_time() -> None:
    index = TextPatterns({"*" + "aaaa?*" * 40 + "b", "*aaaaaaaaaaaaaaaaaaaaaaaaab"})
    started = time.process_time()
    for number in range(10):
        assert index.find("a" * 1_000 + str(number)) == ()
    assert time.process_time() - started < 2


def test_a_hundred_thousand_patterns_are_quick() -> None:
    patterns = [f"cn=*.host{number}.example,o=sample trust*" for number in range(100_000)]
    started = time.process_time()
    index = TextPatterns(patterns)
    assert time.process_time() - started < 4
    started = time.process_time()
    for number in range(10_000):
        assert index.find(f"CN=www.other{number}.example,O=Sample Trust,C=US") == ()
    assert time.process_time() - started < 1
    assert index.find("CN=www.host77.example,O=Sample Trust Ltd") == ("cn=*.host77.example,o=sample trust*",)
