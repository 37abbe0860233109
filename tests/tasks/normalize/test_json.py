from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.facts import Fact

LISTED = {"statements": [{"subject": {"column": "value"}}]}


def subjects(facts: list[Fact]) -> list[str]:
    return [fact.subject.value for fact in facts]


def test_a_document_that_is_a_list(make_source: Any, read_all: Any) -> None:
    body = json.dumps([{"value": "a.example"}, {"value": ["b.example", "c.example"]}, {"value": None}, 7])
    facts, rejects = read_all(make_source("json", mapping=LISTED), body)
    assert subjects(facts) == ["a.example", "b.example", "c.example"]
    assert [fact.locator for fact in facts] == ["/0", "/1", "/1"]
    assert [reject.locator for reject in rejects] == ["/2", "/3"]


def test_json_lines_and_a_broken_line(make_source: Any, read_all: Any) -> None:
    body = '{"value":"a.example"}\n\n{"value":\n{"type":"metadata"}\n{"value":"b.example"}\n'
    source = make_source("json", mapping={**LISTED, "skip": {"type": ["metadata"]}})
    facts, rejects = read_all(source, body)
    assert [(fact.subject.value, fact.locator) for fact in facts] == [("a.example", "line 1"), ("b.example", "line 5")]
    assert [reject.locator for reject in rejects] == ["line 3"]


def test_records_somewhere_inside(make_source: Any, read_all: Any) -> None:
    body = json.dumps({"data": {"x": {"items": [{"value": "a.example"}]}, "y/z": {"items": [{"value": "b.example"}]}}})
    facts, _ = read_all(make_source("json", records="data.*.items", mapping=LISTED), body)
    assert [(fact.subject.value, fact.locator) for fact in facts] == [
        ("a.example", "/data/x/items/0"),
        ("b.example", "/data/y~1z/items/0"),
    ]


def test_the_key_of_a_record_is_a_column(make_source: Any, read_all: Any) -> None:
    mapping = {
        "statements": [{"subject": {"column": "$key"}, "predicate": "resolves-to", "object": {"column": "net.ips.*"}}],
        "event_time": {"column": "seen"},
        "confidence": {"column": "sure"},
    }
    body = json.dumps(
        {"entries": {"a.example": {"net": {"ips": ["192.0.2.1", "192.0.2.2"]}, "seen": 1709618828, "sure": 50}}}
    )
    facts, rejects = read_all(make_source("json", records="entries.*", mapping=mapping), body)
    assert [(fact.subject.value, fact.object.value) for fact in facts] == [
        ("a.example", "192.0.2.1"),
        ("a.example", "192.0.2.2"),
    ]
    assert facts[0].event_time.isoformat() == "2024-03-05T06:07:08+00:00"
    assert facts[0].confidence == 50
    assert not rejects


def test_a_list_of_plain_values(make_source: Any, read_all: Any) -> None:
    mapping = {"statements": [{"subject": {"column": "$value"}}]}
    facts, _ = read_all(make_source("json", records="list", mapping=mapping), '{"list":["a.example","b.example"]}')
    assert subjects(facts) == ["a.example", "b.example"]


@pytest.mark.parametrize("body", ["", "{", "nothing", '[{"value":"a.example"},', '{"other":[]}', "[" * 100_000])
def test_what_is_not_the_json_it_should_be_is_one_reject(make_source: Any, read_all: Any, body: Any) -> None:
    facts, rejects = read_all(make_source("json", records="data", mapping=LISTED), body)
    assert not facts
    assert [reject.locator for reject in rejects] == [""]


def test_the_line_of_a_fault_is_named(make_source: Any, read_all: Any) -> None:
    _, rejects = read_all(make_source("json", mapping=LISTED), '[\n{"value":"a.example"},\n{"value":"b.exa')
    assert "line 3" in rejects[0].reason


def test_lone_surrogates_bad_utf8_and_depth_cost_at_most_their_record(make_source: Any, read_all: Any) -> None:
    deep = "[" * 500 + "]" * 500
    body = (
        b'[{"value":"a.example","x":"\\ud800 \\\\ud800"},{"value":"\xff"},{"value":"b.example","x":'
        + deep.encode()
        + b"}]"
    )
    facts, rejects = read_all(make_source("json", mapping=LISTED), body)
    assert subjects(facts) == ["a.example", "b.example"]
    assert [reject.locator for reject in rejects] == ["/1"]


def test_numbers_of_thousands_of_digits_are_no_values(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("json", mapping=LISTED), '[{"value":' + "9" * 10_000 + "}]")
    assert not facts
    assert len(rejects) == 1


def test_wide_values_are_capped(make_source: Any, read_all: Any) -> None:
    body = json.dumps([{"value": [f"n{number}.example" for number in range(50_000)]}])
    started = time.monotonic()
    facts, rejects = read_all(make_source("json", mapping=LISTED), body)
    assert time.monotonic() - started < 2
    assert (len(facts), len(rejects)) == (1000, 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["value", "a", "*", "$key"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=1000)
@given(
    st.one_of(st.binary(max_size=100), json_values.map(lambda found: json.dumps(found).encode())),
    st.sampled_from(["", "*", "a", "a.*", "*.value.*", "value.a"]),
    st.sampled_from(["value", "a.value", "a.*.value", "$key", "$value", "0", "a.0"]),
)
def test_any_bytes_make_facts_and_rejects(
    make_source: Any, read_all: Any, body: bytes, records: str, column: str
) -> None:
    mapping = {"statements": [{"subject": {"column": column, "kind": "text"}}], "event_time": {"column": "a"}}
    read_all(make_source("json", records=records, mapping=mapping), body)


@pytest.mark.data
def test_real_documents(make_source: Any, read_all: Any, data_dir: Path) -> None:
    ioc = {
        "column": "ioc",
        "kind_from": "ioc_type",
        "kinds": {"sha256_hash": "file", "md5_hash": "file", "domain": "domain", "url": "url", "ip:port": "endpoint"},
    }
    iocs = {
        "statements": [{"subject": ioc, "object": {"column": "threat_type", "kind": "label"}}],
        "event_time": {"column": "first_seen"},
        "confidence": {"column": "confidence_level"},
        "reference": {"column": "reference"},
    }
    names = {
        "statements": [
            {
                "subject": {"column": "$key", "kind": "domain"},
                "predicate": "resolves-to",
                "object": {"column": "ips", "kind": "ip"},
                "optional": True,
            }
        ]
    }
    counts = {}
    for name, pattern, records, mapping in (
        ("iocs", "feeds/abusech/threatfox_*.json", "data", iocs),
        ("names", "feeds/tweetfeed/domainmeta.json", "entries.*", names),
    ):
        (path,) = data_dir.glob(pattern)
        facts, rejects = read_all(make_source("json", records=records, mapping=mapping), path.read_bytes(), path.name)
        counts[name] = (len(facts), len(rejects))
    assert counts == {"iocs": (93, 0), "names": (2_205, 0)}
