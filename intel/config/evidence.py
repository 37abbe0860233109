"""How much links say of the hand behind two things: configs/evidence.yaml, which says what each key means."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from pydantic import Field

from intel.config.read import Strict, check, read_yaml
from intel.entities import Kind
from intel.evidence import Family
from intel.settings import CHECKOUT

FILE = "evidence.yaml"


class FamilyEntry(Strict):
    """A family of evidence."""

    cap: float = Field(gt=0, le=100)
    hard: bool = False
    why: str


class Chance(Strict):
    """How often things of one hand share a value, and how often strangers do at least."""

    m: float = Field(gt=0, le=1)
    prior: float = Field(gt=0, le=1)
    few: float | None = Field(default=None, ge=1)
    """Things up to which m holds: of what more have, the more have it the less it is one hand's."""


class LinkEntry(Strict):
    """What a kind of link says."""

    family: Family
    why: str
    shared: Chance
    sharing: Chance | None = None
    trait: str = ""
    sharing_trait: str = ""
    fades: float | None = Field(default=None, gt=0)
    slack: float = Field(default=0, ge=0)
    free: bool = False
    leads: bool = True
    subjects: frozenset[Kind] = frozenset()


class ContraryEntry(Strict):
    """What a kind of contrary evidence is worth."""

    bits: float = Field(lt=0)
    why: str


class Contrary(Strict):
    """What speaks against one hand."""

    registrants: ContraryEntry
    names: ContraryEntry
    actors: ContraryEntry


class Acts(Strict):
    """Bits from which an investigation does something about a lead without being asked."""

    look_up: float = Field(default=8, ge=0)
    watch: float = Field(default=18, ge=0)


class EvidenceFile(Strict):
    """The file configs/evidence.yaml."""

    known: int = Field(gt=0)
    lessened: float = Field(gt=0, le=1)
    discount: float = Field(gt=0, le=1)
    acts: Acts = Acts()
    families: dict[Family, FamilyEntry]
    contrary: Contrary
    links: dict[str, LinkEntry]
    nothing: dict[str, str]

    @cached_property
    def caps(self) -> Mapping[str, float]:
        """The most bits of each family."""
        return {str(family): entry.cap for family, entry in self.families.items()}

    @cached_property
    def hard(self) -> frozenset[str]:
        """Families that are hard to forge."""
        return frozenset(str(family) for family, entry in self.families.items() if entry.hard)

    @cached_property
    def predicates(self) -> tuple[str, ...]:
        """The predicates that are walked, sorted."""
        return tuple(sorted({name.partition(" ")[0] for name in self.links}))

    def link(self, predicate: str, kind: str) -> LinkEntry | None:
        """What a link to an object of that kind says; None where it is not walked."""
        return self.links.get(f"{predicate} {kind}") or self.links.get(predicate)


def read_evidence(configs: Path) -> EvidenceFile:
    """The file of a folder of configuration; one without takes the project's. Raises ConfigError."""
    found = configs / FILE
    found = found if found.is_file() else CHECKOUT / "configs" / FILE
    return check(found, EvidenceFile, read_yaml(found))
