"""What the warehouse knows of a case: claims, links one step out, and what stands on the same domain or address.

In: a `Case`. Out: `Known`. Nothing leaves the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine

from db import enrich
from db.entities import find_entities
from intel.entities import PERSONAL, Kind, entity
from tasks.enrich.records import Case, Claim, Count, Known, Subject, Thing, Tie

TOP_CLAIMS: Final = 25
TOP_TIES: Final = 10
TOP_NEAR: Final = 200
_ALL: Final = 5_000
"""Rows of one kind that one investigation reads, whatever the number of its indicators."""


def known(engine: Engine, case: Case) -> Known:
    """What is known of the case's entities. Raises WarehouseError."""
    ids = [subject.id for subject in case.subjects]
    if not ids:
        return Known()
    with engine.connect() as connection:
        near = enrich.near(connection, ids, top=_share(TOP_NEAR, len(ids)))
        pairs = [(row.about, row.id) for row in near]
        said = enrich.facts(connection, pairs, enrich.CLAIMS_OF_SOURCES, top=_share(TOP_CLAIMS, len(ids)))
        ties = enrich.ties(connection, ids, top=_share(TOP_TIES, len(ids)))
    return Known(
        claims=tuple(claim(row) for row in said),
        claim_counts=_counts(said),
        ties=tuple(_tie(row) for row in ties),
        tie_counts=_sums(ties),
        near=tuple((row.about, _subject(row)) for row in near),
        near_counts=_counts(near),
    )


def _share(most: int, among: int) -> int:
    """How many of a list each of `among` entities gets."""
    return max(1, min(most, _ALL // among))


def claims(connection: Connection, ids: Sequence[int], predicates: Sequence[str], *, top: int) -> tuple[Claim, ...]:
    """What sources state of these entities with these predicates, the most recent first."""
    return tuple(claim(row) for row in enrich.facts(connection, [(one, one) for one in ids], predicates, top=top))


def claims_about(connection: Connection, names: Iterable[str], *, top: int) -> tuple[Claim, ...]:
    """What sources say of these domains (canonical), which a case is connected with; `top` of each."""
    found = find_entities(connection, [entity(Kind.DOMAIN, name) for name in dict.fromkeys(names)])
    return claims(connection, tuple(found.values()), enrich.CLAIMS_OF_SOURCES, top=top)


def claim(row: Any) -> Claim:
    """A row of `db.enrich.FACTS` as a record."""
    return Claim(
        about=row.about,
        subject_id=row.subject_id,
        subject=thing(row.subject_kind, row.subject),
        predicate=row.predicate,
        object=None if row.object is None else thing(row.object_kind, row.object, personal=row.personal),
        state=row.state,
        source=row.source,
        source_title=row.source_title,
        reliability=row.reliability,
        reference=row.reference,
        tlp=row.tlp,
        first=row.first,
        last=row.last,
        ended=row.ended,
    )


def thing(kind: str, value: str, *, personal: bool = False) -> Thing:
    """An entity as it is named; `personal` where its kind, or the fact, is about people."""
    return Thing(kind=kind, value=value, personal=personal or kind in PERSONAL)


def _tie(row: Any) -> Tie:
    return Tie(
        about=row.about,
        subject=thing(row.subject_kind, row.subject),
        predicate=row.predicate,
        object=thing(row.object_kind, row.object, personal=row.personal),
        sources=tuple(row.sources or ()),
        first=row.first,
        last=row.last,
    )


def _subject(row: Any) -> Subject:
    return Subject(id=row.id, kind=row.kind, value=row.value, scope=row.scope, address=row.address)


def _counts(rows: Iterable[Any]) -> tuple[Count, ...]:
    totals = {row.about: row.total for row in rows}
    return tuple(Count(about=about, total=total, capped=total >= enrich.SCAN) for about, total in totals.items())


def _sums(rows: Iterable[Any]) -> tuple[Count, ...]:
    """Totals per entity of rows that carry one per predicate."""
    each = {(row.about, row.predicate): row.total for row in rows}
    sums: dict[int, int] = {}
    for (about, _), total in each.items():
        sums[about] = sums.get(about, 0) + total
    return tuple(Count(about=about, total=total, capped=total >= enrich.SCAN) for about, total in sums.items())
