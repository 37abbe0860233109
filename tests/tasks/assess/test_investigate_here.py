from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db import incidents
from db.leads import read_leads
from db.lookups import strictest_tlp
from intel.entities import Kind, entity
from intel.facts import TLP, Predicate
from lab.world import FRIDAY, KNOWN_DOMAIN, MONDAY, NEW_DOMAIN, OLD_DOMAIN, WEDNESDAY
from tasks.assess.here import investigate
from tasks.assess.report_html import page
from tests.homes import said

if TYPE_CHECKING:
    from tests.homes import Home

SET = "ns1.quiet-dns.example ns2.quiet-dns.example"
LATER = "quiet-berth.example"
STRANGER = "flower-shop.example"
CDN = "198.51.100.77"


def world(home: Home) -> None:
    """A domain of the actor's that nobody reported stands with the same name servers, beside strangers on a CDN."""
    servers = [
        said(domain, Predicate.USES_NAME_SERVERS, SET, kind=Kind.NAME_SERVER_SET) for domain in (NEW_DOMAIN, OLD_DOMAIN)
    ]
    home.state("zone", servers, at=MONDAY)
    first, second = "certificate:" + "11" * 32, "certificate:" + "22" * 32
    key = "33" * 32
    home.state(
        "log",
        [
            said(first, Predicate.NAMES, KNOWN_DOMAIN),
            said(first, Predicate.HAS_KEY, key, kind=Kind.PUBLIC_KEY),
            said(second, Predicate.NAMES, NEW_DOMAIN),
            said(second, Predicate.HAS_KEY, key, kind=Kind.PUBLIC_KEY),
        ],
        at=WEDNESDAY,
    )
    home.state(
        "dns",
        [said(domain, Predicate.RESOLVES_TO, CDN) for domain in (STRANGER, *(f"p{n}.example" for n in range(300)))],
        at=WEDNESDAY,
    )


def reported(home: Home, *texts: str) -> int:
    with home.engine.begin() as connection:
        return incidents.create(connection, title="Phishing against Ada Invented", indicators=texts)


def counts(home: Home) -> dict[str, int]:
    tables = ("fact", "entity", "link", "watch", "watch_item", "finding", "query", "document", "incident", "lead")
    return {table: home.rows(f"SELECT count(*) AS n FROM {table}")[0].n for table in tables}


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


@pytest.mark.slow
def test_one_reported_domain_leads_to_those_that_nobody_reported(home: Home) -> None:
    world(home)
    home.internet.registry.now = WEDNESDAY
    number = reported(home, NEW_DOMAIN)
    steps: list[str] = []
    first = investigate(home.engine, number, say=steps.append)
    assert steps[0] == "watched"
    assert steps[-1] == "report"
    with home.engine.connect() as connection:
        leads = {lead.value: lead for lead in read_leads(connection, number)}
    # The name servers led to the old domain; what its registry says of its registrant made it a lead of two families.
    assert set(leads[OLD_DOMAIN].families) == {"naming", "registrant"}
    assert set(leads[KNOWN_DOMAIN].families) == {"naming", "certificate"}
    assert not {STRANGER, CDN} & set(leads)
    told = section(first.markdown, "In short")
    assert f"It leads to `{OLD_DOMAIN}` (domain): almost certain the same hand" in told
    assert f"It leads to `{KNOWN_DOMAIN}` (domain): almost certain the same hand" in told
    assert "o***@heron-mail.example" in told
    assert "has a key that the watched" in told
    assert "ops@" not in first.markdown
    do_first = section(first.markdown, "What to do first")
    assert f"2. **Block**, and search own logs for: `{NEW_DOMAIN}`, " in do_first
    assert f"`{OLD_DOMAIN}`" in do_first
    assert f"`lapsewatch incident show {number} --html incident-{number}.html`" in do_first
    items = {(row.match, row.value) for row in home.rows("SELECT match, value FROM watch_item")}
    assert {("scope", OLD_DOMAIN), ("scope", KNOWN_DOMAIN), ("scope", NEW_DOMAIN)} <= items
    assert {row.reason for row in home.rows("SELECT DISTINCT reason FROM query")} == {f"incident {number}"}

    # Again, nothing is new, and nothing is asked or written but the report.
    before = counts(home)
    again = investigate(home.engine, number)
    assert counts(home) == before
    assert "Nothing since " in section(again.markdown, "New since the last report")
    assert section(again.markdown, "What it leads to") == section(first.markdown, "What it leads to")

    # What comes later is named as new; a second set of indicators goes into the same incident.
    home.state("zone", [said(LATER, Predicate.USES_NAME_SERVERS, SET, kind=Kind.NAME_SERVER_SET)], at=FRIDAY)
    with home.engine.begin() as connection:
        assert incidents.add(connection, number, ["203.0.113[.]10"]) == 1
    third = investigate(home.engine, number)
    fresh = section(third.markdown, "New since the last report")
    assert f"- lead `{LATER}`" in fresh
    assert f"- lead `{OLD_DOMAIN}`" not in fresh
    assert "`203.0.113.10`" in section(third.markdown, "Indicators")


