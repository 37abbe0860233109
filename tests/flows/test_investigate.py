from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.sorting import FlowRunSort

from db import incidents, runs
from flows.investigate import investigate
from intel.entities import Kind
from intel.errors import BusyError, WarehouseError
from intel.facts import Predicate
from lab.world import FRIDAY, KNOWN_ADDRESS, KNOWN_DOMAIN, MONDAY, NEW_DOMAIN, WEDNESDAY
from tests import homes
from tests.homes import said

if TYPE_CHECKING:
    from tests.homes import Home

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

HERON_KEY = "33" * 32


def reported(home: Home, *texts: str, title: str = "Phishing against Ada Invented") -> int:
    with home.engine.begin() as connection:
        return incidents.create(connection, title=title, indicators=texts)


def read(home: Home, number: int) -> incidents.Incident:
    with home.engine.connect() as connection:
        return incidents.read(connection, number)


def world(home: Home) -> None:
    """What sources said of Grey Heron until Wednesday, when it reused an address and a key."""
    home.state(
        "trail",
        [
            said(KNOWN_DOMAIN, Predicate.ATTRIBUTED_TO, "trail:greyheron", kind=Kind.ACTOR, reference="https://r.example/1"),
            said(KNOWN_ADDRESS, Predicate.LISTED, "c2", kind=Kind.LABEL),
        ],
        at=MONDAY,
    )  # fmt: skip
    home.state("dns", [said(NEW_DOMAIN, Predicate.RESOLVES_TO, KNOWN_ADDRESS)], at=WEDNESDAY)
    first, second = "certificate:" + "11" * 32, "certificate:" + "22" * 32
    home.state(
        "log",
        [
            said(first, Predicate.NAMES, KNOWN_DOMAIN),
            said(first, Predicate.HAS_KEY, HERON_KEY, kind=Kind.PUBLIC_KEY),
            said(second, Predicate.NAMES, NEW_DOMAIN),
            said(second, Predicate.HAS_KEY, HERON_KEY, kind=Kind.PUBLIC_KEY),
        ],
        at=WEDNESDAY,
    )


def counts(home: Home) -> dict[str, int]:
    tables = ("fact", "entity", "link", "watch", "watch_item", "finding", "query", "document", "incident", "lead")
    return {table: home.rows(f"SELECT count(*) AS n FROM {table}")[0].n for table in tables}


def last_run(name: str) -> UUID:
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])),
            sort=FlowRunSort.START_TIME_DESC,
            limit=1,
        )
        return found[0].id


def graph(server: str, run_id: UUID, *, steps: int) -> dict[str, set[str]]:
    """Step -> the steps that it comes after, as Prefect's page draws it once the server has heard of all."""
    nodes: dict[str, Any] = {}
    until = time.monotonic() + 20
    while len(nodes) < steps and time.monotonic() < until:
        time.sleep(0.2)
        nodes = dict(httpx.get(f"{server}/flow_runs/{run_id}/graph-v2").json()["nodes"])

    def label(node: dict[str, Any]) -> str:
        return str(node["label"]).rpartition("-")[0] or str(node["label"])

    return {label(node): {label(nodes[parent["id"]]) for parent in node["parents"]} for node in nodes.values()}


def test_an_incident_becomes_a_report(home: Home, prefect_server: str) -> None:
    world(home)
    home.internet.registry.now = WEDNESDAY
    number = reported(home, f"hxxps://login[.]{NEW_DOMAIN.replace('.', '[.]')}/x", "not an indicator")
    said_so = investigate(number)
    found = read(home, number)
    assert found.status == "reported"
    assert said_so.startswith(f"incident {number}: ")
    report = found.report
    assert report.startswith(f"# Incident {number}: Phishing against Ada Invented\n")
    for part in (
        f"`{NEW_DOMAIN}`",
        f"`{KNOWN_DOMAIN}`",
        KNOWN_ADDRESS,
        "o***@heron-mail.example",
        "rdap (B)",
        "had certificates with the same key",
        "- `trail:greyheron`: claimed by trail (B) of `harbour-login.example`",
        "couldn't read",
        "Not enough evidence",
        f"- It leads to `{KNOWN_DOMAIN}` (domain): ",
    ):
        assert part in report, part
    assert "ops@heron-mail.example" not in report
    assert "Everything was done" in report
    # The watch found what stood in the warehouse, and goes on.
    (watch,) = home.rows("SELECT name, origin, incident_id FROM watch")
    assert watch == (f"incident-{number}", "incident", number)
    rules = {row.rule for row in home.rows("SELECT DISTINCT rule FROM finding")}
    assert {"new-resolution", "registered", "reused-key"} <= rules
    assert "**Lapse**" in report
    # The artifact is the report without the title that a person wrote.
    with get_client(sync_client=True) as client:
        artifact = client.request("GET", f"/artifacts/incident-{number}/latest").json()
    assert artifact["data"].startswith(f"# Incident {number}\n")
    assert "Ada" not in artifact["data"]
    assert "ops@" not in artifact["data"]


