from __future__ import annotations

import random

import pytest

from intel.config.watches import WatchedItem
from intel.entities import Kind, entity
from intel.facts import Fact
from tests.tasks.watch.world import Say, World, day

ISSUER = "ab" * 32


def rules(world: World, *, status: str = "open") -> set[tuple[str, int]]:
    return {(rule, int(value.removeprefix("sha256:"), 16)) for _, rule, value in world.found(status=status)}


def titles(world: World) -> list[str]:
    return [str(row[0]) for row in world.execute("SELECT title FROM finding ORDER BY id")]


@pytest.mark.parametrize(
    ("item", "pattern", "rule"),
    [
        (WatchedItem(lookalike="example.com"), "lookalike:example.com", "lookalike-name"),
        (WatchedItem(lookalike="acmecorp"), "lookalike:acmecorp", "lookalike-name"),
        (WatchedItem(keyword="acme"), "keyword:acme", "keyword-name"),
        (WatchedItem(issuer="*O=Acme Trust*"), "issuer:*o=acme trust*", "certificate-pattern"),
        (WatchedItem(subject="*O=Acme Ltd*"), "subject:*o=acme ltd*", "certificate-pattern"),
        (WatchedItem(serial=f"{ISSUER}/0A:BC"), f"serial:{ISSUER}/0abc", "known-certificate"),
    ],
)
def test_a_pattern_is_found_once_per_certificate(
    world: World, say: type[Say], item: WatchedItem, pattern: str, rule: str
) -> None:
    world.watch("watch", item)
    # The same certificate in two forms and two logs, by several of its names; another by another pattern.
    for log in ("log", "other-log"):
        world.load(
            say.matches(50, pattern, "a.examp1e.com", on=1), say.matches(50, pattern, "b.examp1e.com"), source=log
        )
        world.load(say.matches(20, pattern, "a.examp1e.com"), say.same(20, 50), source=log)
    world.load(say.matches(7, f"{pattern}x", "a.examp1e.com"))
    world.monitor()
    assert rules(world) == {(rule, 50)}
    [(evidence,)] = world.execute(
        "SELECT count(*) FROM finding_fact ff JOIN finding n ON n.id = ff.finding_id WHERE n.status = 'open'"
    )
    assert evidence == 6
    assert world.monitor() == 0


def test_a_title_says_what_looks_like_what_and_why(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(lookalike="example.com"), WatchedItem(keyword="acme"))
    world.load(say.matches(1, "lookalike:example.com", "examp1e.com", "one letter replaced: l by 1"))
    world.load(say.matches(2, "keyword:acme", "acme-login.example"))
    world.monitor()
    assert titles(world) == [
        f"certificate sha256:{1:064x} names examp1e.com, which looks like example.com: one letter replaced: l by 1",
        f"certificate sha256:{2:064x} names acme-login.example, in which the keyword acme stands",
    ]


def test_what_lists_say_of_the_name_that_matched_lowers_the_finding(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(lookalike="harbour.example"))
    world.load(say.matches(1, "lookalike:harbour.example", "www.example.org", "x"))
    world.load(say.matches(2, "lookalike:harbour.example", "harb0ur.example", "x"))
    world.monitor()
    [(lowered, notes), (plain, none)] = world.execute("SELECT severity, annotations FROM finding ORDER BY severity")
    assert (plain, none) == (55, [])
    assert {one["about"] for one in notes} == {"name"}  # type: ignore[attr-defined]  # JSON
    assert lowered == 55 - max(one["takes"] for one in notes)  # type: ignore[attr-defined]  # JSON


def test_one_certificate_and_two_patterns_are_two_findings(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(lookalike="example.com"), WatchedItem(lookalike="example.org"))
    world.load(*(say.matches(1, f"lookalike:example.{end}", "examp1e.com") for end in ("com", "org", "net")))
    world.monitor()
    assert world.execute("SELECT rule, count(*) FROM finding GROUP BY 1") == [("lookalike-name", 2)]


def test_a_match_is_no_match_of_who_does_not_watch_it(world: World, say: type[Say]) -> None:
    world.watch("one", WatchedItem(lookalike="example.com"))
    world.watch("two", WatchedItem(lookalike="example.com"), rules=("keyword-name",))
    world.watch("three", WatchedItem(keyword="example.com"))
    world.load(say.matches(1, "lookalike:example.com", "examp1e.com"))
    world.monitor()
    assert [watch for watch, _, _ in world.found()] == ["one"]
    world.watch("late", WatchedItem(lookalike="example.com"))
    world.monitor()
    assert sorted(watch for watch, _, _ in world.found()) == ["late", "one"]


def test_a_match_of_the_day_it_was_known_is_no_news(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(lookalike="example.com", since="2026-01-03"))
    world.load(say.matches(1, "lookalike:example.com", on=2), say.matches(2, "lookalike:example.com", on=3))
    world.monitor()
    assert rules(world) == {("lookalike-name", 2)}


