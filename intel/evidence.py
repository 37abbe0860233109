"""Evidence that two things are of the same hand, in bits, and what it adds up to.

A piece of evidence is something two things have in common. Its weight is how much likelier that is if the same hand
made both than if two strangers did: log2(m / u), where m is how often things of one hand have it in common, and u how
common the value is in a reference population (Fellegi and Sunter 1969; Splink's term frequencies). Three rules keep
what is told twice from counting twice:

- Within a family (registrant, hosting, certificate, ...) only the strongest piece counts in full; the next ones count a
  half, a quarter, ... of theirs, and no family gives more than its cap.
- Pieces with the same `echo` (one collection event, one upstream report that feeds copy) are one piece: the strongest.
- What speaks against is negative, and is not lessened: evidence to the contrary does not wear off by being similar.

How far it reaches: one family is a habit, a tool or a service that many may share. What is said of an actor needs two
families, one of them hard to forge (a private key, an account); anything less speaks of a cluster.

Pure: values in, numbers out. The numbers m, floors and caps come from configs/evidence.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec


class Family(StrEnum):
    """What kind of habit or possession a piece of evidence shows."""

    REGISTRANT = "registrant"
    ACCOUNT = "account"  # payment, provider accounts, tracking codes
    HOSTING = "hosting"
    CERTIFICATE = "certificate"
    TOOL = "tool"
    NAMING = "naming"  # name servers, registrar, suffix, the shape of names
    TIME = "time"
    CONTENT = "content"
    REPORT = "report"  # somebody named them together


class Prevalence(msgspec.Struct, frozen=True, kw_only=True):
    """How many things of a population have a value. `as_of` is event time, None where nobody counted."""

    count: int
    total: int
    population: str = ""
    as_of: date | None = None

    def share(self) -> float:
        """The chance that a stranger has it: smoothed, so that what was never seen is rare, not impossible."""
        return (self.count + 0.5) / (self.total + 1.0)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence. `bits` is its own weight, before families and echoes are accounted for.

    `what` is what is in common, people's data masked; `hub` the class of shared thing that it is, and `why` what makes
    it one or why it weighs what it does. `overlap` is the share (0 to 1) of the shorter time in which both had it; None
    where times are unknown. `echo` is the same for pieces that rest on one saying.
    """

    family: str
    trait: str
    what: str
    bits: float
    hub: str = ""
    why: str = ""
    prevalence: Prevalence | None = None
    overlap: float | None = None
    echo: str = ""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A piece and what it counts for after families and echoes."""

    evidence: Evidence
    counts: float


class Level(StrEnum):
    """Of what the evidence may speak."""

    NOTHING = ""
    CLUSTER = "cluster"
    ACTOR = "actor"


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence comes to: bits in all, by family, and each piece, the one that counts most first.

    `level` says of what it may speak; an empty one that it does not speak for the same hand.
    """

    bits: float
    families: dict[str, float]
    pieces: tuple[Counted, ...]
    level: str = Level.NOTHING


SPEAKS: Final = 3.0
"""Bits from which a family speaks for the same hand: less is what one stranger in eight has, too."""
FAMILIES: Final = 2
"""Families that have to speak for it before anything is concluded."""
LESSENED: Final = 0.5
"""What each further piece of a family counts, of what the one before did."""


def bits(m: float, u: float) -> float:
    """log2(m / u): positive where one hand explains it better than chance. Both in (0, 1]."""
    return math.log2(max(m, 1e-12) / max(u, 1e-12))


def weigh(
    pieces: Iterable[Evidence],
    *,
    caps: Mapping[str, float] | None = None,
    lessened: float = LESSENED,
    hard: Collection[str] = (),
) -> Weighed:
    """What pieces of evidence about one pair come to. The order in which they are given does not matter.

    `caps` are the most bits of each family, `hard` the families that are hard to forge.
    """
    families: dict[str, float] = {}
    counted: list[Counted] = []
    alone = _without_echoes(pieces)
    for family in sorted({piece.family for piece in alone}):
        of_family = [piece for piece in alone if piece.family == family]
        counts = _lessened(of_family, lessened, (caps or {}).get(family))
        counted += counts
        families[family] = math.fsum(one.counts for one in counts)
    counted.sort(key=lambda one: (-abs(one.counts), *_order(one.evidence)))
    total = math.fsum(families.values())
    said = speaking(families)
    level = Level.NOTHING
    if total >= SPEAKS:
        level = Level.ACTOR if len(said) >= FAMILIES and set(said) & set(hard) else Level.CLUSTER
    return Weighed(bits=total, families=families, pieces=tuple(counted), level=level)


def speaking(families: Mapping[str, float]) -> tuple[str, ...]:
    """The families (and what each comes to, in bits) that speak for the same hand."""
    return tuple(family for family, said in families.items() if said >= SPEAKS)


def _without_echoes(pieces: Iterable[Evidence]) -> list[Evidence]:
    """Each saying once, by its strongest piece; what speaks against is no echo of what speaks for."""
    kept: dict[tuple[str, bool], Evidence] = {}
    alone: list[Evidence] = []
    for piece in pieces:
        saying = (piece.echo, piece.bits < 0)
        if not piece.echo:
            alone.append(piece)
        elif saying not in kept or _order(piece) < _order(kept[saying]):
            kept[saying] = piece
    return [*alone, *kept.values()]


def _order(piece: Evidence) -> tuple[float, str, str, str, str, str, float]:
    """The strongest first; of equals always the same."""
    overlap = -1.0 if piece.overlap is None else piece.overlap
    return (-abs(piece.bits), piece.family, piece.trait, piece.what, piece.why, piece.echo, -overlap)


def _lessened(pieces: Sequence[Evidence], lessened: float, cap: float | None) -> list[Counted]:
    counted: list[Counted] = []
    room, share = cap, 1.0
    for piece in sorted(pieces, key=_order):
        if piece.bits <= 0:
            counted.append(Counted(evidence=piece, counts=piece.bits))
            continue
        counts = piece.bits * share
        if room is not None:
            counts = min(counts, room)
            room -= counts
        counted.append(Counted(evidence=piece, counts=counts))
        share *= lessened
    return counted
