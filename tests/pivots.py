"""A warehouse to pivot in: facts of invented domains go in by staging and load, as they do otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine

from db.load import Batch, load
from db.rows import driver
from db.staging import Staging
from intel.entities import Kind, entity
from intel.facts import Fact, Predicate, RawDocument
from tasks.pivot.pivot import Budget, Neighbour, Neighbourhood, pivot
from tests import factories as make

DAY: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
_SAID: Final = {
    "registrar": (Predicate.REGISTERED_THROUGH, Kind.REGISTRAR),
    "email": (Predicate.REGISTERED_BY, Kind.EMAIL),
    "registrant": (Predicate.REGISTERED_BY, Kind.REGISTRANT),
    "phone": (Predicate.REGISTERED_BY, Kind.PHONE),
    "host": (Predicate.USES_NAME_SERVER, Kind.NAME_SERVER),
    "servers": (Predicate.USES_NAME_SERVERS, Kind.NAME_SERVER_SET),
    "address": (Predicate.RESOLVES_TO, Kind.IP),
    "actor": (Predicate.ATTRIBUTED_TO, Kind.ACTOR),
    "report": (Predicate.REPORTED_IN, Kind.REPORT),
}


def later(days: float) -> datetime:
    return DAY + timedelta(days=days)


def facts(domain: str, *, days: float = 0, reference: str = "", **said: str) -> list[Fact]:
    """What is said of a domain, so many days after the first."""
    return [
        Fact(
            subject=entity(Kind.DOMAIN, domain),
            predicate=_SAID[name][0],
            object=entity(_SAID[name][1], value),
            event_time=later(days),
            reference=reference,
            qualifiers=(("role", "registrant"),) if _SAID[name][0] == Predicate.REGISTERED_BY else (),
        )
        for name, value in said.items()
    ]


def linked(kind: str, value: str, predicate: str, other: str, target: str, **values: Any) -> Fact:
    return Fact(subject=entity(kind, value), predicate=predicate, object=entity(other, target), **values)


class Pivots:
    """Facts in, neighbours out."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def say(self, stated: Iterable[Fact], *, source: str = "feed") -> None:
        with self.engine.begin() as connection:
            source_id = make.source(connection, source)
            run_id = make.run(connection, source_id, outcome="running")
            number = make.document(connection, source_id, run_id, as_of=DAY, fetched_at=DAY)
            with Staging(driver(connection), run_id=run_id, source=source, tlp=0) as staging:
                staging.add(RawDocument(document_id=number, location="", body=b"", as_of=DAY), stated)
            batch = Batch(source=source, source_id=source_id, run_id=run_id, documents=(number,), facts=staging.facts)
            load(connection, batch)

    def id(self, value: str, kind: str = Kind.DOMAIN) -> int:
        with self.engine.begin() as connection:
            return make.entity(connection, kind, value)

    def whole(
        self, start: str, *, kind: str = Kind.DOMAIN, as_of: datetime | None = None, **budget: Any
    ) -> Neighbourhood:
        number = self.id(start, kind)
        with self.engine.connect() as connection:
            return pivot(connection, [number], Budget(**budget), as_of=as_of)

    def led(self, start: str, **options: Any) -> dict[str, Neighbour]:
        return {one.entity.value: one for one in self.whole(start, **options).neighbours}
