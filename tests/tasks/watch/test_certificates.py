from __future__ import annotations

import random
import time

import pytest

from intel.config.watches import WatchedItem
from intel.entities import Kind, entity, guess
from intel.facts import Fact
from tests.tasks.watch.world import Say, World, day


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


def _logged(
    say: type[Say], leaf: int, final: int, *names: str, key: int | None = None, on: int = 0
) -> list[list[Fact]]:
    """What a log says of a precertificate (its leaf's value and its fingerprint) and of its final certificate."""
    precertificate = [*say.certificate(leaf, *names, key=key, on=on), say.same(leaf + 1_000, leaf, on)]
    return [precertificate, [*say.certificate(final, *names, key=key, on=on), say.same(final, leaf, on)]]


@pytest.mark.parametrize("seed", range(4))
def test_a_certificate_is_one_finding_whatever_its_form_and_log(world: World, say: type[Say], seed: int) -> None:
    chooser = random.Random(seed)
    told = [
        (facts, log)
        for log in ("log", "other-log")
        for facts in _logged(say, 50, chooser.choice((20, 80)), "evil.example", "shop.example", key=9)
    ]
    told = [([fact], log) for facts, log in told for fact in facts] if seed % 2 else told
    chooser.shuffle(told)
    begin = chooser.randrange(len(told))
    for number, (facts, log) in enumerate(told):
        if number == begin:
            world.watch("watch", WatchedItem(domain="evil.example"))
        world.load(*facts, source=log)
        world.monitor()
    assert _certificates(world.found()) == {("certificate-name", 50), ("mixed-certificate", 50)}
    # All that was said of it is its evidence, whatever form it was said of.
    [(facts,)] = world.execute(
        "SELECT count(*) FROM finding_fact ff JOIN finding n ON n.id = ff.finding_id"
        " WHERE n.rule = 'certificate-name' AND n.status = 'open'"
    )
    assert facts == 4


def test_the_key_of_two_forms_is_reused_where_a_third_certificate_has_it(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    for facts in _logged(say, 50, 20, "evil.example", "shop.example", key=9):
        world.load(*facts)
        world.monitor()
    for facts in _logged(say, 60, 30, "third.example", key=9):
        world.load(*facts)
        world.monitor()
    reused = {found for found in _certificates(world.found()) if found[0] == "reused-key"}
    assert reused == {("reused-key", 60)}


def test_forms_by_other_hashes_are_the_same_certificate(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    by_md5 = entity(Kind.CERTIFICATE, "ab" * 16)
    final = entity(Kind.CERTIFICATE, f"{20:064x}")
    world.load(Fact(subject=by_md5, predicate="names", object=guess("evil.example"), event_time=day(0)), source="feed")
    world.monitor()
    assert [value for _, _, value in world.found()] == [by_md5.value]
    world.load(Fact(subject=final, predicate="same-as", object=by_md5, event_time=day(0)), source="feed")
    world.monitor()
    assert [value for _, _, value in world.found()] == [final.value]
    for facts in _logged(say, 50, 20, "evil.example"):
        world.load(*facts, source="log")
    world.monitor()
    assert _certificates(world.found()) == {("certificate-name", 50)}
    assert len(world.found(status="withdrawn")) == 2


def test_what_a_person_said_of_another_form_stays(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(*say.certificate(20, "evil.example"))
    world.monitor()
    world.execute("UPDATE finding SET status = 'confirmed'")
    world.load(say.same(20, 50), source="log")
    world.monitor()
    assert _certificates(world.found(status="confirmed")) == {("certificate-name", 20)}
    assert _certificates(world.found()) == {("certificate-name", 50)}


def test_many_certificates_tied_together_cost_no_more_than_their_number(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(*say.certificate(1, "evil.example"), *(say.same(number, 1) for number in range(2, 3_000)))
    start = time.perf_counter()
    world.monitor()
    assert time.perf_counter() - start < 4
    assert _certificates(world.found()) == {("certificate-name", 1)}