def test_a_wildcard_that_covers_a_watched_name_is_a_finding_of_its_own(world: World, say: type[Say]) -> None:
    world.watch("exact", WatchedItem(domain="host.shared.example"))
    world.watch("tree", WatchedItem(domain="mine.duckdns.org"))
    world.load(
        say.matches(1, "host.shared.example", "*.shared.example"),
        say.matches(2, "other.shared.example", "*.shared.example"),
        say.matches(3, "mine.duckdns.org", "*.duckdns.org"),
    )
    world.monitor()
    assert rules(world) == {("wildcard-name", 1), ("wildcard-name", 3)}
    assert "names *.shared.example, which covers the watched" in titles(world)[0]


def test_what_cannot_be_read_and_holds_a_watched_name_is_one_finding(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), WatchedItem(keyword="evil"))
    found = "found in the raw bytes"
    world.load(
        say.matches(1, "www.evil.example", "www.evil.example", found, state="unparsed"),
        say.matches(1, "keyword:evil", "www.evil.example", found, state="unparsed"),
        say.matches(2, "www.good.example", "www.good.example", found, state="unparsed"),
        say.logged(1, 3),
    )
    world.monitor()
    assert rules(world) == {("unreadable-certificate", 1)}
    assert "cannot be read, and has www.evil.example among its octets" in titles(world)[0]
    world.watch("late", WatchedItem(domain="good.example"))
    world.monitor()
    assert rules(world) == {("unreadable-certificate", 1), ("unreadable-certificate", 2)}


def test_a_watched_certificate_in_a_log_is_one_finding_by_whichever_hash(world: World, say: type[Say]) -> None:
    by_sha1 = entity(Kind.CERTIFICATE, "cd" * 20)
    world.watch("fingerprint", WatchedItem(certificate=f"{20:064x}"))
    world.watch("tbs", WatchedItem(tbs=f"{50:064x}"))
    world.watch("sha1", WatchedItem(certificate="cd" * 20))
    world.watch("other", WatchedItem(certificate=f"{21:064x}"))
    sha1 = Fact(subject=entity(Kind.CERTIFICATE, f"{20:064x}"), predicate="same-as", object=by_sha1, event_time=day(0))
    for log in ("log", "other-log"):
        world.load(*say.certificate(50, "a.example", key=9), say.logged(50, 1, log=log), source=log)
        world.load(*say.certificate(20, "a.example", key=9), say.logged(20, 2, log=log), source=log)
        world.load(say.same(20, 50), sha1, source=log)
        world.monitor()
    subject = f"sha256:{50:064x}"
    assert world.found() == {(watch, "known-certificate", subject) for watch in ("fingerprint", "tbs", "sha1")}
    assert world.execute("SELECT DISTINCT rule FROM finding") == [("known-certificate",)]


def test_a_sha1_of_a_feed_meets_what_feeds_say(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(certificate="cd" * 20))
    by_sha1 = entity(Kind.CERTIFICATE, "cd" * 20)
    listed = Fact(subject=by_sha1, predicate="listed", object=say.listed("a.example").object, event_time=day(0))
    world.load(listed, source="blocklist")
    world.monitor()
    assert world.found() == {("watch", "exact", by_sha1.value)}


def test_a_log_that_ties_the_forms_of_a_watched_certificate_does_not_mention_it(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(tbs=f"{50:064x}"))
    world.load(say.same(20, 50))
    world.monitor()
    assert world.found() == set()


@pytest.mark.parametrize("form", [20, 50])
def test_a_certificate_is_reused_by_whichever_form_it_is_presented(world: World, say: type[Say], form: int) -> None:
    world.watch("watch", WatchedItem(tbs=f"{50:064x}"))
    world.load(say.presents("198.51.100.9:443", form), say.presents("198.51.100.9:443", 20), source="scan")
    world.monitor()
    world.load(say.same(20, 50), source="log")
    world.monitor()
    assert world.found() == {("watch", "reused-certificate", "198.51.100.9:443")}
    assert len(world.execute("SELECT FROM finding WHERE status = 'open'")) == 1


def test_a_form_that_turns_out_to_be_another_is_presented_once(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(certificate=f"{20:064x}"))
    world.load(say.presents("198.51.100.9:443", 20), source="scan")
    world.monitor()
    world.load(say.same(20, 50), source="log")
    world.monitor()
    assert world.execute("SELECT status, count(*) FROM finding GROUP BY 1 ORDER BY 1") == [
        ("open", 1),
        ("withdrawn", 1),
    ]


def test_the_key_of_a_watched_certificate_is_not_reused_in_itself(world: World, say: type[Say]) -> None:
    """A certificate given as PEM is watched by its key too."""
    world.watch("watch", WatchedItem(tbs=f"{50:064x}"), WatchedItem(key=f"{9:064x}"))
    world.load(*say.certificate(20, "evil.example", key=9), say.logged(20, 1))
    world.monitor()
    assert rules(world) == {("reused-key", 20)}
    world.load(say.same(20, 50))
    world.monitor()
    assert rules(world) == {("known-certificate", 50)}
    world.load(*say.certificate(60, "other.example", key=9), say.logged(60, 2))
    world.monitor()
    assert rules(world) == {("known-certificate", 50), ("reused-key", 60)}


