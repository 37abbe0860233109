from __future__ import annotations

import pytest

from intel.config.watches import WatchedItem
from intel.errors import WarehouseError
from tasks.watch.review import explain, set_status, withdraw
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
    world.load(say.listed("a.evil.example"), source="second")
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
