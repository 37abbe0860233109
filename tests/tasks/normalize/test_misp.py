from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.facts import Fact
from tasks.normalize.misp_types import _COMPOSITE, _PLAIN, _PREFIXED

EVENT = "00000000-0000-4000-8000-000000000000"
CLUSTER = "00000000-0000-4000-8000-00000000000c"
REPORT = f"misp:{EVENT}"


def attribute(kind: str, value: object, /, **more: object) -> dict[str, object]:
    return {"uuid": f"a-{kind}", "type": kind, "value": value, "category": "Network activity", "to_ids": True, **more}


def event(*attributes: object, **more: object) -> dict[str, object]:
    return {"uuid": EVENT, "info": "Example campaign", "date": "2024-01-02", "Attribute": list(attributes), **more}


def said(facts: list[Fact], predicate: str) -> list[tuple[str, str, str]]:
    return [(f.subject.kind, f.subject.value, f.object.value) for f in facts if f.object and f.predicate == predicate]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: one,
        lambda one: {"Event": one},
        lambda one: [one],
        lambda one: [{"Event": one}],
        lambda one: {"response": [{"Event": one}]},
        lambda one: {"response": {"Event": one}},
    ],
)
def test_every_wrapping_of_an_event(make_source: Any, read_all: Any, wrap: Any) -> None:
    body = json.dumps(wrap(event(attribute("domain", "a.example"))))
    facts, rejects = read_all(make_source("misp", label="osint"), body)
    assert not rejects
    assert said(facts, "listed") == [("domain", "a.example", "osint")]
    assert said(facts, "reported-in") == [("domain", "a.example", REPORT)]
    assert said(facts, "described-as") == [("report", REPORT, "Example campaign")]


def test_what_is_not_for_detection_is_reported_and_not_listed(make_source: Any, read_all: Any) -> None:
    facts, _ = read_all(make_source("misp"), json.dumps(event(attribute("domain", "a.example", to_ids=False))))
    assert said(facts, "listed") == []
    assert said(facts, "reported-in") == [("domain", "a.example", REPORT)]


def test_reference_locator_and_times(make_source: Any, read_all: Any) -> None:
    body = event(
        attribute("domain", "a.example", timestamp="1709618828", first_seen="2024-02-01T00:00:00+01:00"),
        attribute("ip-dst", "192.0.2.1", timestamp="1709618828"),
        attribute("ip-src", "192.0.2.0/24", timestamp="0"),
        attribute("url", "http://a.example/", timestamp="1709618828", deleted=True),
    )
    facts, _ = read_all(make_source("misp"), json.dumps(body))
    first, second, third, fourth = [f for f in facts if f.predicate == "listed"]
    assert (first.reference, first.locator) == (EVENT, "a-domain")
    assert first.event_time.isoformat() == "2024-01-31T23:00:00+00:00"
    assert second.event_time.isoformat() == "2024-03-05T06:07:08+00:00"
    assert (third.subject.kind, third.event_time.isoformat()) == ("network", "2024-01-02T00:00:00+00:00")
    assert [f.ends for f in (first, second, third, fourth)] == [False, False, False, True]


def test_actors_by_the_uuid_of_their_cluster_else_by_name(make_source: Any, read_all: Any) -> None:
    tag = 'misp-galaxy:threat-actor="Example Bear"'
    cluster = {"type": "threat-actor", "uuid": CLUSTER, "value": "Example Bear", "tag_name": tag}
    body = event(
        attribute("domain", "a.example"),
        attribute("domain", "b.example", Tag=[{"name": 'misp-galaxy:threat-actor="Other Fox"'}]),
        attribute("link", "https://r.example/post"),
        attribute("threat-actor", "Third Owl"),
        Tag=[{"name": tag}, {"name": 'misp-galaxy:ransomware="Example Locker"'}],
        Galaxy=[{"type": "threat-actor", "GalaxyCluster": [cluster]}],
    )
    facts, _ = read_all(make_source("misp"), json.dumps(body))
    bear = f"misp-galaxy:{CLUSTER}"
    assert said(facts, "attributed-to") == [
        ("report", REPORT, bear),
        ("domain", "a.example", bear),
        ("domain", "b.example", bear),
        ("domain", "b.example", "misp-galaxy:other fox"),
        ("report", REPORT, "misp-galaxy:third owl"),
    ]
    assert said(facts, "associated-with") == [("report", REPORT, "misp-galaxy:example locker")]
    assert ("actor", bear, "example bear") in said(facts, "alias")
    assert ("url", "https://r.example/post", REPORT) in said(facts, "reported-in")


