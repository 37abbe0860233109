from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

UUID = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"


def galaxy(*values: object, kind: str = "threat-actor") -> str:
    return json.dumps({"type": kind, "name": "Threat actor", "values": list(values)})


def test_names_descriptions_reports_and_relations(make_source: Any, read_all: Any) -> None:
    cluster = {
        "uuid": UUID,
        "value": "Example Bear",
        "description": "d" * 20_000,
        "meta": {
            "country": "XX",
            "motive": ["Espionage", "Gain"],
            "synonyms": ["APT-0", "example bear", ""],
            "refs": ["https://r.example/1"],
        },
        "related": [{"dest-uuid": OTHER, "type": "similar"}, {"type": "similar"}, 7],
    }
    facts, rejects = read_all(make_source("galaxy"), galaxy(cluster))
    assert not rejects
    assert {(f.subject.kind, f.subject.value, f.locator) for f in facts} == {("actor", f"misp-galaxy:{UUID}", UUID)}
    described = [(f.qualifiers, f.object.value) for f in facts if f.predicate == "described-as"]
    assert described[0] == ((("field", "name"),), "Example Bear")
    assert len(described[1][1]) == 8192
    assert described[2:] == [
        ((("field", "country"),), "XX"),
        ((("field", "motive"),), "Espionage"),
        ((("field", "motive"),), "Gain"),
        ((("field", "related"), ("id", f"misp-galaxy:{OTHER}")), "similar"),
    ]
    assert [f.object.value for f in facts if f.predicate == "alias"] == ["example bear", "apt-0"]
    assert [(f.object.kind, f.object.value) for f in facts if f.predicate == "reported-in"] == [
        ("report", "https://r.example/1")
    ]


def test_two_clusters_of_one_name_stay_two_actors(make_source: Any, read_all: Any) -> None:
    facts, _ = read_all(make_source("galaxy"), galaxy({"uuid": UUID, "value": "X"}, {"uuid": OTHER, "value": "X"}))
    assert {f.subject.value for f in facts} == {f"misp-galaxy:{UUID}", f"misp-galaxy:{OTHER}"}


def test_a_cluster_without_uuid_goes_by_its_name_and_one_without_both_is_a_reject(
    make_source: Any, read_all: Any
) -> None:
    facts, rejects = read_all(make_source("galaxy"), galaxy({"value": "Example Bear"}, {"meta": {}}, "x"))
    assert {f.subject.value for f in facts} == {"misp-galaxy:example bear"}
    assert [reject.locator for reject in rejects] == ["/values/1", "/values/2"]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"type":"sector","values":[]}', '{"type":"threat-actor","values":['])
def test_what_is_no_galaxy_of_actors_is_one_reject(make_source: Any, read_all: Any, body: Any) -> None:
    facts, rejects = read_all(make_source("galaxy"), body)
    assert not facts
    assert [reject.locator for reject in rejects] == [""]


parts = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.just("\0"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["uuid", "value", "description", "meta", "synonyms", "refs", "related", "dest-uuid"]), inner
        )
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=1000)
@given(st.lists(parts, max_size=4), st.binary(max_size=40))
def test_any_clusters_make_facts_and_rejects(make_source: Any, read_all: Any, values: list[Any], body: Any) -> None:
    read_all(make_source("galaxy"), galaxy(*values))
    read_all(make_source("galaxy"), body)


@pytest.mark.data
def test_the_real_galaxy(make_source: Any, read_all: Any, data_dir: Path) -> None:
    (path,) = (data_dir / "actors/reference").glob("misp-galaxy_*.json")
    facts, rejects = read_all(make_source("galaxy"), path.read_bytes(), path.name)
    counts = {"actors": len({f.subject for f in facts}), "facts": len(facts), "rejects": len(rejects)}
    assert counts == {"actors": 1_041, "facts": 12_146, "rejects": 0}
