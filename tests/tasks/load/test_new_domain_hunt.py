from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db import new_domains
from db.new_domains import keep, see
from intel.new_domains import Channel
from tasks.load import new_domain_hunt
from tasks.load.new_domain_hunt import hunt_seen
from tasks.load.new_domain_work import open_work
from tests import factories
from tests.tasks.load.test_new_domains import FACTS, arrive, rows
from tests.tasks.normalize.test_domains import source

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ZONE = source(name="zone")


@pytest.fixture
def seen(engine: Engine) -> Engine:
    """A warehouse that has seen names of two channels, before anything was watched."""
    arrive(engine, ["quiet.example", "samp1eco.test", "evil.example"], at=DAY)
    arrive(engine, ["samp1eco.test"], at=DAY + timedelta(days=2), channel=Channel.ZONE, entry=ZONE)
    return engine


def watch(engine: Engine, value: str, **values: Any) -> None:
    with engine.begin() as connection:
        number = factories.watch(connection, "heron", rules=["*"], origin="command")
        factories.watch_item(connection, number, value, **values)


def test_what_is_watched_since_is_found_in_what_came_before_and_stated_as_then(seen: Engine) -> None:
    assert hunt_seen(seen).matched == 0
    watch(seen, "lookalike:sampleco.example", match="entity", kind="pattern")
    done = hunt_seen(seen)
    assert (done.names, done.matched, done.wanted) == (4, 2, 1)
    assert [name for name, _ in done.batches] == ["lists", "zone"]
    assert rows(seen, FACTS) == [
        ("samp1eco.test", "matches", "lookalike:sampleco.example", DAY, False),
        ("samp1eco.test", "matches", "lookalike:sampleco.example", DAY + timedelta(days=2), False),
    ]
    assert rows(seen, "SELECT s.name FROM fact f JOIN source s ON s.id = f.source_id ORDER BY 1") == [
        ("lists",),
        ("zone",),
    ]


def test_watches_that_have_not_changed_cost_nothing(seen: Engine) -> None:
    watch(seen, "evil.example", match="scope", kind="")
    assert hunt_seen(seen).matched == 1
    before = rows(seen, "SELECT count(*) FROM run")
    assert hunt_seen(seen).names == 0
    assert rows(seen, "SELECT count(*) FROM run") == before


def test_what_was_stated_when_it_came_is_not_stated_again(engine: Engine) -> None:
    watch(engine, "evil.example", match="scope", kind="")
    arrive(engine, ["evil.example", "quiet.example"])
    history = rows(engine, "SELECT count(*) FROM fact_history")
    done = hunt_seen(engine)
    assert (done.matched, done.wanted, done.batches) == (1, 0, ())
    assert rows(engine, "SELECT count(*) FROM fact_history") == history
    documents = rows(engine, "SELECT count(*) FROM document")
    watch(engine, "nothing.example", match="scope", kind="")
    assert hunt_seen(engine).matched == 1
    assert rows(engine, "SELECT count(*) FROM document") == documents


def test_a_hunt_that_is_out_of_time_goes_on_where_it_was(seen: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_domain_hunt, "TOGETHER", 2)
    watch(seen, "lookalike:sampleco.example", match="entity", kind="pattern")
    first = hunt_seen(seen, max_seconds=0)
    assert (first.names, first.matched, first.more) == (2, 0, True)
    rest = hunt_seen(seen)
    assert (rest.names, rest.matched, rest.more) == (2, 2, False)


def test_a_watch_that_changes_in_between_begins_a_hunt_anew(seen: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_domain_hunt, "TOGETHER", 2)
    watch(seen, "lookalike:sampleco.example", match="entity", kind="pattern")
    hunt_seen(seen, max_seconds=0)
    watch(seen, "evil.example", match="scope", kind="")
    assert hunt_seen(seen).names == 4
    with seen.connect() as connection:
        assert (
            connection.execute(text("SELECT value->>'done' FROM cursor WHERE name = 'new-domains:hunt'")).scalar_one()
            == "true"
        )


def test_what_a_load_brings_behind_a_hunt_is_matched_with_the_watches_of_then(seen: Engine) -> None:
    work = open_work(seen)  # of a load that takes a while
    watch(seen, "lookalike:sampleco.example", match="entity", kind="pattern")
    hunt_seen(seen)
    arrive(seen, ["sanpleco.example"], work=work)
    assert hunt_seen(seen).names == 0
    assert ("sanpleco.example", "matches", "lookalike:sampleco.example", DAY, False) in rows(seen, FACTS)


def test_a_hunt_waits_for_what_is_being_loaded(seen: Engine) -> None:
    watch(seen, "lookalike:sampleco.example", match="entity", kind="pattern")
    with ThreadPoolExecutor(1) as aside:
        with seen.begin() as loading:
            new_domains.begin_load(loading)
            see(loading, Channel.LIST, {"sanpleco.example": DAY})
            keep(loading, Channel.LIST, rows(seen, "SELECT id FROM source WHERE name = 'lists'")[0][0], {})
            hunting = aside.submit(hunt_seen, seen)
            with pytest.raises(TimeoutError):
                hunting.result(timeout=0.5)
        assert hunting.result(timeout=30).names == 5
