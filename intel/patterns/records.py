"""What learning takes and gives: its settings, and patterns."""

from __future__ import annotations

from typing import Final

import msgspec

from intel.entities import digest
from intel.evidence import Family
from intel.traits import Name, Trait

MILLION: Final = 1_000_000.0

FAMILIES: Final = {
    Name.REGISTRANT: Family.REGISTRANT,
    Name.EMAIL: Family.REGISTRANT,
    Name.MAIL_PROVIDER: Family.REGISTRANT,
    Name.REGISTRAR: Family.NAMING,
    Name.SUFFIX: Family.NAMING,
    Name.SHAPE: Family.NAMING,
    Name.WORD: Family.NAMING,
    Name.NAME_SERVER_PROVIDER: Family.NAMING,
    Name.SOA_CONTACT: Family.NAMING,
    Name.NAME_SERVERS: Family.NAMING,
    Name.NETWORK: Family.HOSTING,
    Name.ADDRESS: Family.HOSTING,
    Name.MAIL_HOSTS: Family.HOSTING,
    Name.ISSUER: Family.CERTIFICATE,
    Name.CERTIFICATE: Family.CERTIFICATE,
    Name.KEY: Family.CERTIFICATE,
    Name.HOUR: Family.TIME,
    Name.BURST: Family.TIME,
}
"""The family of evidence that each trait belongs to."""

IDENTIFYING: Final = frozenset(
    {Name.EMAIL, Name.REGISTRANT, Name.NAME_SERVERS, Name.ADDRESS, Name.CERTIFICATE, Name.KEY}
)
"""Traits whose values are made anew for each domain as a matter of course: another one contradicts nothing."""

TIED: Final = {
    Name.REGISTRANT: "registrant",
    Name.EMAIL: "registrant",
    Name.MAIL_PROVIDER: "registrant",
    Name.REGISTRAR: "registrar",
    Name.NAME_SERVER_PROVIDER: "registrar",
    Name.NAME_SERVERS: "registrar",
    Name.SOA_CONTACT: "registrar",
    Name.SUFFIX: "registrar",
    Name.SHAPE: "name",
    Name.WORD: "name",
    Name.NETWORK: "hosting",
    Name.ADDRESS: "hosting",
    Name.MAIL_HOSTS: "mail",
    Name.ISSUER: "certificate",
    Name.HOUR: "time",
}
"""Traits that come along with one another: of those of one word only the rarest counts where nobody counted them
together. Those of different words are taken for independent, which is said beside every figure that rests on it."""


PRIORS: Final = {
    "email": 0.0001,
    "registrant": 0.0005,
    "mail-provider": 0.005,
    "address": 0.001,
    "name-servers": 0.001,
    "soa-contact": 0.01,
    "mail-hosts": 0.1,
    "network": 0.05,
    "issuer": 0.1,
    "certificate": 0.0001,
    "key": 0.0001,
}
"""How many strangers have one value of a kind, where nobody counted: general knowledge, good to a factor of three."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How is learned: `configs/patterns.yaml`.

    `half_life_days` and `floor`: what a known domain counts, by how much older it is than the newest; never below the
    floor. `shrink`: for how many strangers the background's share stands beside the known. `against`: what a trait that
    the actor was never seen with takes at most, in bits. `caps`: what a family gives at most. `least_taken`: known
    domains that were taken by one party before another one that it took says something. `priors`: the share of
    strangers that has one value of a kind, where few or none were counted. `least_known`: known domains before there is
    an operating point. `precision`: what share of what
    is shown is to be right. `least_support`, `most_traits`, `most_patterns`, `per_million`: of patterns; the last is
    the limit of expected false positives above which none is accepted as it stands.
    """

    half_life_days: float = 30.0
    floor: float = 0.05
    shrink: float = 1.0
    against: float = -1.0
    lessened: float = 0.5
    caps: dict[str, float] = msgspec.field(
        default_factory=lambda: {
            "naming": 12.0,
            "hosting": 14.0,
            "registrant": 14.0,
            "certificate": 10.0,
            "report": 8.0,
        }
    )
    priors: dict[str, float] = msgspec.field(default_factory=lambda: dict(PRIORS))
    least_taken: int = 2
    least_known: int = 10
    precision: float = 0.95
    least_support: int = 2
    most_traits: int = 5
    most_patterns: int = 20
    per_million: float = 200.0


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A combination of traits. `known` domains were learned from, `support` of them have all the traits.

    `per_million` is an upper bound of the false positives to be expected among a million new domains, None where
    nobody counted any of its traits; `basis` says what it rests on. `bits` weighs its support against that, shrunk, so
    that few known domains give no certainty. `examples` are known domains, the newest first.
    """

    traits: tuple[Trait, ...]
    known: int
    support: int
    per_million: float | None
    basis: str
    bits: float
    examples: tuple[str, ...]

    @property
    def key(self) -> bytes:
        """The identity of the combination: the same one learned again is the same pattern."""
        return key_of(self.traits)


def key_of(traits: tuple[Trait, ...]) -> bytes:
    """The digest of a combination of traits, whatever their order."""
    return digest("registration-pattern", "\n".join(f"{one.name}\t{one.value}" for one in sorted(traits)))