def test_a_title_says_which_watched_key_it_is_and_whose_a_known_one(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(key=f"{9:064x}"), WatchedItem(domain="evil.example"))
    world.load(*say.certificate(1, "shop.example", key=9))
    world.load(*say.certificate(2, "evil.example", key=8), *say.certificate(3, "shop.example", key=8))
    world.monitor()
    found = world.execute("SELECT title FROM finding WHERE rule = 'reused-key' ORDER BY subject_id")
    assert [title for (title,) in found] == [
        f"certificate sha256:{1:064x} has the watched key sha256:{9:064x}",
        f"certificate sha256:{3:064x} has a key that the watched domain evil.example was known to have",
    ]


def test_serial_and_issuer_make_a_certificate_known(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(serial=f"{ISSUER}/07"), WatchedItem(key=f"{9:064x}"))
    world.load(*say.certificate(20, "evil.example", key=9), say.logged(20, 1))
    world.monitor()
    assert rules(world) == {("reused-key", 20)}
    world.load(say.matches(20, f"serial:{ISSUER}/07"))
    world.monitor()
    assert rules(world) == {("known-certificate", 20)}


def test_a_key_of_a_watched_actor_is_reused_whoever_knew_it_first(world: World, say: type[Say]) -> None:
    """The key is learned from an archive's or another log's certificate, before or after the one that uses it again."""
    world.watch("watch", WatchedItem(domain="evil.example"))
    old = [*say.certificate(1, "evil.example", key=9), say.logged(1, 5, log="archive")]
    new = [*say.certificate(2, "shop.example", key=9), say.logged(2, 7)]
    world.load(*new, source="log")
    world.monitor()
    assert world.found() == set()
    world.load(*old, source="archive")
    world.monitor()
    assert ("reused-key", 2) in rules(world)
    near = [*say.certificate(3, "shop.example", key=8), *say.certificate(4, "www.evil.example", key=9)]
    world.load(*near, source="log")
    world.monitor()
    assert {found for found in rules(world) if found[0] == "reused-key"} == {("reused-key", 2)}


def test_a_claimed_certificate_and_key_of_a_followed_actor_are_watched(world: World, say: type[Say]) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    for kind, number in ((Kind.CERTIFICATE, 20), (Kind.PUBLIC_KEY, 9)):
        claim = say.claim("a.example", "lab:one")
        world.load(Fact(subject=entity(kind, f"{number:064x}"), predicate=claim.predicate, object=claim.object,
                        event_time=day(0)))  # fmt: skip
    world.load(*say.certificate(30, "shop.example", key=9, on=2), say.logged(20, 4, on=2), source="log")
    world.monitor()
    assert rules(world) == {("reused-key", 30), ("known-certificate", 20)}
    known = world.execute("SELECT count(*) FROM finding_fact WHERE role = 'known'")
    assert known == [(2,)]


@pytest.mark.parametrize("seed", range(3))
def test_watched_and_unwatched_names_in_different_forms_are_mixed(world: World, say: type[Say], seed: int) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    told = [
        *say.certificate(50, "evil.example"),  # the precertificate's leaf, as one log has it
        *say.certificate(20, "shop.example"),  # the final certificate, of which only this name was kept
        say.same(20, 50),
        *say.certificate(7, "evil.example", "www.evil.example"),  # near miss
        *say.certificate(8, "shop.example"),
    ]
    random.Random(seed).shuffle(told)
    for fact in told:
        world.load(fact, source="log")
        world.monitor()
    assert {found for found in rules(world) if found[0] == "mixed-certificate"} == {("mixed-certificate", 50)}


def test_a_pattern_that_was_not_watched_for_a_while_is_found_once_per_certificate(world: World, say: type[Say]) -> None:
    lookalikes = [WatchedItem(lookalike="example.com"), WatchedItem(lookalike="example.org")]
    world.watch("watch", *lookalikes)
    world.load(*(say.matches(20, f"lookalike:example.{end}", "examp1e.com") for end in ("com", "org")))
    world.monitor()
    world.watch("watch", WatchedItem(keyword="acme"))
    world.load(say.same(20, 50), say.matches(50, "lookalike:example.com", "examp1e.com"))
    world.monitor()
    assert rules(world) == {("lookalike-name", 20)}
    world.watch("watch", lookalikes[0])
    world.monitor()
    # What only an item found that is still gone stays.
    assert world.execute("SELECT title FROM finding WHERE status = 'open' ORDER BY title") == [
        (f"certificate sha256:{number:064x} names examp1e.com, which looks like example.{end}: ",)
        for number, end in ((20, "org"), (50, "com"))
    ]
