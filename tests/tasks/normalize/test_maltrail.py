from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TRAIL = """\
# Copyright (c) somebody
# See the file 'LICENSE' for copying permission

# Aliases: Example Bear, apt-0, G9999

before.example

# Reference: https://r.example/1 (in a language)
# Reference: https://r.example/2
# References: r.example/3

name.example
192.0.2.1:4444 # a tool
host.example/path/x.php
http://192.0.2.2

# Subheading
[2001:db8::1]:443

# Reference: https://r.example/4

other.example\t# note
/only/a/path
not a value

# Generic

last.example
"""


def test_blocks_of_references_are_reports(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("maltrail"), TRAIL, "https://feeds.example/trails/apt_example.txt?x=1")
    claimed = [(f.subject.kind, f.subject.value, f.reference) for f in facts if f.predicate == "attributed-to"]
    assert claimed == [
        ("domain", "before.example", ""),
        ("domain", "name.example", "https://r.example/1"),
        ("endpoint", "192.0.2.1:4444", "https://r.example/1"),
        ("url", "//host.example/path/x.php", "https://r.example/1"),
        ("url", "http://192.0.2.2/", "https://r.example/1"),
        ("endpoint", "[2001:db8::1]:443", "https://r.example/1"),
        ("domain", "other.example", "https://r.example/4"),
        ("domain", "last.example", ""),
    ]
    assert {f.object.value for f in facts if f.predicate == "attributed-to"} == {"maltrail:apt_example"}
    reported = [(f.subject.value, f.object.kind, f.object.value) for f in facts if f.predicate == "reported-in"]
    assert ("name.example", "report", "https://r.example/1") in reported
    assert len(reported) == 6
    assert [(reject.locator, reject.excerpt) for reject in rejects] == [
        ("line 23", "/only/a/path"),
        ("line 24", "not a value"),
    ]


def test_aliases_and_further_references(make_source: Any, read_all: Any) -> None:
    facts, _ = read_all(make_source("maltrail"), TRAIL, "apt_example.txt")
    aliases = [(f.subject.value, f.object.kind, f.object.value) for f in facts if f.predicate == "alias"]
    assert aliases == [("maltrail:apt_example", "label", name) for name in ("example bear", "apt-0", "g9999")]
    further = [(f.subject.value, f.object.value) for f in facts if f.predicate == "described-as"]
    assert further == [("https://r.example/1", "https://r.example/2"), ("https://r.example/1", "r.example/3")]


def test_a_file_of_malware_is_no_actor(make_source: Any, read_all: Any) -> None:
    facts, _ = read_all(make_source("maltrail", naming_authority="ours"), "a.example\n", "trails/examplerat.txt")
    assert [(f.predicate, f.object.kind, f.object.value) for f in facts] == [
        ("associated-with", "software", "ours:examplerat")
    ]


def test_a_location_without_a_name_is_one_reject(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("maltrail"), "a.example\n", "https://feeds.example/")
    assert not facts
    assert [reject.locator for reject in rejects] == [""]


@settings(max_examples=150, deadline=1000)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                ["# Reference:", "# Reference: \x00 x", "# Aliases: a,,\x01,b", "# Generic", "a.example", "/x", "é # y"]
            ),
            max_size=12,
        ).map(lambda lines: "\n".join(lines).encode()),
    )
)
def test_any_bytes_make_facts_and_rejects(make_source: Any, read_all: Any, body: bytes) -> None:
    read_all(make_source("maltrail"), body)


@pytest.mark.data
def test_real_trails(make_source: Any, read_all: Any, data_dir: Path) -> None:
    counts = {}
    source = make_source("maltrail")
    for path in sorted((data_dir / "actors/maltrail_apt").glob("baseline_*/*.txt")):
        facts, rejects = read_all(source, path.read_bytes(), path.name)
        claimed = sum(fact.predicate == "attributed-to" for fact in facts)
        counts[path.name] = (claimed, sum("path without a host" not in reject.reason for reject in rejects))
    assert len(counts) == 162
    # One file holds nothing but paths without a host.
    assert {name for name, (claimed, _) in counts.items() if not claimed} == {"apt_goldenbird.txt"}, counts
    # What is no path either: a name with a sign that IDNA forbids, an address with two ports.
    assert sum(claimed for claimed, _ in counts.values()) == 84_881, counts
    assert {name for name, (_, bad) in counts.items() if bad} == {"apt_boteam.txt", "apt_darkhotel.txt"}, counts
