"""Leads: what an investigation led to, how strongly, and by which evidence. Inferred, never stated.

Comes in: what a pivot found around an incident. Goes out: rows of `lead`, written only where something differs, and
`Lead` records, the strongest first. People's data in evidence is masked before it comes here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from intel.evidence import Evidence, Weighed, speaking, weigh

_DIGITS: Final = 2
"""Bits and shares are kept so exactly: what only the clock moves is no change."""

# Set-based: all leads of one pivot at once, in the order of their ids, so that two writers never wait for each other in
# a circle. Writes nothing where a lead stands as it is. `fresh` tells what was inserted from what was changed (xmax is
# 0 in a row that no other version preceded). Uses pk_lead.
_SAVE: Final = """
INSERT INTO lead (incident_id, entity_id, bits, families, depth, evidence)
SELECT :incident_id, w.entity_id, w.bits, w.families, w.depth, w.evidence
FROM jsonb_to_recordset(:leads) AS w (entity_id bigint, bits double precision, families text[], depth smallint,
    evidence jsonb)
ORDER BY w.entity_id
ON CONFLICT (incident_id, entity_id) DO UPDATE
SET bits = excluded.bits, families = excluded.families, depth = excluded.depth, evidence = excluded.evidence,
    changed_at = clock_timestamp()
WHERE (lead.bits, lead.families, lead.depth, lead.evidence)
    IS DISTINCT FROM (excluded.bits, excluded.families, excluded.depth, excluded.evidence)
RETURNING entity_id, xmax = 0 AS fresh
"""
# What a whole pivot no longer leads to. Uses pk_lead.
_DROP: Final = """
DELETE FROM lead WHERE incident_id = :incident_id AND entity_id <> ALL(:kept) RETURNING entity_id
"""
# What stands on a domain was taken away with it. Uses pk_lead, pk_entity, ix_entity_scope and pk_ownership_end.
_READ: Final = """
SELECT l.entity_id, e.kind, e.value, e.scope, coalesce(host(e.address), '') AS address, l.bits, l.families, l.depth,
    l.evidence, l.found_at, l.changed_at, EXISTS (
        SELECT FROM ownership_end o WHERE o.entity_id = l.entity_id
    ) OR e.scope <> '' AND EXISTS (
        SELECT FROM entity d JOIN ownership_end o ON o.entity_id = d.id
        WHERE d.scope = e.scope AND d.kind = 'domain' AND d.value = e.scope
    ) AS ended
FROM lead l JOIN entity e ON e.id = l.entity_id
WHERE l.incident_id = :incident_id
ORDER BY l.bits DESC, l.depth, l.entity_id LIMIT :top
"""


class Neighbour(Protocol):
    """What of a pivot's neighbours is kept."""

    @property
    def entity_id(self) -> int:
        """The entity's id."""

    @property
    def bits(self) -> float:
        """Evidence for the same hand."""

    @property
    def depth(self) -> int:
        """Steps from what was reported."""

    @property
    def weighed(self) -> Weighed:
        """The evidence, weighed."""


class Lead(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """Something that an incident led to.

    `evidence` is the strongest first, `bits` what it comes to, `families` are those of it that speak for the same hand.
    `ended`: it is no longer whose it was. `found_at` and
    `changed_at` are recorded times (UTC).
    """

    entity_id: int
    kind: str
    value: str
    scope: str = ""
    address: str = ""
    bits: float
    families: tuple[str, ...] = ()
    depth: int
    evidence: tuple[Evidence, ...] = ()
    found_at: datetime
    changed_at: datetime
    ended: bool = False


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What saving changed: leads that are new, those whose evidence changed, those that went."""

    new: int = 0
    changed: int = 0
    gone: int = 0


def save_leads(
    connection: Connection, incident_id: int, neighbours: Sequence[Neighbour], *, whole: bool = False
) -> Saved:
    """Keep what an incident led to; saving the same again writes nothing.

    `whole` says that the pivot was not cut short: what it does not lead to any more is no lead. The caller's
    transaction holds it.
    """
    rows = [
        {
            "entity_id": one.entity_id,
            "bits": round(one.bits, _DIGITS),
            "families": speaking(weigh(piece.evidence for piece in one.weighed.pieces).families),
            "depth": one.depth,
            "evidence": [_kept(piece.evidence) for piece in one.weighed.pieces],
        }
        for one in neighbours
    ]
    statement = text(_SAVE).bindparams(bindparam("leads", type_=JSONB))
    written = connection.execute(statement, {"incident_id": incident_id, "leads": rows}).all()
    gone = 0
    if whole:
        kept = [one.entity_id for one in neighbours]
        gone = len(connection.execute(text(_DROP), {"incident_id": incident_id, "kept": kept}).all())
    new = sum(bool(row.fresh) for row in written)
    return Saved(new=new, changed=len(written) - new, gone=gone)


def read_leads(connection: Connection, incident_id: int, *, top: int = 500) -> tuple[Lead, ...]:
    """The leads of an incident, the strongest first, `top` at most."""
    rows = connection.execute(text(_READ), {"incident_id": incident_id, "top": top}).mappings()
    return tuple(msgspec.convert(dict(row), Lead) for row in rows)


def _kept(piece: Evidence) -> Mapping[str, Any]:
    """A piece of evidence as JSON, without what stands at its default."""
    rounded = msgspec.structs.replace(
        piece,
        bits=round(piece.bits, _DIGITS),
        overlap=None if piece.overlap is None else round(piece.overlap, _DIGITS),
    )
    whole: dict[str, Any] = msgspec.to_builtins(rounded)
    return {name: value for name, value in whole.items() if value not in ("", None)}
