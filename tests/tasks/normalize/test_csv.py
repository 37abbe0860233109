from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.config.sources import Source
from intel.errors import ConfigError
from intel.facts import Fact

LISTED = {"statements": [{"subject": {"column": "value"}}]}


def subjects(facts: list[Fact]) -> list[str]:
    return [fact.subject.value for fact in facts]


def test_columns_by_name(make_source: Any, read_all: Any) -> None:
    source = make_source(
        "csv",
        mapping={
            "statements": [
                {
                    "subject": {
                        "column": "value",
                        "kind_from": "type",
                        "kinds": {"ip:port": "endpoint", "host": "domain"},
                    },
                    "predicate": "attributed-to",
                    "object": {"column": "who", "kind": "actor", "prefix": "maltrail:apt_"},
                    "qualifiers": {"port": {"column": "port"}},
                }
            ],
            "event_time": {"column": "when"},
            "reference": {"column": "ref"},
            "confidence": {"column": "conf"},
            "tlp": {"column": "tlp"},
            "ends": {"op": "remove"},
            "skip": {"op": ["note"]},
        },
    )
    body = (
        "type,value,who,when,ref,conf,tlp,op,port\n"
        "host,A[.]example,bear,2024-01-02 03:04:05,https://r.example/1,80,amber+strict,add,443\n"
        "ip:port,192.0.2.1:8080,bear,2024-01-03T00:00:00+02:00,,,,remove,\n"
        "host,b.example,bear,,,,,note,\n"
        "other,c.example,bear,,,,,add,\n"
        "host,d.example,bear,soon,,,,add,\n"
        "host,e.example,bear,,,500,,add,\n"
        "host,f.example,bear,,,,purple,add,\n"
    )
    facts, rejects = read_all(source, body)
    first, second = facts
    assert (first.subject.kind, first.subject.value) == ("domain", "a.example")
    assert (first.object.kind, first.object.value) == ("actor", "maltrail:apt_bear")
    assert (first.reference, first.confidence, first.tlp, first.ends) == ("https://r.example/1", 80, 3, False)
    assert first.qualifiers == (("port", "443"),)
    assert first.event_time.isoformat() == "2024-01-02T03:04:05+00:00"
    assert (second.ends, second.qualifiers, second.confidence, second.tlp) == (True, (), None, None)
    assert second.event_time.isoformat() == "2024-01-02T22:00:00+00:00"
    assert [reject.locator for reject in rejects] == ["line 5", "line 6", "line 7", "line 8"]


def test_columns_by_number_without_header(make_source: Any, read_all: Any) -> None:
    source = make_source(
        "csv",
        header=False,
        delimiter="|",
        mapping={"statements": [{"subject": {"column": 1}}], "event_time": {"column": 0}},
    )
    facts, rejects = read_all(source, " \t# when|what\n \t\n2024-01-01|a.example\n2024-01-02|b.example\n2024|x|y\n")
    assert subjects(facts) == ["a.example", "b.example"]
    assert [reject.locator for reject in rejects] == ["line 5"]


def test_the_first_row_does_not_decide_alone_how_wide_a_table_is(make_source: Any, read_all: Any) -> None:
    source = make_source("csv", header=False, mapping={"statements": [{"subject": {"column": 0}}]})
    facts, rejects = read_all(source, "odd\na.example,1\nb.example,2\nc.example,3\n")
    assert subjects(facts) == ["a.example", "b.example", "c.example"]
    assert [reject.locator for reject in rejects] == ["line 1"]


def test_a_cell_of_several_values_and_one_bad_one(make_source: Any, read_all: Any) -> None:
    source = make_source("csv", mapping={"statements": [{"subject": {"column": "value", "split": ";"}}]})
    facts, rejects = read_all(source, "value,x\na.example; b.example;!!;,1\n")
    assert subjects(facts) == ["a.example", "b.example"]
    assert [reject.locator for reject in rejects] == ["line 2"]


def test_optional_statements_are_silent_where_they_have_nothing(make_source: Any, read_all: Any) -> None:
    resolves = {
        "subject": {"column": "value"},
        "predicate": "resolves-to",
        "object": {"column": "ip"},
        "optional": True,
    }
    source = make_source("csv", mapping={"statements": [*LISTED["statements"], resolves]})
    facts, rejects = read_all(source, "value,ip\na.example,\nb.example,192.0.2.1\n,\n")
    assert [fact.predicate for fact in facts] == ["listed", "listed", "resolves-to"]
    assert [reject.locator for reject in rejects] == ["line 4"]


def test_a_missing_column_is_a_reject_of_the_document(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("csv", mapping=LISTED), "indicator\na.example\n")
    assert not facts
    assert [reject.locator for reject in rejects] == [""]
    assert "'value'" in rejects[0].reason


def test_a_source_without_a_mapping_is_our_own_mistake(make_source: Any, read_all: Any) -> None:
    with pytest.raises(ConfigError):
        read_all(make_source("csv"), "value\na.example\n")


def test_quotes_spaces_and_rows_over_several_lines(make_source: Any, read_all: Any) -> None:
    body = (
        '"value", "note"\n"a.example", "says ""no"", twice"\n'
        '"b.example", "line one\nline ""two""\nline three"\nc.example,x\n'
    )
    facts, rejects = read_all(make_source("csv", mapping=LISTED), body)
    assert [(fact.subject.value, fact.locator) for fact in facts] == [
        ("a.example", "line 2"),
        ("b.example", "line 3"),
        ("c.example", "line 6"),
    ]
    assert not rejects


def test_an_unbalanced_quote_costs_its_line(make_source: Any, read_all: Any) -> None:
    body = 'value,note\na.example,x\nb.example,"open\n' + "".join(f"n{number}.example,y\n" for number in range(200))
    facts, rejects = read_all(make_source("csv", mapping=LISTED), body)
    assert len(facts) == 201
    assert [reject.locator for reject in rejects] == ["line 3"]


