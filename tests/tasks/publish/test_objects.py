from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
import stix2
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2validator import ValidationOptions, validate_instance

from db.publishing_records import Evidence, FindingRecord
from intel.entities import Kind, entity
from intel.errors import PublishError, ReadError
from intel.facts import TLP
from tasks.publish.drafts import Draft
from tasks.publish.identifiers import OWN, own_id
from tasks.publish.objects import Publisher, Slot, build, likelihood

IDENTITY = UUID("1769c10f-a825-4692-91f6-c9a4580a9fe3")
PUBLISHER = Publisher(identity=IDENTITY, name="Harbour CERT", contact="cert@example.org", watches_tlp=TLP.GREEN)
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SHA256 = "a1" * 32
EVIDENCE = Evidence(
    source="feed",
    source_title="A Feed",
    redistribution=True,
    predicate="listed",
    reference="https://report.example/1",
    tlp=1,
    personal=False,
    role="new",
    since=NOON - timedelta(days=1),
)
SUBJECTS = {
    "domain": ("domain", "login.example"),
    "idn": ("domain", "xn--bcher-kva.example"),
    "name server": ("name-server", "ns1.example"),
    "ipv4": ("ip", "192.0.2.7"),
    "ipv6": ("ip", "2001:db8::7"),
    "ipv4 network": ("network", "198.51.100.0/24"),
    "ipv6 network": ("network", "2001:db8::/32"),
    "url": ("url", "https://login.example/o'clock?a=b\\c"),
    "url without scheme": ("url", "//login.example/gate.php"),
    "email": ("email", "admin@login.example"),
    "endpoint": ("endpoint", "192.0.2.7:8443"),
    "ipv6 endpoint": ("endpoint", "[2001:db8::7]:8443"),
    "named endpoint": ("endpoint", "login.example:8443"),
    "md5": ("file", "a1" * 16),
    "sha1": ("file", "a1" * 20),
    "sha256": ("file", SHA256),
    "sha512": ("file", "a1" * 64),
    "certificate": ("certificate", SHA256),
    "as": ("as", "AS64500"),
    "public key": ("public-key", SHA256),
    "fingerprint": ("fingerprint", "jarm:" + "2a" * 31),
}


def record(kind: str = "domain", value: str = "login.example", **changes: Any) -> FindingRecord:
    made = FindingRecord(
        id=1,
        watch_key="1",
        watch_name="harbour",
        watch_created_at=NOON - timedelta(days=30),
        actor="maltrail:apt_example",
        released=True,
        rule="same-domain",
        novelty=UUID(int=7),
        subject_kind=kind,
        subject=entity(kind, value).value,
        item_kind="domain",
        lapse=False,
        title="A new name stands under a watched domain",
        severity=60,
        status="open",
        event_time=NOON - timedelta(days=2),
        found_at=NOON,
        changed_at=NOON,
        evidence=(EVIDENCE,),
    )
    return msgspec.structs.replace(made, **changes)


def slots(finding: FindingRecord) -> dict[str, Slot]:
    return {role: Slot(stix_id=own_id(IDENTITY, finding, role, 0)) for role in OWN}


def objects(
    finding: FindingRecord, tlp: TLP = TLP.GREEN, ceiling: TLP = TLP.AMBER, publisher: Publisher = PUBLISHER
) -> tuple[Draft, ...]:
    return build(finding, tlp, publisher, ceiling, slots(finding))


def by_type(drafts: tuple[Draft, ...], stix_type: str) -> list[dict[str, Any]]:
    return [draft.properties for draft in drafts if draft.type == stix_type]


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_template_is_valid_stix(name: str) -> None:
    drafts = objects(record(*SUBJECTS[name], lapse=True), TLP.AMBER_STRICT, TLP.RED)
    for draft in drafts:
        # 103: ids of SDOs are UUIDv5 on purpose; 111 and the like are suggestions, which `strict` would make faults.
        result = validate_instance(draft.properties, ValidationOptions(version="2.1", disabled="103"))
        assert result.is_valid, (draft.properties, [str(error) for error in result.errors])
        assert draft.properties["spec_version"] == "2.1"
        stix2.parse(draft.properties, allow_custom=False)


