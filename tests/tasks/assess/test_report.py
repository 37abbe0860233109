from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from db.incidents import Incident, Item
from intel.config.organisation import Organisation
from intel.errors import UnreachableError
from tasks.assess.branches import Branches, branches
from tasks.assess.report_body import Told, render
from tasks.enrich.records import (
    Address,
    Case,
    Certificates,
    CertificateSeen,
    Claim,
    Count,
    Known,
    Lookup,
    Network,
    PassiveDns,
    Registered,
    Resolution,
    Subject,
    Thing,
)

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
SUBJECT = Subject(id=1, kind="domain", value="evil.example", scope="evil.example")
CASE = Case(incident=7, subjects=(SUBJECT,))


def incident(*items: Item) -> Incident:
    given_items = items or (Item(text="evil[.]example", entity_id=1, kind="domain", value="evil.example"),)
    return Incident(
        id=7, title="Ada's case", publish=False, status="investigating", report="", created_at=NOON, reported_at=None,
        items=given_items,
    )  # fmt: skip


def claim(predicate: str, named: Thing | None, **values: object) -> Claim:
    said = Claim(
        about=1, subject_id=1, subject=Thing(kind="domain", value="evil.example"), predicate=predicate, object=named,
        state="value", source="feed", source_title="A feed", reliability="B", reference="", tlp=0, first=NOON,
        last=NOON, ended=False,
    )  # fmt: skip
    return msgspec.structs.replace(said, **values)


def certificate(value: str, *names: str, key: str = "sha256:33", same_key_only: bool = False) -> CertificateSeen:
    return CertificateSeen(
        value=value, key=key, names=names, names_total=len(names), valid_from="2026-03-01T00:00:00Z", valid_until="",
        issuer="", sources=("log",), seen=NOON, same_key_only=same_key_only,
    )  # fmt: skip


def report(found: Branches, organisation: Organisation | None = None, **values: object) -> str:
    told = Told(incident=incident(), case=CASE, found=found, organisation=organisation or Organisation(), at=NOON)
    return render(msgspec.structs.replace(told, **values))


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


def test_an_empty_investigation_says_so() -> None:
    text = report(Branches())
    assert "No source says anything of it" in text
    targeted = section(text, "Targeted or opportunistic")
    assert targeted.startswith("Not enough evidence for targeted or opportunistic")
    assert "configs/organisation.yaml names no domain, brand or network" in targeted
    assert section(text, "Motivation").startswith("Not enough evidence for the motivation")
    assert section(text, "Sophistication").startswith("Not enough evidence for the sophistication")
    assert "- It leads to nothing beyond itself." in section(text, "In short")
    assert "New since the last report" not in text
    assert section(text, "What could not be done").startswith("Everything was done")
    assert section(text, "Who: what sources claim") == "No source claims to know whose it is."
    assert "Ada" not in text


def test_a_claim_is_told_with_who_when_and_where() -> None:
    known = Known(
        claims=(
            claim("listed", Thing(kind="label", value="phishing"), reference="https://r.example/1", tlp=2, ended=True),
            claim("attributed-to", Thing(kind="actor", value="feed:heron")),
        ),
        claim_counts=(Count(about=1, total=9),),
    )
    text = report(Branches(known=known))
    assert (
        "| it | feed (B) | lists it as `phishing` (ended) | 2026-03-04 12:00 | 2026-03-04 12:00 | TLP:AMBER |"
        " `https://r.example/1` |"
    ) in text
    assert "2 of 9 shown, the most recent first." in text
    assert "- `feed:heron`: claimed by feed (B) of `evil.example`, first 2026-03-04 12:00" in text


def test_a_key_of_two_domains_is_an_inference_with_another_explanation() -> None:
    found = Certificates(
        certificates=(
            certificate("sha256:aa", "evil.example", "www.evil.example"),
            certificate("sha256:bb", "*.other.test".removeprefix("*."), same_key_only=True),
        ),
        total=2,
    )
    told = section(report(Branches(certificates=found)), "What is inferred, and what it rests on")
    assert "`evil.example`, `other.test` had certificates with the same key `sha256:33`" in told
    assert "Rests on `sha256:aa` (log, 2026-03-04 12:00), `sha256:bb`" in told
    assert "would explain it as well" in told
    alone = Certificates(certificates=found.certificates[:1], total=1)
    assert "same key" not in section(report(Branches(certificates=alone)), "What is inferred, and what it rests on")


