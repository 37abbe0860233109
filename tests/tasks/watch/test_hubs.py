from __future__ import annotations

from typing import TYPE_CHECKING

from db.watching_match import HUB
from intel.config.watches import WatchedItem

if TYPE_CHECKING:
    from tests.tasks.watch.world import Say, World

ACTOR = "lab:heron"
PAGE = "https://github.com/heron/dropper"


def items(world: World) -> set[tuple[object, ...]]:
    return set(world.execute("SELECT match, kind, value FROM watch_item"))


def test_a_registrant_that_a_crowd_shares_is_read_up_to_a_limit_and_said_to_be_a_hub(
    world: World, say: type[Say]
) -> None:
    crowd = [say.registrant(f"d{number}.example", "proxy@registrar.example") for number in range(HUB + 200)]
    world.load(say.registrant("evil.example", "proxy@registrar.example"), *crowd)
    world.load(
        say.registrant("few.example", "two@people.example"), say.registrant("also.example", "two@people.example")
    )
    world.monitor()
    world.watch("watch", WatchedItem(domain="evil.example"), WatchedItem(domain="few.example"))
    world.monitor()
    rows = world.execute(
        "SELECT e.value, n.severity, n.annotations FROM finding n JOIN entity e ON e.id = n.subject_id"
        " WHERE n.rule = 'shared-registrant'"
    )
    found = {row[0]: row[1:] for row in rows}
    assert found["also.example"] == (75, [])
    of_hub = {value: said for value, said in found.items() if value != "also.example"}
    assert HUB - 1 <= len(of_hub) <= HUB
    for severity, said in of_hub.values():
        assert severity == 75 - 40
        assert [one["hub"] for one in said] == ["shared"]  # type: ignore[attr-defined]  # JSON


def test_a_batch_that_names_a_hub_is_judged(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(
        say.registrant("evil.example", "proxy@registrar.example"),
        *(say.registrant(f"d{number}.example", "proxy@registrar.example") for number in range(HUB + 50)),
    )
    world.monitor()
    before = len(world.found())
    world.load(say.registrant("new.example", "proxy@registrar.example"))
    world.monitor()
    # What is new in a batch is always compared, whatever else the hub holds.
    assert ("watch", "shared-registrant", "new.example") in world.found()
    assert len(world.found()) == before + 1


def test_a_key_that_a_crowd_shares_is_said_to_be_a_hub(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    shared = [say.certificate(number, f"d{number}.example", key=7) for number in range(1, HUB + 20)]
    world.load(*say.certificate(5_000, "www.evil.example", key=7), *(fact for facts in shared for fact in facts))
    world.monitor()
    rows = world.execute("SELECT severity, annotations FROM finding WHERE rule = 'reused-key'")
    assert rows
    assert {row[0] for row in rows} == {40}


def test_what_is_claimed_itself_is_followed_whatever_the_lists_say(world: World, say: type[Say]) -> None:
    world.watch("heron", actor=ACTOR, follow_actor=True)
    world.load(say.claim("github.com", ACTOR), say.claim("8.8.8.8", ACTOR))
    world.monitor()
    assert items(world) == {("scope", "", "github.com"), ("network", "", "8.8.8.8")}