@pytest.mark.parametrize(
    ("event_tag", "attribute_tag", "expected"),
    [
        ("tlp:white", "TLP:AMBER", 2),
        ("tlp:red", "tlp:green", 4),
        ("tlp:amber+strict", "x", 3),
        ("x", "y", None),
        ("tlp:clear", "tlp:ex:chr", 4),
    ],
)
def test_the_stricter_tlp_wins(
    make_source: Any, read_all: Any, event_tag: str, attribute_tag: str, expected: Any
) -> None:
    body = event(attribute("domain", "a.example", Tag=[{"name": attribute_tag}]), Tag=[{"name": event_tag}])
    facts, _ = read_all(make_source("misp"), json.dumps(body))
    assert {f.tlp for f in facts if f.predicate == "listed"} == {expected}


def test_confidence_tags(make_source: Any, read_all: Any) -> None:
    body = event(
        attribute("domain", "a.example"),
        attribute("domain", "b.example", Tag=[{"name": 'misp:confidence-level="rarely-confident"'}]),
        Tag=[{"name": 'misp:confidence-level="completely-confident"'}],
    )
    facts, _ = read_all(make_source("misp"), json.dumps(body))
    assert [f.confidence for f in facts if f.predicate == "listed"] == [100, 25]


MD5, SHA1, SHA256 = "0" * 32, "1" * 40, "2" * 64


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("domain|ip", "a.example|192.0.2.1", {("domain", "a.example"), ("ip", "192.0.2.1")}),
        ("hostname", "h.a[.]example", {("domain", "h.a.example")}),
        ("ip-dst|port", "192.0.2.1|443", {("endpoint", "192.0.2.1:443")}),
        ("ip-src|port", "2001:db8::1|443", {("endpoint", "[2001:db8::1]:443")}),
        ("hostname|port", "a.example|8080", {("endpoint", "a.example:8080")}),
        ("email-src", "Jane@mail.example", {("email", "jane@mail.example")}),
        ("whois-registrant-name", "Jane Doe", {("registrant", "Jane Doe")}),
        ("whois-registrant-phone", "+1 202 555 0100", {("phone", "+12025550100")}),
        ("sha256", SHA256, {("file", f"sha256:{SHA256}")}),
        ("filename|sha1", f"a|b.exe|{SHA1}", {("file", f"sha1:{SHA1}"), ("file-name", "a|b.exe")}),
        ("x509-fingerprint-sha1", SHA1, {("certificate", f"sha1:{SHA1}")}),
        ("AS", "64496", {("as", "AS64496")}),
        ("regkey|value", "HKLM\\x|data", {("registry-key", "HKLM\\x")}),
        ("vulnerability", "cve-2024-0001", {("vulnerability", "CVE-2024-0001")}),
        ("ja3-fingerprint-md5", MD5.upper(), {("fingerprint", f"ja3:{MD5}")}),
        ("jarm-fingerprint", "F" * 62, {("fingerprint", "jarm:" + "f" * 62)}),
        ("github-username", "Example", {("handle", "github:example")}),
        ("twitter-id", "@Example", {("handle", "twitter:example")}),
        ("user-agent", "Example/1.0", {("user-agent", "Example/1.0")}),
        ("mutex", "Global\\x", {("mutex", "Global\\x")}),
    ],
)
def test_types(make_source: Any, read_all: Any, kind: str, value: str, expected: Any) -> None:
    facts, rejects = read_all(make_source("misp"), json.dumps(event(attribute(kind, value))))
    assert not rejects
    assert {(f.subject.kind, f.subject.value) for f in facts if f.predicate == "listed"} == expected
    people = {"email", "registrant", "phone", "handle"}
    assert all(f.personal == (f.subject.kind in people) for f in facts)


