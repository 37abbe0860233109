from __future__ import annotations

from intel.config.watches import WatchedItem
from intel.entities import Kind, entity, literal
from intel.facts import Fact
from tests.tasks.watch.world import World, day

WHY = "one letter replaced: o by 0"


def matches(name: str, pattern: str, why: str = "", on: int = 0) -> Fact:
    return Fact(
        subject=entity(Kind.DOMAIN, name),
        predicate="matches",
        object=literal(Kind.PATTERN, pattern),
        qualifiers=(("name", name), ("why", why)),
        event_time=day(on),
    )


def new(name: str, on: int = 0) -> Fact:
    return Fact(
        subject=entity(Kind.DOMAIN, name),
        predicate="listed",
        object=literal(Kind.LABEL, "newly registered"),
        event_time=day(on),
    )


def test_a_new_domain_that_looks_like_a_watched_one_or_holds_a_keyword_is_found(world: World) -> None:
    world.watch("ours", WatchedItem(lookalike="harbour.example"), WatchedItem(keyword="harbour"))
    world.load(
        matches("harb0ur.test", "lookalike:harbour.example", WHY),
        matches("harbour-login.test", "keyword:harbour"),
        matches("bank.test", "keyword:bank"),
        source="new-domains",
    )
    assert world.monitor() == 2
    assert world.found() == {
        ("ours", "lookalike-domain", "harb0ur.test"),
        ("ours", "keyword-domain", "harbour-login.test"),
    }
    titles = world.execute("SELECT title FROM finding ORDER BY severity DESC")
    assert titles == [
        (f"the new domain harb0ur.test looks like harbour.example: {WHY}",),
        ("in the new domain harbour-login.test stands the keyword harbour",),
    ]


def test_what_another_channel_shows_again_is_one_finding(world: World) -> None:
    world.watch("ours", WatchedItem(lookalike="harbour.example"))
    world.load(matches("harb0ur.test", "lookalike:harbour.example", WHY, on=3), source="list")
    world.monitor()
    world.load(matches("harb0ur.test", "lookalike:harbour.example", WHY, on=1), source="zone")
    assert world.monitor() == 0
    assert world.execute("SELECT event_time FROM finding") == [(day(1),)]


def test_a_new_domain_under_a_watched_one_is_a_new_domain_and_no_other_news(world: World) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), WatchedItem(entity="bad.example"))
    world.load(new("evil.example"), new("bad.example"), new("good.example"), source="list")
    world.monitor()
    assert world.found() == {("watch", "new-domain", "evil.example"), ("watch", "new-domain", "bad.example")}


def test_a_watch_that_comes_later_finds_the_new_domains_before_it(world: World) -> None:
    world.load(matches("harb0ur.test", "lookalike:harbour.example", WHY), new("evil.example"), source="list")
    world.monitor()
    world.watch("ours", WatchedItem(lookalike="harbour.example"), WatchedItem(domain="evil.example"))
    assert world.monitor() == 2


def test_a_rule_of_certificates_finds_no_domain_and_the_other_way_round(world: World) -> None:
    from tests.tasks.watch.world import Say

    world.watch("ours", WatchedItem(lookalike="harbour.example"))
    world.load(Say.matches(1, "lookalike:harbour.example", "harb0ur.test", WHY))
    world.load(matches("harb0ur.test", "lookalike:harbour.example", WHY), source="list")
    world.monitor()
    assert {rule for _, rule, _ in world.found()} == {"lookalike-name", "lookalike-domain"}
