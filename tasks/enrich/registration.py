"""Registration look-ups of a case: its registrable domains are asked about, and what was answered is loaded.

In: a case and who asks. Out: `Registered`. Each answer becomes a document of source `rdap` or `whois`. What a server
will not answer yet stays in the queue, before everything that no incident wants. Answers of the same domain are
versions: what an answer no longer states has ended at its time. Reach: registry, then registrar where the ceiling
allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from publicsuffixlist import PublicSuffixList
from sqlalchemy import Connection, Engine

from db import lookup_queue as wishes
from db import lookups as log
from db.entities import ensure_entities
from intel.config.lookups import read_lookups
from intel.entities import Entity, Kind, entity
from intel.facts import Predicate
from intel.registration import Outcome
from intel.settings import settings
from tasks.collect.fetched import utc_now
from tasks.enrich.answers import LATER
from tasks.enrich.known import claims
from tasks.enrich.look_up import look_up_these
from tasks.enrich.records import Case, Lookup, Registered, Subject

_TOP: Final = 100
_OTHERS_SECONDS: Final = 60.0
_OTHERS_STEP: Final = 0.5
_STATED: Final = (
    Predicate.CREATED,
    Predicate.UPDATED,
    Predicate.EXPIRES,
    Predicate.REGISTERED_THROUGH,
    Predicate.REGISTERED_BY,
    Predicate.USES_NAME_SERVERS,
    Predicate.HAS_STATUS,
)


def registration(
    engine: Engine,
    case: Case,
    *,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Registered:
    """Ask registries and registrars about the case's domains, within configs/lookups.yaml.

    `clock` gives recorded time (aware UTC). Raises ConfigError and WarehouseError; what one look-up comes to, a refusal
    included, is in the result.
    """
    lookups = read_lookups(settings().configs)
    domains, aside = domains_of(case.subjects)
    now = clock()
    with engine.begin() as connection:
        ids = ensure_entities(connection, domains)
        wishes.want(
            connection,
            list(ids.values()),
            priority=wishes.Priority.INCIDENT,
            reason=f"incident {case.incident}",
            reach=lookups.reach.incident.label,
            due_at=now,
        )
    looked, talks = look_up_these(
        engine,
        list(ids.values()),
        marked={ids[domain.digest]: _standing_on(domain, case.subjects) for domain in domains},
        clock=clock,
        sleep=sleep,
    )
    _wait_for_others(engine, [one for one in ids.values() if one not in talks], clock=clock, sleep=sleep)
    asked: list[Lookup] = list(aside)
    with engine.connect() as connection:
        for domain in domains:
            talk = talks.get(ids[domain.digest])
            since = now - timedelta(days=lookups.reuse_days)
            asked += talk.lookups if talk is not None else _others(connection, domain, ids[domain.digest], since)
        history = claims(connection, tuple(ids.values()), _STATED, top=_TOP)
    return Registered(lookups=tuple(asked), history=history, facts_new=looked.facts_new, facts_ended=looked.facts_ended)


def domains_of(subjects: Sequence[Subject]) -> tuple[tuple[Entity, ...], tuple[Lookup, ...]]:
    """The registrable domains of what a case is about, and a note for each that no registry holds.

    What stands below the suffix of a private host (dynamic DNS, say) was handed out by that host.
    """
    found: list[Entity] = []
    aside: list[Lookup] = []
    for scope in dict.fromkeys(subject.scope for subject in subjects if subject.scope):
        if is_registrable(scope):
            found.append(entity(Kind.DOMAIN, scope))
        else:
            aside.append(
                Lookup(
                    domain=scope,
                    protocol="rdap",
                    tier="registry",
                    server="",
                    outcome=Outcome.UNSUPPORTED,
                    detail="it stands below a shared suffix, whose host gives names out; no registry knows it",
                    asked=False,
                )
            )
    return tuple(found), tuple(aside)


def is_registrable(scope: str) -> bool:
    """Whether a registry, and no private host, gave this name out."""
    return _registry_suffixes().privatesuffix(scope) == scope


@cache
def _registry_suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


def _standing_on(domain: Entity, subjects: Sequence[Subject]) -> list[Entity]:
    """The case's own entities that stand on a domain: any of them may be marked."""
    return [entity(one.kind, one.value) for one in subjects if one.scope == domain.value]


def _wait_for_others(
    engine: Engine, ids: Sequence[int], *, clock: Callable[[], datetime], sleep: Callable[[float], None]
) -> None:
    """Give another process, which is at these, a while to end: what it finds is this case's too."""
    until = time.monotonic() + _OTHERS_SECONDS
    while ids and time.monotonic() < until:
        with engine.connect() as connection:
            ids = wishes.under_way(connection, ids, now=clock())
        if ids:
            sleep(_OTHERS_STEP)


def _others(connection: Connection, domain: Entity, entity_id: int, since: datetime) -> list[Lookup]:
    """What another process has asked about a domain that it is at just now."""
    rows = log.kept_answers(connection, entity_id=entity_id, since=since)
    notes = [
        Lookup(
            domain=domain.value,
            protocol=row.protocol,
            tier=row.reach,
            server=row.server,
            outcome=row.outcome,
            detail="another process has just asked",
            asked=False,
        )
        for row in rows
    ]
    detail = "another process is at it; what it finds comes into the report when it is made again"
    return notes or [
        Lookup(
            domain=domain.value, protocol="rdap", tier="registry", server="", outcome=LATER, detail=detail, asked=False
        )
    ]
