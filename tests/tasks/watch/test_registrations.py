from __future__ import annotations

from intel.config.watches import WatchedItem
from intel.entities import Kind
from tests.tasks.watch.world import Say, World


def test_a_watched_entity_stated_by_a_source_is_found_once_per_source(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(entity="c2.evil.example"))
    world.load(say.listed("c2.evil.example"), say.listed("other.evil.example"), source="one")
    assert world.monitor() == 1
    world.load(say.listed("c2.evil.example", label="phishing"), source="one")
    assert world.monitor() == 0
    world.load(say.listed("c2.evil.example"), source="two")
    assert world.monitor() == 1
    assert world.found() == {("watch", "exact", "c2.evil.example")}


def test_what_stands_under_a_watched_domain_is_found_in_every_form(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(
        say.listed("evil.example"),
        say.listed("a.b.evil.example"),
        say.listed("https://www.evil.example/gate.php"),
        say.listed("drop@mail.evil.example"),
        say.listed("c2.evil.example:8443"),
        say.name_server("innocent.example", "ns1.evil.example"),
        say.listed("notevil.example"),
        say.listed("evil.example.other.example"),
        say.listed("https://other.example/?u=evil.example"),
    )
    world.monitor()
    assert {value for _, rule, value in world.found() if rule == "same-domain"} == {
        "evil.example",
        "a.b.evil.example",
        "https://www.evil.example/gate.php",
        "drop@mail.evil.example",
        "c2.evil.example:8443",
        "ns1.evil.example",
    }


def test_a_watch_on_a_host_takes_its_subtree_and_no_sibling(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="host.evil.example"))
    world.load(
        say.listed("host.evil.example"),
        say.listed("a.host.evil.example"),
        say.listed("http://x.a.host.evil.example:8080/y"),
        say.listed("http://user@host.evil.example/"),
        say.listed("ghost.evil.example"),
        say.listed("evil.example"),
    )
    world.monitor()
    assert {value for _, rule, value in world.found() if rule == "same-domain"} == {
        "host.evil.example",
        "a.host.evil.example",
        "http://x.a.host.evil.example:8080/y",
        "http://user@host.evil.example/",
    }
    assert ("watch", "exact", "host.evil.example") in world.found()


def test_siblings_under_suffixes_that_strangers_share_are_told_apart(world: World, say: type[Say]) -> None:
    world.watch("dynamic", WatchedItem(domain="mine.duckdns.org"))
    world.watch("public", WatchedItem(domain="mine.co.uk"))
    world.watch("suffix", WatchedItem(domain="duckdns.org"))
    world.load(
        say.listed("mine.duckdns.org"),
        say.listed("a.mine.duckdns.org"),
        say.listed("other.duckdns.org"),
        say.listed("a.mine.co.uk"),
        say.listed("other.co.uk"),
    )
    world.monitor()
    assert world.found() == {
        ("dynamic", "same-domain", "mine.duckdns.org"),
        ("dynamic", "same-domain", "a.mine.duckdns.org"),
        ("public", "same-domain", "a.mine.co.uk"),
    }


def test_what_stands_on_a_watched_address_or_network_is_found(world: World, say: type[Say]) -> None:
    world.watch("address", WatchedItem(network="192.0.2.7"))
    world.watch("network", WatchedItem(network="198.51.100.128/25"))
    world.watch("six", WatchedItem(network="2001:db8:1::/48"))
    world.load(
        say.listed("192.0.2.7"),
        say.listed("192.0.2.7:443"),
        say.listed("http://192.0.2.7/x"),
        say.listed("192.0.2.8"),
        say.listed("198.51.100.200"),
        say.listed("198.51.100.192/26"),
        say.listed("198.51.100.0/24"),
        say.listed("198.51.100.1"),
        say.listed("2001:db8:1:2::3"),
        say.listed("2001:db8:2::3"),
    )
    world.monitor()
    assert world.found() == {
        ("address", "same-address", "192.0.2.7"),
        ("address", "same-address", "192.0.2.7:443"),
        ("address", "same-address", "http://192.0.2.7/x"),
        ("network", "same-address", "198.51.100.200"),
        ("network", "same-address", "198.51.100.192/26"),
        ("six", "same-address", "2001:db8:1:2::3"),
    }


