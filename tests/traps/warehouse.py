"""A warehouse for the traps: facts go in by the ways they go in otherwise, answers come from the pivot.

`read` takes a folder of real data through collect, normalize and load; `say` stages and loads facts of invented things.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, text

from db.engine import open_engine
from db.load import Batch, load
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.config.watches import WatchedItem
from intel.entities import Kind, entity, literal
from intel.evidence import Weighed
from intel.facts import Fact, Predicate, RawDocument
from tasks.collect.session import open_run
from tasks.collect.slices import collect_slice
from tasks.load.load import load_batch
from tasks.normalize.stage import stage
from tasks.pivot.pivot import Budget, Neighbour, evidence_between, pivot
from tasks.watch import registrations
from tasks.watch.items import add_watch
from tests import factories as make

DAY: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
_OURS: Final = ("intel.", "tasks.pivot", "tasks.watch")


class Warehouse:
    """Facts in, evidence out."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._ids: dict[tuple[str, str], int] = {}

    def read(self, source: Source) -> int:
        """Collect all that a source has; returns the number of facts that are new."""
        new, more = 0, True
        with open_run(self.engine, source) as run:
            while more:
                loaded = load_batch(self.engine, stage(self.engine, source, collect_slice(self.engine, source, run)))
                new, more = new + loaded.facts_new, not loaded.last
        return new

    def say(self, facts: Iterable[Fact], *, source: str = "feed", at: datetime = DAY) -> None:
        """Load facts that one document of a source states as of `at`."""
        with self.engine.begin() as connection:
            source_id = make.source(connection, source)
            run_id = make.run(connection, source_id, outcome="running")
            number = make.document(connection, source_id, run_id, as_of=at, fetched_at=at)
            with Staging(driver(connection), run_id=run_id, source=source, tlp=0) as staging:
                staging.add(RawDocument(document_id=number, location="", body=b"", as_of=at), facts)
            load(
                connection,
                Batch(source=source, source_id=source_id, run_id=run_id, documents=(number,), facts=staging.facts),
            )

    def conclude(self, domains: Iterable[str]) -> list[str]:
        """Watch for domains and let the monitor conclude whose they are no longer; those that are somebody else's."""
        with self.engine.begin() as connection:
            add_watch(connection, "campaign", [WatchedItem(domain=one) for one in domains], origin="command", reason="")
        registrations.monitor(self.engine)
        with self.engine.connect() as connection:
            query = "SELECT DISTINCT e.value FROM ownership_end o JOIN entity e ON e.id = o.entity_id ORDER BY e.value"
            return list(connection.execute(text(query)).scalars())

    def id(self, kind: str, value: str) -> int:
        """The number of something that the warehouse knows."""
        made = entity(kind, value)
        if (made.kind, made.value) not in self._ids:
            with self.engine.connect() as connection:
                query = text("SELECT id FROM entity WHERE kind = :kind AND value = :value")
                row = connection.execute(query, {"kind": made.kind, "value": made.value})
                self._ids[made.kind, made.value] = row.scalar_one()
        return self._ids[made.kind, made.value]

    def between(self, left: str, right: str, *, kind: str = Kind.DOMAIN) -> Weighed:
        """What two things have in common."""
        with self.engine.connect() as connection:
            return evidence_between(connection, self.id(kind, left), self.id(kind, right))

    def led_to(self, *start: str, kind: str = Kind.DOMAIN, depth: int = 2) -> dict[str, Neighbour]:
        """What a pivot from these leads to, by value."""
        with self.engine.connect() as connection:
            found = pivot(connection, [self.id(kind, one) for one in start], Budget(depth=depth))
        return {one.entity.value: one for one in found.neighbours}


@contextmanager
def opened(url: str, home: Path, configs: Path | None = None) -> Iterator[Warehouse]:
    """The warehouse at `url`, with documents below `home`, and `configs` in the place of the project's own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HOME": home, "CONFIGS": configs, "DATA": None}.items():
            if value is not None:
                patch.setenv(f"LAPSEWATCH_{name}", str(value))
        forget()
        engine = open_engine(url)
        try:
            yield Warehouse(engine)
        finally:
            engine.dispose()
    forget()


def forget() -> None:
    """Let everything that was read of configs/ be read again."""
    for name, module in list(sys.modules.items()):
        if name.startswith(_OURS):
            for one in list(vars(module).values()):
                if callable(getattr(one, "cache_clear", None)):
                    one.cache_clear()


def table(name: str, location: Path, mapping: Mapping[str, Any], **options: Any) -> Source:
    """A source that reads a table by a mapping."""
    return _source(name, "csv", location, {"mapping": dict(mapping), **options})


def galaxy(name: str, location: Path) -> Source:
    """A source that reads a galaxy of actors."""
    return _source(name, "galaxy", location, {"naming_authority": "misp-galaxy"})


def _source(name: str, form: str, location: Path, options: dict[str, Any]) -> Source:
    return Source.model_validate(
        {
            "name": name,
            "title": name,
            "transport": "folder",
            "format": form,
            "location": str(location),
            "semantics": "stream",
            "cadence": "manual",
            "reliability": "B",
            "tlp": "GREEN",
            "licence": {"name": "none stated", "commercial_use": None, "redistribution": None},
            "enabled": False,
            "options": options,
        }
    )


def registered(domain: str, *, at: datetime = DAY, **said: str | tuple[str, ...]) -> list[Fact]:
    """What a registry, the DNS and a server say of a domain at one time; each value is read as what its name says."""
    subject = entity(Kind.DOMAIN, domain)
    facts = [
        Fact(subject=subject, predicate=Predicate.CREATED, object=literal(Kind.TIME, f"{at:%Y-%m-%d}"), event_time=at)
    ]
    for name, values in said.items():
        predicate, kind, personal = _SAID[name]
        facts += [
            Fact(
                subject=subject,
                predicate=predicate,
                object=entity(kind, value),
                event_time=at,
                personal=personal,
                qualifiers=(("role", "registrant"),) if predicate == Predicate.REGISTERED_BY else (),
            )
            for value in ((values,) if isinstance(values, str) else values)
        ]
    return facts


_SAID: Final[dict[str, tuple[Predicate, Kind, bool]]] = {
    "registrar": (Predicate.REGISTERED_THROUGH, Kind.REGISTRAR, False),
    "email": (Predicate.REGISTERED_BY, Kind.EMAIL, True),
    "registrant": (Predicate.REGISTERED_BY, Kind.REGISTRANT, True),
    "phone": (Predicate.REGISTERED_BY, Kind.PHONE, True),
    "name_server": (Predicate.USES_NAME_SERVER, Kind.NAME_SERVER, False),
    "name_servers": (Predicate.USES_NAME_SERVERS, Kind.NAME_SERVER_SET, False),
    "mail_host": (Predicate.USES_MAIL_HOST, Kind.DOMAIN, False),
    "address": (Predicate.RESOLVES_TO, Kind.IP, False),
    "leads_to": (Predicate.RESOLVES_TO, Kind.DOMAIN, False),
    "certificate": (Predicate.PRESENTS, Kind.CERTIFICATE, False),
    "soa_contact": (Predicate.HAS_SOA_CONTACT, Kind.EMAIL, True),
}


def later(days: float) -> datetime:
    """So many days after the first."""
    return DAY + timedelta(days=days)
