from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.match.keywords import MAX_FOUND, Keywords


def found(keywords: set[str], *names: str) -> list[tuple[str, str]]:
    return [(one.keyword, one.name) for one in Keywords(frozenset(keywords)).find(names)]


def test_a_keyword_is_found_anywhere_in_a_name() -> None:
    names = ("www.harmless.example", "login-sampleco.example", "sampleco.test")
    assert found({"sampleco", "gin-s", "absent"}, *names) == [
        ("gin-s", "login-sampleco.example"),
        ("sampleco", "login-sampleco.example"),
    ]
    (one,) = Keywords(frozenset({"sampleco"})).find(names)
    assert one.why == "the keyword stands at the 7th character"


def test_keywords_overlap() -> None:
    assert {keyword for keyword, _ in found({"abc", "bcd", "abcd", "bc."}, "abcd.abc.test")} == {
        *("abc", "bcd", "abcd", "bc.")
    }


def test_no_keyword_spans_two_names() -> None:
    assert found({"co.exam", "comexample"}, "a.com", "example.test") == []


def test_an_internationalised_name_is_searched_as_it_reads() -> None:
    name = "login.xn--mnchenbank-9db.test"
    (one,) = Keywords(frozenset({"münchenbank"})).find(("plain.test", name))
    assert (one.name, one.why) == (name, "the keyword stands at the 7th character of login.münchenbank.test")
    assert found({"mnchenbank-9"}, name) == [("mnchenbank-9", name)]


def test_what_a_certificate_holds_is_bounded() -> None:
    keywords = {f"word{number:04}x" for number in range(1_000)}
    names = [f"{keyword}.test" for keyword in sorted(keywords)]
    assert len(found(keywords, *names)) == MAX_FOUND
    hostile = ["a" * 4_000 + f"{number}.test" for number in range(4_000)]
    started = time.process_time()
    assert found({"aaa", "aaaa", "never"}, *hostile) == [("aaa", hostile[0]), ("aaaa", hostile[0])]
    assert time.process_time() - started < 2


@settings(max_examples=300, deadline=None)
@given(
    st.frozensets(st.text(alphabet="abc.", min_size=1, max_size=5), max_size=6),
    st.lists(st.text(alphabet="abc.", max_size=12), max_size=130),
)
def test_the_search_finds_what_a_scan_finds(keywords: frozenset[str], names: list[str]) -> None:
    wanted = {}
    for keyword in keywords:
        for name in names:
            if keyword in name:
                wanted[keyword] = name
                break
    assert {one.keyword: one.name for one in Keywords(keywords).find(names)} == wanted