@pytest.mark.parametrize("bits", [18.0, 300.0, -300.0])
def test_a_lead_is_related_with_its_likelihood_and_belongs_to_nobody(bits: float) -> None:
    drafts = objects(record(lead_bits=bits, lead_families=2, actor=None), TLP.GREEN, TLP.RED)
    for draft in drafts:
        result = validate_instance(draft.properties, ValidationOptions(version="2.1", disabled="103"))
        assert result.is_valid, (draft.properties, [str(error) for error in result.errors])
    ties = {one["relationship_type"]: one for one in by_type(drafts, "relationship")}
    assert set(ties) == {"indicates", "related-to"}
    expected = {18.0: 95, 300.0: 95, -300.0: 1}[bits]
    assert [tie["confidence"] for tie in ties.values()] == [expected, expected]
    assert ties["related-to"]["description"].startswith("Inferred from what both have in common")
    stated = {one["relationship_type"] for one in by_type(objects(record()), "relationship")}
    assert "related-to" not in stated
    assert {likelihood(bits) for bits in (12, 14)} == {50, 80}


def test_evidence_of_one_family_is_not_enough_for_a_likelihood() -> None:
    drafts = objects(record(lead_bits=300.0, lead_families=1, actor=None), TLP.GREEN, TLP.RED)
    ties = {one["relationship_type"]: one for one in by_type(drafts, "relationship")}
    assert "confidence" not in ties["related-to"]
    assert "not enough evidence" in ties["related-to"]["description"]


@pytest.mark.parametrize("tlp", list(TLP))
def test_every_object_carries_its_tlp(tlp: TLP) -> None:
    drafts = objects(record(), tlp, TLP.RED)
    marks = {mark["id"]: mark["name"] for mark in by_type(drafts, "marking-definition")}
    for draft in drafts:
        if draft.type != "marking-definition":
            assert [marks[ref] for ref in draft.properties["object_marking_refs"]] == [draft.tlp.label]
    assert marks[by_type(drafts, "indicator")[0]["object_marking_refs"][0]] == tlp.label


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("domain", "[domain-name:value = 'login.example']"),
        ("ipv6", "[ipv6-addr:value = '2001:db8::7']"),
        ("ipv4 network", "[ipv4-addr:value ISSUBSET '198.51.100.0/24']"),
        ("url", "[url:value = 'https://login.example/o\\'clock?a=b%5Cc']"),
        ("url without scheme", "[url:value LIKE '%://login.example/gate.php']"),
        ("sha256", f"[file:hashes.'SHA-256' = '{SHA256}']"),
        ("certificate", f"[x509-certificate:hashes.'SHA-256' = '{SHA256}']"),
        ("as", "[autonomous-system:number = 64500]"),
        ("endpoint", "[network-traffic:dst_ref.value = '192.0.2.7' AND network-traffic:dst_port = 8443]"),
    ],
)
def test_the_pattern_names_the_subject(name: str, pattern: str) -> None:
    assert by_type(objects(record(*SUBJECTS[name])), "indicator")[0]["pattern"] == pattern


def test_the_same_finding_gives_the_same_bytes() -> None:
    first, again = objects(record()), objects(record())
    assert [msgspec.json.encode(draft.properties) for draft in first] == [
        msgspec.json.encode(draft.properties) for draft in again
    ]


def test_ids_depend_on_no_name_and_no_row() -> None:
    ids = [draft.stix_id for draft in objects(record())]
    renamed = record(id=99, watch_name="pier", title="Another title", severity=10, status="confirmed")
    assert [draft.stix_id for draft in objects(renamed)] == ids
    elsewhere = msgspec.structs.replace(PUBLISHER, identity=UUID("fcb9ca43-0b87-4f44-8a63-ed5ef4cf2e27"))
    finding = record()
    theirs = {role: Slot(stix_id=own_id(elsewhere.identity, finding, role, 0)) for role in OWN}
    shared = {"domain-name", "marking-definition"}
    others = {
        draft.stix_id for draft in build(finding, TLP.GREEN, elsewhere, TLP.AMBER, theirs) if draft.type not in shared
    }
    assert not others & set(ids)


def test_nothing_refers_to_what_comes_later() -> None:
    seen: set[str] = set()
    for draft in objects(record("public-key", SHA256)) + objects(record()):
        text = msgspec.json.encode(draft.properties).decode()
        seen.add(draft.stix_id)
        for name, value in draft.properties.items():
            for ref in [value] if name.endswith("_ref") else value if name.endswith("_refs") else []:
                assert ref in seen, text


def test_watch_and_actor_stay_out_where_their_tlp_is_above_the_ceiling() -> None:
    drafts = objects(record(), TLP.CLEAR, TLP.CLEAR)
    assert {draft.type for draft in drafts} == {"marking-definition", "identity", "domain-name", "indicator", "note"}
    assert all(draft.tlp == TLP.CLEAR for draft in drafts)
    assert "harbour" not in str(drafts)


