from __future__ import annotations

import socket
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.models import Fact, Source
from intel.config.lookups import Reach
from lab.server import serve
from lab.world import FRIDAY, KNOWN_DOMAIN, NEW_DOMAIN, WEDNESDAY
from tasks.enrich.records import Registered, Subject
from tasks.enrich.registration import domains_of, registration

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from lab.registration import Registry
    from tests.homes import Home

STANDING = """
SELECT f.predicate, f.state, f.qualifiers->>'field' AS field, f.qualifiers->>'tier' AS tier, o.kind, o.value,
    f.personal, s.name AS source,
    (SELECT h.ended FROM fact_history h WHERE h.fact_id = f.id ORDER BY event_time DESC, ended DESC LIMIT 1) AS ended
FROM fact f JOIN entity e ON e.id = f.subject_id LEFT JOIN entity o ON o.id = f.object_id JOIN source s
    ON s.id = f.source_id
WHERE e.value = :domain ORDER BY f.id
"""


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def ask(home: Home, moment: datetime, *texts: str, incident: int = 1) -> Registered:
    home.internet.registry.now = moment
    return registration(home.engine, home.case(*texts, incident=incident), clock=at(moment), sleep=lambda _: None)


def outcomes(asked: Registered) -> list[tuple[str, str, str]]:
    return [(one.protocol, one.tier, one.outcome) for one in asked.lookups]


def test_a_domain_is_asked_of_registry_and_registrar_and_becomes_facts(home: Home) -> None:
    asked = ask(home, WEDNESDAY, f"https://www.{NEW_DOMAIN}/x")
    assert outcomes(asked) == [("rdap", "registry", "registered"), ("rdap", "registrar", "registered")]
    facts = home.rows(STANDING, domain=NEW_DOMAIN)
    told = {(row.predicate, row.value, row.tier) for row in facts}
    assert ("created", "2026-03-04T03:00:00Z", "registry") in told
    assert ("registered-through", "iana:9999", "registrar") in told
    assert ("registered-by", "ops@heron-mail.example", "registrar") in told
    assert ("uses-name-servers", "ns1.quiet-dns.example ns2.quiet-dns.example", "registry") in told
    assert ("has-status", "client transfer prohibited", "registry") in told
    assert {row.personal for row in facts if row.state == "value"} == {True, False}
    assert all(row.personal for row in facts if row.predicate == "registered-by" and row.state == "value")
    assert home.rows("SELECT protocol, reach, outcome, reason FROM query ORDER BY id") == [
        ("rdap", "registry", "registered", "incident 1"),
        ("rdap", "registrar", "registered", "incident 1"),
    ]
    assert home.rows("SELECT count(*) FROM document WHERE loaded") == [(2,)]
    assert home.rows("SELECT outcome FROM run") == [("ok",)]


def test_a_later_redaction_ends_the_exposed_registrant(home: Home) -> None:
    ask(home, WEDNESDAY, NEW_DOMAIN)
    asked = ask(home, FRIDAY, NEW_DOMAIN)
    assert asked.facts_ended
    registrant = [row for row in home.rows(STANDING, domain=NEW_DOMAIN) if row.predicate == "registered-by"]
    assert {(row.field, row.state, row.ended) for row in registrant if row.field in {"email", "name"}} == {
        ("email", "value", True),
        ("name", "value", True),
        ("email", "redacted", False),
        ("name", "redacted", False),
    }
    ends = home.rows(
        "SELECT DISTINCT h.event_time FROM fact_history h JOIN fact f ON f.id = h.fact_id"
        " WHERE h.ended AND f.predicate = 'registered-by'"
    )
    assert [row.event_time for row in ends] == [FRIDAY]
    # What still stands was not ended by the way.
    created = [row for row in home.rows(STANDING, domain=NEW_DOMAIN) if row.predicate == "created"]
    assert created
    assert not any(row.ended for row in created)


def test_an_answer_of_today_is_used_again(home: Home) -> None:
    ask(home, WEDNESDAY, NEW_DOMAIN)
    again = ask(home, WEDNESDAY + timedelta(hours=5), NEW_DOMAIN, incident=2)
    assert outcomes(again) == [("rdap", "registry", "registered"), ("rdap", "registrar", "registered")]
    assert not any(one.asked for one in again.lookups)
    assert again.facts_new == 0
    assert home.rows("SELECT count(*) FROM query") == [(2,)]


def test_throttled_is_not_not_found_and_ends_nothing(home: Home) -> None:
    ask(home, WEDNESDAY, NEW_DOMAIN)
    home.internet.behaviour["registry"].throttled = True
    asked = ask(home, FRIDAY, NEW_DOMAIN)
    assert outcomes(asked) == [("rdap", "registry", "throttled")]
    assert [one.outcome for one in asked.failures] == ["throttled"]
    assert asked.facts_ended == 0
    # It said nothing, so it is asked again the same day, but not before it has rested.
    home.internet.behaviour["registry"].throttled = False
    assert outcomes(ask(home, FRIDAY + timedelta(seconds=1), NEW_DOMAIN)) == [("rdap", "registry", "later")]
    assert ask(home, FRIDAY + timedelta(hours=1), NEW_DOMAIN).facts_ended > 0


