from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from db import archive
from db.archive_duckdb import connect
from db.archive_hunt import fetch
from db.archive_manifest import Held, held
from db.archive_store import open_store
from intel.config.ct import Archive
from intel.ct_archived import Archived
from intel.errors import ConfigError, UnavailableError
from lab.archived import columns
from tests import factories
from tests.archives import NOON, ON, entry, found, keep, sha, written


def files(home: Path) -> list[str]:
    return sorted(str(one.relative_to(home)) for one in home.rglob("*") if one.is_file())


def read_back(home: Path, entries: list[Archived], where: Archive = ON) -> list[Archived]:
    """The entries of a file that was written of these, read again without a manifest."""
    segment = written(home, entries, archive=where)
    store = open_store(where, home)
    part = Held(
        id=1, source_id=1, log=segment.source, first=segment.first, next=segment.next, time_min=segment.time_min,
        time_max=segment.time_max, level=0, path=segment.path, names_path="", bytes=segment.bytes, judged_at=NOON,
        created_at=NOON,
    )  # fmt: skip
    with connect(store) as duckdb:
        return fetch(duckdb, store, [part], [one.index for one in entries])


def test_what_was_read_of_entries_comes_back_whole(engine: Engine, home: Path) -> None:
    entries = [
        entry(100, "login.example", "*.login.example", addresses=("192.0.2.7", "2001:db8::1")),
        entry(101, key=None, not_before=None, not_after=None, issuer=""),
        *(entry(at, f"host-{at}.example") for at in range(102, 110)),
    ]
    keep(engine, home, entries)
    assert found(engine, home) == entries


def test_a_segment_knows_its_range_its_times_and_its_size(home: Path) -> None:
    segment = written(home, [entry(at, "a.example") for at in range(7, 20)])
    assert (segment.first, segment.next, segment.rows, segment.level) == (7, 20, 13, 0)
    assert (segment.time_min, segment.time_max) == (NOON + timedelta(seconds=7), NOON + timedelta(seconds=19))
    assert segment.path.startswith("log=lab-log/day=2026-03-01/7-20-")
    assert files(home) == [f"archive/{segment.path}"]
    assert segment.bytes == (home / "archive" / segment.path).stat().st_size


def test_columns_are_taken_as_they_are_too(engine: Engine, home: Path) -> None:
    entries = [entry(0, "a.example"), entry(1, "b.example")]
    segment = archive.write_segment(ON, home, "lab-log", [b"", columns(entries)], 0, 2)
    with engine.begin() as connection:
        source_id = factories.source(connection, "lab-log")
        archive.add_segment(connection, segment, source_id=source_id, run_id=None, judged_at=NOON)
    assert found(engine, home) == entries


def test_a_chunk_of_which_nothing_could_be_read_is_a_segment_all_the_same(engine: Engine, home: Path) -> None:
    segment = archive.write_segment(ON, home, "lab-log", [archive.to_arrow(columns([]))], 5, 9)
    with engine.begin() as connection:
        source_id = factories.source(connection, "lab-log")
        archive.add_segment(connection, segment, source_id=source_id, run_id=None, judged_at=NOON)
    assert (segment.rows, segment.time_min) == (0, datetime(1970, 1, 1, tzinfo=UTC))
    assert found(engine, home) == []


def test_a_file_is_in_the_archive_once_its_row_is(engine: Engine, home: Path) -> None:
    entries = [entry(0, "a.example")]
    written(home, entries)
    with engine.connect() as connection:  # a transaction that is not committed
        segment = written(home, entries)
        source_id = factories.source(connection, "lab-log")
        archive.add_segment(connection, segment, source_id=source_id, run_id=None, judged_at=NOON)
    assert found(engine, home) == []
    keep(engine, home, entries)
    assert found(engine, home) == entries
    assert len(files(home)) == 3  # no two are called the same


def test_a_segment_whose_file_is_gone_is_not_put_into_the_archive(engine: Engine, home: Path) -> None:
    segment = written(home, [entry(0, "a.example")])
    (home / "archive" / segment.path).unlink()
    with engine.connect() as connection:
        source_id = factories.source(connection, "lab-log")
        with pytest.raises(UnavailableError, match="reads them again"):
            archive.add_segment(connection, segment, source_id=source_id, run_id=None, judged_at=NOON)
    with engine.connect() as connection:
        assert held(connection) == []


