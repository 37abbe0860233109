"""The traps on real data: what three campaigns share with one another, and with themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from pathlib import Path

import pytest

from intel.config.evidence import read_evidence
from intel.entities import Kind, entity
from intel.evidence import Family, Weighed
from intel.hubs import HubClass
from intel.settings import settings
from tasks.pivot.hubs import hubs_of
from tests.traps.real import Row, pairs, rows, shared_aliases
from tests.traps.warehouse import Warehouse

pytestmark = [pytest.mark.data, pytest.mark.xdist_group("traps")]

SAMPLE = 15
MICROSOFT = "domains@microsoft.com"


def sample(found: Iterable[tuple[Row, Row]]) -> list[tuple[Row, Row]]:
    """Some of them, spread over all."""
    every = sorted(found, key=lambda pair: (pair[0].domain, pair[1].domain))
    return list(islice(every, 0, None, max(1, len(every) // SAMPLE)))[:SAMPLE]


def for_it(weighed: Weighed, *traits: str) -> list[str]:
    """The pieces that speak for one hand, of these traits or predicates."""
    return [one.evidence.what for one in weighed.pieces if one.counts > 0 and one.evidence.trait in traits]


def behind_cloudflare(row: Row) -> frozenset[str]:
    found = (one for one in row.addresses if any(hub.list == "cloudflare" for hub in hubs_of(entity(Kind.IP, one))))
    return frozenset(found)


def test_cloudflare_addresses_do_not_link(real: Warehouse, data_dir: Path) -> None:
    shared = [
        (left, right)
        for left, right in pairs(data_dir, same=False)
        if left.addresses & right.addresses and left.addresses & right.addresses <= behind_cloudflare(left)
    ]
    assert len(shared) > 100  # such addresses lead from one campaign to the other everywhere
    for left, right in sample(shared):
        weighed = real.between(left.domain, right.domain)
        assert weighed.families.get(Family.HOSTING, 0) <= 0, weighed
        assert not for_it(weighed, "address", "resolves-to")


def test_cloudflare_addresses_lead_a_pivot_nowhere(real: Warehouse, data_dir: Path) -> None:
    by_campaign = {row.domain: row.campaign for row in rows(data_dir)}
    starts = [row for row in rows(data_dir) if row.addresses and row.addresses == behind_cloudflare(row)]
    for start in starts[:: len(starts) // 5][:5]:
        led = real.led_to(start.domain)
        wrong = {name: one.bits for name, one in led.items() if by_campaign.get(name, start.campaign) != start.campaign}
        assert not wrong


def test_a_single_name_server_host_does_not_link_and_a_rare_set_does(real: Warehouse, data_dir: Path) -> None:
    strangers = [
        (left, right)
        for left, right in pairs(data_dir, same=False)
        if left.hosts & right.hosts and left.hosts != right.hosts
    ]
    assert strangers
    for left, right in sample(strangers):
        weighed = real.between(left.domain, right.domain)
        assert not for_it(
            weighed, "name-server", "uses-name-server", "name-servers", "uses-name-servers", "name-server-provider"
        )
    same_set = [
        (left, right)
        for left, right in pairs(data_dir, same=True)
        if left.hosts == right.hosts and left.hosts and all(host.endswith(".ns.cloudflare.com") for host in left.hosts)
    ]
    assert same_set
    for left, right in sample(same_set):
        assert for_it(real.between(left.domain, right.domain), "name-servers", "uses-name-servers")


def test_the_contact_that_a_dns_provider_puts_into_zones_does_not_link(real: Warehouse, data_dir: Path) -> None:
    served = [
        row for row in rows(data_dir) if row.hosts and all(one.endswith(".ns.cloudflare.com") for one in row.hosts)
    ]
    apart = [pair for pair in combinations(served, 2) if pair[0].campaign != pair[1].campaign]
    for left, right in sample(apart):
        assert not for_it(real.between(left.domain, right.domain), "soa-contact", "has-soa-contact")


def test_no_two_campaigns_are_linked_by_what_they_share(real: Warehouse, data_dir: Path) -> None:
    acted_on = read_evidence(settings().configs).acts.look_up
    shared = [
        (left, right)
        for left, right in pairs(data_dir, same=False)
        if left.mail & right.mail or left.certificates & right.certificates or left.names & right.names
    ]
    for left, right in sample(shared):
        assert real.between(left.domain, right.domain).bits < acted_on


def test_a_seizure_ends_ownership(real: Warehouse, data_dir: Path) -> None:
    taken = [row for row in rows(data_dir) if MICROSOFT in row.emails]
    assert len(taken) > 20
    concluded = real.conclude(row.domain for row in taken)
    assert set(concluded) >= {row.domain for row in taken}
    for left, right in sample(combinations(taken, 2)):
        weighed = real.between(left.domain, right.domain)
        assert weighed.bits <= 0, [piece for piece in weighed.pieces if piece.counts > 0]
    led = real.led_to(taken[0].domain, taken[1].domain)
    assert not set(led) & {row.domain for row in taken[2:]}
    assert MICROSOFT not in led


@pytest.mark.xfail(strict=True, reason="configs/hubs.yaml names no source for who holds these name servers")
def test_a_seizure_by_an_authority_that_is_not_entered_ends_ownership(real: Warehouse, data_dir: Path) -> None:
    taken = [row for row in rows(data_dir) if any("seizure" in one for one in row.hosts)]
    assert real.between(taken[0].domain, taken[1].domain).bits <= 0


def test_a_registrar_under_two_names_is_one(real: Warehouse, data_dir: Path) -> None:
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in rows(data_dir):
        if row.registrar.rstrip(".") == "dynadot inc":
            by_name[row.registrar].append(row)
    one, other = sorted(by_name, key=lambda name: -len(by_name[name]))
    under_one = next(unlike(by_name[one], by_name[one]))
    under_two = next(unlike(by_name[one], by_name[other]))
    pieces = [
        [
            piece
            for piece in real.between(left.domain, right.domain).pieces
            if piece.evidence.trait in {"registrar", "registered-through"}
        ]
        for left, right in (under_one, under_two)
    ]
    assert [len(found) for found in pieces] == [1, 1]
    assert pieces[0][0].evidence.bits == pytest.approx(pieces[1][0].evidence.bits)


def unlike(left: Iterable[Row], right: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """Pairs that have nothing but their registrar in common."""
    right = list(right)
    for one in left:
        for other in right:
            if one.domain != other.domain and not (
                one.hosts & other.hosts
                or one.addresses & other.addresses
                or one.emails & other.emails
                or one.mail & other.mail
            ):
                yield one, other


def test_keys_that_are_known_to_have_leaked_are_shared_by_no_hand() -> None:
    """The real servers' keys are not among the data: what the published ones are taken for is all that can be shown."""
    published = (
        ("public-key", "md5:defb5d95ce99e1ebbf421a1a38d9cb64"),
        ("fingerprint", "cobalt-strike-watermark:305419896"),
    )
    for kind, value in published:
        assert [(hub.hub, hub.links) for hub in hubs_of(entity(kind, value))] == [(HubClass.LEAKED_KEY, False)]


def test_two_actors_who_share_an_alias_stay_two(real: Warehouse, data_dir: Path) -> None:
    shared = [sorted(f"misp-galaxy:{actor}" for actor in actors) for actors in shared_aliases(data_dir).values()]
    assert len(shared) > 20
    for actors in shared:
        for left, right in combinations(actors, 2):
            weighed = real.between(left, right, kind=Kind.ACTOR)
            assert weighed.bits <= 0, weighed
    assert not set(real.led_to(shared[0][0], kind=Kind.ACTOR)) & set(shared[0][1:])
