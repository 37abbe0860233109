from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from db import lookup_queue as wishes
from db.entities import ensure_entities
from intel.entities import Kind, entity
from lab.world import FRIDAY, KNOWN_DOMAIN, NEW_DOMAIN, WEDNESDAY
from tasks.collect.fetched import utc_now
from tasks.enrich import versions
from tasks.enrich.look_up import ask_now, look_up
from tasks.enrich.registration import registration
from tasks.enrich.reread import reread
from tasks.enrich.timetable import keep_timetable
from tasks.watch import items
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable

    from intel.facts import Fact
    from intel.registration import Registration
    from tasks.enrich.facts_of_registration import Tier
    from tasks.enrich.look_up import LookedUp
    from tests.homes import Home


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def want(home: Home, *names: str, priority: wishes.Priority = wishes.Priority.WATCH, due_at: datetime) -> None:
    with home.engine.begin() as connection:
        ids = ensure_entities(connection, [entity(Kind.DOMAIN, name) for name in names])
        wishes.want(connection, list(ids.values()), priority=priority, reason="watch", reach="registrar", due_at=due_at)


def go(home: Home, moment: datetime, *, seconds: float = 20, ahead_days: float = 0) -> LookedUp:
    home.internet.registry.now = moment
    return look_up(
        home.engine, seconds=seconds, ahead=timedelta(days=ahead_days), clock=at(moment), sleep=lambda _: None
    )


def watch(home: Home, *names: str) -> None:
    text = "name: w\nreason: r\nitems:\n" + "".join(f"  - domain: {name}\n" for name in names)
    (home.configs / "watches" / "w.yaml").write_text(text)
    with home.engine.begin() as connection:
        items.sync(connection, home.configs)


def asked_of(home: Home) -> list[tuple[str, str]]:
    rows = home.rows(
        "SELECT e.value, q.reach FROM query q JOIN entity e ON e.id = q.entity_id WHERE protocol = 'rdap' ORDER BY q.id"
    )
    return [(row.value, row.reach) for row in rows]


def test_what_is_due_is_asked_about_once_and_then_done(home: Home) -> None:
    want(home, NEW_DOMAIN, KNOWN_DOMAIN, due_at=WEDNESDAY)
    looked = go(home, WEDNESDAY)
    assert (looked.answered, looked.later) == (2, 0)
    assert looked.facts_new > 10
    assert looked.batches
    assert len(asked_of(home)) == len(set(asked_of(home))) == 4
    assert go(home, WEDNESDAY) == type(looked)()


def test_watched_domains_enter_the_timetable_and_are_refreshed_as_often_as_they_change(home: Home) -> None:
    watch(home, NEW_DOMAIN, "www.heron.github.io")
    first = keep_timetable(home.engine, clock=at(WEDNESDAY))
    assert (first.watched, first.entered, first.left) == (1, 1, 0)
    assert go(home, WEDNESDAY).answered == 1
    # A young domain is looked at daily, whatever the cadence has grown to.
    assert home.rows("SELECT every, due_at, changed_at FROM lookup") == [(1.0, WEDNESDAY + timedelta(days=1), None)]
    assert go(home, WEDNESDAY + timedelta(hours=23)).answered == 0
    looked = go(home, FRIDAY)
    assert looked.answered == 1
    assert looked.facts_ended
    assert home.rows("SELECT every, changed_at FROM lookup") == [(0.5, FRIDAY)]


def test_what_an_incident_asked_is_asked_anew_once_it_is_watched(home: Home) -> None:
    home.lookups(reuse_days=0)
    home.internet.registry.now = WEDNESDAY
    asked = registration(home.engine, home.case(NEW_DOMAIN))
    assert len(asked.lookups) == 2
    watch(home, NEW_DOMAIN)
    assert keep_timetable(home.engine).entered == 1
    home.internet.registry.now = FRIDAY
    looked = look_up(home.engine, seconds=20, ahead=timedelta(days=2))
    assert (looked.answered, looked.facts_ended > 0) == (1, True)
    assert len(asked_of(home)) == 4
    assert home.rows("SELECT reason, priority FROM lookup") == [("watch", 4)]