def test_a_place_that_takes_no_files_is_an_error_with_what_is_next(home: Path) -> None:
    home.mkdir()
    (home / "archive").write_text("in the way")
    with pytest.raises(UnavailableError, match="the next run goes on from before it"):
        written(home, [entry(0, "a.example")])


def test_a_write_that_fails_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        archive, "write_table", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(UnavailableError, match="No space left on device"):
        written(home, [entry(0, "a.example")])
    assert files(home) == []


@pytest.mark.parametrize("missing", ["pyarrow", "pyarrow.parquet"])
def test_without_the_extra_it_says_what_installs_it(home: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"pyarrow is not installed; `pip install -e '\.\[archive\]'`"):
        written(home, [entry(0, "a.example")])


def test_an_archive_lies_wherever_fsspec_can_write(engine: Engine, home: Path) -> None:
    where = Archive(enabled=True, location=f"memory://archive-of-{home.parent.name}")
    entries = [entry(at, f"host-{at}.example") for at in range(5)]
    keep(engine, home, entries, archive=where)
    assert found(engine, home, archive=where, tree="host-3.example") == [entries[3]]
    assert files(home) == []


@pytest.mark.parametrize(
    ("location", "path"),
    [("", "archive"), ("kept/here", "kept/here"), ("/srv/archive", "/srv/archive"), ("file:///srv/a", "/srv/a")],
)
def test_a_location_is_below_home_or_absolute(tmp_path: Path, location: str, path: str) -> None:
    assert open_store(Archive(location=location), tmp_path).root == str(tmp_path / path)


def test_a_location_that_nothing_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="couldn't use the archive's location"):
        open_store(Archive(location="nowhere://archive"), tmp_path)


LINE = st.text(st.characters(exclude_characters="\n\r", exclude_categories=()), max_size=30)
ENTRY = st.fixed_dictionaries(
    {
        "timestamp": st.integers(0, 2**64 - 1),
        "key": st.none() | st.binary(min_size=32, max_size=32),
        "fingerprint": st.none() | st.binary(min_size=32, max_size=32),
        "tbs": st.binary(min_size=32, max_size=32),
        "names": st.lists(LINE.filter(bool), max_size=5).map(tuple),
        "addresses": st.lists(LINE.filter(bool), max_size=2).map(tuple),
        "issuer": LINE,
        "not_before": st.none() | st.integers(-(2**70), 2**70),
        "not_after": st.none() | st.integers(-(2**40), 2**40),
    }
)


def plain(one: Archived) -> dict[str, Any]:
    """An entry as the archive can have it: times in 63 bits, half surrogates replaced."""

    def whole(text: str) -> str:
        return text.encode("utf-8", "replace").decode()

    def fits(number: int | None) -> int | None:
        return None if number is None else max(min(number, 2**63 - 1), -(2**63) + 1)

    return {
        "timestamp": fits(one.timestamp), "key": one.key, "fingerprint": one.fingerprint, "tbs": one.tbs,
        "names": tuple(map(whole, one.names)), "addresses": tuple(map(whole, one.addresses)),
        "issuer": whole(one.issuer), "not_before": fits(one.not_before), "not_after": fits(one.not_after),
    }  # fmt: skip


@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(ENTRY, min_size=1, max_size=6))
def test_whatever_an_entry_says_costs_no_other_entry(home: Path, said: list[dict[str, Any]]) -> None:
    entries = [entry(at, *one.pop("names"), **one) for at, one in enumerate(dict(one) for one in said)]
    assert [plain(one) for one in read_back(home, entries)] == [plain(one) for one in entries]


def test_digests_are_split_and_joined_as_they_were(home: Path) -> None:
    edges = [bytes(32), b"\xff" * 32, b"\x80" + bytes(31), bytes(7) + b"\x80" + bytes(24)]
    entries = [entry(at, "a.example", key=one, tbs=one, fingerprint=one) for at, one in enumerate(edges)]
    assert [(one.key, one.tbs, one.fingerprint) for one in read_back(home, entries)] == [(one,) * 3 for one in edges]


def test_the_clock_is_the_database_s(engine: Engine) -> None:
    with engine.connect() as connection:
        first, second = archive.clock(connection), archive.clock(connection)
        assert first < second
        assert connection.execute(text("SELECT clock_timestamp() > :then"), {"then": second}).scalar_one()
    assert sha("a") != sha("b")
