"""The frame of an investigation: one at a time per incident, its status, its entities, its watch.

In: an incident's id. Out: a `Case` for the steps, and the watch that looks for the incident's values, and for what they
lead to, from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from sqlalchemy import Engine

from db import incidents, runs
from db.leads import Lead
from intel.config.watches import WatchedItem
from intel.entities import Kind, entity
from intel.errors import ReadError
from tasks.enrich.records import Case, Subject
from tasks.pivot.hubs import annotate
from tasks.pivot.leads import strong_leads
from tasks.watch.items import add_watch, read_items

_Key = tuple[str, str, str]
"""How an item matches, its kind and its value: a watch holds each once."""
_STANDS_ALONE: Final = frozenset({Kind.IP, Kind.ENDPOINT, Kind.URL})


class Watched(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """The incident's watch. `narrowed` are domains and addresses that are not watched as a whole, each with why.

    `leads` counts the items that nobody reported: what the incident leads to.
    """

    watch: str
    items: int
    leads: int = 0
    narrowed: tuple[tuple[str, str], ...] = ()
    unwatched: int = 0
    """Values that cannot be watched, since nothing can be read as the same again."""


@contextmanager
def opened(engine: Engine, incident: int, *, publish: bool = False) -> Iterator[None]:
    """Hold an incident for as long as its investigation lasts; an error says `failed` on it, and goes on up.

    Raises WarehouseError where there is no such incident, BusyError where it is being investigated already.
    """
    with runs.exclusive(engine, f"incident:{incident}"):
        with engine.begin() as connection:
            incidents.set_status(connection, incident, "investigating")
            if publish:
                incidents.release(connection, incident)
        try:
            yield
        except BaseException:
            with engine.begin() as connection:
                incidents.set_status(connection, incident, "failed")
            raise


def record(engine: Engine, incident: int) -> Case:
    """The incident's entities, each once. Raises WarehouseError where there is no such incident."""
    with engine.connect() as connection:
        read = incidents.read(connection, incident)
    subjects: dict[int, Subject] = {}
    for item in read.items:
        if item.entity_id is not None:
            subjects[item.entity_id] = Subject(
                id=item.entity_id, kind=item.kind, value=item.value, scope=item.scope, address=item.address
            )
    return Case(
        incident=incident,
        subjects=tuple(subjects.values()),
        unread=sum(item.entity_id is None for item in read.items),
    )


def watch_name(incident: int) -> str:
    """What the watch of an incident is called."""
    return f"incident-{incident}"


def watch(engine: Engine, case: Case) -> Watched:
    """Watch for what the case is about: its values, the domains that they stand on, their addresses, and strong leads.

    Leads are those that were kept last. Asking again changes nothing. Raises ConfigError where a watch of that name was
    made by hand.
    """
    items: dict[_Key, WatchedItem] = {}
    narrowed: dict[str, str] = {}
    unwatched = 0
    for subject in case.subjects:
        wanted = _items(subject, narrowed)
        unwatched += not _take(items, wanted)
    name = watch_name(case.incident)
    reported = len(items)
    with engine.begin() as connection:
        for lead in strong_leads(connection, case.incident):
            _take(items, [_of_lead(lead)])
        add_watch(
            connection,
            name,
            items.values(),
            origin="incident",
            reason=f"what incident {case.incident} is about",
            incident_id=case.incident,
        )
    return Watched(
        watch=name,
        items=len(items),
        leads=len(items) - reported,
        narrowed=tuple(narrowed.items()),
        unwatched=unwatched,
    )


def _of_lead(lead: Lead) -> WatchedItem:
    # Without `since`: what happened to a lead before it was found is as new to us as the lead itself.
    if lead.kind == Kind.DOMAIN and lead.scope == lead.value:
        return WatchedItem(domain=lead.value)
    if lead.kind == Kind.PUBLIC_KEY:
        return WatchedItem(key=lead.value.removeprefix("sha256:"))
    return WatchedItem(entity=f"{lead.kind}:{lead.value}")


def _items(subject: Subject, narrowed: dict[str, str]) -> list[WatchedItem]:
    wanted = [WatchedItem(entity=f"{subject.kind}:{subject.value}")]
    if subject.kind == Kind.NETWORK:
        wanted.append(WatchedItem(network=subject.value))
    # Everything on a large provider's domain or address is no news of this incident: only the very value is watched.
    if subject.scope and not _is_known(Kind.DOMAIN, subject.scope, narrowed):
        wanted.append(WatchedItem(domain=subject.scope))
    on_address = subject.address and subject.kind in _STANDS_ALONE
    if on_address and not _is_known(Kind.IP, subject.address, narrowed):
        wanted.append(WatchedItem(network=subject.address))
    return wanted


def _is_known(kind: Kind, value: str, narrowed: dict[str, str]) -> bool:
    said = [one for one in annotate(entity(kind, value)) if one.takes]
    if said:
        narrowed[value] = "; ".join(dict.fromkeys(one.why for one in said))
    return bool(said)


def _take(items: dict[_Key, WatchedItem], wanted: list[WatchedItem]) -> bool:
    """Add what can be watched; whether the first of them, the value itself, could be."""
    taken = []
    for item in wanted:
        try:
            read = tuple(read_items(item))
        except ReadError:
            taken.append(False)
            continue
        keys = [(one.match, one.kind, one.value) for one in read]
        if not any(key in items for key in keys):
            items[keys[0]] = item
        taken.append(True)
    return taken[0]
