"""The methods that the benchmark `replay` compares: each scores domains from what is known and from the background.

`exact`: a value in common that is no content network's: address, e-mail, registrant, certificate or mail host.
`flat500`: any value in common, hosts by themselves as well, that at most 500 of the domains at hand have.
`counted`: one value in common that at most 100 have, or two of different kinds that at most 500 have.
`lapsewatch`: `intel.patterns`. The first three give yes or no; they are ranked by how few share what is in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from intel.entities import Kind, entity
from intel.hubs import HubClass
from intel.patterns.background import Names
from intel.patterns.rank import Ranker
from intel.patterns.records import Settings
from intel.patterns.rolling import Rolling, Strangers, operating_point
from intel.traits import Profile, Trait, traits
from lab.bench._replay_data import Row
from tasks.pivot.hubs import hubs_of
from tasks.watch.patterns import factor

FLAT: Final = 500
STRONG: Final = 100


@cache
def _is_cdn(address: str) -> bool:
    return any(hub.hub == HubClass.CDN for hub in hubs_of(entity(Kind.IP, address)))


def exact_values(profile: Profile) -> set[tuple[str, str]]:
    """What an exact pivot goes over."""
    return {
        *(("ip", one) for one in profile.addresses if not _is_cdn(one)),
        *(("email", one) for one in profile.emails),
        *(("registrant", one) for one in profile.registrants),
        *(("certificate", one) for one in profile.certificates),
        *(("mx", one) for one in profile.mail_hosts),
    }


def all_values(profile: Profile) -> set[tuple[str, str]]:
    """Everything that two domains may have in common."""
    return {
        *(("ip", one) for one in profile.addresses),
        *(("email", one) for one in profile.emails),
        *(("registrant", one) for one in profile.registrants),
        *(("certificate", one) for one in profile.certificates),
        *(("mx", one) for one in profile.mail_hosts),
        *(("ns", one) for one in profile.name_servers),
        *(("ns-set", one) for one in [" ".join(profile.name_servers)] if one),
        *(("soa", one) for one in profile.soa_contacts),
        *(("as", one) for one in profile.networks),
        *(("issuer", one) for one in profile.issuers),
        *(("registrar", one) for one in [profile.registrar] if one),
    }


@dataclass(frozen=True, kw_only=True)
class Shared:
    """One of the first three methods, on domains whose values are counted in `counts`."""

    known: frozenset[tuple[str, str]]
    counts: Mapping[tuple[str, str], int]
    method: str

    def score(self, profile: Profile) -> float:
        """0: no; else the higher, the rarer what is in common."""
        if self.method == "exact":
            found = exact_values(profile) & self.known
        else:
            found = {one for one in all_values(profile) & self.known if self.counts[one] <= FLAT}
        if not found:
            return 0.0
        rarest = min(self.counts[one] for one in found)
        if self.method == "counted" and rarest > STRONG and len({kind for kind, _ in found}) < 2:
            return 0.0
        return 1.0 + 1.0 / rarest


def shared_method(method: str, known: Iterable[Row], at_hand: Mapping[tuple[str, str], int]) -> Shared:
    """One of the first three methods, as of what is known."""
    values = exact_values if method == "exact" else all_values
    return Shared(known=frozenset(value for row in known for value in values(row.raw)), counts=at_hand, method=method)


def counts_of(rows: Iterable[Row]) -> Counter[tuple[str, str]]:
    """How many of the domains at hand have each value."""
    return Counter(value for row in rows for value in all_values(row.raw))


def noise_of(rows: Sequence[Row], listed: Names) -> Strangers:
    """The background part of the noise."""
    return Strangers([row.profile for row in rows], listed, called=f"{len(rows):,} domains of the noise")


class Replayed:
    """The rolling run over one campaign, by which thresholds come to be: the product's, on rows."""

    def __init__(self, noise: Strangers, settings: Settings, seen: Mapping[int, frozenset[Trait]]) -> None:
        self._rolling = Rolling(noise, settings, factor)
        self._noise = noise
        self._settings = settings
        self._seen = seen

    def ranker(self, known: Sequence[Row]) -> Ranker:
        """What is known of the actor now."""
        return self._rolling.ranker([row.profile for row in known])

    def bits(self, ranker: Ranker, row: Row) -> float:
        """The score of one row."""
        return ranker.score(row.profile, self._seen.get(id(row))).bits

    def learn(self, known: Sequence[Row], then: Iterable[Row]) -> None:
        """A day has passed."""
        self._rolling.learn([row.profile for row in known], [row.profile for row in then])

    def threshold(self) -> float:
        """The operating point by what has passed; beyond all where there is none."""
        found = self._rolling.threshold()
        return float("inf") if found is None else found

    def limit(self, known: Sequence[Row]) -> float:
        """The operating point of what is known, as the product makes it; beyond all where there is none."""
        found = operating_point([row.profile for row in known], self._noise, self._settings, factor).limit
        return float("inf") if found is None else found


def days_of(rows: Iterable[Row]) -> Iterator[tuple[list[Row], list[Row]]]:
    """(all rows of earlier days, the rows of a day), day by day; the first day has nothing before it."""
    listed = sorted(rows, key=lambda row: (str(row.day), row.profile.domain))
    for day in sorted({row.day for row in listed if row.day is not None}):
        yield (
            [row for row in listed if row.day is not None and row.day < day],
            [row for row in listed if row.day == day],
        )


def seen_of(rows: Iterable[Row]) -> dict[int, frozenset[Trait]]:
    """The traits of each row, once, by the row's identity in this process."""
    return {id(row): traits(row.profile) for row in rows}
