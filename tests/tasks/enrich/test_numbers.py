from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from intel.config.lookups import Reach, read_lookups
from intel.entities import Entity, Kind, entity
from intel.facts import Predicate
from intel.registration_numbers import AutnumRecord, NetworkRecord
from lab.registries import registries
from lab.server import serve
from lab.world import FRIDAY, WEDNESDAY
from tasks.assess.report_known import network as told
from tasks.enrich.known import known
from tasks.enrich.network import network
from tasks.enrich.numbers import Numbers, ask_numbers
from tasks.enrich.questions import Asker
from tests.homes import said

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.homes import Home

ADDRESS = entity(Kind.IP, "203.0.113.9")
NEIGHBOUR = entity(Kind.IP, "203.0.113.77")

HOLDER = {
    "handle": "ORG-IH1-RIPE",
    "roles": ["registrant"],
    "vcardArray": ["vcard", [["fn", {}, "text", "Invented Hosting"], ["kind", {}, "text", "org"],
                             ["email", {}, "text", "noc@hosting.example"]]],
}  # fmt: skip
PERSON = {
    "handle": "ADA1",
    "roles": ["registrant"],
    "vcardArray": ["vcard", [["fn", {}, "text", "Ada Invented"], ["kind", {}, "text", "individual"]]],
}
NETWORK: dict[str, Any] = {
    "objectClassName": "ip network",
    "handle": "NET-1",
    "startAddress": "203.0.113.0",
    "endAddress": "203.0.113.255",
    "name": "INVENTED-NET",
    "country": "GB",
    "arin_originas0_originautnums": [64500],
    "status": ["active"],
    "entities": [HOLDER],
}
AUTNUM: dict[str, Any] = {
    "objectClassName": "autnum",
    "startAutnum": 64500,
    "endAutnum": 64500,
    "name": "INVENTED-AS",
    "entities": [PERSON],
}

STANDING = """
SELECT e.kind AS subject_kind, e.value AS subject, f.predicate, f.state, f.qualifiers->>'field' AS field, o.kind,
    o.value, f.personal,
    (SELECT h.ended FROM fact_history h WHERE h.fact_id = f.id ORDER BY event_time DESC, ended DESC LIMIT 1) AS ended
FROM fact f JOIN entity e ON e.id = f.subject_id LEFT JOIN entity o ON o.id = f.object_id JOIN source s
    ON s.id = f.source_id
WHERE s.name = 'rdap' ORDER BY f.id
"""