def test_looking_ahead_takes_what_is_due_soon(home: Home) -> None:
    want(home, NEW_DOMAIN, due_at=WEDNESDAY + timedelta(days=1))
    assert go(home, WEDNESDAY).answered == 0
    assert go(home, WEDNESDAY, ahead_days=1).answered == 1


def test_what_is_watched_no_longer_is_not_refreshed(home: Home) -> None:
    watch(home, NEW_DOMAIN)
    keep_timetable(home.engine, clock=at(WEDNESDAY))
    (home.configs / "watches" / "w.yaml").unlink()
    with home.engine.begin() as connection:
        items.sync(connection, home.configs)
    assert keep_timetable(home.engine, clock=at(WEDNESDAY)).left == 1
    assert go(home, WEDNESDAY).answered == 0


def test_what_a_finding_is_about_is_looked_up_without_a_person(home: Home) -> None:
    home.lookups(refresh={"enabled": False})
    with home.engine.begin() as connection:
        watched = factories.watch(connection, "heron", rules=["*"], origin="command")
        close = ensure_entities(connection, [entity(Kind.DOMAIN, f"login.{NEW_DOMAIN}")])
        factories.finding(connection, watched, next(iter(close.values())), rule="same-domain", found_at=utc_now())
    kept = keep_timetable(home.engine, clock=utc_now)
    assert kept.found == 1
    assert keep_timetable(home.engine, clock=utc_now).found == 0
    (row,) = home.rows("SELECT e.value, l.reason, l.priority FROM lookup l JOIN entity e ON e.id = l.entity_id")
    assert tuple(row) == (NEW_DOMAIN, "finding", 1)


def test_refreshing_can_be_switched_off(home: Home) -> None:
    home.lookups(refresh={"enabled": False})
    watch(home, NEW_DOMAIN)
    assert keep_timetable(home.engine, clock=at(WEDNESDAY)).watched == 0


def test_an_incident_goes_before_the_nightly_refresh(home: Home) -> None:
    home.lookups(workers=1)
    want(home, *(f"a{number}.example" for number in range(5)), priority=wishes.Priority.REFRESH, due_at=WEDNESDAY)
    want(home, NEW_DOMAIN, priority=wishes.Priority.INCIDENT, due_at=WEDNESDAY)
    go(home, WEDNESDAY)
    assert asked_of(home)[0] == (NEW_DOMAIN, "registry")


def test_a_throttled_one_is_asked_again_when_the_server_has_rested(home: Home) -> None:
    want(home, NEW_DOMAIN, due_at=WEDNESDAY)
    home.internet.behaviour["registry"].throttled = True
    looked = go(home, WEDNESDAY)
    assert (looked.answered, looked.later) == (0, 1)
    ((due_at, outcome, attempts),) = home.rows("SELECT due_at, outcome, attempts FROM lookup")
    assert due_at >= WEDNESDAY + timedelta(seconds=30)
    assert (outcome, attempts) == ("throttled", 1)
    home.internet.behaviour["registry"].throttled = False
    assert go(home, due_at).answered == 1
    assert home.rows("SELECT attempts FROM lookup") == [(0,)]


def test_a_registrar_that_throttles_is_asked_again_and_the_registry_is_not(home: Home) -> None:
    want(home, NEW_DOMAIN, due_at=WEDNESDAY)
    home.internet.behaviour["registrar"].throttled = True
    looked = go(home, WEDNESDAY)
    assert (looked.answered, looked.later) == (0, 1)
    assert looked.facts_new  # what the registry said is not lost
    ((due_at,),) = home.rows("SELECT due_at FROM lookup")
    home.internet.behaviour["registrar"].throttled = False
    assert go(home, due_at).answered == 1
    assert asked_of(home) == [(NEW_DOMAIN, "registry"), (NEW_DOMAIN, "registrar"), (NEW_DOMAIN, "registrar")]


