"""Answers to look-ups in a test's warehouse: documents, questions and facts as a look-up leaves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, insert

from db import lookups as log
from db.load import Batch, load
from db.models import Query
from db.rows import driver
from db.staging import Staging
from intel.entities import Kind
from intel.entities import entity as read_entity
from intel.facts import RawDocument, State
from intel.registration import DateField, Field, Outcome, Registrant, Registration
from tasks.enrich.facts_of_registration import Tier, ends, facts_of
from tests import factories as make

DOMAIN: Final = "quay-login.example"
DAY: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)


def day(number: float) -> datetime:
    """So many days after the first."""
    return DAY + timedelta(days=number)


def value(text: str) -> Field:
    return Field(value=text, state=State.VALUE, where="1-9", reader="lines")


def date(at: datetime) -> DateField:
    return DateField(at=at, state=State.VALUE, where="/events/0", reader="lines")


HIDDEN: Final = Field(state=State.REDACTED, text="REDACTED FOR PRIVACY")
PERSON: Final = Registrant(
    name=value("Ada Invented"), email=value("ada@registrant.example"), phone=value("+44 20 7946 0123")
)
NOBODY: Final = Registrant(name=HIDDEN, email=HIDDEN, phone=HIDDEN)


def record(protocol: str = "rdap", **values: Any) -> Registration:
    """A record of the domain, registered on the first day for a year; what is given stands in its place."""
    plain = {
        "domain": DOMAIN,
        "outcome": Outcome.REGISTERED,
        "server": f"{protocol}.registrar.example",
        "created": date(DAY),
        "expires": date(day(365)),
        "registrar": value("Example Registrar Ltd"),
        "registrar_iana_id": value("7001"),
        "registrant": PERSON,
        "name_servers": ("ns1.hosting.example", "ns2.hosting.example"),
        "statuses": ("client transfer prohibited",),
        "dnssec": False,
    }
    return Registration(protocol=protocol, **(plain | values))  # type: ignore[arg-type] # the test's own words


def not_found(protocol: str = "rdap") -> Registration:
    return Registration(domain=DOMAIN, outcome=Outcome.NOT_FOUND, protocol=protocol)  # type: ignore[arg-type] # one of the two


def answer(engine: Engine, said: Registration, tier: Tier, at: datetime) -> int:
    """Load one answer as of `at`; the id of the domain."""
    source = said.protocol
    server = said.server or f"{source}.{tier}.example"
    named = read_entity(Kind.DOMAIN, said.domain)
    with engine.begin() as connection:
        source_id = make.source(connection, source)
        entity_id = make.entity(connection, Kind.DOMAIN, said.domain)
        run_id = make.run(connection, source_id, outcome="running")
        location = f"https://{server}/domain/{said.domain}"
        number = make.document(connection, source_id, run_id, location=location, as_of=at, fetched_at=at)
        silence(engine, source, tier, said.outcome, at, connection=connection, entity_id=entity_id, server=server,
                document_id=number)  # fmt: skip
        stated = facts_of(said, tier)
        tiers: tuple[Tier, ...] = (tier,)
        if said.outcome is Outcome.NOT_FOUND and tier == "registry":
            tiers = ("registry", "registrar")
        ended = [
            one
            for of in tiers
            if said.outcome in (Outcome.REGISTERED, Outcome.NOT_FOUND)
            for one in ends(
                log.standing(connection, source=source, subject=named, subject_id=entity_id, tier=of),
                stated,
                source=source,
            )
        ]
        with Staging(driver(connection), run_id=run_id, source=source, tlp=0) as staging:
            document = RawDocument(document_id=number, location=location, body=b"", as_of=at)
            staging.add(document, [*stated, *ended])
        load(
            connection,
            Batch(source=source, source_id=source_id, run_id=run_id, documents=(number,), facts=staging.facts),
        )
    return entity_id


def silence(
    engine: Engine,
    protocol: str,
    tier: str,
    outcome: str,
    at: datetime,
    *,
    connection: Any = None,
    entity_id: int = 0,
    server: str = "rdap.registry.example",
    document_id: int | None = None,
) -> None:
    """Write down a question and how it ended."""
    if connection is None:
        with engine.begin() as own:
            entity_id = make.entity(own, Kind.DOMAIN, DOMAIN)
            silence(engine, protocol, tier, outcome, at, connection=own, entity_id=entity_id, server=server)
        return
    row = {"asked_at": at, "protocol": protocol, "server": server, "reach": tier, "entity_id": entity_id,
           "reason": "watch", "outcome": str(outcome), "document_id": document_id}  # fmt: skip
    connection.execute(insert(Query).values(**row))
