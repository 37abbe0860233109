from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from db import incidents
from intel.config.watches import WatchedItem
from intel.errors import WarehouseError
from intel.facts import TLP
from tasks.watch.review import explain, merged, set_status, withdraw
from tests.tasks.watch.world import Say, World


def _only_finding(world: World, rule: str) -> int:
    [(found,)] = world.execute("SELECT id FROM finding WHERE rule = :rule", rule=rule)
    return found


def test_a_finding_is_explained_from_item_to_facts(world: World, say: type[Say]) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    world.load(say.claim("evil.example", "lab:one", on=1, reference="https://report.example/1"))
    world.load(say.listed("a.evil.example", on=2), source="second")
    world.monitor()
    with world.engine.connect() as connection:
        told = explain(connection, _only_finding(world, "same-domain"))
    assert (told.watch, told.actor, told.rule, told.item) == ("watch", "lab:one", "same-domain", "scope evil.example")
    assert told.tlp == "TLP:GREEN"
    [new], [known] = told.new, told.known
    assert (new.subject, new.source, new.location) == ("a.evil.example", "second", "https://second.example/list")
    assert (known.subject, known.predicate, known.object) == ("evil.example", "attributed-to", "lab:one")
    assert known.reference == "https://report.example/1"
    assert known.first_seen < new.first_seen <= new.recorded_at


def test_a_match_is_explained_with_what_matched_and_why(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(lookalike="harbour.example"))
    why = "one letter replaced: o by 0"
    world.load(*(say.matches(1, "lookalike:harbour.example", f"{host}harb0ur.example", why) for host in ("", "www.")))
    world.monitor()
    with world.engine.connect() as connection:
        told = explain(connection, _only_finding(world, "lookalike-name"))
    assert told.item == "lookalike harbour.example"
    assert {fact.detail for fact in merged(told.new)} == {
        f"harb0ur.example, {why}",
        f"www.harb0ur.example, {why}",
    }


def test_people_are_masked_in_explanations(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(
        say.registrant("evil.example", "john.doe@mail.example"), say.registrant("b.example", "john.doe@mail.example")
    )
    world.monitor()
    with world.engine.connect() as connection:
        told = explain(connection, _only_finding(world, "shared-registrant"))
    assert "john.doe" not in repr(told)
    assert told.new[0].object == "j***@mail.example"


def test_a_status_is_set_with_its_reason_and_outlives_the_monitor(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(say.listed("a.evil.example"))
    world.monitor()
    found = _only_finding(world, "same-domain")
    with world.engine.begin() as connection:
        set_status(connection, found, "acknowledged")
        set_status(connection, found, "dismissed", "ours")
        with pytest.raises(WarehouseError):
            set_status(connection, found, "dismissed", " ")
        with pytest.raises(WarehouseError):
            set_status(connection, found + 1, "confirmed")
    world.load(say.listed("a.evil.example", on=1))
    assert world.monitor() == 0
    assert world.execute("SELECT status, status_reason FROM finding") == [("dismissed", "ours")]
    with world.engine.connect() as connection, pytest.raises(WarehouseError):
        explain(connection, found + 1)


def test_a_finding_falls_with_the_last_of_its_facts(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(say.listed("a.evil.example"))
    world.load(say.listed("a.evil.example"), source="second")
    world.monitor()
    found = _only_finding(world, "same-domain")
    first, second = (row[0] for row in world.execute("SELECT fact_id FROM finding_fact ORDER BY 1"))
    with world.engine.begin() as connection:
        assert withdraw(connection, [first], "run 1 was undone") == []
    with world.engine.begin() as connection:
        assert withdraw(connection, [second], "run 2 was undone") == [found]
        with pytest.raises(WarehouseError):
            set_status(connection, found, "confirmed")
    assert world.execute("SELECT status, status_reason FROM finding") == [("withdrawn", "run 2 was undone")]
    world.load(say.listed("a.evil.example"), source="third")
    world.monitor()
    assert world.execute("SELECT status FROM finding") == [("open",)]


def test_what_one_source_says_twice_is_read_once(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    tiers = [
        msgspec.structs.replace(say.created("evil.example", "2026-01-01", on=number), qualifiers=(("tier", tier),))
        for number, tier in enumerate(("registry", "registrar"))
    ]
    world.load(*tiers, source="rdap")
    world.load(say.created("evil.example", "2026-01-01"), source="whois")
    world.monitor()
    with world.engine.connect() as connection:
        told = explain(connection, _only_finding(world, "registered"))
    assert len(told.new) == 3
    of_rdap, of_whois = sorted(merged(told.new), key=lambda one: one.source)
    assert of_rdap.last_seen - of_rdap.first_seen == timedelta(days=1)
    assert of_rdap.location == "https://rdap.example/list"
    assert of_whois in told.new


def test_people_who_are_masked_alike_are_told_apart(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), rules=("shared-registrant",))
    for who in ("john@mail.example", "jane@mail.example"):
        world.load(say.registrant("evil.example", who), say.registrant("b.example", who))
    world.monitor()
    found = [row[0] for row in world.execute("SELECT id FROM finding")]
    with world.engine.connect() as connection:
        facts = [fact for one in found for fact in explain(connection, one).new]
    assert {fact.object for fact in facts} == {"j***@mail.example"}
    assert len(merged(facts)) == len(facts)


def test_an_incidents_findings_are_at_least_as_strict(world: World, say: type[Say]) -> None:
    with world.engine.begin() as connection:
        number = incidents.create(connection, title="One", indicators=["evil.example"], tlp=TLP.RED)
    world.watch("watch", WatchedItem(domain="evil.example"), origin="incident", incident_id=number)
    world.load(say.listed("a.evil.example"))
    world.monitor()
    with world.engine.connect() as connection:
        assert explain(connection, _only_finding(world, "same-domain")).tlp == "TLP:RED"
