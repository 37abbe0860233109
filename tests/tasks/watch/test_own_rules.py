"""The monitor of watches' own rules: what it finds as facts come, looks backwards for, withdraws and leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db import watch_rules
from intel.config.watches import WatchedItem, WatchFile, read_watches
from intel.entities import Kind, entity, literal
from intel.errors import ConfigError
from intel.facts import Fact
from intel.rules import read_rule
from tasks.watch import own_rules
from tasks.watch.items import sync, sync_files
from tests.tasks.watch.world import Say, World, day

REGISTRAR = {"registered-through": "Example Registrar"}
SERVERS = {"uses-name-servers": {"below": "example.net"}}


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    world.watch("watch", WatchedItem(domain="known.example"))
    yield world
    world.engine.dispose()


def rule(*when: object, name: str = "own", **more: object) -> object:
    return read_rule({"name": name, "when": list(when), "say": "{subject} meets {found} on {day}", **more})


def add(world: World, *when: object, **more: object) -> int:
    with world.engine.begin() as connection:
        return own_rules.add_rule(connection, "watch", rule(*when, **more), "command")


def judge(world: World) -> int:
    return own_rules.monitor(world.engine).findings


def registered(name: str, registrar: str = "Example Registrar", on: int = 0, **more: object) -> Fact:
    return Fact(
        subject=entity(Kind.DOMAIN, name),
        predicate="registered-through",
        object=entity(Kind.REGISTRAR, registrar),
        event_time=day(on),
        **more,
    )


def findings(world: World, status: str = "open") -> list[tuple[object, ...]]:
    return world.execute(
        "SELECT e.value, n.title, n.event_time, n.severity FROM finding n JOIN entity e ON e.id = n.subject_id"
        " WHERE n.status = :status ORDER BY e.value, n.event_time",
        status=status,
    )


def test_backwards_and_forwards_it_finds_the_same(world: World) -> None:
    said = [registered("new.example"), Say.name_servers("new.example", "a.example.net b.example.net", on=2)]
    world.load(*said)
    add(world, REGISTRAR, SERVERS, over="3 days", severity=63)
    assert judge(world) == 1
    backwards = findings(world)
    assert backwards == [("new.example", "new.example meets Example Registrar on 2026-01-03", day(2), 63)]
    world.load(*(registered("later.example"), Say.name_servers("later.example", "c.example.net", on=3)))
    assert judge(world) == 1
    assert [one[0] for one in findings(world)] == ["later.example", "new.example"]
    assert judge(world) == 0
    facts = world.execute("SELECT count(*) FROM finding_fact WHERE role = 'new'")
    assert facts == [(4,)]
    rows = world.execute("SELECT count(*) FROM finding WHERE watch_rule_id IS NOT NULL AND rule = 'own'")
    assert rows == [(2,)]


def test_facts_that_come_one_by_one_and_late_end_as_those_that_come_at_once(world: World) -> None:
    add(world, REGISTRAR, SERVERS, over="3 days")
    judge(world)
    world.load(registered("new.example", on=5))
    assert judge(world) == 0
    world.load(Say.name_servers("new.example", "a.example.net", on=6))
    assert judge(world) == 1
    world.load(registered("new.example", on=4), source="other")
    assert judge(world) == 0
    world.load(Say.name_servers("new.example", "a.example.net", on=1), source="third")
    assert judge(world) == 0
    assert [one[2] for one in findings(world)] == [day(4)]


def test_a_neighbour_that_comes_later_makes_a_finding(world: World) -> None:
    add(world, {"resolves-to": {"where": {"part-of": "AS64500"}}})
    world.load(Say.resolves("new.example", "192.0.2.7", on=1))
    assert judge(world) == 0
    said = Fact(
        subject=entity(Kind.IP, "192.0.2.7"), predicate="part-of", object=entity(Kind.AS, "AS64500"), event_time=day(4)
    )
    world.load(said)
    assert judge(world) == 1
    assert findings(world)[0][2] == day(4)


def test_what_no_longer_holds_is_withdrawn_and_is_back_when_it_holds(world: World) -> None:
    add(world, REGISTRAR, {"not": {"resolves-to": {"in": "192.0.2.0/24"}}})
    world.load(registered("new.example"))
    assert judge(world) == 1
    world.load(Say.resolves("new.example", "192.0.2.7"))
    judge(world)
    assert not findings(world)
    assert len(findings(world, "withdrawn")) == 1
    with world.engine.begin() as connection:
        own_rules.add_rule(connection, "watch", rule(REGISTRAR), "command")
    judge(world)
    assert len(findings(world)) == 1
    with world.engine.begin() as connection:
        own_rules.add_rule(connection, "watch", rule({"registered-through": "Another"}), "command")
    judge(world)
    assert len(findings(world, "withdrawn")) == 1


def test_each_change_is_a_finding_of_its_own(world: World) -> None:
    add(world, {"changed": {"uses-name-servers": {}}})
    for number, servers in enumerate(("a.example.net", "b.example.net", "c.example.org")):
        world.load(Say.name_servers("new.example", servers, on=number))
        judge(world)
    assert [one[2] for one in findings(world)] == [day(1), day(2)]


def test_a_burst_is_found_once_it_is_one_with_all_who_are_in_it(world: World) -> None:
    add(world, REGISTRAR, {"burst": {"at-least": 3, "within": "2 days", "sharing": ["registered-through"]}})
    world.load(registered("a.example", on=1), registered("far.example", on=9))
    world.load(registered("b.example", on=2))
    assert judge(world) == 0
    world.load(registered("c.example", on=3))
    assert judge(world) == 3
    assert [one[0] for one in findings(world)] == ["a.example", "b.example", "c.example"]


def test_an_absence_is_found_when_its_time_is_up(world: World) -> None:
    add(world, {"absent": {"after": REGISTRAR, "without": {"resolves-to": {}}, "within": "30 days"}})
    now = datetime.now(UTC)
    young = Fact(
        subject=entity(Kind.DOMAIN, "young.example"),
        predicate="registered-through",
        object=entity(Kind.REGISTRAR, "Example Registrar"),
        event_time=now - timedelta(days=3),
    )
    world.load(registered("parked.example"), registered("used.example"), young)
    world.load(Say.resolves("used.example", "192.0.2.1"))
    judge(world)
    assert [one[0] for one in findings(world)] == ["parked.example"]


def test_items_of_the_watch_are_asked_for_as_they_are_now(world: World) -> None:
    add(world, {"registered-by": {"watched": True}})
    world.load(Say.registrant("new.example", "someone@example.net"))
    assert judge(world) == 0
    world.watch("watch", WatchedItem(entity="someone@example.net"))
    assert judge(world) == 1
    title = findings(world)[0][1]
    assert isinstance(title, str)
    assert "someone" not in title


def test_known_good_lowers_and_drops_nothing(world: World) -> None:
    add(world, {"resolves-to": {"in": "1.1.1.0/24"}}, severity=80)
    world.load(Say.resolves("new.example", "1.1.1.1"))
    assert judge(world) == 1
    ((_, _, _, severity),) = findings(world)
    assert isinstance(severity, int)
    assert severity < 80


def test_rules_of_files_come_change_and_go_and_others_stay(world: World, tmp_path: Path) -> None:
    (tmp_path / "watches").mkdir()
    file = tmp_path / "watches" / "mine.yaml"
    file.write_text(
        """
