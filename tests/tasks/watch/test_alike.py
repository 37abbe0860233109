from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from intel.config.watches import WatchedItem
from intel.entities import Kind, entity
from intel.facts import Fact
from tasks.watch import alike, alike_learn
from tests.tasks.watch.world import Say, World

AT = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("river", "stone", "garden", "window", "market", "forest", "castle", "silver", "winter", "harbour")
KNOWN = 36
NEXT = "lanterns-quiet.test"
LOOKING = "plainshop.example"


def registered(name: str, registrar: str, mail: str, on: int, server: str = "") -> Iterator[Fact]:
    yield Say.created(name, f"{AT + timedelta(days=on):%Y-%m-%d}", on)
    yield Fact(
        subject=entity(Kind.DOMAIN, name),
        predicate="registered-through",
        object=entity(Kind.REGISTRAR, registrar),
        event_time=AT + timedelta(days=on),
    )
    yield Say.registrant(name, f"{name.partition('.')[0]}@{mail}", on)
    yield Say.name_servers(name, server or f"ns1.{name} ns2.{name}", on)


def actor(number: int) -> Iterator[Fact]:
    return registered(known(number), "iana:4242", "odd.example", number // 6)


def known(number: int) -> str:
    return f"{WORDS[number % 10]}-{WORDS[number // 10]}.test"


def strangers() -> Iterator[Fact]:
    draw = random.Random(5)
    for number in range(305):
        told_apart = chr(97 + number // 26) + chr(97 + number % 26)
        label = draw.choice(WORDS) + draw.choice(("", "-")) + draw.choice(WORDS)[:4] + told_apart
        registrar = "iana:4242" if number % 12 == 0 else f"iana:{9900 + draw.randrange(20)}"
        name = f"{label}.{draw.choice(('test', 'example'))}"
        yield from registered(
            name, registrar, f"mail{draw.randrange(6)}.example", draw.randrange(40), "ns.host.example"
        )


def sampled(world: World) -> None:
    world.load_all(strangers(), source="sample")
    world.execute(
        "INSERT INTO reference_sample (entity_id) SELECT DISTINCT subject_id FROM fact f JOIN source s"
        " ON s.id = f.source_id AND s.name = 'sample'"
    )


def watched(world: World, count: int = KNOWN) -> None:
    world.watch("heron", *(WatchedItem(domain=known(number)) for number in range(count)))


def known_facts() -> list[Fact]:
    return [fact for number in range(KNOWN) for fact in actor(number)]


def next_one() -> list[Fact]:
    return list(registered(NEXT, "iana:4242", "odd.example", 20))


def stranger() -> list[Fact]:
    return list(registered(LOOKING, "iana:4242", "even.example", 20, "ns.host.example"))


@pytest.fixture
def ready(world: World) -> World:
    sampled(world)
    world.load_all(known_facts())
    watched(world)
    return world


def alike_found(world: World, status: str = "open") -> set[str]:
    return {value for _, rule, value in world.found(status=status) if rule == "alike"}


def test_the_next_domain_is_found_by_habits_alone(ready: World) -> None:
    assert alike.monitor(ready.engine).findings == 0
    assert alike.monitor(ready.engine).items == 0
    ready.load(*next_one(), *stranger())
    assert alike.monitor(ready.engine).findings == 1
    assert alike_found(ready) == {NEXT}
    [(title, severity, lapse, notes)] = ready.execute("SELECT title, severity, lapse, annotations FROM finding")
    assert str(title).startswith(f"{NEXT} was registered as the domains of heron are: ")
    assert "registrar" in str(title)
    assert "mail provider" in str(title)
    assert "@" not in str(title)
    assert "odd.example" not in str(title)
    assert 50 <= severity <= 75  # type: ignore[operator]  # a number
    assert lapse is False
    assert [one["hub"] for one in notes] == ["strength"]  # type: ignore[attr-defined]  # JSON
    facts = ready.execute(
        "SELECT ff.role, f.predicate, e.value FROM finding_fact ff JOIN fact f ON f.id = ff.fact_id"
        " JOIN entity e ON e.id = f.subject_id"
    )
    assert {one[1:] for one in facts if one[0] == "new"} == {
        (predicate, NEXT) for predicate in ("created", "registered-through", "registered-by")
    }
    shown = {one[2] for one in facts if one[0] == "known"}
    assert shown <= {known(number) for number in range(KNOWN)}
    assert len(shown) == 3
    # Nothing is new: nothing is done, and nothing is found twice.
    assert (alike.monitor(ready.engine).findings, alike.monitor(ready.engine).items) == (0, 0)


def test_the_order_in_which_things_come_does_not_matter(ready: World) -> None:
    # Here the watch was first; there the facts were, one at a time and backwards, and the watch came last.
    alike.monitor(ready.engine)
    for fact in reversed([*next_one(), *stranger()]):
        ready.load(fact)
        alike.monitor(ready.engine, chunk=7)
    first = ready.everything()
    ready.execute("DELETE FROM finding_fact")
    ready.execute("DELETE FROM finding")
    ready.execute("DELETE FROM cursor")
    ready.execute("DELETE FROM judgement")
    ready.execute("UPDATE watch SET active = false")
    alike.monitor(ready.engine)
    ready.execute("UPDATE watch SET active = true")
    while alike.monitor(ready.engine, chunk=50, most=150).items:
        pass
    assert ready.everything() == first
    assert alike_found(ready) == {NEXT}


def test_a_process_that_is_killed_loses_nothing(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alike.monitor(ready.engine)
    ready.load(*next_one())
    monkeypatch.setattr(alike, "_judged", _die)
    with pytest.raises(SystemExit):
        alike.monitor(ready.engine)
    assert alike_found(ready) == set()
    monkeypatch.undo()
    assert alike.monitor(ready.engine).findings == 1


def _die(*_: object, **__: object) -> None:
    raise SystemExit


def test_without_an_operating_point_nothing_is_shown_and_it_is_said_why(world: World) -> None:
    sampled(world)
    ids = [int(str(one[0])) for one in world.execute("SELECT entity_id FROM reference_sample ORDER BY entity_id")]
    drawn = random.Random(3).sample(ids, 60)
    names = [str(one[0]) for one in world.execute("SELECT value FROM entity WHERE id = ANY(:ids)", ids=drawn)]
    sampled_more = [
        fact
        for number in range(80)
        for fact in registered(
            f"other{number}.example", f"iana:{9900 + number % 20}", "mail1.example", 1, "ns.host.example"
        )
    ]
    world.load_all(sampled_more)
    world.execute(
        "INSERT INTO reference_sample (entity_id) SELECT id FROM entity WHERE value LIKE 'other%' AND kind = 'domain'"
    )
    world.watch("chance", *(WatchedItem(domain=name) for name in names))
    world.load(*next_one())
    assert alike.monitor(world.engine).findings == 0
    with world.engine.connect() as connection:
        (said,) = alike_learn.states(connection)
    assert said.watch == "chance"
    assert said.state.limit is None
    assert "no number of bits" in said.state.why


def test_what_does_not_reach_it_any_more_is_withdrawn(ready: World) -> None:
    ready.load(*next_one())
    alike.monitor(ready.engine)
    assert alike_found(ready) == {NEXT}
    # The registry says since then that others registered it: by what is known now it is nobody's like them.
    ready.load(
        *registered(NEXT, "iana:9901", "mail1.example", 21, "ns.host.example"),
    )
    ready.execute(
        "DELETE FROM fact_history WHERE fact_id IN (SELECT f.id FROM fact f JOIN entity e ON e.id = f.object_id"
        " WHERE f.predicate = 'registered-by' AND e.value LIKE 'lanterns-quiet@odd%')"
    )
    alike.monitor(ready.engine)
    assert alike_found(ready) == set()
    assert alike_found(ready, "withdrawn") == {NEXT}


def test_what_is_known_or_our_own_is_no_finding(ready: World) -> None:
    ready.load(*next_one())
    alike.monitor(ready.engine)
    ready.watch("heron", *(WatchedItem(domain=known(number)) for number in range(KNOWN)), WatchedItem(domain=NEXT))
    alike.monitor(ready.engine)
    assert alike_found(ready) == set()
    # Too few are known now: what was found goes, and why is said.
    ready.execute("DELETE FROM watch_item")
    ready.load(*stranger())
    alike.monitor(ready.engine)
    with ready.engine.connect() as connection:
        (said,) = alike_learn.states(connection)
    assert said.state.why == "0 domains are known, and 10 are needed"
