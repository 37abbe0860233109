from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from db.publishing_records import Evidence, FindingRecord
from intel.config.publishing import CollectionEntry
from intel.facts import TLP
from tasks.publish.decide import decide, names_people
from tests.factories import NOON

FACT = Evidence(
    source="feed",
    source_title="A Feed",
    redistribution=True,
    predicate="listed",
    reference="",
    tlp=1,
    personal=False,
    role="new",
)
CLOSED = msgspec.structs.replace(FACT, redistribution=False)
ENTRY = CollectionEntry(
    id=UUID("d2a0b40b-5fe3-46f7-a573-deca545d50b2"),
    alias="community",
    title="Community",
    tlp_ceiling="TLP:GREEN",
    minimum_severity=40,
)


def record(**changes: Any) -> FindingRecord:
    made = FindingRecord(
        id=1,
        watch_key="1",
        watch_name="harbour",
        watch_created_at=NOON,
        actor=None,
        released=True,
        rule="exact",
        novelty=UUID(int=7),
        subject_kind="domain",
        subject="login.example",
        item_kind="domain",
        lapse=False,
        title="A title",
        severity=60,
        status="open",
        event_time=None,
        found_at=NOON,
        changed_at=NOON,
        evidence=(FACT,),
    )
    return msgspec.structs.replace(made, **changes)


def test_a_plain_finding_is_published_under_its_strictest_tlp() -> None:
    clear = msgspec.structs.replace(FACT, tlp=0)
    decision = decide(record(evidence=(clear, FACT)), ENTRY)
    assert decision.publish
    assert decision.tlp == TLP.GREEN


@pytest.mark.parametrize("status", ["open", "acknowledged", "confirmed"])
def test_what_stands_is_published(status: str) -> None:
    assert decide(record(status=status), ENTRY).publish


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "dismissed"}, "status is dismissed"),
        ({"status": "withdrawn"}, "status is withdrawn"),
        ({"released": False}, "incident"),
        ({"evidence": ()}, "no fact"),
        ({"evidence": (FACT, msgspec.structs.replace(FACT, tlp=2))}, "TLP:AMBER is stricter"),
        ({"evidence": (CLOSED,)}, "redistributed"),
        ({"evidence": (CLOSED, msgspec.structs.replace(FACT, role="known"))}, "redistributed"),
        ({"subject_kind": "email", "subject": "jane@login.example"}, "people's data"),
        ({"subject_kind": "registrant", "subject": "Jane Example"}, "people's data"),
        ({"subject_kind": "phone", "subject": "+442079460000"}, "people's data"),
        ({"subject_kind": "url", "subject": "https://login.example/?u=jane@bank.example"}, "people's data"),
        ({"subject_kind": "url", "subject": "https://login.example/?u=jane%40bank.example"}, "people's data"),
        ({"severity": 39}, "severity 39"),
    ],
)
def test_what_is_withheld_and_why(changes: dict[str, Any], reason: str) -> None:
    decision = decide(record(**changes), ENTRY)
    assert not decision.publish
    assert reason in decision.reason
    assert "jane" not in decision.reason.lower()


def test_one_open_source_for_what_is_new_is_enough() -> None:
    assert decide(record(evidence=(CLOSED, FACT)), ENTRY).publish


def test_people_are_published_only_where_the_policy_names_them() -> None:
    named = ENTRY.model_copy(update={"people": ("email",)})
    email = record(subject_kind="email", subject="jane@login.example")
    assert decide(email, named).publish
    assert not decide(record(subject_kind="phone", subject="+442079460000"), named).publish


def test_a_finding_names_people_by_its_facts_and_by_what_it_matched() -> None:
    assert names_people(record(evidence=(msgspec.structs.replace(FACT, personal=True),)))
    assert names_people(record(item_kind="email"))
    assert names_people(record(title="seen with jane%40bank.example"))
    assert not names_people(record())


def test_a_finding_of_an_incident_is_as_strict_as_the_incident() -> None:
    decision = decide(record(incident_tlp=2), ENTRY)
    assert decision.tlp == TLP.AMBER
    assert "TLP:AMBER is stricter" in decision.reason
    assert decide(record(incident_tlp=0), ENTRY).tlp == TLP.GREEN
