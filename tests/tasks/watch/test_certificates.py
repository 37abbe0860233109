from __future__ import annotations

from intel.config.watches import WatchedItem
from tests.tasks.watch.world import Say, World


def _certificates(found: set[tuple[str, str, str]]) -> set[tuple[str, int]]:
    return {(rule, int(value.removeprefix("sha256:"), 16)) for _, rule, value in found}


def test_a_certificate_that_names_a_watched_name_is_one_finding(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), WatchedItem(network="192.0.2.7"))
    world.load(
        *say.certificate(1, "evil.example", "www.evil.example"),
        *say.certificate(2, "notevil.example"),
        *say.certificate(3, "192.0.2.7"),
        *say.certificate(4, "192.0.2.8"),
    )
    assert world.monitor() == 2
    assert _certificates(world.found()) == {("certificate-name", 1), ("certificate-name", 3)}


def test_certificates_on_a_shared_suffix_are_told_apart(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="mine.duckdns.org"))
    world.load(*say.certificate(1, "other.duckdns.org"), *say.certificate(2, "a.mine.duckdns.org"))
    world.monitor()
    assert _certificates(world.found()) == {("certificate-name", 2)}


def test_a_watched_key_in_any_certificate_is_a_lapse(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(key=f"{9:064x}"))
    world.load(*say.certificate(1, "innocent.example", key=9), *say.certificate(2, "innocent.example", key=8))
    world.monitor()
    assert _certificates(world.found()) == {("reused-key", 1)}
    assert world.execute("SELECT lapse FROM finding") == [(True,)]


def test_the_key_of_a_watched_name_in_another_domains_certificate_is_a_lapse(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(*say.certificate(1, "evil.example", key=9))
    world.monitor()
    world.load(
        *say.certificate(2, "second.example", key=9),  # the lapse
        *say.certificate(3, "www.evil.example", key=9),  # a renewal
        *say.certificate(4, "third.example", key=8),
        source="log",
    )
    world.monitor()
    assert {found for found in _certificates(world.found()) if found[0] == "reused-key"} == {("reused-key", 2)}
    known = world.execute(
        "SELECT f.predicate FROM finding n JOIN finding_fact ff ON ff.finding_id = n.id AND ff.role = 'known'"
        " JOIN fact f ON f.id = ff.fact_id WHERE n.rule = 'reused-key' ORDER BY 1"
    )
    assert set(known) == {("has-key",), ("names",)}


def test_a_watched_certificate_presented_elsewhere_is_a_lapse(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(certificate=f"{1:064x}"), WatchedItem(network="192.0.2.7"))
    world.load(
        say.presents("192.0.2.7:443", 1), say.presents("198.51.100.9:443", 1), say.presents("198.51.100.9:443", 2)
    )
    world.monitor()
    assert world.found() == {("watch", "reused-certificate", "198.51.100.9:443")}


def test_a_certificate_for_watched_and_other_domains_is_a_lesser_lapse(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), WatchedItem(domain="bad.example"))
    world.load(
        *say.certificate(1, "evil.example", "bad.example"),
        *say.certificate(2, "evil.example", "www.evil.example"),
        *say.certificate(3, "evil.example", "shop.example"),
        *say.certificate(4, "shop.example", "other.example"),
    )
    world.monitor()
    assert {found for found in _certificates(world.found()) if found[0] == "mixed-certificate"} == {
        ("mixed-certificate", 3)
    }


def test_what_was_unwatched_and_is_claimed_later_is_withdrawn(world: World, say: type[Say]) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    world.load(say.claim("evil.example", "lab:one"))
    world.load(*say.certificate(1, "evil.example", "bad.example", on=3), source="log")
    world.monitor()
    assert ("mixed-certificate", 1) in _certificates(world.found())
    world.load(say.claim("bad.example", "lab:one", on=4))
    world.monitor()
    assert _certificates({f for f in world.found() if f[1] != "same-domain"}) == {("certificate-name", 1)}


def test_a_certificate_of_the_day_of_the_claim_is_no_news(world: World, say: type[Say]) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    world.load(say.claim("evil.example", "lab:one", on=3))
    world.load(*say.certificate(1, "evil.example", on=3), *say.certificate(2, "evil.example", on=4), source="log")
    world.monitor()
    assert _certificates(world.found()) == {("certificate-name", 2)}


def test_a_new_watch_looks_backwards_at_certificates(world: World, say: type[Say]) -> None:
    world.load(*say.certificate(1, "evil.example", key=9), *say.certificate(2, "second.example", key=9))
    world.monitor()
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.monitor()
    assert _certificates(world.found()) == {("certificate-name", 1), ("reused-key", 2)}
