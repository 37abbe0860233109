"""Pivot: from what is known to what belongs with it, with the evidence in bits. Ids of entities in, neighbours out.

    dry_run             what there is to follow, counted, before anything is
    pivot               the neighbourhood, best first, within a budget
    evidence_between    all that two things have in common

Evidence is inferred from links that somebody stated. What sources claim of attribution stands beside it and is never
summed; aliases and actors are no links. Read only; db/pivot.py has the statements, configs/evidence.yaml the numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from db import pivot as sql
from db.pivot import Reader, RushedError
from intel.entities import masked
from intel.errors import WarehouseError
from intel.evidence import Weighed
from tasks.pivot.expand import Surroundings
from tasks.pivot.finish import finish, shared
from tasks.pivot.records import Budget, Count, End, Neighbour, Neighbourhood, Step, Unexpanded
from tasks.pivot.rows import read_entity
from tasks.pivot.walk import Node, Walk

__all__ = [
    "Budget",
    "Count",
    "End",
    "Neighbour",
    "Neighbourhood",
    "Step",
    "Unexpanded",
    "dry_run",
    "evidence_between",
    "pivot",
]

_WALKING: Final = 0.8
"""The share of the time for the walk: what it finds is not given without what speaks against it."""
_SHARED: Final = Budget(depth=1, width=1_000, seconds=10.0, bits=0.0)


def pivot(
    connection: Connection,
    start_ids: Sequence[int],
    budget: Budget | None = None,
    *,
    as_of: datetime | None = None,
    reveal: bool = False,
) -> Neighbourhood:
    """What belongs with the start, the best first. `as_of` leaves out what was so only later (event time, UTC).

    What was written down later of that time counts, and how many share a value is counted as of now.
    Evidence masks people's data but where `reveal` is set; entities are given as they are, and whoever shows them masks
    them. Raises ConfigError where configs/ is wrong.
    """
    began = time.monotonic()
    given = budget or Budget()
    share = [_WALKING]
    reader = Reader(connection, lambda: given.seconds * share[0] - (time.monotonic() - began))
    try:
        walk = _walk(reader, start_ids, given, as_of=as_of, reveal=reveal)
        walk.run()
        share[0] = 1.0
        neighbours = finish(connection, reader, walk)
    except RushedError:
        return Neighbourhood(start=(), neighbours=(), counted=(), stopped="time", seconds=time.monotonic() - began)
    finally:
        reader.close()
    starts = [one for one in walk.nodes.values() if one.start]
    return Neighbourhood(
        start=tuple(one.entity for one in starts),
        neighbours=neighbours,
        counted=tuple(_counts(walk)),
        stopped=walk.stopped,
        ended=tuple(_ends(walk, [*starts, *(walk.nodes[one.entity_id] for one in neighbours)])),
        unexpanded=tuple(sorted(walk.unexpanded.values(), key=lambda one: (one.reason, one.entity.value))),
        links=walk.links,
        seconds=time.monotonic() - began,
    )


def dry_run(
    connection: Connection, start_ids: Sequence[int], budget: Budget | None = None, *, as_of: datetime | None = None
) -> tuple[Count, ...]:
    """What a pivot would follow: links of the start by kind, then for each value how many share it, and its hub class.

    Counting stops above the budget's width. Nothing is expanded.
    """
    given = budget or Budget()
    reader = Reader(connection)
    walk = _walk(reader, start_ids, given, as_of=as_of, reveal=False)
    walk.look()
    return tuple(_counts(walk))


def evidence_between(connection: Connection, left_id: int, right_id: int) -> Weighed:
    """All that two things have in common, and what speaks against one hand. Raises WarehouseError for unknown ids."""
    reader = Reader(connection)
    if left_id == right_id:
        raise WarehouseError(
            f"couldn't compare entity {left_id} with itself: it has everything in common; name another"
        )
    walks = []
    for number in (left_id, right_id):
        walk = _walk(reader, [number], _SHARED, as_of=None, reveal=False)
        if not walk.nodes:
            raise WarehouseError(
                f"couldn't compare entity {number}: the warehouse has none of that number; look it up first"
            )
        walk.run()
        walks.append(walk)
    return shared(connection, reader, walks[0], walks[1])


def _walk(reader: Reader, start_ids: Sequence[int], budget: Budget, *, as_of: datetime | None, reveal: bool) -> Walk:
    around = Surroundings(reader, budget.width, as_of)
    ids = list(dict.fromkeys(start_ids))
    starts = {row.id: read_entity(row) for row in reader.rows(sql.ENTITIES, ids=ids)}
    meant = {row.id: row.at for row in reader.rows(sql.MEANT, ids=ids)}
    walk = Walk(around, budget, as_of=as_of, now=datetime.now(UTC).timestamp(), reveal=reveal)
    walk.begin({one: starts[one] for one in ids if one in starts}, meant)
    return walk


def _counts(walk: Walk) -> Iterable[Count]:
    """The dry run, from the first wave: what the start has, and how many share each value."""
    totals: dict[tuple[str, bool], tuple[int, bool]] = {}
    for group in walk.first:
        count, more = totals.get((group.predicate, group.out), (0, False))
        totals[group.predicate, group.out] = (count + group.count, more or group.more)
    for (predicate, out), (count, more) in sorted(totals.items()):
        yield Count(step=1, predicate=predicate, out=out, count=count, more=more)
    values: dict[tuple[int, str], Count] = {}
    for group in walk.first:
        for one in group.links:
            if not one.link.out and one.entry.sharing is None:
                continue  # a thing that has what the start is: nothing to share
            item, worth = one.link.entity, one.far
            degree = walk.around.degree(one.link.far, one.link.predicate, subject=not one.link.out)
            values[one.link.far, one.link.predicate] = Count(
                step=2,
                predicate=one.link.predicate,
                out=not one.link.out,
                count=min(degree, walk.budget.width),
                more=degree > walk.budget.width,
                kind=item.kind,
                value=masked(item.kind, item.value),
                entity_id=one.link.far,
                hub=worth.hub,
                why=worth.why,
                bits=min(worth.bits, one.near.bits, 30.0),
            )
    yield from sorted(values.values(), key=lambda one: (-one.bits, one.predicate, one.value))


def _ends(walk: Walk, nodes: Iterable[Node]) -> Iterable[End]:
    for node in nodes:
        ended = walk.lives(node).end(node.life)
        if ended is not None:
            at = datetime.fromtimestamp(ended[0], UTC)
            yield End(entity_id=node.id, entity=node.entity, at=at, reason=ended[1])
