"""What arrivals of new domains are judged by, and what is looked up of them without a person.

Comes in: names that touch a watch, and scores of those that are new. Goes out: wishes in the queue of look-ups
(db/lookup_queue.py), as many a day as configs/newdomains.yaml allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from sqlalchemy import Connection, Engine

from db import new_domains
from db.entities import ensure_entities
from db.lookup_queue import Priority, want
from db.watched import load_name_set, watch_version
from intel.config.lookups import Lookups, read_lookups
from intel.config.newdomains import NewDomains, read_new_domains
from intel.entities import Kind, entity
from intel.facts import TLP
from intel.match.new_names import NameMatcher
from intel.settings import settings


class Ranker(Protocol):
    """What ranks names by what the name alone tells (intel/match/name_model.py)."""

    @property
    def threshold(self) -> float:
        """Names that score more are worth a look-up."""

    def scores(self, names: Sequence[str]) -> Sequence[float]:
        """A score for each name; a higher one resembles known bad names more."""


class Work(msgspec.Struct, kw_only=True):
    """What arrivals are judged by: the matcher of the watches, the model of names, and the limits.

    `version` is that of the watches (db/watched.py); without one they are taken as they are.
    """

    matcher: NameMatcher
    version: str | None = None
    ranker: Ranker | None = None
    config: NewDomains = NewDomains()
    lookups: Lookups = Lookups()


def open_work(engine: Engine, ranker: Ranker | None = None) -> Work:
    """The watches of now and the limits of configs/."""
    version, matcher = _watches(engine)
    configs = settings().configs
    return Work(
        matcher=matcher,
        version=version,
        ranker=ranker,
        config=read_new_domains(configs),
        lookups=read_lookups(configs),
    )


def renew(engine: Engine, connection: Connection, work: Work) -> bool:
    """Whether the watches have changed since they were loaded; then they are loaded anew.

    `connection` is in a load's transaction (`db.new_domains.begin_load`), so that a hunt for what has changed either
    sees what the load writes or has begun before this look.
    """
    if work.version is None or watch_version(connection) == work.version:
        return False
    work.version, work.matcher = _watches(engine)
    return True


def _watches(engine: Engine) -> tuple[str, NameMatcher]:
    with engine.connect() as connection:
        version = watch_version(connection)  # first: what changes in between is loaded again
        return version, NameMatcher(load_name_set(connection))


def wish_for_new(
    connection: Connection,
    close: Sequence[str],
    scores: Mapping[str, float],
    tlp: int,
    work: Work,
    *,
    once: bool = False,
) -> int:
    """Wish for look-ups of what touches a watch (`close`), and of what ranks highest, within the day's numbers.

    `scores` are those of the names that are new, `tlp` is that of the source that showed them. `once` is as in `wish`.
    """
    wanted = wish(connection, close, tlp, work, once=once)
    if work.ranker is not None and scores and tlp < TLP.AMBER_STRICT:
        least, met = work.ranker.threshold, set(close)
        high = sorted((-score, name) for name, score in scores.items() if score > least and name not in met)
        now = datetime.now(UTC)
        taken = new_domains.take_budget(connection, "ranked", len(high), work.config.ranked_per_day, now)
        reach = work.lookups.reach.feed.label
        wanted += _wish(connection, [name for _, name in high[:taken]], "new domain, ranked", reach, now)
    return wanted


def wish(connection: Connection, names: Sequence[str], tlp: int, work: Work, *, once: bool = False) -> int:
    """Wish for look-ups of names that touch a watch, within the day's number; returns how many are wanted anew.

    `tlp` is that of the source that showed them. `once` leaves out what was ever wanted.
    """
    if tlp >= TLP.AMBER_STRICT or not names:
        return 0  # it leaves the machine for no look-up
    now = datetime.now(UTC)
    if once:
        names = new_domains.never_wanted(connection, [entity(Kind.DOMAIN, name) for name in names])
    taken = new_domains.take_budget(connection, "matched", len(names), work.config.matched_per_day, now)
    return _wish(connection, names[:taken], "new domain", work.lookups.reach.watch.label, now)


def _wish(connection: Connection, names: Sequence[str], reason: str, reach: str, now: datetime) -> int:
    if not names:
        return 0
    ids = sorted(ensure_entities(connection, [entity(Kind.DOMAIN, name) for name in names]).values())
    return want(connection, ids, priority=Priority.NEW_DOMAIN, reason=reason, reach=reach, due_at=now)