def test_two_unbalanced_quotes_do_not_swallow_what_stands_between(make_source: Any, read_all: Any) -> None:
    body = 'value,note\na.example,"open\nb.example,x\nc.example,"open\nd.example,y\n'
    facts, rejects = read_all(make_source("csv", mapping=LISTED), body)
    assert subjects(facts) == ["b.example", "d.example"]
    assert [reject.locator for reject in rejects] == ["line 2", "line 4"]


def test_nul_and_huge_fields_cost_their_line(make_source: Any, read_all: Any) -> None:
    body = (
        f'value,note\na.example,\0\nb.example,"{"x" * 200_000}"\n'
        f"{'y' * 2_000_000},z\nc.example,{'w' * 200_000}\nd.example,1\n"
    )
    facts, rejects = read_all(make_source("csv", mapping=LISTED), body)
    assert subjects(facts) == ["c.example", "d.example"]
    assert [reject.locator for reject in rejects] == ["line 2", "line 3", "line 4"]


def test_many_open_quotes_are_read_in_bounded_time(make_source: Any, read_all: Any) -> None:
    body = "value,note\n" + ('"open\n' + "a.example,b\n" * 70) * 300
    started = time.monotonic()
    facts, rejects = read_all(make_source("csv", mapping=LISTED), body)
    assert time.monotonic() - started < 3
    assert (len(facts), len(rejects)) == (21_000, 300)


def test_people_are_marked_and_not_quoted(make_source: Any, read_all: Any) -> None:
    source = make_source("csv", mapping={"statements": [{"subject": {"column": "who", "kind": "phone"}}]})
    facts, rejects = read_all(source, "who,name\n+1 202 555 0100,Jane Doe\nnone,Jane Doe\n")
    assert facts[0].personal
    assert [reject.excerpt for reject in rejects] == [""]


@settings(max_examples=150, deadline=1000)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='a.",\n\r\0 é;|#1', max_size=120).map(str.encode)))
def test_any_bytes_make_facts_and_rejects(make_source: Any, read_all: Any, body: bytes) -> None:
    mapping = {"statements": [{"subject": {"column": 0}}], "event_time": {"column": 1}}
    read_all(make_source("csv", mapping=mapping), body)
    read_all(make_source("csv", header=False, mapping=mapping), body)
    read_all(make_source("csv", header=False, quote="", mapping=mapping), body)


@pytest.mark.data
def test_real_tables(make_source: Any, read_all: Any, data_dir: Path) -> None:
    counts: dict[str, tuple[int, int]] = {}

    def count(name: str, pattern: str, source: Source) -> None:
        paths = sorted(data_dir.glob(pattern))
        assert paths, pattern
        for path in paths:
            facts, rejects = read_all(source, path.read_bytes(), path.name)
            before = counts.get(name, (0, 0))
            counts[name] = (before[0] + len(facts), before[1] + len(rejects))

    kinds = {"domain": "domain", "ip": "ip", "ip:port": "endpoint", "url": "url"}
    timeline = {
        "statements": [
            {
                "subject": {"column": "indicator", "kind_from": "type", "kinds": kinds},
                "predicate": "attributed-to",
                "object": {"column": "actor", "kind": "actor", "prefix": "maltrail:apt_"},
            }
        ],
        "event_time": {"column": "date"},
        "reference": {"column": "reference"},
        "ends": {"op": "remove"},
    }
    count("timeline", "actors/maltrail_apt/timeline_*.csv", make_source("csv", mapping=timeline))
    posts = {
        "statements": [
            {
                "subject": {
                    "column": 3,
                    "kind_from": 2,
                    "kinds": {
                        "url": "url",
                        "domain": "domain",
                        "ip": "ip",
                        "md5": "file",
                        "sha1": "file",
                        "sha256": "file",
                    },
                }
            }
        ],
        "event_time": {"column": 0},
        "reference": {"column": 5},
    }
    count("posts", "feeds/tweetfeed/daily/*.csv", make_source("csv", header=False, mapping=posts))
    urls = {"statements": [{"subject": {"column": 1, "kind": "url"}}], "event_time": {"column": 0}}
    count("urls", "feeds/abusech/urlhaus_*.csv", make_source("csv", header=False, mapping=urls))
    c2 = {
        "statements": [{"subject": {"column": "ip", "kind": "ip"}, "object": {"column": "list", "kind": "label"}}],
        "event_time": {"column": "date"},
        "ends": {"op": "remove"},
    }
    count("c2", "actors/c2_tracker/weekly_diffs.csv", make_source("csv", mapping=c2))
    # 66 paths without a host, 12 rows of type `other`, 2 rows that are no URL; one URL with a scheme of `1https`.
    assert counts == {"timeline": (25_689, 80), "posts": (14_943, 0), "urls": (3_455, 1), "c2": (23_484, 0)}


def test_times_are_values_in_one_form(make_source: Any, read_all: Any) -> None:
    source = make_source(
        "csv",
        mapping={
            "statements": [
                {"subject": {"column": "value"}, "predicate": "created", "object": {"column": "made", "kind": "time"}}
            ]
        },
    )
    body = "value,made\na.example,01 Mar 2026 10:11:12 +0100\nb.example,2026-03-01\nc.example,soon\n"
    facts, rejects = read_all(source, body)
    assert [(fact.object.kind, fact.object.value) for fact in facts] == [
        ("time", "2026-03-01T09:11:12+00:00"),
        ("time", "2026-03-01"),
    ]
    assert [reject.locator for reject in rejects] == ["line 4"]
    assert "time" in rejects[0].reason
