"""Shuffled labels find nothing: a campaign that was drawn by chance has no habits, and a real one has.

What is drawn is given days in the order in which it was drawn, so that the learner may work as it does for a campaign.
The same procedure on a campaign's own domains must find its second half, or that nothing is found would say nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest

from intel.config.patterns import read_settings
from intel.patterns.background import Background, Names
from intel.patterns.learn import learn
from intel.patterns.operate import threshold
from intel.patterns.rank import Ranker
from intel.settings import settings
from intel.traits import Profile, traits
from tests.traps.real import rows

KNOWN: Final = 40
_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)


def dated(profiles: Sequence[Profile]) -> list[Profile]:
    return [
        msgspec.structs.replace(one, created=_DAY + timedelta(days=number // 2)) for number, one in enumerate(profiles)
    ]


def found(known: Sequence[Profile], second: Sequence[Profile], others: Sequence[Profile]) -> tuple[int, int, int]:
    """(found of the second half, found of strangers, strangers), by the ranker at its own threshold or by a pattern."""
    chosen = read_settings(settings().configs)
    background, strangers = others[::2], others[1::2]
    half = len(background) // 2
    right = [
        one.bits
        for at in range(10, len(known), 10)
        for one in map(Ranker(known[:at], Background(background, Names()), chosen).score, known[at : at + 10])
    ]
    apart = Ranker(known, Background(background[:half], Names()), chosen)
    limit = threshold(right, (apart.score(one).bits for one in background[half:]), chosen.precision)
    whole = Background(background, Names())
    ranker = Ranker(known, whole, chosen)
    patterns = [
        frozenset(one.traits)
        for one in learn(known, whole, chosen)
        if one.per_million is not None and one.per_million <= chosen.per_million
    ]

    def is_found(profile: Profile) -> bool:
        held = traits(profile)
        return any(one <= held for one in patterns) or (limit is not None and ranker.score(profile).bits >= limit)

    return sum(map(is_found, second)), sum(map(is_found, strangers)), len(strangers)


def drawn_by_chance(everyone: Sequence[Profile], times: int) -> tuple[int, int, int, int]:
    """(found, of, strangers found, strangers) over several draws."""
    total = [0, 0, 0, 0]
    for seed in range(times):
        order = random.Random(seed).sample(list(everyone), len(everyone))
        some = found(dated(order[:KNOWN]), order[KNOWN : 2 * KNOWN], order[2 * KNOWN :])
        for at, more in enumerate((some[0], KNOWN, *some[1:])):
            total[at] += more
    return total[0], total[1], total[2], total[3]


def assert_no_more_than_chance(total: tuple[int, int, int, int]) -> None:
    """As many of the second half as of strangers, and hardly any of either: three standard deviations and two."""
    hits, of, wrong, others = total
    share = wrong / others
    assert share < 0.01
    assert hits <= of * share + 3 * (of * max(share, 1 / others)) ** 0.5 + 2


def strangers_of(root: Path) -> list[Profile]:
    entries = json.loads((root / "feeds/tweetfeed/domainmeta.json").read_bytes())["entries"]
    return [
        Profile(
            domain=domain,
            registrar=(entry.get("registrar") or "").lower(),
            name_servers=tuple(sorted(one.lower() for one in entry.get("ns") or ())),
            addresses=tuple(entry.get("ips") or ()),
            networks=tuple([entry["asn"]] if entry.get("asn") else ()),
        )
        for domain, entry in sorted(entries.items())
        if entry.get("status") == "ok"
    ]


@pytest.mark.data
def test_real_strangers_that_are_called_a_campaign_have_no_habits(data_dir: Path) -> None:
    assert_no_more_than_chance(drawn_by_chance(strangers_of(data_dir)[:1500], times=3))


@pytest.mark.data
def test_a_real_campaign_has_habits(data_dir: Path) -> None:
    theirs = [
        Profile(
            domain=row.domain,
            registrar=row.registrar,
            name_servers=tuple(sorted(row.hosts)),
            addresses=tuple(sorted(row.addresses)),
            mail_hosts=tuple(sorted(row.mail)),
        )
        for row in rows(data_dir)
        if row.campaign == "SpotifyJobSeeker"
    ]
    hits, wrong, others = found(dated(theirs[:KNOWN]), theirs[KNOWN : 2 * KNOWN], strangers_of(data_dir)[:1500])
    assert hits > KNOWN / 2
    assert wrong / others < 0.01


def invented_strangers(count: int) -> list[Profile]:
    """Domains whose registrars, name servers and networks are taken as people take them: a few often, many seldom."""
    draw = random.Random(7)

    def one_of(many: int) -> int:
        return min(int(draw.paretovariate(0.7)), many)

    made = []
    for number in range(count):
        servers = one_of(150)
        made.append(
            Profile(
                domain=f"stranger-{number}.example",
                registrar=f"registrar {one_of(40)}",
                name_servers=(f"ns1.dns-{servers}.example", f"ns2.dns-{servers}.example"),
                mail_hosts=(f"mx.mail-{one_of(60)}.example",) if draw.random() < 0.6 else (),
                networks=(f"AS{64496 + one_of(15)}",),
            )
        )
    return made


def test_invented_strangers_that_are_called_a_campaign_have_no_habits() -> None:
    assert_no_more_than_chance(drawn_by_chance(invented_strangers(1000), times=4))


def test_an_invented_campaign_has_habits() -> None:
    theirs = [
        Profile(
            domain=f"heron-{number}.example",
            registrar="registrar 31",
            name_servers=(f"ns{number % 3}.quiet-dns.example", "ns9.quiet-dns.example"),
            networks=("AS64500",),
        )
        for number in range(2 * KNOWN)
    ]
    hits, wrong, others = found(dated(theirs[:KNOWN]), theirs[KNOWN:], invented_strangers(1000))
    assert hits > KNOWN / 2
    assert wrong / others < 0.01
