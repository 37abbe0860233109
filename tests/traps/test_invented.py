"""The traps' invented twins: the same, where nothing rests on a name that is on somebody's list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from intel.config.evidence import read_evidence
from intel.entities import Kind, entity
from intel.evidence import Family, Weighed
from intel.facts import Fact, Predicate
from intel.settings import settings
from tasks.pivot.pivot import Neighbour
from tests.traps import invented as given
from tests.traps.warehouse import Warehouse, later, registered

pytestmark = pytest.mark.xdist_group("traps")
ACTED_ON = 8.0
"""Bits from which an investigation asks about a lead (configs/evidence.yaml, `acts`)."""


def test_what_is_acted_on_is_what_the_traps_think(invented: Warehouse) -> None:
    assert invented.engine
    assert read_evidence(settings().configs).acts.look_up == ACTED_ON


def strong(led: Mapping[str, Neighbour], names: Iterable[str]) -> list[str]:
    """Those of the names that something would be done about."""
    return [name for name in names if name in led and led[name].bits >= ACTED_ON]


def of(weighed: Weighed, family: Family) -> float:
    return weighed.families.get(family, 0.0)


def strangers(name: str, count: int = 3) -> list[str]:
    """Domains with nothing in common: `name-0.example` and so on."""
    return [f"{name}-{number}.example" for number in range(count)]


def facts(names: Iterable[str], **shared: str | tuple[str, ...]) -> list[Fact]:
    return [fact for number, name in enumerate(names) for fact in registered(name, at=later(40 * number), **shared)]


@pytest.mark.parametrize("address", given.CONTENT_NETWORK)
def test_addresses_of_a_content_network_do_not_link(invented: Warehouse, address: str) -> None:
    shop, bait, other = strangers(f"behind-{given.CONTENT_NETWORK.index(address)}")
    invented.say(facts([shop, bait, other], address=address))
    assert invented.between(shop, bait).bits <= 0
    assert not set(invented.led_to(bait)) & {shop, other, address}


def test_an_address_of_ones_own_links(invented: Warehouse) -> None:
    names = ["moored-1.example", "berthed-2.example"]
    invented.say([fact for name in names for fact in registered(name, address="203.0.113.77")])
    assert of(invented.between(*names), Family.HOSTING) > 3
    assert names[1] in invented.led_to(names[0])


def test_an_alias_to_a_content_network_does_not_link(invented: Warehouse) -> None:
    shop, bait = strangers("aliased", 2)
    invented.say(facts([shop, bait], leads_to=given.CONTENT_NAME))
    assert invented.between(shop, bait).bits <= 0
    assert shop not in invented.led_to(bait)


def test_a_certificate_of_a_content_network_for_many_customers_does_not_link(invented: Warehouse) -> None:
    customers = strangers("customer", 40)
    certificate = entity(Kind.CERTIFICATE, "sha256:" + "cd" * 32)
    named = [*customers, f"sni-7.{given.CONTENT_NAME}"]
    names = [Fact(subject=certificate, predicate=Predicate.NAMES, object=entity(Kind.DOMAIN, name)) for name in named]
    invented.say([*facts(customers[:2]), *names])
    assert invented.between(customers[0], customers[1]).bits < ACTED_ON
    assert not strong(invented.led_to(customers[0]), customers)


def test_the_contact_that_a_dns_provider_puts_into_zones_does_not_link(invented: Warehouse) -> None:
    names = strangers("contact", 2)
    invented.say(facts(names, soa_contact=f"dns@{given.DNS_PROVIDER}"))
    assert invented.between(*names).bits <= 0
    assert names[1] not in invented.led_to(names[0])


def test_mail_hosts_of_a_provider_do_not_link(invented: Warehouse) -> None:
    names = strangers("mailed", 2)
    invented.say(facts(names, mail_host=(f"mx1.{given.MAIL_PROVIDER}", f"mx2.{given.MAIL_PROVIDER}")))
    assert invented.between(*names).bits <= 0
    assert names[1] not in invented.led_to(names[0])


def test_mailboxes_of_one_provider_do_not_link_and_one_mailbox_does(invented: Warehouse) -> None:
    one, same, other = strangers("boxed")
    invented.say(facts([one, same], email=f"ada@{given.MAIL_PROVIDER}"))
    invented.say(registered(other, at=later(300), email=f"bo@{given.MAIL_PROVIDER}"))
    assert of(invented.between(one, same), Family.REGISTRANT) > ACTED_ON
    assert invented.between(one, other).bits <= 0


def test_one_host_of_a_dns_provider_does_not_link_and_a_pair_does(invented: Warehouse) -> None:
    host = [f"{name}.{given.DNS_PROVIDER}" for name in ("ada", "bob", "cy", "dee")]
    pair = " ".join(host[:2])
    first, second = ("paired-1.example", "paired-2.example")
    invented.say(facts([first, second], name_server=tuple(host[:2]), name_servers=pair))
    other = "elsewhere.example"
    invented.say(registered(other, name_server=(host[0], host[2]), name_servers=f"{host[0]} {host[2]}", at=later(9)))
    assert of(invented.between(first, second), Family.NAMING) > 3
    assert invented.between(first, other).bits <= 0
    led = invented.led_to(first)
    assert second in led
    assert other not in led


def test_a_registrars_default_set_does_not_link(invented: Warehouse) -> None:
    names = strangers("by-default", 3)
    invented.say(facts(names, name_server=tuple(given.DEFAULT_SET.split()), name_servers=given.DEFAULT_SET))
    assert invented.between(names[0], names[1]).bits <= 0
    assert not set(invented.led_to(names[0])) & set(names)


def test_parking_does_not_link(invented: Warehouse) -> None:
    names = strangers("parked", 2)
    invented.say(facts(names, name_server=given.PARKING, name_servers=" ".join(given.PARKING)))
    assert invented.between(*names).bits <= 0
    assert names[1] not in invented.led_to(names[0])


def test_who_seizes_ends_ownership_and_what_was_before_still_links(invented: Warehouse) -> None:
    theirs, next_one, of_others = "heron-cargo.example", "heron-quay.example", "crane-cargo.example"
    before = {"name_servers": "ns1.quiet.example ns2.quiet.example", "email": "ops@quiet-mail.example"}
    invented.say([fact for name in (theirs, next_one) for fact in registered(name, **before)])
    invented.say(
        registered(of_others, email="else@other-mail.example", name_servers="ns1.else.example ns2.else.example")
    )
    after = {"name_servers": " ".join(given.AUTHORITY_SERVERS), "email": given.AUTHORITY}
    invented.say(
        [fact for name in (theirs, of_others) for fact in registered(name, at=later(60), **after)][1:], at=later(60)
    )
    assert set(invented.conclude([theirs, of_others])) >= {theirs, of_others}
    assert invented.between(theirs, of_others).bits <= 0
    assert invented.between(theirs, next_one).bits > 5
    led = invented.led_to(next_one)
    assert theirs in led
    assert not set(led) & {of_others, given.AUTHORITY, after["name_servers"]}


def test_a_registrar_under_two_names_is_one(invented: Warehouse) -> None:
    one, other = given.REGISTRAR_NAMES
    invented.say(registered("first-name.example", registrar=one))
    invented.say(registered("same-name.example", registrar=one, at=later(40)))
    invented.say(registered("second-name.example", registrar=other, at=later(80)))
    invented.say(registered("by-number.example", registrar=f"iana:{given.REGISTRAR}", at=later(120)))
    same = invented.between("first-name.example", "same-name.example").bits
    assert same > 0
    for name in ("second-name.example", "by-number.example"):
        assert invented.between("first-name.example", name).bits == pytest.approx(same)


def test_a_leaked_key_links_no_actors(invented: Warehouse) -> None:
    for actor, name in (("maltrail:apt_one", "one-c2.example"), ("maltrail:apt_other", "other-c2.example")):
        certificate = f"sha256:{'a1' if 'one' in actor else 'b2'}" + "00" * 31
        invented.say(
            [
                *registered(name, certificate=certificate, at=later(len(name))),
                Fact(
                    subject=entity(Kind.CERTIFICATE, certificate),
                    predicate=Predicate.HAS_KEY,
                    object=entity(Kind.PUBLIC_KEY, given.LEAKED_KEY),
                ),
                Fact(
                    subject=entity(Kind.DOMAIN, name),
                    predicate=Predicate.ATTRIBUTED_TO,
                    object=entity(Kind.ACTOR, actor),
                ),
            ]
        )
    assert invented.between("one-c2.example", "other-c2.example").bits <= 0
    led = invented.led_to("one-c2.example", depth=4)
    assert not set(led) & {"other-c2.example", "maltrail:apt_other"}
    assert invented.between("maltrail:apt_one", "maltrail:apt_other", kind=Kind.ACTOR).bits <= 0


def test_a_key_that_nobody_knows_to_have_leaked_links_clusters_and_names_no_actor(invented: Warehouse) -> None:
    names = ("quiet-c2.example", "still-c2.example")
    for number, name in enumerate(names):
        certificate = f"sha256:c{number}" + "11" * 31
        key = entity(Kind.PUBLIC_KEY, "sha256:" + "77" * 32)
        invented.say(
            [
                *registered(name, certificate=certificate),
                Fact(subject=entity(Kind.CERTIFICATE, certificate), predicate=Predicate.HAS_KEY, object=key),
            ]
        )
    weighed = invented.between(*names)
    assert weighed.bits > 5
    assert sum(bits > 0 for bits in weighed.families.values()) == 1


def test_a_resellers_mailbox_gives_way_to_two_full_identities(invented: Warehouse) -> None:
    own = {"registrant": "Ada Invented", "phone": "+44 20 7946 0123"}
    theirs, next_one, stranger = ("resold-1.example", "resold-2.example", "resold-3.example")
    invented.say(registered(theirs, email=given.RESELLER, **own))
    invented.say(registered(next_one, email=given.RESELLER, **own, at=later(9)))
    invented.say(
        registered(stranger, email=given.RESELLER, registrant="Bo Imagined", phone="+44 20 7946 0999", at=later(9))
    )
    assert invented.between(theirs, next_one).bits > ACTED_ON
    assert invented.between(theirs, stranger).bits < ACTED_ON
    led = invented.led_to(theirs)
    assert led[next_one].bits > ACTED_ON
    assert stranger not in led or led[stranger].bits < ACTED_ON


def test_two_actors_who_share_an_alias_stay_two(invented: Warehouse) -> None:
    actors = ("maltrail:apt_heron", "maltrail:apt_crane")
    alias = entity(Kind.TEXT, "GH-7")
    for actor, name in zip(actors, ("heron-base.example", "crane-base.example"), strict=True):
        who = entity(Kind.ACTOR, actor)
        invented.say(
            [
                Fact(subject=who, predicate=Predicate.ALIAS, object=alias),
                Fact(subject=entity(Kind.DOMAIN, name), predicate=Predicate.ATTRIBUTED_TO, object=who),
            ]
        )
    assert invented.between(*actors, kind=Kind.ACTOR).bits <= 0
    assert not set(invented.led_to(actors[0], kind=Kind.ACTOR, depth=3)) & {actors[1], "crane-base.example"}
    assert invented.between("heron-base.example", "crane-base.example").bits <= 0


def test_a_certificate_under_its_other_hashes_is_one_piece_of_evidence(invented: Warehouse) -> None:
    names = ("hashed-1.example", "hashed-2.example")
    key = entity(Kind.PUBLIC_KEY, "sha256:" + "55" * 32)
    for number, name in enumerate(names):
        certificate = entity(Kind.CERTIFICATE, f"sha256:d{number}" + "22" * 31)
        said = [Fact(subject=certificate, predicate=Predicate.NAMES, object=entity(Kind.DOMAIN, name))]
        said.append(Fact(subject=certificate, predicate=Predicate.HAS_KEY, object=key))
        said += [
            Fact(subject=certificate, predicate=Predicate.SAME_AS, object=entity(Kind.CERTIFICATE, form))
            for form in (f"sha1:d{number}" + "33" * 19, f"md5:d{number}" + "44" * 15)
        ]
        invented.say([*registered(name, at=later(400 * number)), *said])
    for weighed in (invented.between(*names), invented.led_to(names[0])[names[1]].weighed):
        assert [family for family, bits in weighed.families.items() if bits > 0] == [Family.CERTIFICATE]


def test_feeds_that_copy_one_another_count_once(invented: Warehouse) -> None:
    names = ("copied-1.example", "copied-2.example")

    def listed(reference: str) -> list[Fact]:
        label = entity(Kind.LABEL, "c2")
        shared = [fact for name in names for fact in registered(name, address="203.0.113.99")]
        return shared + [
            Fact(subject=entity(Kind.DOMAIN, name), predicate=Predicate.LISTED, object=label, reference=reference)
            for name in names
        ]

    invented.say(listed("https://report.example/7"), source="feed")
    before = invented.between(*names).bits
    for copy in ("copy-1", "copy-2", "copy-3"):
        invented.say(listed("https://report.example/7"), source=copy)
    assert invented.between(*names).bits == pytest.approx(before)