def test_composite_types_say_how_their_parts_belong_together(make_source: Any, read_all: Any) -> None:
    body = event(attribute("domain|ip", "a.example|2001:db8::1"), attribute("filename|md5", f"x.exe|{MD5}"))
    facts, _ = read_all(make_source("misp"), json.dumps(body))
    assert said(facts, "resolves-to") == [("domain", "a.example", "2001:db8::1")]
    assert [f.qualifiers for f in facts if f.predicate == "resolves-to"] == [(("type", "AAAA"),)]
    assert said(facts, "alias") == [("file", f"md5:{MD5}", "x.exe")]


def test_objects_say_how_their_members_belong_together(make_source: Any, read_all: Any) -> None:
    objects = [
        {"name": "domain-ip", "Attribute": [attribute("domain", "a.example"), attribute("ip-dst", "192.0.2.1")]},
        {
            "name": "file",
            "Attribute": [attribute("md5", MD5), attribute("sha256", SHA256), attribute("filename", "x.exe")],
        },
        {
            "name": "whois",
            "Attribute": [
                attribute("domain", "b.example"),
                attribute("whois-registrant-email", "jane@mail.example"),
                attribute("whois-registrar", "Example Registrar"),
            ],
        },
    ]
    facts, rejects = read_all(make_source("misp"), json.dumps(event(Object=objects)))
    assert not rejects
    assert said(facts, "resolves-to") == [("domain", "a.example", "192.0.2.1")]
    assert said(facts, "same-as") == [("file", f"sha256:{SHA256}", f"md5:{MD5}")]
    assert said(facts, "alias") == [("file", f"sha256:{SHA256}", "x.exe")]
    assert said(facts, "registered-by") == [("domain", "b.example", "jane@mail.example")]
    assert [f.personal for f in facts if f.predicate == "registered-by"] == [True]
    assert len(said(facts, "registered-through")) == 1


@pytest.mark.parametrize(
    "kind", ["comment", "text", "attachment", "yara", "snort", "other", "pattern-in-file", "domain|x"]
)
def test_what_is_no_entity_is_a_reject(make_source: Any, read_all: Any, kind: str) -> None:
    body = event(attribute(kind, "Jane Doe wrote"), attribute("domain", "a.example"))
    facts, rejects = read_all(make_source("misp"), json.dumps(body))
    assert len(said(facts, "listed")) == 1
    assert [(reject.locator, reject.reason) for reject in rejects] == [(f"a-{kind}", f"not an entity: type {kind}")]


@pytest.mark.parametrize("kind", ["target-email", "whois-registrant-phone", "passport-number", "text"])
def test_rejects_do_not_quote_people(make_source: Any, read_all: Any, kind: str) -> None:
    _, rejects = read_all(make_source("misp"), json.dumps(event(attribute(kind, "Jane Doe"))))
    assert [reject.excerpt for reject in rejects] == [""]


def test_broken_attributes_cost_themselves(make_source: Any, read_all: Any) -> None:
    body = event("x", {}, attribute("domain", None), attribute("domain", "!"), attribute("domain", "a.example"))
    facts, rejects = read_all(make_source("misp"), json.dumps({"Event": body}))
    assert said(facts, "listed") == [("domain", "a.example", "feed")]
    assert [reject.locator for reject in rejects] == [
        "/Event/Attribute/0",
        "/Event/Attribute/1",
        "a-domain",
        "a-domain",
    ]


