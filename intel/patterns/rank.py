"""The ranker: how much likelier what is seen of a domain is if the actor made it than if a stranger did.

In: profiles of known domains, a background, and any other domain's profile. Out: `Weighed` evidence in bits, by family.

For each kind of trait the strongest value counts, log2(m / u): m is its share among the known, of which the newer count
more (what an actor did last he does next), drawn towards the background's share u, so that few known domains give no
certainty; u is an upper bound. What is missing says nothing. What the actor was never seen with counts against, a
little: habits change. Families are summed by intel.evidence.weigh.

What a seizing party or a sinkhole left behind is no trait of the actor's. That it took several known domains and takes
another one is evidence of another kind: somebody named them together (family `report`).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from intel.evidence import Evidence, Family, Weighed, bits, weigh
from intel.patterns.background import Background
from intel.patterns.records import FAMILIES, IDENTIFYING, Settings
from intel.patterns.words import pieces, shared
from intel.traits import Name, Profile, Trait, label, traits

TAKEN: Final = "taken-by"
LEAST_WORD_BITS: Final = 2.0
_TAKEN_SHARE: Final = 0.001
"""The share of domains that any one party took, where nobody counted: high, as such parties take thousands."""
_DAY: Final = timedelta(days=1)
_MOST_REMEMBERED: Final = 20_000
"""Weights of traits that are kept: most values of strangers come once."""

Factor = Callable[[Trait], float]
"""What a trait is worth of its bits by the kind of shared thing that it is: 0 for a hub that does not link, else 1."""


def _whole(_trait: Trait) -> float:
    return 1.0


class Ranker:
    """Knows an actor's habits. Made anew when what is known of the actor, or the background, changes."""

    def __init__(
        self, known: Sequence[Profile], background: Background, settings: Settings, factor: Factor = _whole
    ) -> None:
        self._background = background
        self._settings = settings
        self._factor = factor
        self._weights: dict[Trait, float] = defaultdict(float)
        self._totals: dict[str, float] = defaultdict(float)
        self._memo: dict[Trait, float] = {}
        weights = weights_of(known, settings)
        labels: dict[str, float] = {}
        self._taken: dict[str, float] = defaultdict(float)
        taken: Counter[str] = Counter()
        times: Counter[Trait] = Counter()
        for profile, weight in zip(known, weights, strict=True):
            found = traits(profile)
            times.update(found)
            for trait in found:
                self._weights[trait] += weight
            for name in {trait.name for trait in found}:
                self._totals[name] += weight
            labels[label(profile.domain)] = weight
            if profile.ended_by:
                taken[profile.ended_by] += 1
                self._taken[profile.ended_by] += weight
        self._total = sum(weights)
        self._once: dict[str, float] = defaultdict(float)
        for trait, count in times.items():
            if count == 1:
                self._once[trait.name] += self._weights[trait]
        for party, count in taken.items():
            if count < settings.least_taken:
                del self._taken[party]
        self._words = self._words_of(labels)

    def score(self, profile: Profile, found: frozenset[Trait] | None = None) -> Weighed:
        """The evidence that a domain is of the same hand. `found` are its traits, where they are at hand."""
        return weigh(self.evidence(profile, found), caps=self._settings.caps, lessened=self._settings.lessened)

    def evidence(self, profile: Profile, found: frozenset[Trait] | None = None) -> list[Evidence]:
        """One piece for each kind of trait: the strongest value."""
        best: dict[str, tuple[float, str]] = {}
        for trait in traits(profile) if found is None else found:
            if trait.name == Name.WORD:
                continue
            one = (self._bits(trait), trait.value)
            # Ties go to the value that sorts first: the same domain always gives the same evidence.
            if trait.name not in best or (-one[0], one[1]) < (-best[trait.name][0], best[trait.name][1]):
                best[trait.name] = one
        # A set and whose it is are one thing said twice.
        pair = [name for name in (Name.NAME_SERVERS.value, Name.NAME_SERVER_PROVIDER.value) if name in best]
        if len(pair) > 1:
            del best[min(pair, key=lambda name: best[name][0])]
        said = [
            Evidence(family=FAMILIES[Name(name)], trait=name, what=value, bits=weight)
            for name, (weight, value) in sorted(best.items())
            if weight
        ]
        if word := self._word(profile.domain):
            said.append(Evidence(family=Family.NAMING, trait=Name.WORD, what=word, bits=self._words[word]))
        if profile.ended_by in self._taken:
            m = self._taken[profile.ended_by] / (self._total + self._settings.shrink)
            why = "taken by who took known ones: named together, not linked by it"
            one_more = Evidence(
                family=Family.REPORT, trait=TAKEN, what=profile.ended_by, bits=bits(m, _TAKEN_SHARE), why=why
            )
            said.append(one_more)
        return said

    def _bits(self, trait: Trait) -> float:
        found = self._memo.get(trait)
        if found is None:
            if len(self._memo) >= _MOST_REMEMBERED:
                self._memo.clear()
            found = self._memo[trait] = self._weigh(trait)
        return found

    def _weigh(self, trait: Trait) -> float:
        total = self._totals.get(trait.name)
        share = self._background.likely(trait, self._settings.priors)
        if not total or share is None:
            return 0.0
        factor = self._factor(trait)
        if not factor:
            return 0.0
        shrink = self._settings.shrink
        weight = self._weights.get(trait)
        if weight is None and trait.name in IDENTIFYING:
            return 0.0
        if weight is None:
            # Good and Turing: as likely as it was so far that the next one is new.
            return max(self._settings.against, math.log2((self._once[trait.name] + shrink) / (total + 2 * shrink)))
        found = math.log2((weight + shrink * share) / (total + shrink) / share)
        return max(self._settings.against, found) if found < 0 else found * factor

    def _words_of(self, labels: dict[str, float]) -> dict[str, float]:
        names = self._background.names
        if not names.total:
            return {}
        total = sum(labels.values()) + 2 * self._settings.shrink
        found = {}
        for piece, (weight, _) in shared(labels, names.share).items():
            weighed = bits(weight / total, names.share(piece))
            if weighed > LEAST_WORD_BITS:
                found[piece] = weighed
        return found

    def _word(self, domain: str) -> str:
        held = [piece for piece in pieces(label(domain)) if piece in self._words]
        return min(held, key=lambda piece: (-self._words[piece], piece), default="")


def weights_of(known: Iterable[Profile], settings: Settings) -> list[float]:
    """What each known domain counts: half for each half-life that it is older than the newest, never below the floor.

    One whose creation is not known counts half.
    """
    listed = list(known)
    newest = max((one.created for one in listed if one.created is not None), default=None)
    found = []
    for one in listed:
        if one.created is None or newest is None:
            found.append(0.5)
            continue
        age = (newest - one.created) / _DAY
        found.append(max(settings.floor, 0.5 ** (age / settings.half_life_days)))
    return found
