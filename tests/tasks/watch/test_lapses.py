from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import pytest

from db.finding_export import exported
from intel.config.watches import WatchedItem
from intel.entities import Kind, entity, guess, literal
from intel.facts import Fact
from tasks.watch import review
from tests.tasks.watch.world import DAY_0, Say, World, day

C2 = "192.0.2.10"
VPN = ("198.51.100.0/24", "203.0.113.0/28")


def flow(client: str, far: str, on: float = 0, service: str = "", proto: str = "tcp") -> Fact:
    said = (("proto", proto), ("service", service)) if service else (("proto", proto),)
    at = DAY_0 + timedelta(days=on)
    return Fact(subject=guess(client), predicate="communicates-with", object=guess(far), qualifiers=said, event_time=at)


def ranges(*networks: str, on: datetime | None = None) -> list[Fact]:
    label = literal(Kind.LABEL, "vpn")
    return [
        Fact(subject=entity(Kind.NETWORK, one), predicate="listed", object=label, event_time=on) for one in networks
    ]


def said(subject: tuple[str, str], predicate: str, thing: tuple[str, str], on: int = 0, **qualifiers: str) -> Fact:
    return Fact(
        subject=entity(*subject),
        predicate=predicate,
        object=entity(*thing),
        qualifiers=tuple(qualifiers.items()),
        event_time=day(on),
        personal=True,
    )


def titles(world: World, rule: str, status: str = "open") -> list[tuple[object, ...]]:
    return world.execute(
        "SELECT title, severity, lapse FROM finding WHERE rule = :rule AND status = :status ORDER BY title",
        rule=rule,
        status=status,
    )


def evidence(world: World, rule: str) -> set[tuple[object, ...]]:
    """What the findings of a rule rest on, as `lapsewatch why` reads it: role, subject, predicate, object."""
    with world.engine.connect() as connection:
        ids = [row[0] for row in world.execute("SELECT id FROM finding WHERE rule = :rule ORDER BY id", rule=rule)]
        told = [review.explain(connection, int(str(one))) for one in ids]
    return {(one.role, one.subject, one.predicate, one.object) for each in told for one in (*each.new, *each.known)}


def test_traffic_in_the_clear_is_a_lapse_and_weaker_where_less_was_seen(world: World) -> None:
    world.watch("c2", WatchedItem(network="192.0.2.0/24"))
    world.load(
        flow("10.0.0.5", "192.0.2.10:80", service="http"),
        flow("10.0.0.5", "192.0.2.11:443", service="ssl"),
        flow("10.0.0.5", "192.0.2.12:8080"),
        flow("10.0.0.5", "192.0.2.13:53", service="dns", proto="udp"),
        flow("10.0.0.5", "192.0.2.14:443", service="http,ssl"),
        flow("192.0.2.20", "198.51.100.7:21", service="ftp"),
        flow("10.0.0.5", "198.51.100.9:80", service="http"),
    )
    world.monitor()
    assert titles(world, "clear-c2") == [
        ("traffic with 192.0.2.10:80 goes in the clear: http", 75, True),
        ("traffic with 192.0.2.12:8080 goes in the clear: http by its port 8080", 45, True),
        ("traffic with 192.0.2.20 goes in the clear: ftp", 75, True),
    ]
    assert ("new", "10.0.0.5", "communicates-with", "192.0.2.10:80") in evidence(world, "clear-c2")
    world.load(flow("10.0.0.5", "192.0.2.10:80", service="ssl", on=1))
    world.load(Fact(subject=guess("192.0.2.12:8080"), predicate="presents", object=entity(Kind.CERTIFICATE, "a" * 64)))
    world.monitor()
    assert [row[1] for row in titles(world, "clear-c2")] == [35, 45, 75]
    # A service that was recognised later says more than the port.
    world.load(flow("10.0.0.6", "192.0.2.12:8080", service="http"))
    world.monitor()
    assert titles(world, "clear-c2")[1] == (
        "traffic with 192.0.2.12:8080 goes in the clear: http, http by its port 8080",
        60,
        True,
    )