def test_a_registrar_that_fails_ends_nothing_of_the_registrars(home: Home) -> None:
    ask(home, WEDNESDAY, NEW_DOMAIN)
    home.internet.behaviour["registrar"].throttled = True
    ask(home, FRIDAY, NEW_DOMAIN)
    rows = home.rows(STANDING, domain=NEW_DOMAIN)
    assert not any(row.ended for row in rows if row.tier == "registrar")
    assert any(row.ended for row in rows if row.predicate == "updated" and row.tier == "registry")


def test_a_domain_that_is_gone_ends_all_that_stood(home: Home, world: Registry) -> None:
    ask(home, WEDNESDAY, NEW_DOMAIN)
    world.versions = {}
    asked = ask(home, FRIDAY, NEW_DOMAIN)
    assert outcomes(asked) == [("rdap", "registry", "not_found")]
    assert all(row.ended for row in home.rows(STANDING, domain=NEW_DOMAIN))


def test_whois_is_asked_where_rdap_is_not_there(home: Home) -> None:
    home.lookups(rdap=False)
    asked = ask(home, WEDNESDAY, NEW_DOMAIN)
    assert outcomes(asked) == [("whois", "registry", "registered"), ("whois", "registrar", "registered")]
    rows = home.rows(STANDING, domain=NEW_DOMAIN)
    assert {row.source for row in rows} == {"whois"}
    assert "ops@heron-mail.example" in {row.value for row in rows}


def test_whois_is_asked_where_the_list_of_rdap_servers_cannot_be_had(home: Home) -> None:
    home.lookups(rdap_servers={}, bootstrap="http://127.0.0.1:9/dns.json")
    asked = ask(home, WEDNESDAY, NEW_DOMAIN)
    assert outcomes(asked)[0] == ("rdap", "registry", "unsupported")
    assert "couldn't" in asked.lookups[0].detail
    assert outcomes(asked)[1:] == [("whois", "registry", "registered"), ("whois", "registrar", "registered")]


def test_the_list_of_rdap_servers_is_asked_for_once_a_week(home: Home) -> None:
    hits: list[str] = []

    def dns_json(request: Request) -> Response:
        hits.append(request.url.path)
        return JSONResponse({"services": [[["example"], [home.internet.rdap["registry"] + "/"]]]})

    with serve(Starlette(routes=[Route("/dns.json", dns_json)])) as iana:
        home.allow(iana.address)
        home.lookups(rdap_servers={}, bootstrap=f"{iana.url}/dns.json", reuse_days=0)
        expected = [("rdap", "registry", "registered"), ("rdap", "registrar", "registered")]
        assert outcomes(ask(home, WEDNESDAY, NEW_DOMAIN)) == expected
        assert outcomes(ask(home, FRIDAY, NEW_DOMAIN)) == expected
        assert len(hits) == 1
        assert outcomes(ask(home, FRIDAY + timedelta(days=7), NEW_DOMAIN)) == expected
        assert len(hits) == 2
    # An old list is better than none.
    assert outcomes(ask(home, FRIDAY + timedelta(days=30), NEW_DOMAIN)) == expected
    lists = "SELECT count(*) FROM document d JOIN source s ON s.id = d.source_id WHERE s.name = 'rdap-servers'"
    assert home.rows(lists) == [(2,)]