@pytest.mark.parametrize("body", ["", "{}", "[]", "[1]", '{"Event":7}', json.dumps({EVENT: {"info": "in a manifest"}})])
def test_what_is_no_event_is_one_reject(make_source: Any, read_all: Any, body: Any) -> None:
    facts, rejects = read_all(make_source("misp"), body)
    assert not facts
    assert [reject.locator for reject in rejects] == [""]


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.just("\0\ufeff")
kinds = st.sampled_from([*_PLAIN, *_PREFIXED, *_COMPOSITE, "threat-actor", "text", "filename|ssdeep"])
attributes = st.fixed_dictionaries(
    {},
    optional={
        "type": kinds | scalars,
        "value": scalars | st.sampled_from(["a.example|192.0.2.1", "|", "192.0.2.1|99999", SHA1]),
        "to_ids": scalars,
        "uuid": scalars,
        "timestamp": scalars,
        "first_seen": scalars,
        "Tag": st.lists(scalars | st.fixed_dictionaries({"name": scalars}), max_size=2) | scalars,
        "Galaxy": scalars
        | st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.just("threat-actor"),
                    "GalaxyCluster": st.lists(st.fixed_dictionaries({"value": scalars, "uuid": scalars}), max_size=2),
                }
            ),
            max_size=2,
        ),
    },
)


@settings(max_examples=80, deadline=1000)
@given(
    st.lists(attributes | scalars, max_size=4),
    st.fixed_dictionaries(
        {"name": st.sampled_from(["file", "whois", "domain-ip"]), "Attribute": st.lists(attributes, max_size=4)}
    ),
    attributes,
)
def test_any_event_makes_facts_and_rejects(
    make_source: Any, read_all: Any, found: list[Any], one: Any, tags: Any
) -> None:
    document = {**tags, "info": "x", "Attribute": found, "Object": [one, 3]}
    read_all(make_source("misp"), json.dumps(document))
    read_all(make_source("misp"), json.dumps({"response": [{"Event": document}, {"Event": 1}, {"Event": tags}]}))


@settings(max_examples=100, deadline=1000)
@given(st.binary(max_size=60))
def test_any_bytes_make_facts_and_rejects(make_source: Any, read_all: Any, body: bytes) -> None:
    read_all(make_source("misp"), body)


@pytest.mark.data
def test_real_events(make_source: Any, read_all: Any, data_dir: Path) -> None:
    counts = {}
    source = make_source("misp")
    for pattern in (
        "actors/eset/**/*.json",
        "actors/citizenlab/*/misp.json",
        "feeds/misp_feed_infoblox/*-*.json",
        "feeds/misp_feed_tweetfeed/*-*.json",
        "feeds/intelmq/misp/*.json",
    ):
        for path in sorted(data_dir.glob(pattern)):
            facts, rejects = read_all(source, path.read_bytes(), path.name)
            unexpected = [one for one in rejects if not one.reason.startswith("not an entity: type ")]
            counts[str(path.relative_to(data_dir))] = (len(facts), len(rejects), len(unexpected))
    assert len(counts) == 92
    assert all(facts > 1 for facts, _, _ in counts.values()), counts
    # An address without a host, and a fuzzy hash without the file name of its type.
    assert sum(unexpected for _, _, unexpected in counts.values()) == 2, counts


@pytest.mark.data
def test_a_real_event_cut_off_in_the_middle_costs_itself(make_source: Any, read_all: Any, data_dir: Path) -> None:
    paths = sorted((data_dir / "actors/eset").glob("sshdoor/misp-events/*.json"))[:3]
    outcomes = []
    for number, path in enumerate(paths):
        body = path.read_bytes()
        outcomes.append(read_all(make_source("misp"), body[: len(body) // 2] if number == 1 else body, path.name))
    assert [bool(facts) for facts, _ in outcomes] == [True, False, True]
    (reject,) = outcomes[1][1]
    cut = paths[1].read_bytes()
    line = cut[: len(cut) // 2].count(b"\n") + 1
    assert reject.locator == ""
    assert reject.reason == f"couldn't read JSON, line {line}: it ends too soon"
