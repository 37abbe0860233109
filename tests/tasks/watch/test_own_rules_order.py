"""The monitor of own rules: the same is found whatever came first and however wide a rule reaches; errors are said."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, text

from intel.config.watches import WatchedItem
from intel.entities import Kind, entity, literal
from intel.facts import Fact
from intel.rules import Rule, read_rule
from lab import rule_histories as made
from tasks.watch import own_rules, own_rules_history
from tasks.watch.items import sync
from tests.conftest import _database
from tests.tasks.watch.world import Say, World, day

REGISTRAR = {"registered-through": "Example Registrar"}


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    world.watch("watch", WatchedItem(domain="known.example"))
    yield world
    world.engine.dispose()


def add(world: World, *when: object, watch: str = "watch", name: str = "own", **more: object) -> int:
    rule = read_rule({"name": name, "when": list(when), "say": "{subject}", **more})
    with world.engine.begin() as connection:
        return own_rules.add_rule(connection, watch, rule, "command")


def judge(world: World) -> int:
    return own_rules.monitor(world.engine).findings


def registered(name: str, registrar: str = "Example Registrar", on: int = 0) -> Fact:
    return Fact(
        subject=entity(Kind.DOMAIN, name),
        predicate="registered-through",
        object=entity(Kind.REGISTRAR, registrar),
        event_time=day(on),
    )


def found(world: World, status: str = "open") -> list[str]:
    rows = world.execute(
        "SELECT e.value FROM finding n JOIN entity e ON e.id = n.subject_id WHERE n.status = :status ORDER BY 1",
        status=status,
    )
    return [str(row[0]) for row in rows]


@pytest.mark.slow
def test_facts_in_any_order_and_rules_before_or_after_end_the_same(world: World, second_url: str) -> None:
    subjects = made.subjects(30, 3)
    loads = made.histories(subjects, 3)
    rules = [*made.made_rules(3, 12)[1::14], *(one for one in made.made_rules(3, 0) if one.burst is not None)][:7]
    other = World(second_url)
    ends = []
    for each, pieces in ((world, _pieces(loads)), (other, loads)):
        with each.engine.begin() as connection:
            made.prepare(connection)
        if each is world:
            _give(each, rules)
            judge(each)
        for piece in pieces:
            made.load_all(each.engine, [piece])
            if each is world:
                judge(each)
        if each is other:
            _give(each, rules)
            judge(each)
        ends.append(
            each.execute(
                "SELECT n.rule, e.value, n.novelty, n.event_time, n.status FROM finding n"
                " JOIN entity e ON e.id = n.subject_id WHERE n.status <> 'withdrawn' ORDER BY 1, 2, 3"
            )
        )
    other.engine.dispose()
    assert len(ends[0]) > 15
    assert ends[0] == ends[1]


def _pieces(loads: list[made.Loads]) -> list[made.Loads]:
    """The streams' facts, shuffled and in two parts; snapshots stay in their order."""
    mix = random.Random(5)
    streams: list[made.Loads] = []
    for one in loads:
        if one.snapshot:
            continue
        facts = mix.sample(one.facts, len(one.facts))
        # What a stream takes back, and says at the same time, is told apart by the order in which it comes.
        facts.sort(key=lambda fact: fact.ends)
        half = len(facts) // 2 + 1
        streams += [msgspec.structs.replace(one, facts=facts[at : at + half]) for at in range(0, len(facts), half)]
    return [*(one for one in loads if one.snapshot), *streams]


def _give(world: World, rules: list[Rule]) -> None:
    with world.engine.begin() as connection:
        for rule in rules:
            own_rules.add_rule(connection, made.WATCH, rule, "command")


@pytest.fixture
def second_url(database_server: str, _template_database: str) -> Iterator[str]:
    yield from _database(database_server, _template_database)


def test_a_registrars_name_that_is_learned_later_counts_for_what_came_before(world: World) -> None:
    add(world, {"registrar": "Alpha Names"})
    world.load(registered("first.example", "iana:9000"), registered("second.example", "Beta Names"))
    assert judge(world) == 0
    number = entity(Kind.REGISTRAR, "iana:9000")
    for name in ("Alpha Names", "Beta Names", "Gamma Names"):
        world.load(Fact(subject=number, predicate="alias", object=literal(Kind.TEXT, name)))
    judge(world)
    assert found(world) == ["first.example", "second.example"]


def test_a_watch_that_slept_looks_at_what_came_meanwhile(world: World, tmp_path: Path) -> None:
    (tmp_path / "watches").mkdir()
    file = tmp_path / "watches" / "mine.yaml"
    file.write_text("name: mine\nrules: [{name: lures, when: [{registrar: Example Registrar}], say: x}]\n")
    world.load(registered("one.example"))
    with world.engine.begin() as connection:
        sync(connection, tmp_path)
    judge(world)
    content = file.read_text()
    file.unlink()
    with world.engine.begin() as connection:
        sync(connection, tmp_path)
    world.load(registered("two.example"))
    assert judge(world) == 0
    file.write_text(content)
    with world.engine.begin() as connection:
        sync(connection, tmp_path)
    assert judge(world) == 1
    assert found(world) == ["one.example", "two.example"]