def test_who_reaches_the_administration_from_outside_the_ranges_of_that_day(world: World) -> None:
    world.watch("c2", WatchedItem(network=C2))
    world.load(*ranges(*VPN), source="vpn", snapshot=True, as_of=day(0))
    usual = [flow(f"198.51.100.{one}", f"{C2}:22", on=1 + one / 100, service="ssh") for one in range(3)]
    victims = [flow(f"203.0.113.{100 + one}", f"{C2}:443", on=1, service="ssl") for one in range(5)]
    world.load(*usual, *victims, flow("203.0.113.200", f"{C2}:22", on=1.2), flow("10.1.1.1", f"{C2}:22", on=1))
    world.monitor()
    title = (
        "203.0.113.200 reached 192.0.2.10:22 on 2026-01-02 (administration, port 22; 3 other connections came from"
        " inside) from outside all known VPN and proxy ranges (lists of 2026-01-01)"
    )
    assert titles(world, "outside-vpn") == [(title, 80, True)]
    chain = evidence(world, "outside-vpn")
    assert ("new", "203.0.113.200", "communicates-with", "192.0.2.10:22") in chain
    assert ("known", "198.51.100.0/24", "listed", "vpn") in chain
    # The list of the very day: it is told, and a range that it adds disproves the finding.
    world.load(*ranges(*VPN, "203.0.113.192/26"), source="vpn", snapshot=True, as_of=day(1))
    world.monitor()
    assert titles(world, "outside-vpn") == []
    assert len(titles(world, "outside-vpn", "withdrawn")) == 1
    # A range that is gone by then says nothing of that day, and one that is listed later does not either.
    world.load(*ranges(*VPN[:1]), source="vpn", snapshot=True, as_of=day(5))
    world.load(flow("203.0.113.201", f"{C2}:22", on=5.1), flow("198.51.100.9", f"{C2}:22", on=5))
    world.load(*ranges(*VPN, "203.0.113.192/26"), source="vpn", snapshot=True, as_of=day(9))
    world.monitor()
    assert [str(row[0]).partition(" (")[0] for row in titles(world, "outside-vpn")] == [
        "203.0.113.201 reached 192.0.2.10:22 on 2026-01-06"
    ]
    assert str(titles(world, "outside-vpn")[0][0]).endswith("from outside all VPN and proxy ranges of that day")
    assert titles(world, "outside-vpn")[0][1] == 85


def test_a_list_of_a_later_day_is_not_used_silently(world: World) -> None:
    world.watch("c2", WatchedItem(network=C2))
    usual = [flow(f"198.51.100.{one}", f"{C2}:3389", on=1) for one in range(3)]
    world.load(*usual, flow("203.0.113.200", f"{C2}:3389", on=1))
    world.monitor()
    assert titles(world, "outside-vpn") == []
    world.load(*ranges(*VPN), source="vpn", snapshot=True, as_of=day(7))
    world.monitor()
    ((title, severity, _),) = titles(world, "outside-vpn")
    assert "lists of 2026-01-08, which is later" in str(title)
    assert severity == 55


def test_from_anywhere_there_is_no_usual_way(world: World) -> None:
    world.watch("c2", WatchedItem(network=C2))
    world.load(*ranges(*VPN), source="vpn", snapshot=True, as_of=day(0))
    inside = [flow(f"198.51.100.{one}", f"{C2}:22", on=1) for one in range(2)]
    outside = [flow(f"203.0.113.{200 + one}", f"{C2}:22", on=1) for one in range(2)]
    world.load(*inside, *outside)
    world.monitor()
    assert titles(world, "outside-vpn") == []


DARK = "darkheron"


