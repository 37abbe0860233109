from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.facts import Fact


def values(facts: list[Fact]) -> list[tuple[str, str]]:
    return [(fact.subject.kind, fact.subject.value) for fact in facts]


def test_comments_blanks_bom_and_crlf_are_no_records(make_source: Any, read_all: Any) -> None:
    body = "\ufeff# heading\r\n\r\n; other\r\nName.example\r\n192.0.2.1 # note\r\nhxxp://a[.]example/p#frag\r\n"
    facts, rejects = read_all(make_source("list", comment="# ;", label="C2"), body)
    assert values(facts) == [
        ("domain", "name.example"),
        ("ip", "192.0.2.1"),
        ("url", "http://a.example/p#frag"),
    ]
    assert not rejects
    assert {(fact.predicate, fact.object.kind, fact.object.value) for fact in facts} == {("listed", "label", "c2")}
    assert [fact.locator for fact in facts] == ["line 4", "line 5", "line 6"]


def test_the_label_is_the_sources_name_where_none_is_given(make_source: Any, read_all: Any) -> None:
    facts, _ = read_all(make_source("list"), "name.example")
    assert facts[0].object.value == "feed"


def test_a_line_that_names_nothing_costs_itself(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("list"), "a.example\n!!\nb.example\n")
    assert len(facts) == 2
    assert [(reject.locator, reject.excerpt) for reject in rejects] == [("line 2", "!!")]


def test_undecodable_bytes_cost_their_line(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("list"), b"a.example\nb\xff.example\nc.example\n")
    assert [fact.subject.value for fact in facts] == ["a.example", "c.example"]
    assert [reject.locator for reject in rejects] == ["line 2"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1", "utf-8"])
def test_encodings(make_source: Any, read_all: Any, encoding: str) -> None:
    facts, rejects = read_all(make_source("list", encoding=encoding), "a.example\nb.example\n".encode(encoding))
    assert [fact.subject.value for fact in facts] == ["a.example", "b.example"]
    assert not rejects


def test_a_byte_order_mark_decides_before_the_entry(make_source: Any, read_all: Any) -> None:
    facts, _ = read_all(make_source("list", encoding="utf-8"), "a.example\n".encode("utf-16"))
    assert [fact.subject.value for fact in facts] == ["a.example"]


def test_an_unknown_encoding_is_a_reject_of_the_document(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("list", encoding="no-such"), "a.example")
    assert not facts
    assert [reject.locator for reject in rejects] == [""]


def test_further_columns_are_ignored_only_where_options_say_so(make_source: Any, read_all: Any) -> None:
    body = "a.example;why\nb.example  2020\n"
    assert len(read_all(make_source("list"), body)[1]) == 2
    facts, rejects = read_all(make_source("list", value_ends_at="; "), body)
    assert [fact.subject.value for fact in facts] == ["a.example", "b.example"]
    assert not rejects


def test_a_kind_is_taken_from_the_options(make_source: Any, read_all: Any) -> None:
    facts, _ = read_all(make_source("list", kind="network"), "192.0.2.7/24\n")
    assert values(facts) == [("network", "192.0.2.0/24")]


def test_people_are_marked_and_not_quoted(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("list", kind="email"), "jane@mail.example\njane doe@@\n")
    assert facts[0].personal
    assert [reject.excerpt for reject in rejects] == [""]
    _, rejects = read_all(make_source("list"), "jane doe@x y\n")
    assert "doe" not in rejects[0].excerpt


def test_lines_that_try_to_take_long_do_not(make_source: Any, read_all: Any) -> None:
    body = "\n".join(["a" + " " * 500_000 + "b", "x#" * 400_000, "." * 900_000, "/" * 900_000, "z" * 2_000_000])
    started = time.monotonic()
    facts, rejects = read_all(make_source("list", comment="# ;", value_ends_at=","), body)
    assert time.monotonic() - started < 3
    assert len(facts) + len(rejects) == 5


@settings(max_examples=150, deadline=1000)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=120).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_make_facts_and_rejects(make_source: Any, read_all: Any, body: bytes) -> None:
    facts, rejects = read_all(make_source("list", comment="# ;", value_ends_at=" "), body)
    for fact in facts:
        assert "\0" not in fact.subject.value
    assert len(facts) + len(rejects) <= body.count(b"\n") + body.count(b"\r") + 1 + len(body) // 2


@pytest.mark.data
def test_real_lists(make_source: Any, read_all: Any, data_dir: Path) -> None:
    counts = {}
    for path in sorted((data_dir / "feeds/openphish").glob("*.txt")) + sorted(
        (data_dir / "feeds/criticalpath").glob("*/*.txt")
    ):
        facts, rejects = read_all(make_source("list"), path.read_bytes(), path.name)
        counts[path.name] = (len(facts), len(rejects))
    assert all(facts > 0 for facts, _ in counts.values()), counts
    assert all(rejects <= 0.02 * facts for name, (facts, rejects) in counts.items() if name != "AtomSpam.txt"), counts
    assert sum(facts for facts, _ in counts.values()) > 31_000, counts
