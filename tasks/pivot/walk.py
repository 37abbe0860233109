"""The walk of a pivot: from what is known to what belongs with it, the best first, within a budget.

What is gone through: a node for each entity met, with the evidence of every way to it. A wave takes the best nodes that
are not expanded yet, and asks for all that surrounds them at once. A way is worth no more than its weakest link, less
for each link after the first two, and no more than the thing that it goes through. What a hub has is never asked for.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from db.pivot import RushedError
from intel.entities import Entity, masked
from intel.evidence import Evidence, Weighed, weigh
from intel.facts import Predicate
from intel.spans import ALWAYS, Spans, apart, common, joined, overlap, widened
from tasks.pivot.alike import Alike, echo_of
from tasks.pivot.expand import ON, Group, Surroundings, Weighted
from tasks.pivot.lives import NO_END, Lives
from tasks.pivot.records import Budget, Step, Unexpanded
from tasks.pivot.weights import Worth, faded

WAVE: Final = 24
"""Nodes that are expanded together: enough to save statements, few enough that the best come first."""
_AT_ONCE: Final = 100
"""Starts that are looked around together: an incident may have thousands, each with a width's worth of links."""
_DIRECT: Final = 2
"""Links up to which a way is not discounted: to a value, and to whoever shares it."""


@dataclass(slots=True)
class Node:
    """Something met. `hops` counts links, `depth` steps; `limit` bounds its bits by what it was reached through."""

    id: int
    entity: Entity
    depth: int
    hops: int
    start: bool = False
    life: int = 0
    bits: float = 0.0
    limit: float = 0.0
    wide: bool = False
    expanded: bool = False
    personal: bool = False
    hub: str = ""
    times: Spans = ()
    steps: list[Step] = field(default_factory=list)
    weighed: Weighed | None = None

    @property
    def best(self) -> Step:
        """The strongest last step to it."""
        return max(self.steps, key=lambda one: (one.evidence.bits, -one.source, one.predicate))