def test_a_mailbox_in_another_role_and_a_handle_at_another_provider(world: World, say: type[Say]) -> None:
    world.watch("heron", WatchedItem(domain="evil.example"))
    box, other = (Kind.EMAIL, f"{DARK}@mail.example"), (Kind.EMAIL, f"{DARK}@post.test")
    world.load(
        say.registrant("evil.example", box[1]),
        said((Kind.DOMAIN, "zone.test"), "has-soa-contact", box),
        said(box, "reported-in", (Kind.REPORT, "https://reports.example/1")),
        say.registrant("next.example", other[1]),
        said((Kind.DOMAIN, "tech.example"), "registered-by", box, role="technical"),
        say.registrant("evil.example", "admin@crowd.example"),
        said((Kind.DOMAIN, "crowd.example"), "has-soa-contact", (Kind.EMAIL, "admin@crowd.example")),
    )
    world.monitor()
    found = {str(title): severity for title, severity, _ in titles(world, "shared-handle")}
    said_of = {title: severity for title, severity in found.items() if "zone.test" in title or "next.example" in title}
    common = "has an e-mail in common with evil.example"
    assert list(said_of) == [
        f"next.example {common}: the same handle at another provider, the registrant there, the registrant here",
        f"zone.test {common}: the zone's contact there, the registrant here",
    ]
    assert list(said_of.values()) == [45, 75]
    assert any(title.startswith("https://reports.example/1 ") for title in found)
    assert not any("tech.example" in title for title in found)
    assert ("known", "evil.example", "registered-by", "d***@mail.example") in evidence(world, "shared-handle")
    assert not any(DARK in title for title in found)
    # What becomes watched is no stranger any more.
    world.watch("heron", WatchedItem(domain="evil.example"), WatchedItem(domain="zone.test"))
    world.monitor()
    assert not any("zone.test" in str(title) for title, _, _ in titles(world, "shared-handle"))


def test_a_word_that_is_nobodys_is_no_handle(world: World, say: type[Say]) -> None:
    world.watch("heron", WatchedItem(domain="evil.example"))
    world.load(say.registrant("evil.example", "hostmaster@a.example"), say.registrant("b.test", "hostmaster@b.test"))
    world.load(say.registrant("evil.example", "abc@a.example"), say.registrant("c.test", "abc@c.test"))
    crowd = [say.registrant(f"d{one}.test", f"sunflower@d{one}.test") for one in range(6)]
    world.load(say.registrant("evil.example", "sunflower@a.example"), *crowd)
    world.monitor()
    assert titles(world, "shared-handle") == []


def test_infrastructure_that_was_prepared_before_its_use_and_that_stands_ready(world: World, say: type[Say]) -> None:
    world.watch("heron", WatchedItem(domain="evil.example"), WatchedItem(network=C2))
    world.load(
        say.created("evil.example", "2026-01-01T00:00:00Z", on=100),
        *say.certificate(1, "www.evil.example", on=4),
        say.resolves("evil.example", C2, on=9),
        say.listed("login.evil.example", on=40),
        say.listed("evil.example", on=60),
        say.created("next.example", "2026-01-20T00:00:00Z", on=100),
        say.resolves("cdn.next.example", C2, on=22),
    )
    world.monitor()
    steps = "registered 2026-01-01, first certificate 2026-01-05, first resolution 2026-01-10"
    ready = "next.example stands ready and is not known to be used: registered 2026-01-20"
    assert titles(world, "prepared-before-use") == [
        (f"evil.example was prepared 40 days before its first known use on 2026-02-10: {steps}", 30, True),
        (f"{ready}, on a watched address 3 days later", 55, True),
    ]
    # An earlier use shortens it, until there is none; a use of what stood ready ends that.
    world.load(say.listed("www.evil.example", on=20), say.listed("next.example", on=200))
    world.monitor()
    ((title, *_),) = titles(world, "prepared-before-use")
    assert str(title).startswith("evil.example was prepared 20 days before its first known use on 2026-01-21: ")
    world.load(say.listed("evil.example", on=5), source="other")
    world.monitor()
    assert titles(world, "prepared-before-use") == []


def test_what_an_earlier_registration_had_is_no_preparation(world: World, say: type[Say]) -> None:
    world.watch("heron", WatchedItem(domain="evil.example"), WatchedItem(network=C2))
    world.load(
        say.created("evil.example", "2025-06-01", on=0),
        *say.certificate(1, "www.evil.example", on=1),
        say.listed("evil.example", on=70),
        say.created("next.test", "2025-12-20", on=0),
        say.resolves("next.test", C2, on=1),
    )
    world.monitor()
    assert [str(row[0]).partition(" (")[0][:38] for row in titles(world, "prepared-before-use")] == [
        "evil.example was prepared 284 days bef",
        "next.test stands ready and is not know",
    ]
    world.load(say.created("evil.example", "2026-02-20", on=60), say.created("next.test", "2026-06-20", on=200))
    world.monitor()
    # What counts is the registration that was used; what stood ready is somebody else's now, and on no blocklist.
    assert [row[0] for row in titles(world, "prepared-before-use")] == [
        "evil.example was prepared 20 days before its first known use on 2026-03-12: registered 2026-02-20"
    ]
    with world.engine.connect() as connection:
        found = exported(connection, statuses=("open", "withdrawn"), personal=frozenset())
        assert {one.record.subject for one in found if one.ended} >= {"next.test"}


