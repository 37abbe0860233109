from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route

from db import lookup_queue as wishes
from db import lookup_servers as servers
from db.entities import ensure_entities
from intel.entities import Kind, entity
from intel.facts import Predicate
from lab.server import serve
from lab.world import FRIDAY, KNOWN_DOMAIN, NEW_DOMAIN, WEDNESDAY
from tasks.collect.whois import WhoisHop
from tasks.enrich import look_up as of_look_up
from tasks.enrich.desk import Desk
from tasks.enrich.look_up import ask_now, look_up, look_up_these
from tests.homes import said

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.collect.whois import Cut
    from tasks.enrich.look_up import LookedUp
    from tests.homes import Home


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def want(
    home: Home, *names: str, reason: str = "watch", priority: wishes.Priority = wishes.Priority.WATCH
) -> list[int]:
    with home.engine.begin() as connection:
        ids = list(ensure_entities(connection, [entity(Kind.DOMAIN, name) for name in names]).values())
        wishes.want(connection, ids, priority=priority, reason=reason, reach="registrar", due_at=WEDNESDAY)
    return ids


def go(home: Home, moment: datetime = WEDNESDAY) -> LookedUp:
    home.internet.registry.now = moment
    return look_up(home.engine, seconds=20, clock=at(moment), sleep=lambda _: None)


@pytest.mark.parametrize("by", ["fact", "incident"])
def test_the_queue_asks_about_no_domain_on_which_something_secret_stands(home: Home, by: str) -> None:
    case = home.case(f"login.{NEW_DOMAIN}")
    if by == "fact":
        host = f"login.{NEW_DOMAIN}"
        home.state("partner", [said(host, Predicate.LISTED, "c2", kind=Kind.LABEL)], at=WEDNESDAY, tlp=3)
    else:
        with home.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO incident (title, key, tlp) VALUES ('i', gen_random_uuid(), 4) RETURNING id"
            )
            connection.exec_driver_sql(
                "INSERT INTO incident_item (incident_id, text, entity_id) SELECT max(id), 'x', %s FROM incident",
                (case.subjects[0].id,),
            )
    want(home, NEW_DOMAIN, reason="incident 1", priority=wishes.Priority.INCIDENT)
    assert go(home).given_up == 1
    assert home.internet.servers.queries == []
    assert home.rows("SELECT outcome FROM lookup") == [("refused",)]
    assert not any(one.asked for one in ask_now(home.engine, NEW_DOMAIN, clock=at(WEDNESDAY)))


def test_an_incident_has_one_budget_whoever_asks_for_it(home: Home) -> None:
    home.lookups(budget=3, workers=1)
    want(home, NEW_DOMAIN, KNOWN_DOMAIN, reason="incident 1", priority=wishes.Priority.INCIDENT)
    go(home)
    assert home.rows("SELECT count(*) FROM query") == [(3,)]


def test_the_questions_of_a_day_are_bounded_however_many_ask_at_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.lookups(per_day=3, workers=8)
    counted = servers.asked_today

    def slowly(*arguments: object, **values: object) -> int:
        found = counted(*arguments, **values)  # type: ignore[arg-type]  # passed on as they came
        time.sleep(0.1)
        return found

    monkeypatch.setattr(servers, "asked_today", slowly)
    want(home, *(f"a{number}.example" for number in range(8)))
    go(home)
    assert home.rows("SELECT count(*) FROM query") == [(3,)]


def test_a_claim_is_kept_for_as_long_as_its_turn_takes_to_come(home: Home) -> None:
    home.lookups(workers=1)
    ids = want(home, "a1.example", "a2.example", "a3.example", reason="incident 1", priority=wishes.Priority.INCIDENT)
    now = WEDNESDAY
    taken: list[str] = []
    begun: list[str] = []
    desk_ask = Desk.ask

    def slow(*arguments: object, **values: object) -> object:
        nonlocal now
        begun.append(arguments[2].value)  # type: ignore[attr-defined]  # an Entity
        now += timedelta(minutes=6)
        with home.engine.begin() as connection:
            others = wishes.claim(connection, 9, now=now, until=now + timedelta(minutes=10))
        taken.extend(one.value for one in others if one.value not in begun)
        return desk_ask(*arguments, **values)  # type: ignore[arg-type]  # passed on as they came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Desk, "ask", slow)
        _, talks = look_up_these(home.engine, ids, clock=lambda: now, sleep=lambda _: None)
    assert taken == []
    assert len(talks) == 3


