from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from db import incidents
from db.engine import open_engine
from db.lookups import strictest_tlp
from intel.entities import guess
from intel.errors import WarehouseError
from intel.facts import TLP

GIVEN = ["hxxps://login[.]evil[.]example/x", "203.0.113.10", "not a thing at all", "actor:feed:Heron"]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = open_engine(database_url)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def test_indicators_are_kept_as_given_and_as_read(connection: Connection) -> None:
    number = incidents.create(connection, title="Phishing of Monday", indicators=GIVEN)
    found = incidents.read(connection, number)
    assert (found.title, found.status, found.publish, found.report) == ("Phishing of Monday", "new", False, "")
    assert [(one.text, one.kind, one.value) for one in found.items] == [
        (GIVEN[0], "url", "https://login.evil.example/x"),
        (GIVEN[1], "ip", "203.0.113.10"),
        (GIVEN[2], "", ""),
        (GIVEN[3], "actor", "feed:Heron"),
    ]
    assert found.items[0].scope == "evil.example"
    assert found.items[1].address == "203.0.113.10"
    assert "couldn't read" in found.items[2].reason
    assert found.items[2].entity_id is None


def test_the_same_indicators_are_the_same_incident(connection: Connection) -> None:
    first = incidents.create(connection, title="One", indicators=["evil.example", "203.0.113.10", "nonsense !"])
    again = incidents.create(connection, title="Two", indicators=["nonsense !", "203.0.113[.]10", "EVIL[.]example."])
    assert first == again
    assert incidents.read(connection, first).title == "One"
    assert incidents.create(connection, title="Three", indicators=["evil.example"]) != first


def test_publishing_may_be_allowed_later_and_is_not_taken_back(connection: Connection) -> None:
    number = incidents.create(connection, title="One", indicators=["evil.example"])
    incidents.create(connection, title="One", indicators=["evil.example"], publish=True)
    incidents.create(connection, title="One", indicators=["evil.example"])
    assert incidents.read(connection, number).publish


def test_new_indicators_are_added_to_an_incident_that_goes_on(connection: Connection) -> None:
    number = incidents.create(connection, title="One", indicators=["evil.example"])
    incidents.write_report(connection, number, "# Report", at=datetime(2026, 3, 1, tzinfo=UTC))
    assert incidents.read(connection, number).status == "reported"
    assert incidents.add(connection, number, ["evil.example"]) == 0
    assert incidents.read(connection, number).status == "reported"
    assert incidents.add(connection, number, ["evil.example", "other.example"]) == 1
    found = incidents.read(connection, number)
    assert (found.status, found.report, len(found.items)) == ("new", "# Report", 2)
    assert incidents.create(connection, title="One", indicators=["evil.example"]) == number


def test_long_and_odd_texts_are_kept(connection: Connection) -> None:
    long = "https://evil.example/" + "a" * 9_000
    other = long + "b"
    number = incidents.create(connection, title="t\0t", indicators=[long, other, "\0", "\ud800x", " ", "ü" * 3_000])
    found = incidents.read(connection, number)
    assert len(found.items) == 5
    assert {found.items[0].value, found.items[1].value} == {long, other}
    assert all(len(one.text.encode()) <= 1_000 for one in found.items)


def test_what_cannot_be_an_incident_is_refused(connection: Connection) -> None:
    for given in ([], [" "], [f"h{number}.example" for number in range(incidents.MOST_ITEMS + 1)]):
        with pytest.raises(WarehouseError, match="it takes 1 to"):
            incidents.create(connection, title="One", indicators=given)


def test_an_incident_that_is_not_there_is_said(connection: Connection) -> None:
    with pytest.raises(WarehouseError, match="couldn't find incident 77"):
        incidents.read(connection, 77)
    with pytest.raises(WarehouseError):
        incidents.set_status(connection, 77, "failed")
    with pytest.raises(WarehouseError):
        incidents.add(connection, 77, ["evil.example"])


def test_incidents_are_listed_newest_first(connection: Connection) -> None:
    first = incidents.create(connection, title="One", indicators=["evil.example"])
    second = incidents.create(connection, title="Two", indicators=["other.example"])
    assert [one.id for one in incidents.list_incidents(connection)] == [second, first]
    assert connection.execute(text("SELECT count(*) FROM incident")).scalar_one() == 2


def test_how_far_an_incident_may_go_is_amber_until_somebody_says_otherwise(connection: Connection) -> None:
    number = incidents.create(connection, title="One", indicators=["evil.example"])
    assert incidents.read(connection, number).tlp == TLP.AMBER
    incidents.create(connection, title="One", indicators=["evil.example"], tlp=TLP.RED)
    incidents.create(connection, title="One", indicators=["evil.example"])
    assert incidents.read(connection, number).tlp == TLP.RED
    assert strictest_tlp(connection, [guess("evil.example"), guess("other.example")]) == TLP.RED
    assert strictest_tlp(connection, [guess("other.example")]) == TLP.CLEAR
