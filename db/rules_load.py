"""Histories from the warehouse: subjects' ids in, what the matcher reads of them out (intel/rules/histories.py).

A few statements for each step that rules' conditions take from a subject, whatever the number of subjects. Raw SQL:
lateral joins and arrays have no form in SQLAlchemy Core that would read better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, text

from db.rules_conditions import BEGIN
from db.rules_tests import rarity
from intel.entities import Entity
from intel.rules.histories import Histories, Stated, Step, Thing, Watched, gather, needs, tested
from intel.rules.records import Rule

Paths: TypeAlias = "dict[Step, Paths]"

# Facts that were ever so, with their times and what else belongs to their identity. Uses pk_fact_history.
_FACTS: Final = f"""
SELECT f.id, f.subject_id, f.predicate, f.object_id, f.state, f.source_id, coalesce(f.qualifiers->>'role', ''),
    coalesce(f.qualifiers->>'type', ''), coalesce(f.qualifiers->>'field', ''), coalesce(f.qualifiers->>'tier', ''),
    b.begin, (SELECT min(g.event_time) FROM fact_history g
              WHERE g.fact_id = f.id AND g.ended AND g.event_time >= b.begin), f.standing IS NOT NULL
FROM fact f {BEGIN.format("f", "b")}
WHERE f.{{column}} = ANY(CAST(:ids AS bigint[])) AND f.predicate = ANY(CAST(:predicates AS text[]))
    AND b.begin IS NOT NULL
"""  # noqa: S608 - put together from constants

# What is stated of things, and what names them. Uses ix_fact_subject_id_predicate_object_id and pk_fact_history, and
# ix_fact_object_id.
FACTS_OF: Final = _FACTS.format(column="subject_id")
FACTS_NAMING: Final = _FACTS.format(column="object_id")

# Uses pk_entity.
THINGS: Final = """
SELECT id, kind, value, scope, CASE WHEN masklen(address) = CASE family(address) WHEN 4 THEN 32 ELSE 128 END
    THEN host(address) ELSE text(address) END, digest
FROM entity WHERE id = ANY(CAST(:ids AS bigint[]))
"""

# What a watch looks for. Uses uq_watch_item_watch_id_match_digest.
ITEMS: Final = """
SELECT match, kind, value, text(network) FROM watch_item
WHERE watch_id = :watch_id AND match IN ('entity', 'scope', 'subtree', 'network')
"""

# How many of a million have values that were met. Uses pk_entity and pk_prevalence.
RARITY: Final = f"""
SELECT x.predicate, e.id, ({rarity("e", "x.predicate")})
FROM unnest(CAST(:predicates AS text[]), CAST(:ids AS bigint[])) x (predicate, id) JOIN entity e ON e.id = x.id
"""  # noqa: S608 - put together from constants


def load_histories(
    connection: Connection, rules: Sequence[Rule], subject_ids: Iterable[int], *, as_of: datetime, watch_id: int | None
) -> Histories:
    """All that rules of one watch read of subjects. Ids that are no entity's are left out."""
    subjects = list(dict.fromkeys(subject_ids))
    rows: dict[int, Any] = {}
    _walk(connection, _paths(rules), subjects, rows)
    wanted = {*subjects, *(row[1] for row in rows.values()), *(row[3] for row in rows.values())} - {None}
    things = load_things(connection, wanted)
    facts = [_stated(row, things) for row in rows.values()]
    tests = [one for rule in rules for one in tested(rule)]
    return gather(
        [things[one] for one in subjects if one in things],
        facts,
        as_of=as_of,
        watched=_watched(connection, watch_id) if any(one.watched is not None for _, one in tests) else None,
        rarity=_rarities(connection, {name for name, one in tests if one.rarer_than is not None}, facts, subjects),
    )


def load_things(connection: Connection, ids: Iterable[int]) -> dict[int, Thing]:
    """Entities by their ids."""
    return {
        row[0]: Thing(row[0], Entity(row[1], row[2], row[3], row[4] or "", row[5].bytes))
        for row in connection.execute(text(THINGS), {"ids": list(ids)})
    }


def _paths(rules: Iterable[Rule]) -> Paths:
    """The steps that rules take, as a tree."""
    tree: Paths = {}
    for rule in rules:
        for path in needs(rule):
            at = tree
            for step in path:
                at = at.setdefault(step, {})
    return tree


def _walk(connection: Connection, paths: Paths, ids: Sequence[int], rows: dict[int, Any]) -> None:
    """Read the facts of each step, and go on from what they lead to."""
    for inverse, statement, far in ((False, FACTS_OF, 3), (True, FACTS_NAMING, 1)):
        steps = {step.predicate: inner for step, inner in paths.items() if step.inverse is inverse}
        if not steps or not ids:
            continue
        found = connection.execute(text(statement), {"ids": list(ids), "predicates": list(steps)}).all()
        rows.update((row[0], row) for row in found)
        for predicate, inner in steps.items():
            if inner:
                _walk(connection, inner, list({row[far] for row in found if row[2] == predicate} - {None}), rows)


def _stated(row: Any, things: dict[int, Thing]) -> Stated:
    return Stated(
        fact_id=row[0],
        subject=things[row[1]],
        predicate=row[2],
        object=None if row[3] is None else things[row[3]],
        state=row[4],
        source_id=row[5],
        role=row[6],
        type=row[7],
        field=row[8],
        tier=row[9],
        begin=row[10],
        gone=row[11],
        spans=row[12],
    )


def _watched(connection: Connection, watch_id: int | None) -> Watched:
    rows = connection.execute(text(ITEMS), {"watch_id": watch_id}).all()
    return Watched(
        entities=frozenset((kind, value) for match, kind, value, _ in rows if match == "entity"),
        scopes=frozenset(value for match, _, value, _ in rows if match == "scope"),
        subtrees=tuple(value for match, _, value, _ in rows if match == "subtree"),
        networks=tuple(network for match, _, _, network in rows if match == "network"),
    )


def _rarities(
    connection: Connection, predicates: set[str], facts: Iterable[Stated], subjects: Iterable[int]
) -> dict[tuple[str, int], float | None]:
    """How rare what was met is, for the links whose rarity is asked for."""
    wanted = {
        (fact.predicate, one.id)
        for fact in facts
        if fact.predicate in predicates
        for one in (fact.subject, fact.object)
        if one is not None
    }
    if "" in predicates:
        wanted.update(("", one) for one in subjects)
    if not wanted:
        return {}
    names, ids = zip(*sorted(wanted), strict=True)
    rows = connection.execute(text(RARITY), {"predicates": list(names), "ids": list(ids)})
    return {(row[0], row[1]): row[2] for row in rows}
