"""What a pivot takes and gives: a budget in; steps, neighbours, counts, and what was not followed and why, out."""

from __future__ import annotations

from datetime import datetime

import msgspec

from intel.entities import Entity
from intel.evidence import Evidence, Weighed
from intel.spans import Spans


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How far a pivot goes.

    `depth` counts steps: a certificate and its key, or a host and the name that it stands on, are none apart. `width`
    is how many links of one kind a thing may have before it is a hub, shown and not expanded. `nodes` and `seconds` end
    it; nothing below `bits` is shown or followed.
    """

    depth: int = 2
    width: int = 200
    nodes: int = 2_000
    seconds: float = 10.0
    bits: float = 2.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One link on a way: from `source` to `target`, which have ids; `out` where the source is the subject.

    `times` are when it was so (event time), as far as it was whose it was. The evidence masks people's data.
    """

    source: int
    source_entity: Entity
    predicate: str
    target: int
    target_entity: Entity
    out: bool
    evidence: Evidence
    times: Spans = ()


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """Something that belongs with the start, as far as the evidence goes.

    `path` is the strongest way to it. `claims` are what sources claim of it ("actor, by source"), which counts for
    nothing. `hub` is the class of shared thing that it is itself. `ended` says from when on it was somebody else's;
    `personal` whether its value names a person. `overlap` is that of the last step.
    """

    entity_id: int
    entity: Entity
    bits: float
    depth: int
    weighed: Weighed
    path: tuple[Step, ...]
    claims: tuple[str, ...] = ()
    hub: str = ""
    ended: str = ""
    personal: bool = False

    @property
    def families(self) -> tuple[str, ...]:
        """The families that speak for it, the strongest first."""
        said = self.weighed.families
        return tuple(sorted((one for one in said if said[one] > 0), key=lambda one: (-said[one], one)))

    @property
    def overlap(self) -> float | None:
        """The share of the shorter time in which both had what leads here."""
        return self.path[-1].evidence.overlap if self.path else None


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """The dry run: `count` links of a kind, from what the pivot starts with (`step` 1) or from one of its values (2).

    `more` says that counting stopped there. `hub` is the class of what is shared, `why` what makes it one. `value` is
    masked where it names a person; empty for all of step 1.
    """

    step: int
    predicate: str
    out: bool
    count: int
    more: bool = False
    kind: str = ""
    value: str = ""
    entity_id: int = 0
    hub: str = ""
    why: str = ""
    bits: float = 0.0


class Unexpanded(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was met and not followed: `why` as people read it, `reason` a word: hub, width, bits or end."""

    entity_id: int
    entity: Entity
    reason: str
    why: str
    predicate: str = ""
    personal: bool = False


class End(msgspec.Struct, frozen=True, kw_only=True):
    """From `at` on (event time) a domain was no longer whose it was; what it had then was left out."""

    entity_id: int
    entity: Entity
    at: datetime
    reason: str


class Neighbourhood(msgspec.Struct, frozen=True, kw_only=True):
    """What a pivot found, best first. `stopped` says what ended it early: budget, time or width; empty for nothing.

    `counted` is the dry run, `links` how many were read, `seconds` how long it took.
    """

    start: tuple[Entity, ...]
    neighbours: tuple[Neighbour, ...]
    counted: tuple[Count, ...]
    stopped: str = ""
    ended: tuple[End, ...] = ()
    unexpanded: tuple[Unexpanded, ...] = ()
    links: int = 0
    seconds: float = 0.0
