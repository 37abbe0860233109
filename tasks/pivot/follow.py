"""Second look-ups: the strongest leads of an incident are asked about, and what they bring is pivoted over once more.

In: a case and what it led to. Out: `Followed`. Each round asks about the strongest domains that were not asked about
yet, within what is left of the incident's questions (configs/lookups.yaml), and pivots again. A round that brings no
promising lead which nobody asked about is the last, so that investigating again finds nothing left to ask.

What names a value names what led there: where the incident itself is too strictly marked, nothing of it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Engine

from db import incidents
from db.leads import Lead
from intel.entities import Kind
from intel.facts import TLP
from tasks.enrich.certificates import certificates
from tasks.enrich.records import Case, Certificates, Known, Registered, Subject
from tasks.enrich.registration import is_registrable, registration
from tasks.pivot.leads import Led, lead_on

ROUNDS: Final = 2
MOST: Final = 10
"""Domains that one investigation asks about besides its own."""
_NAMES: Final = frozenset({Kind.DOMAIN, Kind.NAME_SERVER, Kind.URL})


class Followed(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What the second look-ups brought. `asked` are the domains, `left` those promising ones that were too many.

    `refused` says why nothing was asked, where it was not.
    """

    registered: Registered = Registered()
    certificates: Certificates = Certificates()
    asked: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    refused: str = ""


def follow(engine: Engine, case: Case, led: Led) -> Followed:
    """Ask about the strongest leads; what a look-up comes to is in the result. Raises ConfigError, WarehouseError."""
    wanted = _domains(led, skip={subject.scope for subject in case.subjects})
    if not wanted:
        return Followed()
    with engine.connect() as connection:
        marked = incidents.read(connection, case.incident).tlp
    if marked >= TLP.AMBER_STRICT:
        return Followed(refused=f"no lead was asked about: the incident is marked {marked.label}", left=tuple(wanted))
    asked: dict[str, Lead] = {}
    registered = Registered()
    for _ in range(ROUNDS):
        fresh = {name: lead for name, lead in wanted.items() if name not in asked}
        fresh = dict(list(fresh.items())[: MOST - len(asked)])
        if not fresh:
            break
        told = registration(engine, _case(case, fresh.values()))
        registered = _joined(registered, told)
        asked |= fresh
        if told.facts_new or told.facts_ended:
            wanted = _domains(lead_on(engine, case), skip={subject.scope for subject in case.subjects})
    return Followed(
        registered=registered,
        certificates=certificates(engine, _case(case, asked.values()), Known()),
        asked=tuple(asked),
        left=tuple(name for name in wanted if name not in asked),
    )


def _domains(led: Led, *, skip: set[str]) -> dict[str, Lead]:
    """The registrable domains of promising leads, the strongest first, each with the lead that stands for it."""
    found: dict[str, Lead] = {}
    for lead in led.leads:
        named = lead.entity_id in led.promising and lead.kind in _NAMES and lead.scope
        if named and lead.scope not in skip and is_registrable(lead.scope):
            found.setdefault(lead.scope, lead)
    return found


def _case(case: Case, leads: Iterable[Lead]) -> Case:
    subjects = (
        Subject(id=one.entity_id, kind=one.kind, value=one.value, scope=one.scope, address=one.address) for one in leads
    )
    return Case(incident=case.incident, subjects=tuple(subjects))


def _joined(first: Registered, second: Registered) -> Registered:
    return Registered(
        lookups=(*first.lookups, *second.lookups),
        history=(*first.history, *second.history),
        facts_new=first.facts_new + second.facts_new,
        facts_ended=first.facts_ended + second.facts_ended,
    )