def test_many_registrations_at_once_are_judged_by_indexes(world: World, say: type[Say]) -> None:
    world.watch("heron", WatchedItem(domain="evil.example"))
    world.load(*(say.created(f"n{one}.test", "2026-01-02") for one in range(1_000)))
    began = time.perf_counter()
    world.monitor()
    assert time.perf_counter() - began < 4


def test_the_first_list_that_is_read_dates_no_use(world: World, say: type[Say]) -> None:
    world.watch("heron", WatchedItem(domain="evil.example"))
    world.load(say.created("evil.example", "2026-01-01", on=90))
    world.load(say.listed("evil.example", on=50), source="list", snapshot=True, as_of=day(50))
    world.monitor()
    assert titles(world, "prepared-before-use") == []


def test_the_name_servers_of_few_tie_what_stands_ready(world: World, say: type[Say]) -> None:
    world.watch("heron", WatchedItem(domain="evil.example"))
    world.load(say.name_servers("evil.example", "ns1.rare.test ns2.rare.test"))
    world.load(
        say.name_servers("next.test", "ns1.rare.test ns2.rare.test", on=3), say.created("next.test", "2026-01-02")
    )
    crowd = [say.name_servers(f"d{one}.test", "ns1.many.test ns2.many.test", on=3) for one in range(30)]
    world.load(*crowd, say.name_servers("evil.example", "ns1.many.test ns2.many.test"))
    world.load(*[say.created(f"d{one}.test", "2026-01-02") for one in range(30)])
    world.monitor()
    ready = "next.test stands ready and is not known to be used: registered 2026-01-02"
    assert [row[0] for row in titles(world, "prepared-before-use")] == [
        f"{ready}, with a watched domain's name servers 2 days later"
    ]


def _presented(say: type[Say], *hosts: tuple[str, int], keys: Iterable[tuple[int, int]] = ()) -> list[Fact]:
    facts = [say.presents(host, number) for host, number in hosts]
    for number, key in keys:
        facts += say.certificate(number, key=key)
    return facts


def test_one_certificate_or_key_on_unrelated_hosts(world: World, say: type[Say]) -> None:
    world.watch("c2", WatchedItem(network=C2))
    world.load_all(
        _presented(
            say,
            (f"{C2}:443", 1),
            (f"{C2}:8443", 1),
            ("198.51.100.1:443", 1),
            ("198.51.100.2:443", 2),
            ("198.51.100.3:443", 3),
            keys=[(1, 7), (2, 7), (3, 8)],
        )
    )
    world.monitor()
    own = {row for row in world.found() if row[1].startswith("reused")}
    assert own == {
        ("c2", "reused-certificate", "198.51.100.1:443"),
        ("c2", "reused-key", "198.51.100.2:443"),
    }
    one = f"sha256:{1:064x}"
    assert titles(world, "reused-certificate") == [
        (f"198.51.100.1:443 presents certificate {one}, as the watched address {C2} does", 80, True)
    ]
    chain = evidence(world, "reused-certificate")
    assert {("known", f"{C2}:{port}", "presents", one) for port in (443, 8443)} & chain
    name = literal(Kind.TEXT, "CN=Example,O=Internet Widgits Pty Ltd,ST=Some-State,C=AU")
    certificate = entity(Kind.CERTIFICATE, one)
    world.load(
        Fact(subject=certificate, predicate="issued-by", object=name),
        Fact(subject=certificate, predicate="described-as", object=name, qualifiers=(("field", "subject"),)),
        Fact(subject=certificate, predicate="listed", object=literal(Kind.LABEL, "heron c2")),
    )
    world.monitor()
    ((annotations,),) = world.execute("SELECT annotations FROM finding WHERE rule = 'reused-certificate'")
    hubs = {annotation["hub"]: annotation["why"] for annotation in annotations}  # type: ignore[attr-defined]  # JSON
    assert {"default-certificate", "self-signed", "listed"} <= set(hubs)
    assert hubs["listed"] == "listed as heron c2"
    # The two forms of one certificate are no reused key.
    world.load(say.same(1, 2))
    world.monitor()
    assert not any(rule == "reused-key" for _, rule, _ in world.found())
    world.watch("c2", WatchedItem(network=C2), WatchedItem(network="198.51.100.0/24"))
    world.monitor()
    assert not any(rule.startswith("reused") for _, rule, _ in world.found())


