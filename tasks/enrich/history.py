"""The history of a domain's registration, put together: what stands, what changed, when nobody could say.

In: a domain. Out: `History`, or nothing where nobody ever named it. Nothing leaves the machine. People's data is in it:
who shows it masks it (`intel.registration_versions.shown`).
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from db import registration_history as store
from db.entities import find_entities
from db.registrars import known_registrars
from intel.config.registrars import read_registrars
from intel.entities import Entity
from intel.first_seen import Creation, Seen, disagreements
from intel.registrars import Registrars
from intel.registration_merge import View, merge
from intel.registration_timeline import Event, Gap, gaps, timeline
from intel.registration_versions import CREATED, FIELDS, REGISTRAR, Chronicle, Sighting
from intel.settings import settings


class History(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """All that is known of a domain's registration at `now`. Lists are oldest first, `silent` newest first.

    `notes` say in plain sentences where channels and record disagree. `cut`: there is more than was read.
    """

    domain: str
    entity_id: int
    now: datetime
    view: View
    events: tuple[Event, ...]
    gaps: tuple[Gap, ...]
    chronicles: tuple[Chronicle, ...]
    sightings: tuple[Sighting, ...]
    seen: tuple[Seen, ...]
    notes: tuple[str, ...]
    silent: tuple[store.Asked, ...]
    ends: tuple[store.Ended, ...]
    book: Registrars
    cut: bool = False


def read_history(connection: Connection, domain: Entity, *, now: datetime) -> History | None:
    """The history of a registrable domain as known at `now` (aware UTC); None where nobody ever named it.

    Raises ConfigError where configs/registrars.yaml is wrong.
    """
    ids = find_entities(connection, [domain])
    seen = store.first_seen(connection, domain.value)
    if domain.digest not in ids and not seen:
        return None
    entity_id = ids.get(domain.digest, 0)
    told = store.told(connection, entity_id)
    sightings = store.sightings(connection, entity_id)
    book = known_registrars(
        connection, _registrars(told.chronicles, sightings), read_registrars(settings().configs).by_number
    )
    view = merge(told.chronicles, now, book, sightings=sightings)
    zones = store.compared(connection, domain.value)
    return History(
        domain=domain.value,
        entity_id=entity_id,
        now=now,
        view=view,
        events=timeline(told.chronicles, book),
        gaps=gaps(told.chronicles, now),
        chronicles=told.chronicles,
        sightings=sightings,
        seen=seen,
        notes=disagreements(seen, _creation(view), zones),
        silent=told.silent,
        ends=store.ownership_ends(connection, entity_id),
        book=book,
        cut=told.cut or len(sightings) >= store.MOST_SIGHTINGS,
    )


def _creation(view: View) -> Creation | None:
    found = view.field(CREATED)
    if found is None or (since := found.best.said.at) is None or (until := found.best.said.until) is None:
        return None
    return Creation(since=since, until=until)


def _registrars(chronicles: tuple[Chronicle, ...], sightings: tuple[Sighting, ...]) -> set[str]:
    told = {
        value for chronicle in chronicles for version in chronicle.versions for value in version.said(REGISTRAR).values
    }
    return told | {value for one in sightings if one.field == REGISTRAR for value in one.said.values}


def other_sightings(history: History) -> tuple[Sighting, ...]:
    """What sources besides look-ups say, of fields that no record has first (mail hosts, SOA contacts)."""
    return tuple(sorted(history.sightings, key=lambda one: (one.field in FIELDS, one.field, one.first)))