def test_the_root_is_asked_for_the_whois_server_and_not_read_as_a_record(home: Home) -> None:
    host, port = home.internet.whois["registry"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(1024)
                peer.sendall(f"domain: EXAMPLE\ncreated: 1992-01-01\nrefer: {host}:{port}\n".encode())

        threading.Thread(target=answer, daemon=True).start()
        root = listener.getsockname()
        home.allow(root)
        home.lookups(rdap=False, whois_servers={}, whois_root=f"127.0.0.1:{root[1]}")
        asked = ask(home, WEDNESDAY, NEW_DOMAIN)
    assert outcomes(asked) == [("whois", "registry", "registered"), ("whois", "registrar", "registered")]
    assert [row.outcome for row in home.rows("SELECT outcome FROM query ORDER BY id")] == [
        "referred",
        "registered",
        "registered",
    ]
    assert "1992-01-01" not in {row.value for row in home.rows(STANDING, domain=NEW_DOMAIN)}


def test_a_whois_server_that_is_down_is_a_timeout(home: Home) -> None:
    home.lookups(rdap=False, whois_servers={"example": "127.0.0.1:9"})
    home.allow(("127.0.0.1", 9))
    asked = ask(home, WEDNESDAY, NEW_DOMAIN, KNOWN_DOMAIN)
    assert outcomes(asked) == [("whois", "registry", "timeout")] * 2
    assert "couldn't reach WHOIS server" in asked.failures[0].detail


def test_the_registrar_is_not_asked_where_the_ceiling_is_the_registry(home: Home) -> None:
    home.lookups(reach={"incident": "registry"})
    asked = ask(home, WEDNESDAY, NEW_DOMAIN)
    assert outcomes(asked)[:2] == [("rdap", "registry", "registered"), ("rdap", "registrar", "refused")]
    assert home.rows("SELECT DISTINCT reach FROM query") == [("registry",)]
    home.lookups()
    assert ("rdap", "registrar", "registered") in outcomes(ask(home, WEDNESDAY, NEW_DOMAIN, incident=2))


def test_a_spent_budget_refuses_the_next_question(home: Home) -> None:
    home.lookups(budget=3)
    asked = ask(home, WEDNESDAY, NEW_DOMAIN, KNOWN_DOMAIN)
    assert home.rows("SELECT count(*) FROM query") == [(3,)]
    assert {one.outcome for one in asked.lookups} == {"registered", "refused"}
    assert home.rows("SELECT count(*) FROM query") == [(3,)]


@pytest.mark.parametrize("tlp", [3, 4])
def test_a_secret_value_leaves_the_machine_for_no_lookup(home: Home, tlp: int) -> None:
    case = home.case(f"login.{NEW_DOMAIN}")
    with home.engine.begin() as connection:
        source = connection.execute(
            insert(Source)
            .values(
                name="s", title="s", reliability="B", tlp=0, snapshot=False, redistribution=True, commercial_use=True
            )
            .returning(Source.id)
        ).scalar_one()
        connection.execute(
            insert(Fact).values(
                key="00000000-0000-0000-0000-000000000001", source_id=source, subject_id=case.subjects[0].id,
                predicate="listed", tlp=tlp, batch_id=1,
            )
        )  # fmt: skip
    asked = registration(home.engine, case, clock=at(WEDNESDAY), sleep=lambda _: None)
    assert outcomes(asked) == [("rdap", "registry", "refused")]
    assert home.internet.servers.queries == []
    assert home.rows("SELECT count(*) FROM query") == [(0,)]


def test_the_same_server_is_asked_at_its_pace(home: Home) -> None:
    home.lookups(manners={"default": {"per_minute": 2, "burst": 1, "per_day": 100}, "patience": 60}, workers=1)
    waits: list[float] = []
    home.internet.registry.now = WEDNESDAY
    registration(home.engine, home.case(NEW_DOMAIN, KNOWN_DOMAIN), clock=at(WEDNESDAY), sleep=waits.append)
    assert waits == [30, 30]


def test_what_a_server_will_not_answer_yet_stays_wanted(home: Home) -> None:
    home.lookups(manners={"default": {"per_minute": 2, "burst": 1, "per_day": 100}, "patience": 0}, workers=1)
    asked = ask(home, WEDNESDAY, NEW_DOMAIN, KNOWN_DOMAIN)
    assert sorted(outcomes(asked)) == [
        ("rdap", "registrar", "registered"),
        ("rdap", "registry", "later"),
        ("rdap", "registry", "registered"),
    ]
    rows = home.rows("SELECT priority, due_at, reason FROM lookup WHERE due_at IS NOT NULL")
    assert rows == [(0, WEDNESDAY + timedelta(seconds=30), "incident 1")]


def test_names_under_shared_suffixes_are_nobodys_registration() -> None:
    shared = Subject(id=1, kind="domain", value="a.heron.github.io", scope="heron.github.io")
    plain = replace_scope(shared, "heron.example")
    found, aside = domains_of([shared, plain])
    assert [one.value for one in found] == ["heron.example"]
    assert [(one.domain, one.outcome, one.asked) for one in aside] == [("heron.github.io", "unsupported", False)]


def replace_scope(subject: Subject, scope: str) -> Subject:
    return Subject(id=subject.id, kind=subject.kind, value=subject.value, scope=scope)


def test_reach_is_ordered() -> None:
    assert Reach.LOCAL < Reach.REGISTRY < Reach.REGISTRAR < Reach.THIRD_PARTY < Reach.ACTOR


def test_a_query_written_by_a_killed_process_is_asked_again(home: Home) -> None:
    ask(home, WEDNESDAY, NEW_DOMAIN)
    with home.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE query SET outcome = 'asked' WHERE reach = 'registrar'")
    again = ask(home, WEDNESDAY + timedelta(hours=1), NEW_DOMAIN)
    assert [(one.tier, one.asked) for one in again.lookups] == [("registry", False), ("registrar", True)]