@dataclass(kw_only=True)
class Rir:
    """A number registry: path -> what it answers, as JSON or as a status."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def running(home: Home) -> Iterator[Rir]:
    made = Rir()

    def answer(request: Request) -> Response:
        path = request.path_params["path"]
        made.asked.append(path)
        found = made.answers.get(path, 404)
        if isinstance(found, int):
            return JSONResponse({"errorCode": found, "title": "No"}, found, headers={"Retry-After": "30"})
        return JSONResponse(found, media_type="application/rdap+json")

    with serve(Starlette(routes=[Route("/{path:path}", answer)])) as served:
        home.allow(served.address)
        home.lookups(
            rdap_servers=dict.fromkeys(
                ("203.0.113.0/24", "2001:db8::/32", "as64496-as64511", "example", "-ripe"), served.url
            )
        )
        made.url = served.url
        yield made


@pytest.fixture
def rir(home: Home) -> Iterator[Rir]:
    with running(home) as made:
        made.answers = {"ip/203.0.113.9": copy.deepcopy(NETWORK), "autnum/64500": AUTNUM}
        yield made


def ask(home: Home, moment: datetime, *subjects: Entity, **options: Any) -> Numbers:
    lookups = read_lookups(home.configs)
    asker = Asker(
        engine=home.engine,
        lookups=lookups,
        reason="incident 1",
        ceiling=Reach.REGISTRY,
        clock=lambda: moment,
        sleep=lambda _: None,
    )
    return ask_numbers(home.engine, asker, subjects or (ADDRESS,), **options)


def outcomes(asked: Numbers) -> list[tuple[str, str, bool]]:
    return [(one.domain, one.outcome, one.asked) for one in asked.lookups]


def standing(home: Home) -> set[tuple[str, str, str | None]]:
    return {(row.subject, row.predicate, row.value or row.state) for row in home.rows(STANDING) if not row.ended}


def test_an_address_and_its_network_become_facts(home: Home, rir: Rir) -> None:
    asked = ask(home, WEDNESDAY)
    assert outcomes(asked) == [("203.0.113.9", "registered", True)]
    record = asked.records[ADDRESS.digest]
    assert isinstance(record, NetworkRecord)
    assert record.networks == ("203.0.113.0/24",)
    assert standing(home) == {
        ("203.0.113.9", "part-of", "203.0.113.0/24"),
        ("203.0.113.0/24", "part-of", "AS64500"),
        ("203.0.113.0/24", "described-as", "INVENTED-NET"),
        ("203.0.113.0/24", "described-as", "GB"),
        ("203.0.113.0/24", "has-status", "active"),
        ("203.0.113.0/24", "registered-by", "Invented Hosting"),
        ("203.0.113.0/24", "registered-by", "noc@hosting.example"),
        ("203.0.113.0/24", "registered-by", "ORG-IH1-RIPE"),
        ("203.0.113.0/24", "registered-by", "absent"),
    }
    personal = {row.field: row.personal for row in home.rows(STANDING) if row.predicate == "registered-by"}
    assert personal == {"organisation": False, "name": False, "email": True, "phone": False, "handle": True}
    assert home.rows("SELECT protocol, reach, outcome, reason, location FROM query") == [
        ("rdap", "registry", "registered", "incident 1", f"{rir.url}/ip/203.0.113.9")
    ]
    assert home.rows("SELECT count(*) FROM document WHERE loaded") == [(1,)]
    assert asked.batch is not None


def test_an_answer_of_today_is_used_again_unless_it_is_asked_anew(home: Home, rir: Rir) -> None:
    first = ask(home, WEDNESDAY)
    again = ask(home, WEDNESDAY + timedelta(hours=3))
    assert outcomes(again) == [("203.0.113.9", "registered", False)]
    assert again.records[ADDRESS.digest] == first.records[ADDRESS.digest]
    assert (again.facts_new, again.batch, len(rir.asked)) == (0, None, 1)
    anew = ask(home, WEDNESDAY + timedelta(hours=4), again=True)
    assert outcomes(anew) == [("203.0.113.9", "registered", True)]
    assert (anew.facts_new, anew.facts_ended, len(rir.asked)) == (0, 0, 2)


def test_what_is_no_longer_stated_has_ended(home: Home, rir: Rir) -> None:
    ask(home, WEDNESDAY)
    rir.answers["ip/203.0.113.9"] |= {"name": "OTHER-NET", "entities": [PERSON], "arin_originas0_originautnums": []}
    assert ask(home, FRIDAY).facts_ended > 0
    now = standing(home)
    assert ("203.0.113.0/24", "described-as", "OTHER-NET") in now
    assert ("203.0.113.0/24", "registered-by", "Ada Invented") in now
    assert ("203.0.113.0/24", "described-as", "GB") in now
    gone = {"INVENTED-NET", "Invented Hosting", "AS64500", "noc@hosting.example"}
    assert not gone & {value for _, _, value in now}


def test_an_address_that_moves_to_another_network_leaves_the_first(home: Home, rir: Rir) -> None:
    ask(home, WEDNESDAY)
    rir.answers["ip/203.0.113.9"]["endAddress"] = "203.0.113.127"
    ask(home, FRIDAY)
    parts = {
        value for subject, predicate, value in standing(home) if (subject, predicate) == ("203.0.113.9", "part-of")
    }
    assert parts == {"203.0.113.0/25"}
    # Of the network that was not spoken of nothing has ended.
    assert ("203.0.113.0/24", "described-as", "INVENTED-NET") in standing(home)


@pytest.mark.parametrize("status", [429, 403, 500, 503])
def test_a_refusal_ends_nothing(home: Home, rir: Rir, status: int) -> None:
    ask(home, WEDNESDAY)
    before = standing(home)
    rir.answers["ip/203.0.113.9"] = status
    asked = ask(home, FRIDAY)
    assert asked.lookups[0].outcome in {"throttled", "blocked", "malformed"}
    assert asked.facts_ended == 0
    assert standing(home) == before


def test_an_address_that_nobody_holds_any_more_is_part_of_nothing(home: Home, rir: Rir) -> None:
    ask(home, WEDNESDAY)
    del rir.answers["ip/203.0.113.9"]
    assert outcomes(ask(home, FRIDAY)) == [("203.0.113.9", "not_found", True)]
    assert not [one for one in standing(home) if one[:2] == ("203.0.113.9", "part-of")]


def test_a_server_that_throttles_is_left_alone(home: Home, rir: Rir) -> None:
    rir.answers["ip/203.0.113.9"] = 429
    asked = ask(home, WEDNESDAY, ADDRESS, NEIGHBOUR)
    assert [one.outcome for one in asked.lookups] == ["throttled", "later"]
    assert asked.later == WEDNESDAY + timedelta(seconds=30)
    assert rir.asked == ["ip/203.0.113.9"]


def test_systems_name_servers_networks_and_handles_are_asked_about(home: Home, rir: Rir) -> None:
    rir.answers |= {
        "nameserver/ns1.a.example": {
            "objectClassName": "nameserver",
            "ldhName": "ns1.a.example",
            "ipAddresses": {"v4": ["203.0.113.53"]},
        },
        "entity/ADA-RIPE": {"objectClassName": "entity", **PERSON, "handle": "ADA-RIPE"},
        "ip/203.0.113.0/25": NETWORK,
    }
    asked = ask(
        home,
        WEDNESDAY,
        entity(Kind.AS, "AS64500"),
        entity(Kind.NAME_SERVER, "ns1.a.example"),
        entity(Kind.HANDLE, "ADA-RIPE"),
        entity(Kind.NETWORK, "203.0.113.0/25"),
    )
    assert {one.outcome for one in asked.lookups} == {"registered"}
    assert isinstance(asked.records[entity(Kind.AS, "AS64500").digest], AutnumRecord)
    now = standing(home)
    assert ("AS64500", "described-as", "INVENTED-AS") in now
    assert ("AS64500", "registered-by", "Ada Invented") in now
    assert ("ns1.a.example", "resolves-to", "203.0.113.53") in now
    assert ("ADA-RIPE", "registered-by", "Ada Invented") in now
    assert ("203.0.113.0/25", "part-of", "203.0.113.0/24") in now
    assert all(row.personal for row in home.rows(STANDING) if row.value == "Ada Invented")


def test_what_no_registry_gives_out_is_a_note(home: Home, rir: Rir) -> None:
    other = entity(Kind.IP, "198.51.100.1")
    asked = ask(home, WEDNESDAY, other)
    assert outcomes(asked) == [("198.51.100.1", "unsupported", False)]
    assert "no registry gives it out" in asked.lookups[0].detail
    assert home.rows("SELECT count(*) FROM query") == [(0,)]
    assert rir.asked == []


def test_what_is_marked_secret_is_asked_of_nobody(home: Home, rir: Rir) -> None:
    home.state("partner", [said("203.0.113.9", Predicate.LISTED, "c2", kind=Kind.LABEL)], at=WEDNESDAY, tlp=4)
    asked = ask(home, WEDNESDAY)
    assert outcomes(asked) == [("203.0.113.9", "refused", False)]
    marked = {NEIGHBOUR.digest: [ADDRESS]}
    assert ask(home, WEDNESDAY, NEIGHBOUR, marked=marked).lookups[0].outcome == "refused"
    assert rir.asked == []


def test_a_server_that_is_not_there_is_a_timeout(home: Home) -> None:
    home.lookups(rdap_servers={"203.0.113.0/24": "http://127.0.0.1:9"})
    home.allow(("127.0.0.1", 9))
    asked = ask(home, WEDNESDAY)
    assert outcomes(asked) == [("203.0.113.9", "timeout", True)]
    assert home.rows("SELECT outcome FROM query") == [("timeout",)]


def test_a_handle_stands_in_no_message(home: Home) -> None:
    home.lookups(rdap_servers={"-ripe": "http://127.0.0.1:9"})
    for allowed in ((), (("127.0.0.1", 9),)):
        home.allow(*allowed)
        (told,) = ask(home, WEDNESDAY, entity(Kind.HANDLE, "ADA INVENTED-RIPE")).lookups
        assert told.outcome in {"refused", "timeout"}
        assert "127.0.0.1" in told.detail
        assert "ADA" not in told.detail


def test_an_incidents_addresses_are_asked_about_and_the_report_names_the_holder(home: Home, rir: Rir) -> None:
    case = home.case("203.0.113.9", "https://203.0.113.9/x", "198.51.100.1")
    found = network(home.engine, case, known(home.engine, case), clock=lambda: WEDNESDAY, sleep=lambda _: None)
    by_address = {one.address: one for one in found.addresses}
    holders = {(one.kind, one.value, one.personal) for one in by_address["203.0.113.9"].holders}
    assert holders == {
        ("network", "203.0.113.0/24", False),
        ("as", "AS64500", False),
        ("organisation", "Invented Hosting", False),
    }
    assert rir.asked == ["ip/203.0.113.9"]
    assert found.failures == ()
    text = "\n".join(told(found))
    assert "`Invented Hosting` (organisation)" in text
    assert "noc@" not in text


def test_a_person_who_holds_a_network_is_masked_in_the_report(home: Home, rir: Rir) -> None:
    rir.answers["ip/203.0.113.9"] |= {"entities": [PERSON]}
    case = home.case("203.0.113.9")
    found = network(home.engine, case, known(home.engine, case), clock=lambda: WEDNESDAY, sleep=lambda _: None)
    text = "\n".join(told(found))
    assert "`A***` (registrant)" in text
    assert "Ada Invented" not in text


def test_where_lookups_are_off_or_wrong_nobody_is_asked(home: Home, rir: Rir) -> None:
    case = home.case("203.0.113.9")
    for written in ("rdap: false\n", "reach: { incident: local }\n", "budget: many\n"):
        (home.configs / "lookups.yaml").write_text(written)
        assert network(home.engine, case, known(home.engine, case)).lookups == ()
    assert rir.asked == []


def test_the_way_leads_from_ianas_lists_over_the_registry_to_facts(home: Home) -> None:
    subjects = [
        entity(Kind.IP, "203.0.113.9"),
        entity(Kind.NETWORK, "2001:db8:1::/48"),
        entity(Kind.AS, "AS64500"),
        entity(Kind.IP, "192.0.2.1"),
    ]
    with registries([]) as there:
        home.allow(*there.allow)
        home.lookups(rdap_servers={}, bootstrap=there.bootstrap)
        asked = ask(home, WEDNESDAY, *subjects)
        assert [one.outcome for one in asked.lookups] == ["registered", "registered", "registered", "not_found"]
        files = [one.about for one in there.queries if one.site == "iana"]
    assert files == ["rdap/ipv4.json", "rdap/ipv6.json", "rdap/asn.json"]
    now = standing(home)
    assert ("203.0.113.9", "part-of", "203.0.113.0/24") in now
    assert ("2001:db8:1::/48", "part-of", "2001:db8::/32") in now
    assert ("AS64500", "described-as", "INVENTED-AS") in now
    assert ("203.0.113.0/24", "registered-by", "Invented Hosting") in now