def test_prefects_page_shows_the_branches_side_by_side(home: Home, prefect_server: str) -> None:
    number = reported(home, NEW_DOMAIN)
    investigate(number)
    drawn = graph(prefect_server, last_run(f"investigate {number}"), steps=16)
    assert drawn["watch"] == {"normalize"}
    assert drawn["known"] == {"normalize"}
    for branch in ("registration", "certificates", "passive DNS", "network"):
        assert drawn[branch] == {"normalize", "known"}, branch
    assert drawn["pivot"] == {"normalize", "registration", "certificates", "passive DNS", "network"}
    assert drawn["second look-ups"] == {"normalize", "pivot"}
    assert drawn["pivot again"] == {"normalize", "second look-ups"}
    assert drawn["new watches"] == {"normalize", "watch", "pivot again"}
    for monitor in ("monitor registrations", "monitor certificates", "monitor rules"):
        assert drawn[monitor] == {"new watches"}, monitor
    assert drawn["patterns"] == {"normalize", "monitor registrations", "monitor certificates", "monitor rules"}
    assert drawn["report"] == set(drawn) - {"report"}


def test_again_adds_only_what_is_new(home: Home) -> None:
    world(home)
    number = reported(home, NEW_DOMAIN, KNOWN_DOMAIN)
    investigate(number)
    before, first = counts(home), read(home, number).report
    investigate(number)
    assert counts(home) == before
    told = read(home, number).report
    assert first.partition("## What is inferred")[2][:200] == told.partition("## What is inferred")[2][:200]
    home.state("feed", [said(f"www.{NEW_DOMAIN}", Predicate.LISTED, "phishing", kind=Kind.LABEL)], at=FRIDAY)
    investigate(number)
    assert counts(home)["finding"] > before["finding"]
    assert counts(home)["query"] == before["query"]


def test_a_registration_server_that_is_down_spares_the_other_branches(home: Home) -> None:
    world(home)
    home.lookups(rdap=False, whois_servers={"example": "127.0.0.1:9"})
    home.allow(("127.0.0.1", 9))
    number = reported(home, NEW_DOMAIN)
    investigate(number)
    report = read(home, number).report
    assert f"whois (registry) of `127.0.0.1:9` about `{NEW_DOMAIN}`: timeout: couldn't reach WHOIS server" in report
    assert "had certificates with the same key" in report


def test_a_branch_that_fails_is_named_and_spares_the_others(home: Home) -> None:
    world(home)
    (home.configs / "lookups.yaml").write_text("budget: many\n")
    number = reported(home, NEW_DOMAIN)
    investigate(number)
    found = read(home, number)
    assert found.status == "reported"
    assert "- registration: couldn't use" in found.report
    assert "had certificates with the same key" in found.report
    assert home.rows("SELECT count(*) FROM finding")[0] != (0,)


def test_the_exposed_registrant_is_told_after_it_is_hidden(home: Home) -> None:
    home.internet.registry.now = WEDNESDAY
    home.lookups(reuse_days=0)
    number = reported(home, NEW_DOMAIN)
    investigate(number)
    home.internet.registry.now = FRIDAY
    investigate(number)
    report = read(home, number).report
    assert f"The registrant of `{NEW_DOMAIN}` was shown" in report
    assert "is hidden now (redacted)" in report


def test_findings_are_published_where_that_is_asked_for(home: Home) -> None:
    world(home)
    shutil.copy(homes.CHECKOUT / "configs" / "publishing.yaml", home.configs)
    number = reported(home, NEW_DOMAIN)
    investigate(number)
    assert home.rows("SELECT count(*) FROM publication") == [(0,)]
    investigate(number, publish=True)
    assert read(home, number).publish
    assert home.rows("SELECT count(*) FROM publication") != [(0,)]
    kinds = {
        row.kind
        for row in home.rows(
            "SELECT body::jsonb->>'relationship_type' AS kind FROM publication WHERE type = 'relationship'"
        )
    }
    assert "related-to" in kinds
    assert "attributed-to" not in kinds


def test_an_incident_that_is_not_there_or_at_work_is_refused(home: Home) -> None:
    with pytest.raises(WarehouseError, match="couldn't find incident 404"):
        investigate(404)
    number = reported(home, NEW_DOMAIN)
    with runs.exclusive(home.engine, f"incident:{number}"), pytest.raises(BusyError):
        investigate(number)
    assert read(home, number).status == "new"