def test_resolutions_of_watched_names_and_to_watched_addresses_are_found_once(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), WatchedItem(network="192.0.2.7"))
    world.load(
        say.resolves("www.evil.example", "198.51.100.1"),
        say.resolves("new.example", "192.0.2.7"),
        say.resolves("both.evil.example", "192.0.2.7"),
        say.resolves("new.example", "192.0.2.8"),
        say.name_servers("evil.example", "ns1.dns.example ns2.dns.example"),
    )
    assert world.monitor() == 4
    assert world.found() == {
        ("watch", "new-resolution", "www.evil.example"),
        ("watch", "new-resolution", "new.example"),
        ("watch", "new-resolution", "both.evil.example"),
        ("watch", "new-resolution", "evil.example"),
    }
    world.load(say.resolves("www.evil.example", "198.51.100.1", on=9), source="second")
    assert world.monitor() == 0
    world.load(say.resolves("www.evil.example", "198.51.100.2", on=9), source="second")
    assert world.monitor() == 1


def test_a_registration_is_one_however_precisely_its_day_is_told(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(say.created("evil.example", "2026-01-02T03:04:05+00:00"), say.created("good.example", "2026-01-02"))
    world.load(say.created("evil.example", "2026-01-02"), source="second")
    assert world.monitor() == 1
    world.load(say.created("evil.example", "2026-05-05"), source="second")
    assert world.monitor() == 1
    assert {rule for _, rule, _ in world.found()} == {"registered"}


def test_a_shared_registrant_is_a_lapse(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(
        say.registrant("evil.example", "me@mail.example"),
        say.registrant("evil.example", "+44 20 1234567", kind=Kind.PHONE),
    )
    world.load(
        say.registrant("second.example", "me@mail.example"),
        say.registrant("third.example", "tech@mail.example"),
        say.registrant("sub.evil.example", "me@mail.example"),
        source="second",
    )
    world.load(say.registrant("evil.example", "tech@mail.example", role="technical"), source="third")
    world.load(say.registrant("fourth.example", "+44201234567", kind=Kind.PHONE), source="third")
    world.monitor()
    assert {finding for finding in world.found() if finding[1] == "shared-registrant"} == {
        ("watch", "shared-registrant", "second.example"),
        ("watch", "shared-registrant", "fourth.example"),
    }
    rows = world.execute("SELECT title, lapse FROM finding WHERE rule = 'shared-registrant'")
    assert all(lapse and "@" not in title and "1234567" not in title for title, lapse in rows)


def test_an_actor_is_followed_from_the_day_after_its_claim(world: World, say: type[Say]) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    world.load(
        say.claim("a.evil.example", "lab:one", on=3),
        say.claim("b.evil.example", "lab:one", on=3),
        say.claim("192.0.2.7:8080", "lab:one", on=3),
        say.claim("c.evil.example", "lab:two", on=4),
        say.alias("lab:one", "bear"),
        say.alias("lab:two", "bear"),
        say.claim("other.example", "lab:two", on=2),
        say.listed("x.other.example", on=9),
        say.listed("y.evil.example", on=2),
        say.listed("z.evil.example", on=3),
    )
    world.monitor()
    assert world.found() == {("watch", "same-domain", "c.evil.example")}
    world.load(say.claim("192.0.2.7", "lab:one", on=4), say.listed("new.evil.example", on=5), source="second")
    world.monitor()
    assert world.found() == {
        ("watch", "same-domain", "c.evil.example"),
        ("watch", "same-domain", "new.evil.example"),
        ("watch", "same-address", "192.0.2.7"),
    }


def test_an_earlier_claim_that_comes_late_looks_backwards(world: World, say: type[Say]) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    world.load(say.claim("a.evil.example", "lab:one", on=5), say.listed("b.evil.example", on=4))
    world.monitor()
    assert world.found() == set()
    world.load(say.claim("c.evil.example", "lab:one", on=1), source="second")
    world.monitor()
    assert world.found() == {
        ("watch", "same-domain", "a.evil.example"),
        ("watch", "same-domain", "b.evil.example"),
    }


def test_a_fact_that_turns_out_to_be_old_is_no_news(world: World, say: type[Say]) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    world.load(say.claim("a.evil.example", "lab:one", on=2), say.listed("b.evil.example", on=5))
    world.monitor()
    assert world.found() == {("watch", "same-domain", "b.evil.example")}
    world.load(say.listed("b.evil.example", on=1))
    world.monitor()
    assert world.found() == set()
    assert world.found(status="withdrawn") == {("watch", "same-domain", "b.evil.example")}


def test_a_fact_that_ended_before_it_was_stated_is_found_when_it_is(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    stated = say.listed("a.evil.example", on=3)
    ended = type(stated)(**{name: getattr(stated, name) for name in stated.__struct_fields__} | {"ends": True})
    world.load(ended)
    assert world.monitor() == 0
    world.load(stated)
    assert world.monitor() == 1


def test_a_new_watch_looks_backwards_over_what_was_judged(world: World, say: type[Say]) -> None:
    world.load(say.listed("a.evil.example"), say.listed("192.0.2.7:443"), say.listed("x.host.good.example"))
    assert world.monitor() == 0
    world.watch(
        "watch",
        WatchedItem(domain="evil.example"),
        WatchedItem(network="192.0.2.0/24"),
        WatchedItem(domain="host.good.example"),
        WatchedItem(entity="a.evil.example"),
    )
    assert world.monitor() == 4
    assert world.monitor() == 0


def test_the_same_again_raises_nothing(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    facts = (say.listed("a.evil.example"), say.resolves("b.evil.example", "192.0.2.1"))
    world.load(*facts)
    assert world.monitor() == 2
    before = world.everything()
    world.load(*facts)
    assert world.monitor() == 0
    assert world.everything() == before


def test_only_the_rules_in_force_are_stored_and_new_ones_look_backwards(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), rules=("new-resolution",))
    world.load(say.listed("a.evil.example"), say.resolves("b.evil.example", "192.0.2.1"))
    world.monitor()
    assert world.found() == {("watch", "new-resolution", "b.evil.example")}
    world.watch("watch", WatchedItem(domain="evil.example"), rules=("same-domain", "new-resolution"))
    assert world.monitor() == 1


def test_a_finding_gathers_the_evidence_of_all_that_state_it(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(say.listed("a.evil.example", on=5))
    world.monitor()
    world.load(say.listed("a.evil.example", on=2), source="second")
    world.monitor()
    assert world.execute(
        "SELECT count(*), min(n.event_time::date)::text FROM finding n JOIN finding_fact ff ON ff.finding_id = n.id"
    ) == [(2, "2026-01-03")]


def test_a_registrant_of_many_watched_names_costs_a_few_facts_for_each(world: World, say: type[Say]) -> None:
    names = [f"d{number}.example" for number in range(60)]
    world.load(*(say.registrant(name, "boss@actor.example") for name in names))
    world.watch("watch", *(WatchedItem(domain=name) for name in names))
    world.monitor()
    assert world.found() == {("watch", "shared-registrant", name) for name in names}
    ((most, total),) = world.execute(
        "SELECT max(n), sum(n)::int FROM (SELECT count(*) AS n FROM finding_fact WHERE role = 'known' GROUP BY"
        " finding_id) k"
    )
    assert most <= 3
    assert total <= 3 * len(names)