def test_what_another_took_over_is_not_asked_about_twice(home: Home) -> None:
    home.lookups(workers=1)
    ids = want(home, "a1.example", "a2.example", reason="incident 1", priority=wishes.Priority.INCIDENT)
    now = WEDNESDAY
    taken: list[str] = []
    desk_ask = Desk.ask

    def very_slow(*arguments: object, **values: object) -> object:
        nonlocal now
        now += timedelta(minutes=11)
        with home.engine.begin() as connection:
            others = wishes.claim(connection, 9, now=now, until=now + timedelta(minutes=10))
        taken.extend(one.value for one in others if one.value != "a1.example")
        return desk_ask(*arguments, **values)  # type: ignore[arg-type]  # passed on as they came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Desk, "ask", very_slow)
        look_up_these(home.engine, ids, clock=lambda: now, sleep=lambda _: None)
    assert taken == ["a2.example"]
    assert {about for (about,) in home.rows("SELECT e.value FROM query q JOIN entity e ON e.id = q.entity_id")} == {
        "a1.example"
    }


def test_a_redirect_takes_a_turn_at_the_server_that_it_leads_to(home: Home) -> None:
    registry = home.internet.rdap["registry"]

    async def elsewhere(request: object) -> RedirectResponse:
        return RedirectResponse(registry + request.url.path, status_code=302)  # type: ignore[attr-defined]  # starlette's

    with serve(Starlette(routes=[Route("/{path:path}", elsewhere)])) as first:
        home.allow(first.address)
        key = registry.partition("://")[2]
        home.lookups(
            rdap_servers={"example": first.url},
            manners={
                "default": {"per_minute": 60_000, "burst": 1000, "per_day": 100_000},
                "servers": {key: {"per_minute": 60_000, "burst": 1000, "per_day": 2}},
            },
        )
        want(home, "a1.example", "a2.example", "a3.example")
        go(home)
    assert home.rows("SELECT asked FROM lookup_server WHERE server = :key", key=key) == [(2,)]
    assert len(home.internet.servers.queries) == 2
    assert home.rows("SELECT count(*) FROM lookup WHERE outcome = 'later' AND due_at IS NOT NULL") == [(1,)]


