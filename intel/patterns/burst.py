"""Bursts: known domains that were created close together, and how often strangers would be so by chance.

In: profiles, or a trait's value. Out: the trait `burst`, `5 within 3 days`, and probabilities. Pure.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from intel.errors import ReadError
from intel.traits import Name, Profile, Trait

WITHIN: Final = 3
"""Days; who buys in bulk does it in one go, and a registry's day may begin before or after."""
SIZES: Final = (10, 5, 3)
LEAST: Final = 0.5
"""The share of the known domains that has to have come in bursts of a size."""
LEAST_CHANCE: Final = 1e-6
"""No chance is held to be smaller: strangers buy in bulk as well."""
_VALUE: Final = re.compile(r"([0-9]{1,4}) within ([0-9]{1,3}) days")


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """At least so many, created within so many days of one another."""

    at_least: int
    days: int

    @property
    def trait(self) -> Trait:
        """As patterns hold it."""
        return Trait(Name.BURST.value, f"{self.at_least} within {self.days} days")

    def by_chance(self, daily: float) -> float:
        """How likely one of strangers who come at `daily` a day is among so many, at most.

        The others may have come before or after it: they are looked for in twice the time. Poisson.
        """
        expected = daily * 2 * self.days
        if expected <= 0:
            return LEAST_CHANCE
        logs = (count * math.log(expected) - math.lgamma(count + 1) - expected for count in range(self.at_least - 1))
        return min(1.0, max(LEAST_CHANCE, 1.0 - sum(map(math.exp, logs))))


def read_burst(value: str) -> Burst:
    """The value of a trait. Raises ReadError where it is none: at least 2, within at least a day."""
    found = _VALUE.fullmatch(value)
    if found is None or int(found[1]) < 2 or not int(found[2]):
        raise ReadError(f"couldn't read burst {value[:40]!r}: expected as in '5 within 3 days'")
    return Burst(at_least=int(found[1]), days=int(found[2]))


def members(burst: Burst, profiles: Sequence[Profile]) -> int:
    """Those that were created with so many others, as bits of a number by their places."""
    created = sorted((one.created, place) for place, one in enumerate(profiles) if one.created is not None)
    times = [at for at, _ in created]
    found = 0
    for first, at in enumerate(times):
        last = bisect_right(times, at + timedelta(days=burst.days))
        if last - first >= burst.at_least:
            for _, place in created[first:last]:
                found |= 1 << place
    return found


def burst_of(profiles: Sequence[Profile], held: int) -> tuple[Burst, int] | None:
    """The largest burst in which most of the profiles at the places `held` came, and which of them did."""
    places = [place for place in range(len(profiles)) if held >> place & 1]
    for size in SIZES:
        burst = Burst(at_least=size, days=WITHIN)
        among = members(burst, [profiles[place] for place in places])
        if among.bit_count() >= max(size, LEAST * len(places)):
            return burst, sum(1 << place for number, place in enumerate(places) if among >> number & 1)
    return None
