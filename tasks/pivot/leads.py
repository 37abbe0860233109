"""Leads of an incident: a pivot from all that it is about, kept, and which of them are strong enough to act on.

In: a case. Out: `Led`, with the leads as they stand in the warehouse. Running it again writes only what differs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from db import leads as kept
from db.leads import Lead
from intel.config.evidence import Acts, read_evidence
from intel.config.organisation import Organisation, read_organisation
from intel.entities import PERSONAL, Kind, entity, masked
from intel.errors import ReadError
from intel.evidence import FAMILIES, Weighed
from intel.settings import settings
from tasks.enrich.records import Case
from tasks.enrich.registration import is_registrable
from tasks.pivot.hubs import links_nothing
from tasks.pivot.pivot import evidence_between, pivot
from tasks.pivot.records import Budget, Neighbour, Neighbourhood

TOP: Final = 200
_BUDGET: Final = Budget(depth=2, seconds=10.0)
_NOTES: Final = 15
_WAYS: Final = 25
_COMPARED: Final = 5
_COMPARING: Final = 30.0
"""Seconds: what surrounds each name is read anew for each pair, the strongest leads first."""
_NAMES: Final = frozenset({Kind.DOMAIN, Kind.NAME_SERVER, Kind.URL})
_NO_LEADS: Final = frozenset({Kind.REGISTRAR, Kind.AS, Kind.NETWORK, Kind.ACTOR, Kind.CAMPAIGN, Kind.REPORT})
"""Kinds that many strangers share by their nature, or that are somebody's word for others."""


