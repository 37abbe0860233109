from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine

from db import zones
from tests import factories

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def snapshot(connection: Connection, source_id: int, day: int, zone: str = "example") -> None:
    zones.add_snapshot(
        connection,
        source_id=source_id,
        run_id=factories.run(connection, source_id),
        zone=zone,
        serial=day,
        as_of=DAY + timedelta(days=day),
        path=f"{day}.gz",
        sha256=bytes([day]) * 32,
        names=day * 10,
    )


def test_the_last_snapshot_is_the_newest_by_event_time(engine: Engine) -> None:
    with engine.begin() as connection:
        source_id = factories.source(connection, "zone")
        assert zones.last_snapshot(connection, source_id) is None
        for day in (2, 3, 1):
            snapshot(connection, source_id, day)
        last = zones.last_snapshot(connection, source_id)
        assert last == zones.Standing(
            zone="example", serial=3, as_of=DAY + timedelta(days=3), path="3.gz", sha256=b"\3" * 32, names=30
        )
        assert zones.taken_by(connection, "example", DAY + timedelta(days=3)) == source_id
        assert zones.taken_by(connection, "test", DAY + timedelta(days=3)) is None


def test_what_is_retired_keeps_its_row_and_names_no_file(engine: Engine) -> None:
    with engine.begin() as connection:
        source_id, other = factories.source(connection, "zone"), factories.source(connection, "other")
        for day in (1, 2, 3, 4):
            snapshot(connection, source_id, day)
        snapshot(connection, other, 1, zone="test")
        assert sorted(zones.retire(connection, source_id, kept=2)) == ["1.gz", "2.gz"]
        assert zones.retire(connection, source_id, kept=2) == []
        assert zones.held_paths(connection, source_id) == {"3.gz", "4.gz"}
        assert zones.held_paths(connection, other) == {"1.gz"}
