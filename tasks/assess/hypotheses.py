"""Competing explanations of what an incident and a lead have in common, weighed in bits. Pure.

In: a lead's evidence. Out: how likely each explanation is: the same hand; a shared service (a hoster, a reseller, a kit
that many use); somebody else or what nobody has thought of, whose matches are chance. The last two are always there.

Evidence for the same hand is log2(m / u). A shared service explains part of each piece as well: most of what hosting
and name servers show, less of what people and keys show. What it explains does not tell the two apart, so the most
*diagnostic* piece is not the heaviest but the one that the others explain worst. The prior is against both: few of the
things that share something with an incident are of the same hand, and customers of one service are commoner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from intel.evidence import FAMILIES, LESSENED, SPEAKS, Counted, Evidence, Family, Weighed, speaking, weigh
from tasks.assess.likelihood import Confidence, confidence, in_words

PRIOR: Final = 12.0
"""Bits against the same hand without evidence: one in four thousand of what shares anything with an incident is."""
SERVICE: Final = 3.0
"""Bits by which customers of one service are commoner than things of one hand."""

EXPLAINED: Final[Mapping[str, float]] = {
    Family.HOSTING: 0.85,  # that is what hosters do
    Family.NAMING: 0.8,  # registrars and hosters bring their name servers and habits along
    Family.CERTIFICATE: 0.5,  # some hosters make certificates for many with one key
    Family.TOOL: 0.6,  # kits are sold, and leak
    Family.CONTENT: 0.5,
    Family.REGISTRANT: 0.4,  # resellers register in their own name
    Family.TIME: 0.3,
    Family.ACCOUNT: 0.2,
    Family.REPORT: 0.3,  # reports lump together what one saw together
}
"""How much of a family's bits a shared service explains as well."""
_OTHERWISE: Final = 0.5
SAME: Final = "the same hand"
SHARED: Final = "a shared service"
UNKNOWN: Final = "somebody else, or unknown"


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How evidence is weighed (configs/evidence.yaml): the most bits of each family, what a further piece of one
    counts, and which families take a secret to forge.
    """

    caps: dict[str, float] = {}
    lessened: float = LESSENED
    hard: frozenset[str] = frozenset()


class Weighing(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence comes to. `chances` of the explanations add up to one; `answer` is empty where one family or
    none speaks: that too little is known does not make it somebody else's.

    `diagnostic` tells the same hand best from the others; without any one of `flips` another explanation would be the
    likeliest, or none.
    """

    chances: dict[str, float]
    answer: str
    families: tuple[str, ...]
    bits: float
    confidence: Confidence
    diagnostic: Evidence | None = None
    flips: tuple[Evidence, ...] = ()
    pieces: tuple[Counted, ...] = ()
    hard_to_forge: bool = False
    """Whether some of what speaks for it takes a secret."""

    @property
    def word(self) -> str:
        """How likely the same hand is, in the words of ICD 203."""
        return in_words(self.chances[SAME])


def compare(evidence: Sequence[Evidence], scale: Scale | None = None) -> Weighing:
    """Weigh the explanations of one lead."""
    of = Scale() if scale is None else scale
    weighed = weigh(evidence, caps=of.caps, lessened=of.lessened)
    chances, families, answer = _answer(weighed)
    flips = []
    for piece in {one.evidence for one in weighed.pieces if one.counts > 0} if answer else ():
        without = weigh([one for one in evidence if one != piece], caps=of.caps, lessened=of.lessened)
        if _answer(without)[2] != answer:
            flips.append(piece)
    telling = [one for one in weighed.pieces if _apart(one) > 0]
    return Weighing(
        chances=chances,
        answer=answer,
        families=families,
        bits=weighed.bits,
        confidence=confidence(evidence),
        diagnostic=max(telling, key=_apart).evidence if telling else None,
        flips=tuple(sorted(flips, key=lambda one: (-one.bits, one.trait, one.what))),
        pieces=weighed.pieces,
        hard_to_forge=any(one.counts >= SPEAKS and one.evidence.family in of.hard for one in weighed.pieces),
    )


def service_bits(piece: Counted) -> float:
    """How much of a piece a shared service explains; what speaks against a common hand says nothing against one."""
    return max(0.0, piece.counts) * EXPLAINED.get(piece.evidence.family, _OTHERWISE)


def _apart(piece: Counted) -> float:
    return piece.counts - service_bits(piece)


def _answer(weighed: Weighed) -> tuple[dict[str, float], tuple[str, ...], str]:
    """(chances, families that speak for it, the answer)."""
    same = weighed.bits - PRIOR
    shared = sum(service_bits(one) for one in weighed.pieces) - PRIOR + SERVICE
    top = max(same, shared, 0.0)
    weights = {SAME: 2 ** (same - top), SHARED: 2 ** (shared - top), UNKNOWN: 2**-top}
    whole = math.fsum(weights.values())
    chances = {name: weight / whole for name, weight in weights.items()}
    families = speaking(weighed.families)
    likeliest = max(chances, key=lambda name: chances[name])
    return chances, families, likeliest if len(families) >= FAMILIES else ""
