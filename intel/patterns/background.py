"""The background: how common traits are among things that were chosen for another reason than that they interest us.

In: a sample of profiles (joint counts), a sample of names (words), and counts that somebody made of larger populations
(db/prevalence.py). Out: upper bounds of shares. What was not counted is unknown, never rare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from intel.evidence import Prevalence
from intel.patterns.burst import read_burst
from intel.patterns.records import MILLION, TIED
from intel.traits import Name, Profile, Trait, label, traits

FEW: Final = 300
"""Of fewer counted things than this no share is taken below 1 in 300, and none makes false positives any fewer: a
handful shows nothing rare."""


class Names:
    """Names alone, to count what stands in them."""

    def __init__(self, domains: Iterable[str] = ()) -> None:
        labels = [label(domain) for domain in domains]
        self.total: Final = len(labels)
        self._text = "\n".join(labels)
        self._counted: dict[str, int] = {}

    def count(self, word: str) -> int:
        """How often a word stands in the labels."""
        found = self._counted.get(word)
        if found is None:
            found = self._counted[word] = self._text.count(word)
        return found

    def share(self, word: str) -> float:
        """An upper bound of the share of names that hold the word."""
        return (self.count(word) + 1) / (max(self.total, FEW) + 2)


class Background:
    """Counts of traits. `counted` are those of larger populations and go before the sample's.

    `daily`: new domains a day that become known to us; None where nobody knows.
    """

    def __init__(
        self,
        profiles: Iterable[Profile] = (),
        names: Names | None = None,
        counted: Mapping[Trait, Prevalence] | None = None,
        *,
        called: str = "",
        daily: float | None = None,
    ) -> None:
        self.sets: Final[Sequence[frozenset[Trait]]] = [traits(profile) for profile in profiles]
        self.names: Final = names or Names()
        self.counted: Final = counted or {}
        self.called: Final = called
        self.daily: Final = daily
        self.counts: Final[Counter[Trait]] = Counter()
        self.totals: Final[Counter[str]] = Counter()
        self._held: Final[dict[Trait | str, int]] = {}
        for one in self.sets:
            self.counts.update(one)
            self.totals.update({trait.name for trait in one})

    def share(self, trait: Trait) -> float | None:
        """An upper bound of how many have it; None where nobody counted such a trait.

        A word is counted among the names, in which it may stand anywhere.
        """
        if trait.name == Name.WORD:
            return self.names.share(trait.value) if self.names.total else None
        given = self.counted.get(trait)
        if given is not None:
            return (given.count + 1) / (max(given.total, FEW) + 2)
        total = self.totals[trait.name]
        return (self.counts[trait] + 1) / (max(total, FEW) + 2) if total else None

    def counted_of(self, trait: Trait) -> int:
        """Among how many things it was counted."""
        if trait.name == Name.WORD:
            return self.names.total
        given = self.counted.get(trait)
        return self.totals[trait.name] if given is None else given.total

    def likely(self, trait: Trait, priors: Mapping[str, float]) -> float | None:
        """`share`, where few were counted filled up to `FEW` with strangers who have the value by the kind's prior."""
        total = self.totals[trait.name]
        if trait in self.counted or trait.name == Name.WORD or total >= FEW or trait.name not in priors:
            return self.share(trait)
        prior = priors[trait.name]
        return (self.counts[trait] + prior * (FEW - total) + (1 if total else 0)) / (FEW + (1 if total else 0))

    def per_million(self, combination: Collection[Trait]) -> tuple[float | None, str]:
        """(an upper bound of how many of a million have them all, what it rests on); None where it is unknown.

        The traits are taken for independent but for those that come along with one another (`TIED`); never below what
        the sample itself showed of all of them together. One that was counted among fewer than `FEW` is unknown. A
        burst is no trait of one domain: it leaves so many as would be among so many others by chance (Poisson), where
        it is known how many come a day; else all.
        """
        expected, basis = self._of_each([trait for trait in combination if trait.name != Name.BURST])
        if expected is None or self.daily is None:
            return expected, basis
        strangers_a_day = expected / MILLION * self.daily
        for trait in combination:
            if trait.name == Name.BURST:
                expected *= read_burst(trait.value).by_chance(strangers_a_day)
                basis += f"; in a burst by chance, at {self.daily:,.0f} new domains a day"
        return expected, basis

    def _of_each(self, combination: Collection[Trait]) -> tuple[float | None, str]:
        shares: dict[str, float] = {}
        for trait in combination:
            share = self.share(trait)
            if share is not None and self.counted_of(trait) >= FEW:
                tie = TIED.get(Name(trait.name), trait.name)
                shares[tie] = min(share, shares.get(tie, 1.0))
        if not shares:
            return None, ""
        product = 1.0
        for share in shares.values():
            product *= share
        seen, total = self.together(combination)
        if total >= FEW and seen / total > product:
            return (seen + 1) / (total + 2) * MILLION, f"{seen} of {total:,} have all of them"
        held = "" if len(shares) == 1 else f", taking {', '.join(sorted(shares))} for independent"
        return product * MILLION, f"{self.called or 'counts of each'}{held}"

    def together(self, combination: Collection[Trait]) -> tuple[int, int]:
        """(how many of the sample have all of them, of how many that is known)."""
        wanted = {trait for trait in combination if trait.name != Name.WORD}
        words = [trait.value for trait in combination if trait.name == Name.WORD]
        if not wanted or words:
            return 0, 0
        total = seen = (1 << len(self.sets)) - 1
        for trait in wanted:
            total &= self._holders(trait.name)
            seen &= self._holders(trait)
        return seen.bit_count(), total.bit_count()

    def _holders(self, wanted: Trait | str) -> int:
        """Which of the sample have a trait, or any of a name, as bits of a number: many combinations are asked for."""
        if not self._held:
            for number, one in enumerate(self.sets):
                for trait in one:
                    for key in (trait, trait.name):
                        self._held[key] = self._held.get(key, 0) | 1 << number
        return self._held.get(wanted, 0)