def test_leads_of_an_incident_that_may_not_leave_are_not_asked_about(home: Home) -> None:
    world(home)
    with home.engine.begin() as connection:
        number = incidents.create(connection, title="One", indicators=[NEW_DOMAIN], tlp=TLP.RED)
    report = investigate(home.engine, number).markdown
    assert home.rows("SELECT count(*) FROM query") == [(0,)]
    assert "- no lead was asked about: the incident is marked TLP:RED" in section(report, "What it leads to")
    # One family, which a reseller's customers share as well, concludes nothing.
    assert "not enough evidence" in section(report, "What it leads to")
    assert "- no lead was asked about" in section(report, "What could not be done")
    # Neither does the timetable of what is watched, or found, ask about them later: that would tell of the incident.
    with home.engine.connect() as connection:
        assert strictest_tlp(connection, [entity(Kind.DOMAIN, OLD_DOMAIN)]) == TLP.RED
        assert strictest_tlp(connection, [entity(Kind.DOMAIN, STRANGER)]) == TLP.CLEAR


def test_what_is_ours_or_everybodys_is_neither_watched_nor_blocked(home: Home) -> None:
    world(home)
    home.state("zone", [said(KNOWN_DOMAIN, Predicate.USES_NAME_SERVERS, SET, kind=Kind.NAME_SERVER_SET)], at=WEDNESDAY)
    (home.configs / "organisation.yaml").write_text(f"domains: [{KNOWN_DOMAIN}]\nnetworks: [203.0.113.0/24]\n")
    with home.engine.begin() as connection:
        number = incidents.create(
            connection, title="One", tlp=TLP.RED, indicators=[NEW_DOMAIN, "203.0.113.77", "104.16.0.1", "duckdns.org"]
        )
    report = investigate(home.engine, number).markdown
    with home.engine.connect() as connection:
        leads = {lead.value: lead for lead in read_leads(connection, number)}
    assert set(leads[KNOWN_DOMAIN].families) == {"naming", "certificate"}
    assert not home.rows("SELECT FROM watch_item WHERE value = :value", value=KNOWN_DOMAIN)
    do_first = section(report, "What to do first")
    assert f"2. **Block**, and search own logs for: `{NEW_DOMAIN}`.\n" in do_first
    assert "**Do not block** what was reported and is ours or many strangers': `203.0.113.77` (ours: 203" in do_first


@pytest.mark.parametrize(
    "text",
    ["http://a.example/x?y=1", "44" * 32, "55" * 20, "66" * 16, "CVE-2024-1234", "AS64500", "ada@mail.example",
     "192.0.2.0/24", "192.0.2.9:443", "2001:db8::9", "certificate:" + "77" * 32, "public-key:" + "88" * 32,
     "wallet:1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "handle:ada-invented", "nothing at all <script>"],
)  # fmt: skip
def test_any_kind_is_investigated_in_an_empty_warehouse(home: Home, text: str) -> None:
    report = investigate(home.engine, reported(home, text))
    assert report.failed == ()
    assert "It leads to nothing beyond itself" in report.markdown
    for person in ("ada@", "ada-invented"):
        assert person not in report.markdown
    assert "<script>" not in page(report.markdown)


def test_second_look_ups_stay_within_what_is_left_of_the_budget(home: Home) -> None:
    world(home)
    home.internet.registry.now = WEDNESDAY
    home.lookups(budget=1)
    number = reported(home, NEW_DOMAIN)
    report = investigate(home.engine, number).markdown
    assert home.rows("SELECT count(*) FROM query") == [(1,)]
    assert "has spent its 1 questions" in section(report, "What could not be done")
    assert home.rows("SELECT status FROM incident") == [("reported",)]
