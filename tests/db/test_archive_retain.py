from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db import archive_retain, runs
from db.archive import add_segment
from db.archive_manifest import held
from db.archive_retain import OWNER, tidy
from db.archive_store import scratch
from intel.config.ct import Archive
from intel.errors import BusyError, ConfigError, UnavailableError
from tests import factories
from tests.archives import NOON, ON, entry, found, keep, written


def days_ago(days: float) -> int:
    """A timestamp of the past, in milliseconds."""
    return int((datetime.now(UTC) - timedelta(days=days)).timestamp() * 1000)


def standing(engine: Engine) -> list[tuple[str, int]]:
    with engine.connect() as connection:
        return [(one.log, one.first) for one in held(connection)]


def test_what_was_logged_too_long_ago_goes_whatever_the_log(engine: Engine, home: Path) -> None:
    for log, index, days in (("a", 0, 40), ("a", 1, 20), ("b", 0, 31), ("b", 1, 29)):
        keep(engine, home, [entry(index, "x.example", log=log, timestamp=days_ago(days))])
    done = tidy(engine, Archive(enabled=True, max_days=30), home)
    assert (done.segments, done.entries) == (2, 2)
    assert standing(engine) == [("a", 1), ("b", 1)]


def test_the_oldest_go_until_the_rest_fits(engine: Engine, home: Path) -> None:
    for log, days in (("a", 3), ("b", 5), ("c", 1), ("d", 4)):
        keep(engine, home, [entry(0, "x.example", log=log, timestamp=days_ago(days))])
    with engine.connect() as connection:
        size = sum(one.bytes for one in held(connection) if one.log in {"a", "c"})
    assert tidy(engine, Archive(enabled=True, max_bytes=size), home).segments == 2
    assert standing(engine) == [("a", 0), ("c", 0)]
    assert tidy(engine, Archive(enabled=True, max_bytes=size), home).segments == 0
    assert tidy(engine, Archive(enabled=True, max_bytes=0), home).segments == 2
    assert standing(engine) == []


def test_a_log_that_lies_about_the_time_keeps_nothing_for_ever(engine: Engine, home: Path) -> None:
    keep(engine, home, [entry(0, "x.example", log="liar", timestamp=2**62)])
    keep(engine, home, [entry(0, "x.example", log="later", timestamp=days_ago(0))])
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE archive_segment SET created_at = created_at - interval '40 days' WHERE time_max > '2100-01-01'"
            )
        )
    tidy(engine, Archive(enabled=True, max_days=30), home)
    assert standing(engine) == [("later", 0)]


def test_the_manifest_goes_first_and_the_files_later(engine: Engine, home: Path) -> None:
    keep(engine, home, [entry(0, "x.example")])
    (path,) = (home / "archive").rglob("*.parquet")
    nothing = Archive(enabled=True, max_bytes=0)
    assert tidy(engine, nothing, home).files == 0
    assert path.is_file()
    assert found(engine, home) == []
    assert tidy(engine, nothing, home, spared=timedelta()).files == 1
    assert not path.exists()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM archive_segment")).scalar_one() == 0


def test_another_warehouse_removes_nothing_of_ours(engine: Engine, home: Path) -> None:
    keep(engine, home, [entry(0, "x.example")])
    tidy(engine, ON, home)
    with engine.begin() as connection:  # as a new, empty database over the same home would be
        connection.execute(text("TRUNCATE archive_segment"))
        connection.execute(text("DELETE FROM cursor WHERE name = 'archive'"))
    with pytest.raises(ConfigError, match="it belongs to another warehouse; nothing is removed"):
        tidy(engine, ON, home, spared=timedelta())
    assert len(list((home / "archive").rglob("*.parquet"))) == 1


def test_a_folder_of_which_nothing_is_known_is_left_alone(engine: Engine, home: Path) -> None:
    written(home, [entry(0, "x.example")])
    assert tidy(engine, ON, home, spared=timedelta()).left_behind == 0
    assert len(list((home / "archive").rglob("*.parquet"))) == 1
    assert not (home / "archive" / OWNER).exists()


def test_a_home_without_an_archive_is_no_fault(engine: Engine, home: Path) -> None:
    done = tidy(engine, ON, home)
    assert (done.segments, done.files, done.left_behind) == (0, 0, 0)


def test_what_killed_processes_left_on_the_way_is_removed_after_a_day(engine: Engine, home: Path) -> None:
    old, new = scratch(), scratch()
    (old / "spilled").write_bytes(b"x")
    os.utime(old, (time.time() - 100_000,) * 2)
    tidy(engine, ON, home)
    assert (old.exists(), new.exists()) == (False, True)


def test_two_do_not_tidy_at_once(engine: Engine, home: Path) -> None:
    with runs.exclusive(engine, "archive:tidy"), pytest.raises(BusyError):
        tidy(engine, ON, home)


def test_whoever_commits_late_keeps_his_file_or_hears_that_it_is_gone(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that slept for hours between its file and its row, and upkeep that comes at that moment."""
    keep(engine, home, [entry(0, "x.example")])
    tidy(engine, ON, home)
    late = written(home, [entry(1, "y.example")])
    removing = threading.Event()
    remove = archive_retain._remove

    def slowly(store: Any, paths: Any) -> int:
        removing.set()
        time.sleep(0.3)
        return remove(store, paths)

    monkeypatch.setattr(archive_retain, "_remove", slowly)
    swept = threading.Thread(target=tidy, args=(engine, ON, home), kwargs={"spared": timedelta()})
    swept.start()
    assert removing.wait(10)
    with engine.connect() as connection:
        source_id = factories.source(connection, "lab-log")
        with pytest.raises(UnavailableError, match="their file is gone"):
            add_segment(connection, late, source_id=source_id, run_id=None, judged_at=NOON)
    swept.join()
    monkeypatch.undo()

    kept = written(home, [entry(1, "y.example")])
    with engine.begin() as connection:  # the row first: upkeep waits for it
        source_id = factories.source(connection, "lab-log")
        add_segment(connection, kept, source_id=source_id, run_id=None, judged_at=NOON)
        swept = threading.Thread(target=tidy, args=(engine, ON, home), kwargs={"spared": timedelta()})
        swept.start()
        swept.join(0.3)
        assert swept.is_alive()
    swept.join()
    assert [one.index for one in found(engine, home)] == [0, 1]