def test_a_wish_that_comes_while_a_worker_is_at_it_is_met_afterwards(home: Home) -> None:
    home.lookups(reach={"feed": "registry"})
    with home.engine.begin() as connection:
        ids = ensure_entities(connection, [entity(Kind.DOMAIN, NEW_DOMAIN)])
        wishes.want(
            connection,
            list(ids.values()),
            priority=wishes.Priority.NEW_DOMAIN,
            reason="new domain",
            reach="registry",
            due_at=WEDNESDAY,
        )
        (claimed,) = wishes.claim(connection, 1, now=WEDNESDAY, until=WEDNESDAY + timedelta(minutes=10))
    want(home, NEW_DOMAIN, priority=wishes.Priority.INCIDENT, due_at=WEDNESDAY)
    with home.engine.begin() as connection:
        wishes.done(
            connection,
            claimed,
            outcome="registered",
            now=WEDNESDAY,
            changed=False,
            every=None,
            reach="registrar",
        )
    assert go(home, WEDNESDAY).answered == 1
    assert (NEW_DOMAIN, "registrar") in asked_of(home)


def test_one_that_cannot_be_loaded_costs_itself_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    want(home, NEW_DOMAIN, *(f"a{number}.example" for number in range(5)), due_at=WEDNESDAY)

    def facts_of(registration: Registration, tier: Tier) -> tuple[Fact, ...]:
        if registration.domain == NEW_DOMAIN:
            raise ZeroDivisionError
        return real(registration, tier)

    real = versions.facts_of
    with monkeypatch.context() as patch:
        patch.setattr("tasks.enrich.versions.facts_of", facts_of)
        looked = go(home, WEDNESDAY)
    assert (looked.answered, looked.later) == (5, 1)
    asked = asked_of(home)
    ((due_at,),) = home.rows("SELECT due_at FROM lookup WHERE due_at IS NOT NULL")
    assert go(home, due_at).facts_new
    assert asked_of(home) == asked  # what was kept was read again


def test_what_nobody_answers_is_given_up_after_its_attempts(home: Home) -> None:
    home.lookups(attempts=2)
    want(home, NEW_DOMAIN, due_at=WEDNESDAY)
    home.internet.behaviour["registry"].throttled = True
    go(home, WEDNESDAY)
    looked = go(home, WEDNESDAY + timedelta(days=2))
    assert looked.given_up == 1
    assert home.rows("SELECT due_at FROM lookup") == [(None,)]


def test_the_questions_of_a_day_have_a_bound_that_holds_for_no_incident(home: Home) -> None:
    home.lookups(per_day=2, workers=1)
    want(home, "a1.example", NEW_DOMAIN, due_at=WEDNESDAY)
    looked = go(home, WEDNESDAY)
    assert looked.later >= 1
    assert home.rows("SELECT count(*) FROM query")[0][0] <= 2
    midnight = WEDNESDAY.replace(hour=0) + timedelta(days=1)
    assert [row.due_at for row in home.rows("SELECT due_at FROM lookup WHERE outcome = 'later'")] == [midnight]


def test_two_processes_share_the_work_and_ask_nothing_twice(home: Home) -> None:
    want(home, *(f"a{number}.example" for number in range(30)), due_at=WEDNESDAY)
    home.internet.registry.now = WEDNESDAY
    done: list[LookedUp] = []

    def work() -> None:
        done.append(look_up(home.engine, seconds=30, clock=at(WEDNESDAY), sleep=lambda _: None))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.answered for one in done) == 30
    assert len(asked_of(home)) == len(set(asked_of(home)))


def test_an_answer_that_was_kept_and_not_loaded_is_loaded_without_asking_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    want(home, NEW_DOMAIN, due_at=WEDNESDAY)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.enrich.look_up.settle", _dies)
        with pytest.raises(KeyboardInterrupt):
            go(home, WEDNESDAY)
    assert home.rows("SELECT count(*) FROM fact") == [(0,)]
    asked = asked_of(home)
    later = WEDNESDAY + timedelta(minutes=11)
    assert go(home, WEDNESDAY + timedelta(minutes=1)).answered == 0  # the claim stands
    looked = go(home, later)
    assert (looked.answered, looked.facts_new > 0) == (1, True)
    assert asked_of(home) == asked


