"""The end of a pivot: what was found, weighed again with what the facts say of the links, and what speaks against.

In: a walk. Out: neighbours. Feeds that copy one another count once (`echo`); a link that no fact states as a value is
none; a technical contact is the hoster's; what two share who each have an identity of their own is an agent's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection

from db import pivot as sql
from db.pivot import Reader, RushedError
from intel.entities import Entity, masked
from intel.evidence import Evidence, Family, Weighed
from intel.facts import Predicate
from intel.spans import ALWAYS, Spans, apart, overlap, widened
from tasks.pivot.details import Details
from tasks.pivot.expand import ON
from tasks.pivot.records import Neighbour, Step
from tasks.pivot.walk import Node, Walk
from tasks.pivot.weights import faded

TOP: Final = 300
"""Neighbours of which details are asked for; weaker ones are not given."""
_MOST_LINKS: Final = 5_000
_OWN_ROLES: Final = frozenset({"", "registrant", "administrative", "admin"})
_Key = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Said:
    """What the facts of a link say."""

    value: bool
    personal: bool
    references: frozenset[str]
    own: bool


_UNSAID: Final = Said(value=True, personal=False, references=frozenset(), own=True)


def finish(connection: Connection, reader: Reader, walk: Walk) -> tuple[Neighbour, ...]:
    """The neighbours, the best first. Where time is over before the details came, it says so in `stopped`."""
    top = [one for one in walk.found() if one.bits >= walk.budget.bits][:TOP]
    starts = [one for one in walk.nodes.values() if one.start]
    if not top:
        return ()
    try:
        said = sayings(reader, (step for node in top for step in node.steps))
        details = Details(connection, reader, walk.around, own_times(walk, [*starts, *top]))
    except RushedError:
        walk.stopped = "time"
        return ()
    # From near to far: what is worth less now carries less.
    for node in sorted(top, key=lambda one: (one.hops, one.id)):
        _again(walk, node, said, details)
    best = sorted(top, key=lambda one: (-one.bits, one.hops, one.entity.value, one.entity.kind))
    return tuple(_neighbour(walk, one, details) for one in best if one.bits >= walk.budget.bits)


def shared(connection: Connection, reader: Reader, one: Walk, other: Walk) -> Weighed:
    """What the starts of two walks of a step each have in common; they start with one thing each."""
    left, right = (next(iter(walk.nodes)) for walk in (one, other))
    met = sorted(one.nodes.keys() & other.nodes.keys() - {left, right})
    steps = [step for walk in (one, other) for number in met for step in walk.nodes[number].steps]
    direct = one.nodes[right].steps if right in one.nodes else []
    said = sayings(reader, [*steps, *direct])
    own = own_times(one, [one.nodes[left]]) | own_times(other, [other.nodes[right]])
    details = Details(connection, reader, one.around, own)
    pieces = [_told(step, said, [], reveal=False) for step in direct]
    for number in _apart(one, other, met):
        pieces += _in_common(one.nodes[number], other.nodes[number], one, said)
    return one.weigh([*_separated(pieces, details, left, right), *details.more(left, right)])


def _apart(one: Walk, other: Walk, met: Sequence[int]) -> list[int]:
    """Of what two have in common, one thing for each connection: certificate, key and certificate are one chain.

    Of a chain the shortest way counts, and of equals its middle.
    """
    chains: list[set[int]] = []
    for number in met:
        ways = {step.target for walk in (one, other) for step in walk.path(walk.nodes[number])} & set(met)
        touched = [chain for chain in chains if chain & ways]
        chains = [chain for chain in chains if not chain & ways] + [ways.union(*touched)]

    def key(number: int) -> tuple[int, int, float, int]:
        left, right = one.nodes[number], other.nodes[number]
        return (left.hops + right.hops, abs(left.hops - right.hops), -min(left.bits, right.bits), number)

    return sorted(min(chain, key=key) for chain in chains)


def sayings(reader: Reader, steps: Iterable[Step]) -> dict[_Key, Said]:
    """What the facts say of the links of steps."""
    keys = list(dict.fromkeys(link_of(step) for step in steps if step.predicate != ON))[:_MOST_LINKS]
    if not keys:
        return {}
    subjects, predicates, objects = ([key[place] for key in keys] for place in range(3))
    rows = reader.rows(sql.SAID, subjects=subjects, predicates=predicates, objects=objects)
    return {
        keys[row.place - 1]: Said(
            value=row.values_stated > 0,
            personal=row.personal,
            references=frozenset(row.references),
            own=bool(_OWN_ROLES & set(row.roles)),
        )
        for row in rows
    }


def link_of(step: Step) -> _Key:
    """Subject, predicate and object of a step's link."""
    return (step.source, step.predicate, step.target) if step.out else (step.target, step.predicate, step.source)