def test_a_registry_that_names_itself_is_asked_once_also_where_its_answer_is_used_again(home: Home) -> None:
    host, port = home.internet.whois["registry"]
    home.lookups(rdap=False)
    want(home, NEW_DOMAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.collect.whois.referral", lambda _: (host, port))
        go(home)
        ask_now(home.engine, NEW_DOMAIN, clock=at(WEDNESDAY + timedelta(hours=1)), sleep=lambda _: None)
    assert home.rows("SELECT protocol, reach FROM query") == [("whois", "registry")]


def test_a_lost_document_costs_its_own_domain_no_run(home: Home, tmp_path: Path) -> None:
    home.lookups(rdap=False)
    want(home, NEW_DOMAIN)
    replies = iter((b"Domain Name: %s\r\nRegistrar: A\r\nend", b"Domain Name: %s\r\nRegistrar: B\r\nend"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.enrich.answers.whois_client.ask", _answers(replies))
        go(home)
        (row,) = home.rows("SELECT sha256 FROM query WHERE sha256 IS NOT NULL")
        (kept,) = (tmp_path / "home").rglob(f"*{bytes(row.sha256).hex()[8:]}*")
        kept.unlink()
        with home.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE lookup SET due_at = '2026-03-06', outcome = ''")
        assert go(home, FRIDAY + timedelta(days=2)).answered == 1


def _answers(replies: object) -> Callable[..., object]:
    def ask(where: tuple[str, int], query: str, **_: object) -> WhoisHop:
        body = next(replies) % query.encode()  # type: ignore[call-overload]  # an iterator of bytes
        return WhoisHop(server=where[0], query=query, body=body, fetched_at=WEDNESDAY)

    return ask


@pytest.mark.parametrize(
    ("reply", "cut"),
    [(b"Too many connections to this example; try later\r\n", ""), (b"domain: EXAMPLE\r\n", "time")],
)
def test_a_root_that_says_too_fast_or_is_cut_teaches_nothing(home: Home, reply: bytes, cut: Cut) -> None:
    home.lookups(rdap=False, whois_servers={}, whois_root="127.0.0.1:4343")
    want(home, NEW_DOMAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tasks.enrich.answers.whois_client.ask",
            lambda where, query, **_: WhoisHop(server=where[0], query=query, body=reply, fetched_at=WEDNESDAY, cut=cut),
        )
        assert go(home).later == 1
    assert home.rows("SELECT count(*) FROM whois_server") == [(0,)]


def test_interrupting_a_run_does_not_wait_for_those_who_sleep(home: Home) -> None:
    want(home, NEW_DOMAIN)
    with home.engine.begin() as connection:
        ids = list(ensure_entities(connection, [entity(Kind.DOMAIN, "soon.example")]).values())
        wishes.want(
            connection, ids, priority=wishes.Priority.WATCH, reason="watch", reach="registrar",
            due_at=WEDNESDAY + timedelta(seconds=50),
        )  # fmt: skip
    began = time.monotonic()

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_look_up, "settle", dies)
        with pytest.raises(KeyboardInterrupt):
            look_up(home.engine, seconds=60, clock=at(WEDNESDAY))
    assert time.monotonic() - began < 15
    assert not [one for one in threading.enumerate() if one.name.startswith("look-up")]


def test_many_that_wait_for_one_server_come_one_behind_the_other(home: Home) -> None:
    home.lookups(manners={"default": {"per_minute": 12, "burst": 1, "per_day": 1000}, "patience": 0}, workers=1)
    want(home, *(f"a{number}.example" for number in range(5)))
    go(home)
    due = [row.due_at for row in home.rows("SELECT due_at FROM lookup WHERE outcome = 'later' ORDER BY due_at")]
    assert due == [WEDNESDAY + timedelta(seconds=5 * number) for number in range(1, 5)]


def test_a_registry_whose_data_is_older_ends_what_the_registrar_said_since(home: Home) -> None:
    home.lookups(rdap=False, reuse_days=0)
    (number,) = want(home, NEW_DOMAIN)
    go(home)
    home.internet.registry.versions = {}
    said = WEDNESDAY - timedelta(hours=1)
    with home.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lookup SET due_at = '2026-03-06', outcome = ''")
        # The registry's data was older than the registrar's answer.
        connection.exec_driver_sql(
            "UPDATE document SET as_of = as_of - interval '2 hours' WHERE id IN"
            " (SELECT document_id FROM query WHERE reach = 'registry')"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tasks.enrich.answers.whois_client.ask",
            lambda where, query, **_: WhoisHop(
                server=where[0],
                query=query,
                body=b"No match for domain.\r\n>>> Last update of WHOIS database: %s <<<\r\n"
                % f"{said:%Y-%m-%dT%H:%M:%SZ}".encode(),
                fetched_at=FRIDAY,
            ),
        )
        assert go(home, FRIDAY).answered == 1
    assert home.rows("SELECT outcome FROM lookup WHERE entity_id = :id", id=number) == [("not_found",)]
    standing = (
        "SELECT DISTINCT qualifiers->>'tier' FROM fact f WHERE NOT (SELECT h.ended FROM fact_history h"
        " WHERE h.fact_id = f.id ORDER BY h.event_time DESC, h.ended DESC LIMIT 1) AND qualifiers ? 'tier'"
    )
    assert home.rows(standing) == []
