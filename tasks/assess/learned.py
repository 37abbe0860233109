"""Registration patterns of an incident: proposed from what its watch knows, and told in the report.

In: a case. Out: `Learned`. A pattern is proposed, never accepted here: a person decides (`lapsewatch pattern`). What
the incident leads to is among what it is learned from, so that its examples are part of what is told.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Engine

from db import pattern_rows
from db.pattern_rows import Proposed
from tasks.assess.investigation import watch_name
from tasks.enrich.records import Case
from tasks.watch.patterns import propose

_TOLD = frozenset({"proposed", "accepted"})


class Learned(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """The patterns that stand for the incident's watch, those to be decided on first.

    `fresh` are the ids of those that are new.
    """

    patterns: tuple[Proposed, ...] = ()
    fresh: frozenset[int] = frozenset()


def learn(engine: Engine, case: Case) -> Learned:
    """Learn from the domains that the incident's watch knows. Raises ConfigError and WarehouseError."""
    name = watch_name(case.incident)
    with engine.connect() as connection:
        watch_id = pattern_rows.find_watch(connection, name)
        before = pattern_rows.patterns(connection, watch_id=watch_id) if watch_id is not None else []
    standing = [one for one in propose(engine, name) if one.status in _TOLD]
    known = {one.id for one in before if one.status in _TOLD}
    return Learned(patterns=tuple(standing), fresh=frozenset(one.id for one in standing if one.id not in known))
