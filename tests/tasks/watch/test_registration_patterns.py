from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db.prevalence import Counted, replace
from intel.config.watches import WatchedItem
from intel.entities import Kind, entity
from intel.errors import ConfigError
from intel.facts import Fact
from intel.traits import Name, Trait, trait_digest
from tasks.watch import patterns
from tests.tasks.watch.world import Say, World

OLD = ("river", "stonework", "gardenia", "x9y", "winterfell", "mill-house")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def registered(name: str, registrar: str, mail: str, on: int) -> Iterator[Fact]:
    yield Say.created(name, f"{AT + timedelta(days=on):%Y-%m-%d}", on)
    yield Fact(
        subject=entity(Kind.DOMAIN, name),
        predicate="registered-through",
        object=entity(Kind.REGISTRAR, registrar),
        event_time=AT + timedelta(days=on),
    )
    yield Say.registrant(name, f"{name.partition('.')[0]}@{mail}", on)


@pytest.fixture
def known(world: World) -> World:
    """A watch of six domains with one registrar and one mail provider, and a population that has counted both."""
    names = [f"{word}.example" for word in OLD]
    for number, name in enumerate(names):
        world.load(*registered(name, "iana:4242", "odd.example", number))
    world.watch("heron", *(WatchedItem(domain=name) for name in names))
    count(world, 3)
    return world


def count(world: World, rare: int) -> None:
    at = datetime(2026, 2, 1, tzinfo=UTC)
    with world.engine.begin() as connection:
        population = Counted(
            name="sample",
            title="a sample",
            total=100_000,
            traits={Name.REGISTRAR: 100_000, Name.MAIL_PROVIDER: 100_000},
            as_of=at,
        )
        counts = [
            (Name.REGISTRAR.value, trait_digest(Trait("registrar", "iana:4242")), 4_000),
            (Name.MAIL_PROVIDER.value, trait_digest(Trait("mail-provider", "odd.example")), rare),
        ]
        replace(connection, population, counts)


def test_a_pattern_is_proposed_accepted_and_finds_the_next_domain(known: World) -> None:
    proposed = patterns.propose(known.engine, "heron")
    first = proposed[0]
    assert (first.status, first.support, first.known, first.watch) == ("proposed", 6, 6, "heron")
    assert Trait("mail-provider", "odd.example") in first.traits
    assert "sample" in first.population
    # The same again changes nothing.
    again = patterns.propose(known.engine, "heron")
    assert [(one.id, one.traits, one.status) for one in again] == [(one.id, one.traits, one.status) for one in proposed]
    accepted = patterns.accept(known.engine, first.id, "looks right")
    assert (accepted.status, accepted.reason) == ("accepted", "looks right")
    assert known.execute("SELECT origin, active, name FROM watch_rule") == [("pattern", True, f"pattern-{first.id}")]
    from tasks.watch import own_rules

    known.load(*registered("nextone.example", "iana:4242", "odd.example", 20))
    known.load(*registered("stranger.example", "iana:4242", "even.example", 20))
    own_rules.monitor(known.engine)
    found = {value for _, rule, value in known.found() if rule == f"pattern-{first.id}"}
    assert "nextone.example" in found
    assert "stranger.example" not in found


def test_what_is_unknown_or_too_common_needs_an_edit(known: World) -> None:
    known.execute("DELETE FROM population")
    unknown = patterns.propose(known.engine, "heron")[0]
    assert not unknown.is_counted
    with pytest.raises(ConfigError, match="unknown"):
        patterns.accept(known.engine, unknown.id, "six of six have it")
    count(known, 50_000)
    common = patterns.propose(known.engine, "heron")
    for one in common:
        if one.status == "proposed" and one.per_million > 200:
            with pytest.raises(ConfigError, match="of a million"):
                patterns.accept(known.engine, one.id, "all have it")
    assert known.execute("SELECT 1 FROM watch_rule") == []
    traits = [Trait("registrar", "iana:4242"), Trait("mail-provider", "odd.example"), Trait("suffix", "example")]
    for wanted in (traits, common[0].traits):
        with pytest.raises(ConfigError, match="of a million"):
            patterns.accept(known.engine, common[0].id, "an edit makes it no rarer", wanted)
    count(known, 300)
    edited = patterns.accept(known.engine, common[0].id, "seen by hand", traits)
    assert (edited.status, set(edited.traits), edited.support) == ("accepted", set(traits), 6)
    assert known.execute("SELECT 1 FROM watch_rule") == [(1,)]


def test_what_else_has_its_traits_is_shown(known: World) -> None:
    known.load(*registered("lookback.example", "iana:4242", "odd.example", 20))
    known.load(*registered("stranger.example", "iana:4242", "even.example", 20))
    first = patterns.propose(known.engine, "heron")[0]
    assert first.lookbacks == ("lookback.example",)


def test_what_was_refused_stays_refused(known: World) -> None:
    first = patterns.propose(known.engine, "heron")[0]
    patterns.accept(known.engine, first.id, "yes")
    refused = patterns.refuse(known.engine, first.id, "a reseller's customers")
    assert (refused.status, refused.rule_id) == ("refused", None)
    assert known.execute("SELECT 1 FROM watch_rule WHERE active") == []
    again = {one.id: one.status for one in patterns.propose(known.engine, "heron")}
    assert again[first.id] == "refused"
    assert list(again.values()).count("proposed") == len(again) - 1


def test_what_is_not_learned_any_more_is_superseded(known: World) -> None:
    first = patterns.propose(known.engine, "heron")[0]
    known.execute("DELETE FROM watch_item WHERE value <> 'river.example'")
    assert {one.id: one.status for one in patterns.propose(known.engine, "heron")}[first.id] == "superseded"


def test_what_grew_is_learned_anew_once(known: World) -> None:
    names = [f"later{number}.example" for number in range(5)]
    assert patterns.relearn(known.engine) == 0
    for number, name in enumerate(names):
        known.load(*registered(name, "iana:4242", "odd.example", 30 + number))
    known.watch("wren", *(WatchedItem(domain=name) for name in (*names, *(f"{one}.example" for one in OLD))))
    assert patterns.relearn(known.engine) == 1
    assert patterns.relearn(known.engine) == 0


def test_who_has_no_such_watch_is_told(world: World) -> None:
    with pytest.raises(ConfigError, match="no watch"):
        patterns.propose(world.engine, "nobody")
    with pytest.raises(ConfigError, match="pattern 7"):
        patterns.refuse(world.engine, 7, "x")
    with world.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM registration_pattern")).scalar_one() == 0