def test_a_hidden_registrant_is_told_masked() -> None:
    ada = Thing(kind="email", value="ada@registrant.example", personal=True)
    history = (
        claim("registered-by", ada, ended=True, source="rdap"),
        claim("registered-by", None, state="redacted", source="rdap", first=NOON + timedelta(days=2)),
    )
    text = report(Branches(registered=Registered(history=history)))
    assert "The registrant of `evil.example` was shown (`a***@registrant.example`) until 2026-03-04 12:00" in text
    assert "ada@" not in text
    assert "--reveal 'incident 7'" in text


def test_a_domain_named_soon_after_its_registration_may_be_made_for_it() -> None:
    known = Known(claims=(claim("listed", Thing(kind="label", value="phishing")),), near=((1, SUBJECT),))
    history = (claim("created", Thing(kind="time", value="2026-03-01")),)
    text = report(Branches(known=known, registered=Registered(history=history)))
    assert "`evil.example` was named by a source 3 days after it was registered (2026-03-01)" in text
    old = (claim("created", Thing(kind="time", value="2019-03-01T00:00:00Z")),)
    assert "days after" not in report(Branches(known=known, registered=Registered(history=old)))


def test_a_crowded_address_connects_nobody() -> None:
    resolved = PassiveDns(
        resolutions=(
            Resolution(
                name="other.test", target="203.0.113.1", target_kind="ip", forward=False, sources=("dns",), first=NOON,
                last=NOON,
            ),
        ),
        total=1,
    )  # fmt: skip

    def told(names: int) -> str:
        network = Network(
            addresses=(Address(address="203.0.113.1", holders=(), names=("other.test",), names_total=names),), total=1
        )
        return report(Branches(passive_dns=resolved, network=network))

    assert "`lapsewatch show other.test`" in told(2)
    assert "few enough that one holder is possible" in told(2)
    assert "`lapsewatch show other.test`" not in told(500)
    assert "it is shared" in told(500)


def test_what_failed_is_named() -> None:
    lookup = Lookup(
        domain="evil.example", protocol="rdap", tier="registry", server="https://r.example", outcome="throttled"
    )
    quoted = ValueError("could not read ada@registrant.example")
    found = branches(
        {
            "known": Known(),
            "registered": Registered(lookups=(lookup,)),
            "certificates": UnreachableError("couldn't reach it: no route; it is tried again"),
            "monitor_registrations": quoted,
            "monitor_certificates": object(),
        }
    )
    assert [name for name, _ in found.failed] == ["certificates", "monitor registrations"]
    told = section(report(found), "What could not be done")
    assert "- certificates: couldn't reach it: no route; it is tried again" in told
    assert "- monitor registrations: ValueError: a fault of Lapsewatch" in told
    assert "- rdap (registry) of `https://r.example` about `evil.example`: throttled" in told
    assert "ada" not in told


def test_what_touches_us_is_evidence_and_no_verdict() -> None:
    ours = Organisation(brands=("evil",))
    told = section(report(Branches(known=Known(near=((1, SUBJECT),))), ours), "Targeted or opportunistic")
    assert told.startswith("Not enough evidence")
    assert "    - for (what is ours): `evil.example` touches our brand evil" in told
    other = section(report(Branches(), Organisation(domains=("example.com",))), "Targeted or opportunistic")
    assert "None touches us" in other
    assert other.startswith("Not enough evidence")


def test_an_unread_indicator_may_be_a_person() -> None:
    text = report(
        Branches(),
        incident=incident(Item(text="Ada Invented", entity_id=None, reason="couldn't read a name: no name")),
        case=Case(incident=7, unread=1),
    )
    assert "- number 1: couldn't read a name: no name" in text
    assert "Ada" not in text


TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=50)
@given(TEXT, TEXT, TEXT)
def test_hostile_values_stay_values(value: str, reference: str, name: str) -> None:
    known = Known(claims=(claim("listed", Thing(kind="label", value=value), reference=reference, source=name),))
    found = Certificates(certificates=(certificate(value, name, reference),), total=1)
    resolved = PassiveDns(
        resolutions=(
            Resolution(
                name=name, target=value, target_kind="domain", forward=True, sources=(name,), first=None, last=None
            ),
        ),
        total=1,
    )
    text = report(Branches(known=known, certificates=found, passive_dns=resolved))
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(headings) == 15
    assert not any(line.startswith("<") for line in text.splitlines())