class Walk:
    """What was met so far. `as_of` bounds event times, `now` is where what has not ended is reckoned to."""

    def __init__(
        self, around: Surroundings, budget: Budget, *, as_of: datetime | None, now: float, reveal: bool
    ) -> None:
        self.around = around
        self.budget = budget
        self.nodes: dict[int, Node] = {}
        self.unexpanded: dict[tuple[int, str], Unexpanded] = {}
        self.first: list[Group] = []
        self.links = 0
        self.stopped = ""
        self.reveal = reveal
        self._shown: Callable[[str, str], str] = _plain if reveal else masked
        self._until = as_of.timestamp() if as_of is not None else None
        self._now = now if self._until is None else min(now, self._until)
        self._heap: list[tuple[float, int, int]] = []
        self._starts = 0
        self._alike = Alike()

    def begin(self, starts: Mapping[int, Entity], meant: Mapping[int, float]) -> None:
        """Put what is known at the start. `meant`: when it was first spoken of, which tells whose it was then."""
        self.around.read_lives(starts.values())
        for number, item in starts.items():
            when = self._until if self._until is not None else meant.get(number)
            node = Node(number, item, 0, 0, start=True, bits=math.inf, limit=math.inf)
            node.life = self.lives(node).at(when)
            self.nodes[number] = node
        self._starts = len(self.nodes)

    def run(self) -> None:
        """Expand until nothing promising is left, or the budget is."""
        try:
            self.look()
            while wave := self._wave():
                if self._full():
                    return
                rim = [one for one in wave if one.depth >= self.budget.depth]
                self._expand([one for one in wave if one.depth < self.budget.depth])
                self._expand(rim, free=True)
        except RushedError:
            self.stopped = "time"

    def look(self) -> None:
        """Read what surrounds the start, and no more."""
        starts = [one for one in self.nodes.values() if one.start]
        for begin in range(0, len(starts), _AT_ONCE):
            if begin and self._full():
                return
            self.first += self._expand(starts[begin : begin + _AT_ONCE])

    def _full(self) -> bool:
        """Whether enough was met besides what it started with."""
        if len(self.nodes) - self._starts < self.budget.nodes:
            return False
        self.stopped = "budget"
        return True

    def lives(self, node: Node) -> Lives:
        """Whose it was, and when."""
        return self.around.lives.get(node.entity.scope, NO_END) if node.entity.scope else NO_END

    def path(self, node: Node) -> tuple[Step, ...]:
        """The strongest way from a start."""
        steps: list[Step] = []
        while not node.start:
            steps.append(node.best)
            node = self.nodes[steps[-1].source]
        return tuple(reversed(steps))

    def _wave(self) -> list[Node]:
        wave: list[Node] = []
        while self._heap and len(wave) < WAVE:
            bits, _, number = heapq.heappop(self._heap)
            node = self.nodes[number]
            if node.expanded or -bits != node.bits:
                continue  # it stands in the heap again, with what it is worth now
            node.expanded = True
            if node.wide:
                self._leave(node, "width", f"more than {self.budget.width} have it")
            else:
                wave.append(node)
        return wave

    def _expand(self, wave: list[Node], *, free: bool = False) -> list[Group]:
        if not wave:
            return []
        groups = self.around.around({one.id: one.entity for one in wave}, free=free)
        for one in wave:
            one.expanded = True
        for group in groups:
            node = self.nodes[group.near]
            if group.more:
                self._leave(node, "width", f"more than {self.budget.width} links of this kind", group.predicate)
                if group.out:
                    self.stopped = "width"  # what a thing has itself was left out, not who else has a hub
            self.links += len(group.links)
        # Sorted, so that the same warehouse gives the same answer: an index gives equal keys in any order.
        for linked in sorted((one for group in groups for one in group.links), key=_order):
            self._take(linked)
        return groups

    def _take(self, linked: Weighted) -> None:
        link, near = linked.link, self.nodes[linked.link.near]
        if not self.seen(link.spans):
            return
        if link.predicate == Predicate.SAME_AS:
            self._alike.add(near.entity, link.entity)
        far = self.nodes.get(link.far)
        if link.far == link.near or (far is not None and far.hops <= near.hops):
            return  # the way that led here, or one that is longer than another
        limit, at_far = linked.limit
        value = link.entity if at_far else near.entity
        if limit.bits <= 0:
            hub = far or Node(link.far, link.entity, 0, 0)
            self._leave(hub if at_far else near, "hub", limit.why, link.predicate, hub=limit.hub)
            return
        spans, life = self._times(near, linked)
        if not spans:
            self._leave(Node(link.far, link.entity, 0, 0), "end", "it was no longer whose it had been", link.predicate)
            return
        if far is not None and far.steps and far.life != life:
            return  # of another owner of the same name
        piece = self._piece(near, linked, limit, value, spans)
        if piece.bits <= 0:
            return
        depth = near.depth + (0 if linked.entry.free else 1)
        if far is None:
            # Hops stay as they are: evidence goes from fewer to more, never in a circle.
            far = self.nodes[link.far] = Node(link.far, link.entity, depth, near.hops + 1, life=life)
        far.depth = min(far.depth, depth)
        far.hub = far.hub or linked.far.hub
        far.wide = far.wide or linked.far.wide
        far.steps.append(
            Step(
                source=near.id,
                source_entity=near.entity,
                predicate=link.predicate,
                target=link.far,
                target_entity=link.entity,
                out=link.out,
                evidence=piece,
                times=spans,
            )
        )
        far.times = spans if not far.times else joined((*far.times, *spans))
        far.limit = max(far.limit, self._through(near))
        self._reckon(far)

    def _reckon(self, node: Node) -> None:
        node.weighed = self.weigh([one.evidence for one in node.steps])
        node.bits = min(node.weighed.bits, node.limit)
        if not node.expanded and node.bits >= self.budget.bits and node.depth <= self.budget.depth:
            heapq.heappush(self._heap, (-node.bits, node.hops, node.id))

    def weigh(self, pieces: list[Evidence]) -> Weighed:
        """What pieces come to by configs/evidence.yaml."""
        file = self.around.file
        return weigh(self._alike.told(pieces), caps=file.caps, lessened=file.lessened, hard=file.hard)

    def carried(self, node: Node) -> float:
        """What a way through a node is worth at most."""
        if node.start:
            return math.inf
        return node.bits * (self.around.file.discount if node.hops >= _DIRECT else 1.0)

    def _through(self, near: Node) -> float:
        """What everything that is reached through a node is worth together: no more than what led to the node."""
        if near.start:
            return math.inf
        return max(self.carried(self.nodes[one.source]) for one in near.steps)

    def _times(self, near: Node, linked: Weighted) -> tuple[Spans, int]:
        """When it was so, as far as both ends were whose they were; and which life of the far end that is."""
        link = linked.link
        spans = self.seen(link.spans)
        if link.predicate == ON:
            return ALWAYS, near.life
        spans = common(spans, self.lives(near).spans(near.life))
        far = self.around.lives.get(link.entity.scope, NO_END) if link.entity.scope else NO_END
        life = far.of(spans)
        return ((), 0) if life is None else (common(spans, far.spans(life)), life)

    def seen(self, spans: Spans) -> Spans:
        """Times, as far as the walk looks."""
        return spans if self._until is None else common(spans, ((-math.inf, self._until),))

    def _piece(self, near: Node, linked: Weighted, limit: Worth, value: Entity, spans: Spans) -> Evidence:
        share, factor, why = None, 1.0, limit.why
        if not near.start and near.times not in ((), ALWAYS) and spans != ALWAYS:
            slack = linked.entry.slack
            before, then = widened(near.times, slack), widened(spans, slack)
            share = overlap(before, then, now=self._now)
            factor, said = faded(linked.entry, share, apart(before, then), cloud=limit.cloud)
            why = f"{why}; {said}" if said else why
        return Evidence(
            family=linked.entry.family,
            trait=linked.link.predicate,
            what=self._shown(value.kind, value.value),
            bits=min(limit.bits * factor if limit.bits < math.inf else _SURE, self.carried(near)),
            hub=limit.hub,
            why=why,
            prevalence=limit.prevalence,
            overlap=share,
            echo=echo_of(value),
        )

    def _leave(self, node: Node, reason: str, why: str, predicate: str = "", *, hub: str = "") -> None:
        said = f"{hub}: {why}" if hub and why else hub or why
        self.unexpanded.setdefault(
            (node.id, reason),
            Unexpanded(entity_id=node.id, entity=node.entity, reason=reason, why=said, predicate=predicate),
        )

    def found(self) -> Iterator[Node]:
        """All that was met, but what it started with, the best first."""
        met = [one for one in self.nodes.values() if not one.start]
        yield from sorted(met, key=lambda one: (-one.bits, one.hops, one.entity.value, one.entity.kind))


_SURE: Final = 30.0
"""Bits of a link neither end of which is shared with anything."""


def _plain(_kind: str, value: str) -> str:
    return value


def _order(one: Weighted) -> tuple[float, int, str, int]:
    return (-one.limit[0].bits, one.link.near, one.link.predicate, one.link.far)
