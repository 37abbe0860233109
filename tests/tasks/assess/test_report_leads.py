from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from db.incidents import Incident, Item
from db.leads import Lead
from intel.config.organisation import Organisation
from intel.evidence import Evidence, Prevalence, speaking, weigh
from tasks.assess.aims import CRIME, aim, motivation
from tasks.assess.branches import Branches, branches
from tasks.assess.material import Material, Said, words_of
from tasks.assess.report_body import Told, render
from tasks.assess.report_html import page
from tasks.assess.sophistication import CONSIDERABLE, LITTLE, sophistication
from tasks.assess.targeting import Targeting, Touched
from tasks.enrich.records import Case, Subject
from tasks.pivot.leads import Led

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
COUNTED = Prevalence(count=3, total=1_000_000, population="zone:example")
CASE = Case(incident=7, subjects=(Subject(id=1, kind="domain", value="evil.example", scope="evil.example"),))
INCIDENT = Incident(
    id=7, title="t", publish=False, status="investigating", report="", created_at=NOON, reported_at=None,
    items=(Item(text="evil[.]example", entity_id=1, kind="domain", value="evil.example"),),
)  # fmt: skip
KEY = Evidence(family="certificate", trait="has-key", what="sha256:33", bits=14, prevalence=COUNTED)
SERVERS = Evidence(family="naming", trait="uses-name-servers", what="ns1.a.example ns2.a.example", bits=12, overlap=0.8)
CDN = Evidence(family="hosting", trait="resolves-to", what="198.51.100.7", bits=0, hub="cdn", why="a content network")


def lead(number: int, value: str, *evidence: Evidence, **values: object) -> Lead:
    made = Lead(
        entity_id=number, kind="domain", value=value, scope=value, bits=20, depth=2, evidence=evidence, found_at=NOON,
        changed_at=NOON, families=speaking(weigh(evidence).families),
    )  # fmt: skip
    return msgspec.structs.replace(made, **values)


def report(*leads: Lead, incident: Incident = INCIDENT, **values: object) -> str:
    led = Led(leads=leads, strong=frozenset(one.entity_id for one in leads if len(one.families) > 1), **values)  # type: ignore[arg-type] # the test's own words
    return render(Told(incident=incident, case=CASE, found=Branches(led=led), organisation=Organisation(), at=NOON))


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


def test_a_lead_is_told_with_likelihood_apart_from_confidence() -> None:
    text = report(
        lead(2, "next.example", KEY, SERVERS, CDN), lead(3, "weak.example", SERVERS),
        claims={2: ("feed:heron, by feed",)}, ways={2: ("evil.example", "has-key", "sha256:33")},
    )  # fmt: skip
    told = section(text, "What it leads to")
    assert "| `next.example` | domain | almost certain | 26.0 | certificate, naming | 2 |" in told
    assert "Likelihood: almost certain (99 %) that it is of the same hand." in told
    assert "Confidence in the evidence: moderate: evidence of 2 families." in told
    assert "- certificate: the same key `sha256:33` (14.0 bits; 3 of 1,000,000 have it (zone:example))" in told
    assert "a shared thing: cdn" in told
    assert "Sources claim of it (weighed for nothing above): `feed:heron, by feed`." in told
    assert "By way of: `evil.example` has-key `sha256:33`." in told
    assert "| `weak.example` | domain | not enough evidence |" in told
    for line in text.splitlines():
        assert not ("Likelihood" in line and "onfidence" in line)
    who = section(text, "Who: explanations, weighed")
    assert "| lead | the same hand | a shared service | somebody else, or unknown | comes to |" in who
    assert "Most diagnostic: the same key `sha256:33`" in who
    changes = section(text, "What would change the conclusion")
    assert "- `next.example`: without the same key `sha256:33` alone it would not be concluded" in changes
    do_first = section(text, "What to do first")
    assert "for: `evil.example`, `next.example`." in do_first
    assert "`lapsewatch pivot weak.example`" in do_first
    assert "`lapsewatch watch add incident-7-more weak.example`" in do_first


def test_a_failed_pivot_is_not_told_as_no_leads() -> None:
    error = ValueError("ada@registrant.example")
    for results, known in (
        ({"pivot": error, "led": error}, False),
        ({"pivot": error, "led": Led()}, True),
        ({"pivot": Led(), "led": error}, True),
    ):
        found = branches(results)
        told = render(Told(incident=INCIDENT, case=CASE, found=found, organisation=Organisation(), at=NOON))
        assert ("- It leads to nothing beyond itself." in told) is known
        assert ("The pivot failed" in section(told, "What it leads to")) is not known
        assert "ada@" not in told
    assert "- second pivot: ValueError: a fault of Lapsewatch" in told