def _dies(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_incident_waits_for_who_is_at_its_domain_and_uses_what_he_finds(home: Home) -> None:
    want(home, NEW_DOMAIN, due_at=WEDNESDAY)
    home.internet.registry.now = WEDNESDAY
    waited: list[float] = []

    def the_other_ends(seconds: float) -> None:
        waited.append(seconds)
        with home.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE lookup SET claimed_until = NULL")
        look_up(home.engine, seconds=20, clock=at(WEDNESDAY), sleep=lambda _: None)

    with home.engine.begin() as connection:
        wishes.claim(connection, 1, now=WEDNESDAY, until=WEDNESDAY + timedelta(minutes=10))
    found = registration(home.engine, home.case(NEW_DOMAIN), clock=at(WEDNESDAY), sleep=the_other_ends)
    assert waited == [0.5]
    assert [(one.tier, one.outcome, one.asked) for one in found.lookups] == [
        ("registrar", "registered", False),
        ("registry", "registered", False),
    ]
    assert found.history


def test_an_address_is_asked_of_its_registry(home: Home) -> None:
    with home.engine.begin() as connection:
        ids = ensure_entities(connection, [entity(Kind.IP, "192.0.2.7")])
        wishes.want(
            connection,
            list(ids.values()),
            priority=wishes.Priority.INCIDENT,
            reason="incident 1",
            reach="registry",
            due_at=WEDNESDAY,
        )
    looked = go(home, WEDNESDAY)
    # No registry holds what is for documentation: that is an answer, and not asked for again.
    assert (looked.answered, looked.given_up) == (0, 1)
    assert home.rows("SELECT outcome, due_at FROM lookup") == [("unsupported", None)]


def test_a_person_asks_now(home: Home) -> None:
    home.internet.registry.now = WEDNESDAY
    notes = ask_now(home.engine, NEW_DOMAIN, clock=at(WEDNESDAY), sleep=lambda _: None)
    assert [(one.protocol, one.tier, one.asked) for one in notes] == [
        ("rdap", "registry", True),
        ("rdap", "registrar", True),
    ]
    again = ask_now(home.engine, NEW_DOMAIN, clock=at(WEDNESDAY), sleep=lambda _: None)
    assert not any(one.asked for one in again)


def test_a_version_has_the_time_that_the_server_says_where_that_can_be(home: Home) -> None:
    times = (
        "SELECT as_of, fetched_at FROM document d JOIN source s ON s.id = d.source_id AND s.name = 'rdap' ORDER BY d.id"
    )
    home.internet.registry.now = WEDNESDAY
    soon = WEDNESDAY + timedelta(hours=5)
    want(home, NEW_DOMAIN, due_at=soon)
    look_up(home.engine, seconds=20, clock=at(soon), sleep=lambda _: None)
    rows = home.rows(times)
    assert {row.as_of for row in rows} == {WEDNESDAY}
    assert {row.fetched_at for row in rows} == {soon}
    # The same word again would put the new version at the old one's time.
    later = soon + timedelta(days=2)
    want(home, NEW_DOMAIN, due_at=later)
    look_up(home.engine, seconds=20, clock=at(later), sleep=lambda _: None)
    assert {row.as_of for row in home.rows(times)[2:]} == {later}


def test_kept_answers_are_read_again_without_asking(home: Home) -> None:
    home.internet.registry.now = WEDNESDAY
    words = home.configs / "registration.yaml"
    good = words.read_text()
    # A reader that takes the registrant for a proxy's, and learns better.
    words.write_text(good.replace("\nproxies:\n", "\nproxies:\n  - invented operator\n", 1))
    assert words.read_text() != good
    ask_now(home.engine, NEW_DOMAIN, clock=at(WEDNESDAY), sleep=lambda _: None)
    standing = (
        "SELECT f.state, f.qualifiers->>'field' AS field FROM fact f WHERE f.predicate = 'registered-by' AND NOT"
        " (SELECT h.ended FROM fact_history h WHERE h.fact_id = f.id ORDER BY h.event_time DESC, h.ended DESC LIMIT 1)"
    )
    assert ("proxy", "name") in home.rows(standing)
    asked = asked_of(home)
    words.write_text(good)
    done = reread(home.engine, NEW_DOMAIN)
    assert (done.answers, done.facts_new, done.facts_ended) == (2, 2, 2)  # the phone was taken for the proxy's too
    assert ("value", "name") in home.rows(standing)
    assert ("proxy", "name") not in home.rows(standing)
    assert asked_of(home) == asked
    assert reread(home.engine, NEW_DOMAIN) == type(done)(answers=2)
    assert reread(home.engine, "never-asked.example") == type(done)()
