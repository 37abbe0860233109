"""Invented campaigns and strangers: reserved names and addresses only."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from intel.traits import Profile

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("river", "stone", "garden", "window", "market", "forest", "castle", "silver", "winter", "harbour")
REGISTRARS = tuple(f"iana:99{number:02}" for number in range(20))


def name(draw: random.Random) -> str:
    return draw.choice(WORDS) + draw.choice(WORDS) + str(draw.randrange(1000))


def strangers(count: int, seed: int = 1) -> list[Profile]:
    draw = random.Random(seed)
    found = []
    for number in range(count):
        server = f"ns{draw.randrange(40)}.host{draw.randrange(10)}.example"
        found.append(
            Profile(
                domain=f"{name(draw)}x{number}.{draw.choice(('test', 'example', 'invalid'))}",
                registrar=draw.choice(REGISTRARS),
                emails=(f"p{number}@mail{draw.randrange(5)}.example",),
                name_servers=(server, "ns0.host0.example"),
                addresses=(f"192.0.2.{draw.randrange(250)}",),
                networks=(f"AS645{draw.randrange(10):02}",),
            )
        )
    return found


def campaign(
    count: int, *, registrar: str = "iana:4242", mail: str = "odd.example", day: int = 0, seed: int = 2
) -> list[Profile]:
    """Domains that share a registrar and a mail provider, and nothing that identifies their maker."""
    draw = random.Random(seed)
    return [
        Profile(
            domain=f"{name(draw)}q{seed}q{number}.localhost",
            created=DAY_0 + timedelta(days=day + number // 4),
            registrar=registrar,
            emails=(f"{draw.randrange(10**9)}@{mail}",),
            name_servers=(f"ns{draw.randrange(400)}.cloudy.example", f"ns{draw.randrange(400)}.cloudy.example"),
            networks=("AS64500",),
        )
        for number in range(count)
    ]
