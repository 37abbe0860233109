from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from intel.match.entries import MAX_TIMESTAMP
from intel.new_domains import Arrival, Channel
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.load import new_domain_ct
from tasks.load.new_domain_ct import CT_NAMES, Looked, see_certificates
from tasks.load.new_domains import load_arrivals
from tests import factories
from tests.archives import entry, keep
from tests.tasks.normalize.test_domains import source

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEEN = "SELECT name, first_seen FROM seen_domain WHERE channel = 'ct' ORDER BY name"


@pytest.fixture
def archived(engine: Engine) -> Engine:
    (settings().configs / "ct.yaml").write_text("archive: {enabled: true, max_bytes: 0}\n")
    entries = [
        entry(0, "www.one.example", "*.one.example", "mail.two.test"),
        entry(1, "one.example", "*.co.uk", "shop.co.uk"),
        entry(2, "three.test", "not a name", addresses=("192.0.2.7",)),
        entry(3, "one.example", "evil.example"),
    ]
    keep(engine, settings().home, entries, size=2)
    return engine


def rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def look(engine: Engine, **values: Any) -> Looked:
    found = see_certificates(engine, **values)
    assert found is not None
    return found


def position(engine: Engine) -> Any:
    return rows(engine, f"SELECT value FROM cursor WHERE name = 'source:{CT_NAMES.name}'")[0][0]


def test_registrable_names_are_seen_when_their_first_certificate_was_logged(archived: Engine) -> None:
    done = look(archived)
    assert (done.entries, done.arrived.new, done.more) == (4, 5, False)
    assert rows(archived, SEEN) == [
        ("evil.example", NOON + timedelta(seconds=3)),
        ("one.example", NOON),
        ("shop.co.uk", NOON + timedelta(seconds=1)),
        ("three.test", NOON + timedelta(seconds=2)),
        ("two.test", NOON),
    ]
    assert position(archived) == {"lab-log": 4}
    again = look(archived)
    assert (again.entries, again.arrived.names) == (0, 0)
    assert rows(archived, "SELECT outcome FROM run ORDER BY id") == [("ok",), ("unchanged",)]


def test_the_next_look_goes_on_where_the_last_ended_whatever_became_of_the_segments(archived: Engine) -> None:
    look(archived)
    with archived.begin() as connection:
        connection.execute(text("UPDATE archive_segment SET retired_at = now()"))
    # One segment in the place of the two, and more.
    keep(archived, settings().home, [entry(number, f"name{number}.test") for number in range(6)])
    assert look(archived).entries == 2
    assert [name for name, _ in rows(archived, SEEN) if name.startswith("name")] == ["name4.test", "name5.test"]
    assert position(archived) == {"lab-log": 6}


def test_what_touches_a_watch_is_stated(archived: Engine) -> None:
    with archived.begin() as connection:
        watch = factories.watch(connection, "heron", rules=["*"], origin="command")
        factories.watch_item(connection, watch, "evil.example", match="scope", kind="")
    done = look(archived)
    assert (done.arrived.matched, done.arrived.wanted, len(done.arrived.batches)) == (1, 1, 1)


def test_time_that_is_up_ends_a_look_between_two_pieces(archived: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_domain_ct, "ENTRIES", 1)
    monkeypatch.setattr(new_domain_ct, "_BATCH", 1)
    done = look(archived, max_seconds=0)
    assert (done.entries, done.more) == (1, True)
    assert position(archived) == {"lab-log": 1}
    assert look(archived).entries == 3
    assert len(rows(archived, SEEN)) == 5


def test_a_file_that_is_gone_holds_its_log_up_and_no_other(archived: Engine) -> None:
    keep(archived, settings().home, [entry(0, "other.test", log="other-log")])
    (path,) = (Path(settings().home) / "archive").rglob("*/0-2-*.parquet")
    path.unlink()
    done = look(archived)
    assert len(done.problems) == 1
    assert [name for name, _ in rows(archived, SEEN)] == ["other.test"]
    assert position(archived) == {"other-log": 1}


def test_the_settings_may_want_known_names_only_or_none(archived: Engine) -> None:
    with open_run(archived, source()) as run:
        load_arrivals(archived, source(), run, Channel.LIST, [Arrival(name="two.test", seen_at=NOON)])
    (settings().configs / "newdomains.yaml").write_text("ct_names: none\n")
    assert see_certificates(archived) is None
    (settings().configs / "newdomains.yaml").write_text("ct_names: known\n")
    look(archived)
    assert [name for name, _ in rows(archived, SEEN)] == ["two.test"]


def test_without_an_archive_there_is_nothing_to_do(engine: Engine) -> None:
    assert see_certificates(engine) is None


def test_what_a_log_dates_ahead_is_seen_now(engine: Engine) -> None:
    (settings().configs / "ct.yaml").write_text("archive: {enabled: true, max_bytes: 0}\n")
    keep(engine, settings().home, [entry(0, "one.example", timestamp=MAX_TIMESTAMP)])
    look(engine)
    assert rows(engine, "SELECT name, first_seen <= now() FROM seen_domain") == [("one.example", True)]
