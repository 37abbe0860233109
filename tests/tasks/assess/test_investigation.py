from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db import incidents, runs
from intel.errors import BusyError, WarehouseError
from tasks.assess import investigation
from tasks.assess.investigation import opened, record, watch
from tasks.pivot.hub_lists import Annotation

if TYPE_CHECKING:
    from intel.entities import Entity
    from tests.homes import Home


def reported(home: Home, *texts: str) -> int:
    with home.engine.begin() as connection:
        return incidents.create(connection, title="One", indicators=texts)


def status(home: Home, number: int) -> tuple[str, bool]:
    (row,) = home.rows("SELECT status, publish FROM incident WHERE id = :id", id=number)
    return row.status, row.publish


def items(home: Home) -> set[tuple[str, str]]:
    return {(row.match, row.value) for row in home.rows("SELECT match, value FROM watch_item")}


def test_the_case_has_each_entity_once(home: Home) -> None:
    number = reported(home, "evil.example", "evil[.]example", "nonsense !", "203.0.113.10")
    case = record(home.engine, number)
    assert [one.value for one in case.subjects] == ["evil.example", "203.0.113.10"]
    assert (case.incident, case.unread) == (number, 1)


def test_its_values_domains_and_addresses_are_watched(home: Home) -> None:
    number = reported(
        home, "https://login.evil.example/x", "203.0.113.10:443", "198.51.100.0/24", "sha256:" + "ab" * 32
    )
    found = watch(home.engine, record(home.engine, number))
    assert found.watch == f"incident-{number}"
    assert items(home) >= {
        ("entity", "https://login.evil.example/x"),
        ("scope", "evil.example"),
        ("network", "203.0.113.10"),
        ("network", "198.51.100.0/24"),
    }
    assert home.rows("SELECT origin, incident_id FROM watch") == [("incident", number)]
    ids = home.rows("SELECT id FROM watch_item ORDER BY id")
    watch(home.engine, record(home.engine, number))
    assert home.rows("SELECT id FROM watch_item ORDER BY id") == ids


def test_a_providers_whole_domain_or_address_is_not_watched(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = {"provider.example": 40, "203.0.113.10": 40, "other.example": 0}

    def annotate(item: Entity) -> list[Annotation]:
        takes = provider.get(item.value)
        return [] if takes is None else [Annotation(list="invented", hub="cloud", takes=takes, why="a cloud")]

    monkeypatch.setattr(investigation, "annotate", annotate)
    number = reported(home, "https://files.provider.example/1", "203.0.113.10", "www.other.example")
    found = watch(home.engine, record(home.engine, number))
    assert found.narrowed == (("provider.example", "a cloud"), ("203.0.113.10", "a cloud"))
    assert items(home) == {
        ("entity", "https://files.provider.example/1"),
        ("entity", "203.0.113.10"),
        ("entity", "www.other.example"),
        ("scope", "other.example"),
    }


def test_a_value_of_any_length_is_watched(home: Home) -> None:
    long = "https://evil.example/" + "a" * 5_000
    found = watch(home.engine, record(home.engine, reported(home, long)))
    assert found.unwatched == 0
    assert items(home) == {("entity", long), ("scope", "evil.example")}


def test_an_investigation_has_a_status(home: Home) -> None:
    number = reported(home, "evil.example")
    with opened(home.engine, number, publish=True):
        assert status(home, number) == ("investigating", True)
        with pytest.raises(BusyError), opened(home.engine, number):
            pass
    with pytest.raises(RuntimeError), opened(home.engine, number):
        raise RuntimeError
    assert status(home, number) == ("failed", True)
    with pytest.raises(WarehouseError), opened(home.engine, 404):
        pass
    with runs.exclusive(home.engine, f"incident:{number}"):
        pass