def _story(say: type[Say], chooser: random.Random) -> list[Fact]:
    names = ["evil.example", "www.evil.example", "bad.test", "next.test", "free.test"]
    clients = [f"198.51.100.{one}" for one in range(4)] + [f"203.0.113.{one}" for one in (20, 200, 201)]
    hosts = [f"{C2}:80", "198.51.100.60:443", "198.51.100.61:443"]
    boxes = [f"{DARK}@mail.example", f"{DARK}@post.test", "heronsmith@mail.example"]
    facts = []
    for _ in range(70):
        on, name = chooser.randrange(40), chooser.choice(names)
        makers: list[Callable[[], Fact]] = [
            lambda o=on: flow(chooser.choice(clients), f"{C2}:{chooser.choice((23, 80))}", on=o),
            lambda o=on: flow(chooser.choice(clients), f"{C2}:80", on=o, service=chooser.choice(("http", "ssl"))),
            lambda n=name, o=on: say.created(n, f"2026-01-{1 + o // 4:02}", on=o),
            lambda n=name, o=on: say.resolves(n, chooser.choice((C2, "198.51.100.50")), on=o),
            lambda n=name, o=on: say.registrant(n, chooser.choice(boxes), on=o),
            lambda n=name, o=on: said((Kind.DOMAIN, n), "has-soa-contact", (Kind.EMAIL, chooser.choice(boxes)), o),
            lambda o=on: say.presents(chooser.choice(hosts), 1 + o % 4),
        ]
        facts.append(chooser.choice(makers)())
    for number in range(1, 5):
        facts += say.certificate(number, *chooser.sample(names, number % 2), key=number // 2)
    facts.append(say.same(4, 3))
    facts.append(say.listed(chooser.choice(names), on=35))
    facts.append(say.claim("192.0.2.10", "lab:one"))
    facts += [flow(client, f"{C2}:22", on=15) for client in ("198.51.100.1", "198.51.100.2", "203.0.113.250")]
    return facts


def _told(world: World, facts: list[Fact], chooser: random.Random, splits: int) -> set[tuple[object, ...]]:
    world.execute(
        "TRUNCATE finding_fact, finding, watch_item, watch, judgement, batch, fact, fact_history, link, cursor,"
        " document CASCADE"
    )
    shuffled = chooser.sample(facts, len(facts))
    cuts = sorted(chooser.sample(range(1, len(facts)), splits - 1))
    # Snapshots come in their order; what else is known comes between them.
    parts = list(zip([0, *cuts], [*cuts, len(facts)], strict=True))
    days = [(day(4), VPN), (day(11), (*VPN, "203.0.113.192/29")), (day(20), VPN[:1])]
    places = sorted(chooser.randrange(splits) for _ in days)
    begin = chooser.randrange(splits)
    for number, (start, end) in enumerate(parts):
        if number == begin:
            world.watch("c2", WatchedItem(network=C2), actor="lab:one")
            world.watch("heron", WatchedItem(domain="evil.example"), WatchedItem(key=f"{1:064x}"))
        for at, networks in [one for place, one in zip(places, days, strict=True) if place == number]:
            world.load(*ranges(*networks), source="vpn", snapshot=True, as_of=at)
            if chooser.random() < 0.5:
                world.monitor()
        world.load_all(shuffled[start:end])
        if chooser.random() < 0.7:
            world.monitor()
    world.monitor()
    return world.everything()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.slow
def test_what_comes_when_does_not_matter(world: World, say: type[Say], seed: int) -> None:
    chooser = random.Random(seed)
    facts = _story(say, chooser)
    once = _told(world, facts, chooser, 1)
    rules = {row[1] for row in once}
    assert {"clear-c2", "outside-vpn", "shared-handle", "prepared-before-use", "reused-certificate"} <= rules
    for splits in (3, 8):
        assert _told(world, facts, chooser, splits) == once
