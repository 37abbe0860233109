"""The invented story, told without Prefect: what the demo checks at its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from db import incidents
from db.engine import open_engine
from intel.config.sources import Format, Source, read_sources
from intel.settings import settings
from lab import world
from lab.stories import Story, invented
from tasks.assess import here
from tasks.collect.session import open_run
from tasks.collect.slices import collect_slice
from tasks.enrich.look_up import look_up
from tasks.enrich.timetable import keep_timetable
from tasks.load import ct
from tasks.load.load import load_batch
from tasks.load.new_domain_lists import load_lists
from tasks.normalize.stage import stage
from tasks.records import Run
from tasks.watch import certificates, items, registrations


@pytest.fixture
def engine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    for name, value in (("DATABASE_URL", database_url), ("HOME", tmp_path / "home"), ("CONFIGS", tmp_path / "configs")):
        monkeypatch.setenv(f"LAPSEWATCH_{name}", str(value))
    settings.cache_clear()
    made = open_engine(database_url)
    yield made
    made.dispose()
    settings.cache_clear()


def ingest(engine: Engine, source: Source, run: Run) -> None:
    more = True
    while more:
        collected = collect_slice(engine, source, run)
        if not collected.documents and collected.cursor is None:
            break
        if source.format is Format.DOMAINS:
            more = not load_lists(engine, source, collected).last
        else:
            more = not load_batch(engine, stage(engine, source, collected)).last


def tell(engine: Engine, story: Story) -> None:
    story.write_configs(settings().configs)
    with engine.begin() as connection:
        items.sync(connection, settings().configs)
    for day in story.days:
        story.move(day.moment)
        for source in read_sources(settings().configs).values():
            if source.transport == "ct":
                with open_run(engine, source) as run:
                    ct.follow(engine, source, run, ct.head(engine, source, run))
            elif source.cadence == "hourly" and source.enabled:
                with open_run(engine, source) as run:
                    ingest(engine, source, run)
        if day.looks:
            keep_timetable(engine)
            look_up(engine, seconds=60, ahead=timedelta(days=2))
        if day.incident:
            with engine.begin() as connection:
                incident = incidents.create(connection, title="reported", indicators=day.incident)
            here.investigate(engine, incident)
        registrations.monitor(engine)
        certificates.monitor(engine)


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.mark.slow
def test_the_story_ends_as_it_must(engine: Engine) -> None:
    with invented() as story:
        assert story.logs == ("lab-ct", "lab-ct-static")
        assert all(check(engine) for check in story.checks)  # nothing stands before it is told
        tell(engine, story)
        assert [check(engine) for check in story.checks] == [""] * len(story.checks)
    named = rows(
        engine,
        "SELECT DISTINCT s.name FROM fact f JOIN source s ON s.id = f.source_id JOIN fact n USING (subject_id)"
        " JOIN entity o ON o.id = n.object_id"
        f" WHERE f.predicate = 'logged-in' AND n.predicate = 'names' AND o.value = '{world.NEW_DOMAIN}'",
    )
    assert named == [("lab-ct",), ("lab-ct-static",)]