def own_times(walk: Walk, nodes: Iterable[Node]) -> dict[int, tuple[Entity, Spans]]:
    """Things with the times at which they were whose they were, as far as the walk looks."""
    return {one.id: (one.entity, walk.seen(walk.lives(one).spans(one.life))) for one in nodes}


def _again(walk: Walk, node: Node, said: Mapping[_Key, Said], details: Details) -> None:
    steps = []
    for step in node.steps:
        source = walk.nodes[step.source]
        piece = _told(step, said, source.steps, reveal=walk.reveal)
        carried = max(0.0, walk.carried(source))
        if piece.bits > carried:
            piece = msgspec.structs.replace(piece, bits=carried)
        steps.append(msgspec.structs.replace(step, evidence=piece))
    node.personal = any(said.get(link_of(step), _UNSAID).personal and step.out for step in steps)
    node.steps = steps
    root = walk.path(node)[0].source
    pieces = _separated([step.evidence for step in steps], details, root, node.id)
    node.weighed = walk.weigh([*pieces, *details.more(root, node.id)])
    node.bits = min(node.weighed.bits, node.limit)


def _told(step: Step, said: Mapping[_Key, Said], before: Sequence[Step], *, reveal: bool) -> Evidence:
    """A step's evidence, as the facts of its link have it, and of the links that led to where it starts."""
    key = link_of(step)
    told = said.get(key, _UNSAID)
    piece = step.evidence
    if not told.value:
        return msgspec.structs.replace(piece, bits=0.0, why="nobody states it as a value")
    if step.predicate == Predicate.REGISTERED_BY and not told.own:
        return msgspec.structs.replace(piece, bits=0.0, why="a technical contact, who is mostly the hoster's")
    references = told.references.union(*(said.get(link_of(one), _UNSAID).references for one in before))
    if len(references) == 1 and (reference := next(iter(references))):
        piece = msgspec.structs.replace(piece, echo=f"reference {reference}")
    personal = told.personal or any(said.get(link_of(one), _UNSAID).personal for one in before)
    if personal and not reveal:
        kind, _, _ = step.evidence.echo.partition(" ")
        piece = msgspec.structs.replace(piece, what=masked(kind, piece.what, personal=True))
    return piece


def _separated(pieces: Iterable[Evidence], details: Details, left: int, right: int) -> list[Evidence]:
    """The pieces, without those of a registrant where each has one of its own."""
    if not details.separate(left, right):
        return list(pieces)
    why = "an agent's or reseller's: each has a registrant of its own"
    return [
        msgspec.structs.replace(one, bits=0.0, why=why) if one.family == Family.REGISTRANT and one.bits > 0 else one
        for one in pieces
    ]


def _in_common(left: Node, right: Node, walk: Walk, said: Mapping[_Key, Said]) -> Iterable[Evidence]:
    """The piece that a value is that both have."""
    pairs = [(_told(step, said, [], reveal=False), step, node) for node in (left, right) for step in [node.best]]
    piece, step, _ = min(pairs, key=lambda pair: pair[0].bits)
    bits = min(pair[0].bits for pair in pairs)
    references = frozenset().union(*(said.get(link_of(pair[1]), _UNSAID).references for pair in pairs))
    echo = piece.echo
    if len(references) == 1 and (reference := next(iter(references))):
        echo = f"reference {reference}"
    elif echo.startswith("reference "):
        echo = ""
    kind = step.target_entity.kind if step.out else step.source_entity.kind
    entry = walk.around.file.link(step.predicate, kind)
    share, why = None, piece.why
    if entry is not None and ALWAYS not in (left.times, right.times):
        first, second = (widened(node.times, entry.slack) for node in (left, right))
        share = overlap(first, second, now=datetime.now(UTC).timestamp())
        factor, how = faded(entry, share, apart(first, second), cloud=piece.hub == "cloud")
        bits, why = bits * factor, f"{why}; {how}" if how else why
    if math.isfinite(bits):
        yield msgspec.structs.replace(piece, bits=bits, overlap=share, why=why, echo=echo)


def _neighbour(walk: Walk, node: Node, details: Details) -> Neighbour:
    ended = walk.lives(node).end(node.life)
    return Neighbour(
        entity_id=node.id,
        entity=node.entity,
        bits=node.bits,
        depth=node.depth,
        weighed=node.weighed or walk.weigh([]),
        path=walk.path(node),
        claims=details.held(node.id).claims,
        hub=node.hub,
        ended=f"{ended[1]} {datetime.fromtimestamp(ended[0], UTC):%Y-%m-%d}" if ended is not None else "",
        personal=node.personal,
    )