name: mine
rules:
  - exact
  - name: lures
    when: [{registered-through: Example Registrar}, {suffix: example}]
    say: "{subject} is like the lures"
"""
    )
    world.load(registered("new.example"))
    with world.engine.begin() as connection:
        sync(connection, tmp_path)
        own_rules.add_rule(connection, "mine", rule(SERVERS, name="by-hand"), "command")
    assert judge(world) == 1
    assert world.execute("SELECT rules FROM watch WHERE name = 'mine'") == [(["exact"],)]
    with world.engine.begin() as connection:
        sync(connection, tmp_path)
        assert [one.name for one in watch_rules.list_rules(connection, active=True)] == ["by-hand", "lures"]
    file.write_text("name: mine\nrules: ['*']\n")
    with world.engine.begin() as connection:
        sync(connection, tmp_path)
        assert [one.name for one in watch_rules.list_rules(connection, active=True)] == ["by-hand"]
        assert [one.name for one in watch_rules.list_rules(connection, active=False)] == ["lures"]
    assert len(findings(world)) == 1


def test_a_wrong_rule_of_a_file_is_said_with_its_place(world: World, tmp_path: Path) -> None:
    (tmp_path / "watches").mkdir()
    (tmp_path / "watches" / "mine.yaml").write_text(
        "name: mine\nrules: [exact, {name: lures, when: [{resolves-to: {in: 192.0.2.0/99}}], say: x}]\n"
    )
    with pytest.raises(ConfigError, match=r"mine\.yaml: rules\.1: .*rule lures: when: condition 1: resolves-to: in: "):
        read_watches(tmp_path)
    called = WatchFile(name="mine", rules=(rule(REGISTRAR, name="exact"),))
    with world.engine.begin() as connection, pytest.raises(ConfigError, match="a built-in rule is called so"):
        sync_files(connection, [called])


def test_a_rule_that_nobody_can_read_any_more_spares_the_others(world: World) -> None:
    broken = add(world, REGISTRAR, name="broken")
    add(world, REGISTRAR)
    world.execute('UPDATE watch_rule SET definition = \'{"name": "broken"}\' WHERE id = :id', id=broken)
    world.load(registered("new.example"))
    with pytest.raises(Exception, match="couldn't judge 1 batches or rules"):
        judge(world)
    assert len(findings(world)) == 1


def test_a_run_that_is_killed_is_done_again_and_doubles_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    add(world, REGISTRAR)
    world.load(registered("new.example"))

    class KilledError(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    for module, step in ((watch_rules, "mark_swept"), (own_rules, "_judged")):
        with monkeypatch.context() as patch:
            patch.setattr(module, step, killed)
            with pytest.raises(KilledError):
                judge(world)
    assert judge(world) == 0
    assert len(findings(world)) == 1
    left = "SELECT count(*) FROM batch WHERE id NOT IN (SELECT batch_id FROM judgement WHERE monitor = 'rules')"
    assert world.execute(left) == [(0,)]


def test_a_registrar_is_one_by_its_name_and_by_its_number(world: World) -> None:
    add(world, {"registrar": "Example Registrar, LLC"})
    number = entity(Kind.REGISTRAR, "iana:9000")
    alias = Fact(subject=number, predicate="alias", object=literal(Kind.TEXT, "Example Registrar, LLC"))
    world.load(alias, registered("new.example", "iana:9000"), registered("other.example", "Example Registrar, LLC"))
    assert judge(world) == 2
