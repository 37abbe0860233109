from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from db.profiles import profiles
from intel.entities import Kind, entity, literal
from intel.facts import Fact
from intel.traits import Profile
from tests.tasks.watch.world import Say, World, day


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    try:
        yield made
    finally:
        made.engine.dispose()


def said(name: str, predicate: str, kind: str, value: str, on: int = 0, **more: str) -> Fact:
    made = entity(kind, value) if kind not in {Kind.TEXT, Kind.TIME} else literal(kind, value)
    subject = entity(Kind.CERTIFICATE if predicate == "issued-by" else Kind.DOMAIN, name)
    return Fact(subject=subject, predicate=predicate, object=made, event_time=day(on), **more)


def read(
    world: World,
    *names: str,
    as_of: datetime | None = None,
    by_hand: dict[int, tuple[str, ...]] | None = None,
) -> dict[str, Profile]:
    with world.engine.connect() as connection:
        ids = connection.execute(text("SELECT id FROM entity WHERE value = ANY(:names)"), {"names": list(names)})
        found = profiles(connection, ids.scalars().all(), as_of=as_of, by_hand=by_hand or {})
    return {one.domain: one for one in found}


def test_a_profile_holds_what_was_stated_while_the_domain_was_whose_it_was(world: World) -> None:
    world.load(
        Say.created("one.example", "2026-01-01"),
        Say.created("one.example", "2026-01-01T07:30:00Z"),
        said("one.example", "registered-through", Kind.REGISTRAR, "Sample Registrar"),
        said("one.example", "registered-through", Kind.REGISTRAR, "iana:9998", on=9),
        Say.registrant("one.example", "ann@mail.example.org"),
        Say.registrant("one.example", "tech@mail.example.org", role="technical"),
        Say.registrant("one.example", "ann ample", kind=Kind.REGISTRANT),
        said("one.example", "registered-by", Kind.REGISTRANT, "redacted", state="redacted"),
        Say.name_servers("one.example", "a.example.net b.example.net"),
        Say.resolves("one.example", "192.0.2.1"),
        Say.resolves("one.example", "203.0.113.9", on=20),
        Fact(subject=entity(Kind.IP, "192.0.2.1"), predicate="part-of", object=entity(Kind.NETWORK, "192.0.2.0/24")),
        Fact(subject=entity(Kind.NETWORK, "192.0.2.0/24"), predicate="part-of", object=entity(Kind.AS, "64500")),
        said("one.example", "uses-mail-host", Kind.DOMAIN, "mx.example.com"),
        *Say.certificate(7, "one.example", key=8),
        said(f"{7:064x}", "issued-by", Kind.TEXT, "CN=Sample CA"),
        Say.name_servers("one.example", "ns.taker.example", on=20),
        Say.registrant("two.example", "bob@mail.example.org"),
    )
    world.execute(
        "INSERT INTO ownership_end (entity_id, ended_at, reason, fact_id)"
        " SELECT e.id, :at, 'seized', f.id FROM entity e"
        " JOIN fact f ON f.subject_id = e.id JOIN entity o ON o.id = f.object_id"
        " WHERE e.value = 'one.example' AND o.value = 'ns.taker.example'",
        at=day(15),
    )
    found = read(world, "one.example", "two.example", "192.0.2.1", by_hand={9998: ("Sample Registrar",)})
    assert sorted(found) == ["one.example", "two.example"]
    assert found["one.example"] == Profile(
        domain="one.example",
        created=datetime(2026, 1, 1, 7, 30, tzinfo=UTC),
        to_the_day=False,
        registrar="iana:9998",
        emails=("ann@mail.example.org",),
        registrants=("ann ample",),
        name_servers=("a.example.net", "b.example.net"),
        mail_hosts=("mx.example.com",),
        addresses=("192.0.2.1",),
        networks=("AS64500",),
        certificates=(f"sha256:{7:064x}",),
        keys=(f"sha256:{8:064x}",),
        issuers=("CN=Sample CA",),
        ended_at=day(15),
        ended_by="ns.taker.example",
    )
    assert found["two.example"].emails == ("bob@mail.example.org",)
    # As of a day before the end, nothing has ended, and what came later is not there.
    before = read(world, "one.example", as_of=day(5))["one.example"]
    assert (before.ended_at, before.registrar) == (None, "name:sample registrar")


def test_a_creation_that_has_not_come_yet_is_none(world: World) -> None:
    world.load(
        Say.created("one.example", "2026-01-01"),
        Say.created("one.example", "9999-12-31T23:59:59Z", on=3),
        Say.created("two.example", "9999-12-31", on=3),
    )
    found = read(world, "one.example", "two.example")
    assert found["one.example"].created == datetime(2026, 1, 1, tzinfo=UTC)
    assert found["two.example"].created is None


def test_nothing_is_asked_for_no_domain(world: World) -> None:
    assert read(world) == {}