def test_people_in_leads_are_masked() -> None:
    held = lead(4, "ada@registrant.example", KEY, kind="email", scope="registrant.example", depth=1)
    other = lead(5, "bob@registrant.example", KEY, kind="email", scope="registrant.example", depth=2)
    text = report(held, other)
    assert "a***@registrant.example" in section(text, "What it leads to")
    assert "ada@" not in text
    assert "bob@" not in text
    assert "lapsewatch pivot 'b***" not in text


def test_what_is_new_since_the_last_report_is_told_apart() -> None:
    before = msgspec.structs.replace(INCIDENT, reported_at=NOON - timedelta(hours=1))
    old = lead(3, "old.example", KEY, SERVERS, found_at=NOON - timedelta(days=1), changed_at=NOON - timedelta(days=1))
    moved = lead(4, "moved.example", KEY, SERVERS, found_at=NOON - timedelta(days=1))
    fresh = section(report(lead(2, "next.example", KEY), old, moved, incident=before), "New since the last report")
    assert fresh.splitlines() == ["- lead `next.example`", "- the evidence for `moved.example` has changed"]
    nothing = section(report(old, incident=before, gone=0), "New since the last report")
    assert nothing == "Nothing since 2026-03-04 11:00 UTC."
    assert "1 lead no longer stand" in section(report(old, incident=before, gone=1), "New since the last report")


def said(*words: str) -> tuple[Said, ...]:
    return tuple(Said(word=word, where="feed") for word in words)


def test_motives_take_two_kinds_of_evidence() -> None:
    assert motivation(Material()).answer == ""
    assert motivation(Material(labels=said("ransomware", "stealer", "banker"))).answer == ""
    assert motivation(Material(labels=said("stealer"), lures=said("invoice"))).answer == CRIME
    mixed = motivation(Material(labels=said("stealer", "espionage"), lures=said("invoice", "embassy")))
    assert mixed.answer == ""
    assert [len(one.contra) for one in mixed.options] == [2, 2, 4]


def test_a_brand_in_a_name_and_preparation_look_targeted() -> None:
    ours = Targeting(known=True, touched=(Touched(value="evil.example", ours="our domain a.example", where="x"),))
    assert aim(Material(targeting=ours)).answer == ""
    assert aim(Material(targeting=ours, rules={"prepared-before-use": 1})).answer == "targeted"
    mass = Material(domains=40, sources=6, labels=said("malspam"))
    assert aim(mass).answer == "opportunistic"
    both = msgspec.structs.replace(mass, sources=1, targeting=ours, rules={"prepared-before-use": 1})
    assert aim(both).answer == ""


def test_habits_and_mistakes_make_sophistication() -> None:
    careful = Material(rules={"prepared-before-use": 1}, certificates=3, keys=3, registrants_hidden=2)
    assert sophistication(careful).answer == CONSIDERABLE
    careless = Material(rules={"reused-key": 1, "registrant-hidden": 2}, hubs={"leaked-key": "sha256:1"})
    assert sophistication(careless).answer == LITTLE
    assert sophistication(Material(rules={"reused-key": 4})).answer == ""
    assert words_of("Harbour-Login2 ABC x") == ("harbour", "login", "abc")


def test_the_page_stands_alone_and_nothing_in_it_acts() -> None:
    text = report(lead(2, "next.example", KEY, SERVERS)).replace(
        "# Incident 7\n", "# Incident 7: \\<script\\>alert(1)\\</script\\>\n"
    )
    made = page(text)
    assert made.startswith("<!doctype html>")
    assert "default-src 'none'" in made
    assert "&lt;script&gt;" in made
    assert "<script" not in made
    assert '<span class="odds o6">almost certain</span>' in made
    assert '<ol><li><strong class="said">Preserve</strong>' in made
    assert '<th scope="col">same hand</th>' in made
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in made


LINES = st.lists(
    st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=40),
        st.sampled_from(
            ["| a | b |", "| --- | --- |", "- `x`", "    - **y**", "1. z", "## h", "#", "|", "- ", "`", "**"]
        ),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(LINES)
def test_hostile_lines_stay_text(lines: list[str]) -> None:
    made = page("\n".join(lines))
    body = made.partition("<body>")[2]
    for tag in ("<script", "<img", "<iframe", "javascript:<", "onerror=<"):
        assert tag not in body
    allowed = {
        "header", "nav", "ol", "li", "a", "main", "section", "footer", "p", "h1", "h2", "h3", "h4", "ul", "div",
        "table", "thead", "tbody", "tr", "th", "td", "span", "strong", "code", "body", "html",
    }  # fmt: skip
    opened = [part.lstrip("/").split(">")[0].split()[0] for part in body.split("<")[1:]]
    assert set(opened) <= allowed
