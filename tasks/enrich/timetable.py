"""The timetable of look-ups: what is watched is refreshed, and what a finding is about is looked up.

In: the warehouse. Out: `Timetable`. What stands below a private host's suffix is in no registry and never asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from db import lookup_queue as wishes
from db import lookup_timetable as rows
from db.entities import ensure_entities
from intel.config.lookups import read_lookups
from intel.entities import Kind, entity
from intel.errors import ReadError
from intel.settings import settings
from tasks.collect.fetched import utc_now
from tasks.enrich.registration import is_registrable


class Timetable(msgspec.Struct, frozen=True, kw_only=True):
    """How many watched domains are refreshed, how many of them are new to it, how many have left it; and how many that
    findings are about are wanted now.
    """

    watched: int = 0
    entered: int = 0
    left: int = 0
    found: int = 0


_FINDINGS: Final = timedelta(days=7)
_MOST_FOUND: Final = 500


def keep_timetable(engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> Timetable:
    """Let what is watched enter the timetable, and what is watched no longer leave it. Raises WarehouseError."""
    lookups = read_lookups(settings().configs)
    now = clock()
    with engine.begin() as connection:
        names = rows.watched(connection) if lookups.refresh.enabled else []
        ids = _ensure(connection, names)
        entered, left = rows.follow_watches(
            connection, ids, every=lookups.refresh.first, reach=lookups.reach.watch.label, now=now
        )
        found = _ensure(connection, rows.found(connection, since=now - _FINDINGS, limit=_MOST_FOUND))
        wanted = wishes.want(
            connection,
            rows.never_wanted(connection, found),
            priority=wishes.Priority.FINDING,
            reason="finding",
            reach=lookups.reach.finding.label,
            due_at=now,
        )
    return Timetable(watched=len(ids), entered=entered, left=left, found=wanted)


def _ensure(connection: Connection, names: Sequence[str]) -> list[int]:
    """The ids of the registrable domains of these names."""
    scopes: dict[str, None] = {}
    for name in names:
        with suppress(ReadError):
            scopes[entity(Kind.DOMAIN, name.removeprefix("*.")).scope] = None
    domains = [entity(Kind.DOMAIN, scope) for scope in scopes if scope and is_registrable(scope)]
    return list(ensure_entities(connection, domains).values())
