from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, text

from db import incidents
from db.engine import open_engine
from db.entities import ensure_entities
from db.leads import read_leads, save_leads
from intel.entities import guess
from intel.evidence import Evidence, Weighed, weigh


class Found(msgspec.Struct, frozen=True, kw_only=True):
    entity_id: int
    bits: float
    depth: int
    weighed: Weighed


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = open_engine(database_url)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def found(connection: Connection, name: str, *pieces: tuple[str, float], **values: Any) -> Found:
    item = guess(name)
    number = ensure_entities(connection, [item])[item.digest]
    evidence = [Evidence(family=family, trait=family, what="x", bits=bits, **values) for family, bits in pieces]
    weighed = weigh(evidence)
    return Found(entity_id=number, bits=weighed.bits, depth=2, weighed=weighed)


def test_the_same_leads_again_write_nothing(connection: Connection) -> None:
    number = incidents.create(connection, title="One", indicators=["evil.example"])
    one = found(connection, "one.example", ("naming", 12.3456), ("certificate", 9), overlap=0.0)
    two = found(connection, "two.example", ("hosting", 5))
    saved = save_leads(connection, number, [one, two], whole=True)
    assert (saved.new, saved.changed, saved.gone) == (2, 0, 0)
    versions = "SELECT entity_id, xmin::text, changed_at FROM lead ORDER BY 1"
    before = connection.execute(text(versions)).all()
    again = save_leads(connection, number, [two, one], whole=True)
    assert (again.new, again.changed, again.gone) == (0, 0, 0)
    assert connection.execute(text(versions)).all() == before
    first, second = read_leads(connection, number)
    assert (first.value, first.bits, first.families, first.ended) == (
        "one.example",
        21.35,
        ("certificate", "naming"),
        False,
    )
    assert first.evidence[0] == Evidence(family="naming", trait="naming", what="x", bits=12.35, overlap=0.0)
    assert second.value == "two.example"
    assert read_leads(connection, number, top=1) == (first,)


def test_changed_evidence_and_what_is_gone_are_told(connection: Connection) -> None:
    number = incidents.create(connection, title="One", indicators=["evil.example"])
    other = incidents.create(connection, title="Two", indicators=["worse.example"])
    one, two = found(connection, "one.example", ("naming", 12)), found(connection, "two.example", ("hosting", 5))
    save_leads(connection, number, [one, two])
    save_leads(connection, other, [one])
    found_at = {lead.value: lead.found_at for lead in read_leads(connection, number)}
    more = found(connection, "one.example", ("naming", 12), ("registrant", 9))
    changed = save_leads(connection, number, [more])  # cut short: what it did not come to still stands
    assert (changed.new, changed.changed, changed.gone) == (0, 1, 0)
    gone = save_leads(connection, number, [more], whole=True)
    assert (gone.new, gone.changed, gone.gone) == (0, 0, 1)
    (left,) = read_leads(connection, number)
    assert left.found_at == found_at["one.example"] < left.changed_at
    assert len(read_leads(connection, other)) == 1
    assert save_leads(connection, number, [], whole=True).gone == 1


def test_a_lead_that_was_taken_away_says_so(connection: Connection) -> None:
    number = incidents.create(connection, title="One", indicators=["evil.example"])
    one = found(connection, "one.example", ("naming", 12))
    save_leads(connection, number, [one])
    connection.execute(
        text("INSERT INTO ownership_end (entity_id, ended_at, reason, fact_id) VALUES (:id, now(), 'seized', 1)"),
        {"id": one.entity_id},
    )
    save_leads(connection, number, [found(connection, "http://login.one.example/x", ("naming", 11))])
    save_leads(connection, number, [found(connection, "two.example", ("naming", 10))])
    # What stands on it was taken away with it.
    assert [lead.ended for lead in read_leads(connection, number)] == [True, True, False]


def test_a_leads_families_are_those_of_its_weighing(connection: Connection) -> None:
    number = incidents.create(connection, title="One", indicators=["evil.example"])
    evidence = (("naming", 12.0), ("time", 1.6), ("time", 1.5))  # the second of a family counts a half
    save_leads(connection, number, [found(connection, "one.example", *evidence)])
    assert read_leads(connection, number)[0].families == ("naming",)