class Led(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What an incident leads to.

    `strong` are the ids of leads that are watched unasked, `promising` of those worth asking about: a look-up is how a
    second family of evidence comes to light.

    `new`, `changed` and `gone` count what this pivot changed. By a lead's id, `claims` are what sources claim of it and
    `ways` how it was come by: things and the links between them, people's data masked. `notes` are what was not
    followed, or where it ended, each with why.
    """

    leads: tuple[Lead, ...] = ()
    strong: frozenset[int] = frozenset()
    promising: frozenset[int] = frozenset()
    new: int = 0
    changed: int = 0
    gone: int = 0
    claims: dict[int, tuple[str, ...]] = {}
    ways: dict[int, tuple[str, ...]] = {}
    notes: tuple[tuple[str, str], ...] = ()


def lead_on(engine: Engine, case: Case) -> Led:
    """Pivot from what a case is about, and keep what it leads to. Raises ConfigError and WarehouseError."""
    ids = [subject.id for subject in case.subjects]
    if not ids:
        return Led()
    own = set(ids)
    with engine.connect() as connection:
        found = pivot(connection, ids, _BUDGET)
        neighbours = [one for one in found.neighbours if one.entity_id not in own and _may_lead(one, case)][:TOP]
        compared = _compared(connection, case, neighbours)
    with engine.begin() as connection:
        saved = kept.save_leads(connection, case.incident, compared, whole=not found.stopped)
        leads = kept.read_leads(connection, case.incident, top=TOP)
    return Led(
        leads=leads,
        strong=frozenset(one.entity_id for one in strong(leads)),
        promising=frozenset(one.entity_id for one in promising(leads)),
        new=saved.new,
        changed=saved.changed,
        gone=saved.gone,
        claims={one.entity_id: one.claims for one in neighbours if one.claims},
        ways={one.entity_id: _way(one) for one in neighbours[:_WAYS] if one.path},
        notes=tuple(_notes(found)),
    )


def _compared(connection: Connection, case: Case, neighbours: Sequence[Neighbour]) -> list[Neighbour]:
    """The neighbours; names among them with all that they have in common with one of the case's own names.

    A pivot weighs the ways that lead somewhere within its depth; what two names share beyond it, a certificate's key
    say, speaks for them or against them as well.
    """
    starts = [subject.id for subject in case.subjects if subject.kind in _NAMES][:_COMPARED]
    better: dict[int, Weighed] = {}
    until = time.monotonic() + _COMPARING
    for one in [one for one in neighbours if one.entity.kind in _NAMES][:_WAYS]:
        if time.monotonic() > until:
            break
        told = [evidence_between(connection, start, one.entity_id) for start in starts]
        best = max(told, key=lambda weighed: weighed.bits, default=None)
        if best is not None and best.bits > one.bits:
            better[one.entity_id] = best
    return [
        msgspec.structs.replace(one, bits=better[one.entity_id].bits, weighed=better[one.entity_id])
        if one.entity_id in better
        else one
        for one in neighbours
    ]


def _may_lead(one: Neighbour, case: Case) -> bool:
    """Whether it is a thing of somebody's, and neither shared, nor a text that names a person, nor what was reported.

    The domain that a reported name stands on was reported with it, and so were the other names on that domain.
    """
    named = one.personal and one.entity.kind not in PERSONAL
    if one.bits <= 0 or one.hub or named or Kind(one.entity.kind) in _NO_LEADS:
        return False
    scope = one.entity.scope if one.entity.kind in _NAMES and is_registrable(one.entity.scope) else ""
    return not scope or scope not in {subject.scope for subject in case.subjects}


def _way(one: Neighbour) -> tuple[str, ...]:
    """From what was reported to the lead: a value, a link, a value, a link, ... a value."""
    first = one.path[0]
    way = [masked(first.source_entity.kind, first.source_entity.value)]
    for step in one.path:
        way += [
            step.predicate if step.out else f"{step.predicate}, of",
            masked(step.target_entity.kind, step.target_entity.value),
        ]
    return tuple(way)


def _notes(found: Neighbourhood) -> Iterator[tuple[str, str]]:
    for end in found.ended:
        yield (
            masked(end.entity.kind, end.entity.value),
            f"{end.reason} on {end.at:%Y-%m-%d}: what it had later is left out",
        )
    for one in found.unexpanded[:_NOTES]:
        yield masked(one.entity.kind, one.entity.value, personal=one.personal), one.why
    if len(found.unexpanded) > _NOTES:
        yield "", f"{len(found.unexpanded) - _NOTES} more were not followed"
    if found.stopped:
        yield "", f"following ended early, by {found.stopped}: there may be more"


def thresholds() -> Acts:
    """From how many bits on something is done about a lead unasked (configs/evidence.yaml)."""
    return read_evidence(settings().configs).acts


def strong_leads(connection: Connection, incident: int) -> tuple[Lead, ...]:
    """The leads of an incident that are strong enough to act on, as they were kept last."""
    return tuple(strong(kept.read_leads(connection, incident, top=TOP)))


def strong(leads: Iterable[Lead]) -> Iterator[Lead]:
    """Those with enough bits from enough families that are no shared thing, and nothing of ours."""
    least, us = thresholds().watch, read_organisation(settings().configs)
    for lead in leads:
        if lead.bits >= least and len(lead.families) >= FAMILIES and not (_is_ours(lead, us) or _is_shared(lead)):
            yield lead


def promising(leads: Iterable[Lead]) -> Iterator[Lead]:
    """Those with enough bits, of whatever family, that are no shared thing, and nothing of ours."""
    least, us = thresholds().look_up, read_organisation(settings().configs)
    return (lead for lead in leads if lead.bits >= least and not (_is_ours(lead, us) or _is_shared(lead)))


def _is_ours(lead: Lead, us: Organisation) -> bool:
    """Whether it is a domain, an address, a certificate or a key of our own, which others use against us."""
    expected = {one.lower().removeprefix("sha256:").replace(":", "") for one in us.expected_certificates}
    digest = lead.value.removeprefix("sha256:")
    return bool(us.domain_of(lead.scope) or us.network_of(lead.address)) or digest in expected


def _is_shared(lead: Lead) -> bool:
    try:
        found = [entity(lead.kind, lead.value)]
        if lead.scope and lead.scope != lead.value:
            found.append(entity(Kind.DOMAIN, lead.scope))
    except ReadError:
        return True
    return lead.ended or any(links_nothing(one) for one in found)