def test_what_is_watched_stays_out_of_titles_and_notes_too() -> None:
    known = msgspec.structs.replace(EVIDENCE, role="known", reference="https://report.example/secret-actor.example")
    told = record(title="It shares a key with the watched domain secret-actor.example", evidence=(EVIDENCE, known))
    publisher = msgspec.structs.replace(PUBLISHER, watches_tlp=TLP.RED)
    drafts = objects(told, TLP.GREEN, TLP.GREEN, publisher)
    assert "secret-actor" not in str(drafts)
    assert "attribution" not in str(drafts)
    assert by_type(drafts, "indicator")[0]["name"] == "same-domain: login.example"
    assert by_type(drafts, "note")[0]["content"].startswith("same-domain: login.example\n")
    assert "secret-actor" in by_type(objects(told, TLP.RED, TLP.RED, publisher), "indicator")[0]["name"]


def test_relationships_tie_indicator_watch_actor_and_subject() -> None:
    drafts = objects(record())
    ends = {
        (tie["source_ref"].partition("--")[0], tie["relationship_type"], tie["target_ref"].partition("--")[0])
        for tie in by_type(drafts, "relationship")
    }
    assert ends == {
        ("indicator", "indicates", "infrastructure"),
        ("infrastructure", "consists-of", "domain-name"),
        ("intrusion-set", "uses", "infrastructure"),
    }
    assert all("start_time" in tie for tie in by_type(drafts, "relationship"))


def test_the_actor_is_said_to_be_a_claim_and_whose() -> None:
    actor = by_type(objects(record()), "intrusion-set")[0]
    assert actor["name"] == "apt_example"
    assert "claim of maltrail's" in actor["description"]
    assert actor["external_references"] == [{"source_name": "maltrail", "external_id": "apt_example"}]


def test_times_are_event_time_where_it_is_known() -> None:
    indicator = by_type(objects(record()), "indicator")[0]
    assert indicator["valid_from"] == "2026-02-27T12:00:00.123Z"
    assert indicator["created"] == "2026-03-01T12:00:00.123Z"
    assert indicator["valid_until"] == "2027-03-01T12:00:00.123Z"
    assert by_type(objects(record(event_time=None)), "indicator")[0]["valid_from"] == "2026-03-01T12:00:00.123Z"


def test_the_note_tells_sources_references_and_times_and_no_persons() -> None:
    closed = msgspec.structs.replace(EVIDENCE, source="closed", source_title="Closed Feed", redistribution=False)
    person = msgspec.structs.replace(
        EVIDENCE, predicate="registered-by", personal=True, reference="jane@login.example", role="known"
    )
    quoted = msgspec.structs.replace(EVIDENCE, reference="https://report.example/?to=jane@login.example")
    finding = record(title="jane@login.example registered it", evidence=(EVIDENCE, closed, person, quoted))
    drafts = objects(finding)
    note = by_type(drafts, "note")[0]
    assert (
        "A Feed (feed) states listed, first on 2026-02-28T12:00:00Z; reference https://report.example/1"
        in note["content"]
    )
    assert "facts of sources that may not be passed on: 1" in note["content"]
    assert "jane" not in str(drafts)
    assert "Closed" not in str(drafts)


def test_a_source_cannot_write_lines_of_ours() -> None:
    forged = msgspec.structs.replace(EVIDENCE, reference="x\nStatus: confirmed\u2028y" + "z" * 9000)
    content = by_type(objects(record(evidence=(forged,))), "note")[0]["content"]
    assert "\nStatus: confirmed" not in content
    assert len(content) < 1000


@pytest.mark.parametrize("kind", ["registrar", "mutex", "phone", "name-server-set"])
def test_what_stix_has_no_form_for_is_refused(kind: str) -> None:
    with pytest.raises(PublishError, match="no form"):
        objects(record(kind, "123456789.example"))


def test_a_hash_that_stix_has_no_name_for_is_refused() -> None:
    with pytest.raises(PublishError, match="no form"):
        objects(record("file", "a1" * 28))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([Kind.URL, Kind.EMAIL, Kind.DOMAIN, Kind.FINGERPRINT]), st.text(min_size=1, max_size=60))
def test_whatever_a_subject_says_it_is_valid_or_refused(kind: str, text: str) -> None:
    shape = {"url": "https://login.example/{}", "email": "{}@login.example", "domain": "{}.example"}.get(kind, "{}")
    try:
        value = entity(kind, shape.format(text)).value
    except ReadError:
        return
    try:
        drafts = objects(msgspec.structs.replace(record(), subject_kind=str(kind), subject=value))
    except PublishError:
        return
    indicator = by_type(drafts, "indicator")[0]
    assert stix2.parse(indicator)["pattern"] == indicator["pattern"]