def test_a_burst_that_loses_a_decided_member_is_withdrawn(world: World) -> None:
    gone = {"not": {"resolves-to": {"in": "192.0.2.0/24"}}}
    add(world, REGISTRAR, gone, {"burst": {"at-least": 3, "within": "2 days"}})
    world.load(*(registered(f"{name}.example", on=1) for name in "abc"))
    assert judge(world) == 3
    world.execute(
        "UPDATE finding SET status = 'dismissed' WHERE subject_id = (SELECT id FROM entity WHERE value = 'a.example')"
    )
    world.load(Say.resolves("a.example", "192.0.2.7"))
    judge(world)
    assert found(world, "withdrawn") == ["b.example", "c.example"]


def test_a_burst_is_judged_over_history_once_however_many_batches_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(world, REGISTRAR, {"burst": {"at-least": 3, "within": "2 days"}})
    judge(world)
    swept: list[str] = []
    whole = own_rules_history.judge_history

    def judged(connection: Connection, rule: Rule, **more: Any) -> list[tuple[int, str, datetime]]:
        swept.append(rule.name)
        return whole(connection, rule, **more)

    monkeypatch.setattr(own_rules, "judge_history", judged)
    for number in range(4):
        world.load(registered(f"n{number}.example", on=1))
    assert judge(world) == 4
    assert len(swept) == 1


def test_a_fact_beside_a_hub_is_judged_by_the_statement_and_by_no_million_histories(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_rules, "MOST_TOUCHED", 5)
    add(world, {"resolves-to": {"where": {"part-of": "AS64500"}}}, {"registrar": "Example Registrar"})
    world.load(*(Say.resolves(f"n{number}.example", "192.0.2.7") for number in range(9)), registered("n3.example"))
    judge(world)
    loaded: list[int] = []

    def load(*_: object, **__: object) -> None:
        loaded.append(1)

    monkeypatch.setattr(own_rules, "load_histories", load)
    part = Fact(subject=entity(Kind.IP, "192.0.2.7"), predicate="part-of", object=entity(Kind.AS, "AS64500"))
    world.load(part)
    assert judge(world) == 1
    assert found(world) == ["n3.example"]
    assert not loaded


def test_a_rule_that_finds_nearly_everything_is_said_and_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_rules_history, "MOST_MATCHES", 5)
    world.load(*(registered(f"n{number}.example") for number in range(7)), registered("one.example", "Another"))
    judge(world)
    add(world, REGISTRAR)
    add(world, {"registrar": "Another"}, name="narrow")
    with pytest.raises(Exception, match="finds more than 5 things"):
        judge(world)
    assert found(world) == ["one.example"]
    with world.engine.connect() as connection:
        rule = read_rule({"name": "own", "when": [REGISTRAR], "say": "{subject}"})
        told = own_rules.dry_run(connection, rule)
    assert (told.findings, told.more) == (5, True)


def test_what_the_statement_finds_and_the_matcher_does_not_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(own_rules_history, "match", lambda *_: [])
    add(world, REGISTRAR)
    world.load(registered("new.example"))
    with caplog.at_level(logging.ERROR), pytest.raises(Exception, match="1 of 1 matches of rule own"):
        judge(world)
    with world.engine.connect() as connection:
        rule = read_rule({"name": "own", "when": [REGISTRAR], "say": "{subject}"})
        told = own_rules.dry_run(connection, rule)
    assert told.unexplained == 1


def test_times_at_the_ends_of_the_calendar_stop_nothing(world: World) -> None:
    add(world, REGISTRAR, {"uses-name-servers": {"below": "example.net"}}, over="3 days", name="over")
    add(world, {"absent": {"after": REGISTRAR, "without": {"resolves-to": {}}, "within": "30 days"}}, name="absent")
    first, last = day(0).replace(year=1, month=1, day=1), day(0).replace(year=9999, month=12, day=31)
    judge(world)
    for name, at in (("first.example", first), ("last.example", last)):
        world.load(msgspec.structs.replace(registered(name), event_time=at))
        world.load(msgspec.structs.replace(Say.name_servers(name, "a.example.net"), event_time=at))
    judge(world)
    assert found(world) == ["first.example", "first.example", "last.example"]


def test_nothing_is_written_by_a_dry_run(world: World) -> None:
    world.load(registered("new.example"))
    with world.engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        rule = read_rule({"name": "own", "when": [REGISTRAR], "say": "{subject}"})
        assert own_rules.dry_run(connection, rule).findings == 1
