from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from db import archive_compact, runs
from db.archive_compact import compact, due
from db.archive_manifest import Held, held
from db.archive_retain import tidy
from intel.ct_archived import Archived
from intel.errors import BusyError
from tests.archives import NOON, ON, entry, found, keep, written

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def standing(engine: Engine, **values: Any) -> list[Held]:
    with engine.connect() as connection:
        return held(connection, **values)


def shape(engine: Engine) -> list[tuple[str, int, int, int]]:
    return [(one.log, one.first, one.next, one.level) for one in standing(engine)]


def hosts(first: int, next: int, **values: Any) -> list[Archived]:  # noqa: A002 - the word of the manifest
    return [entry(at, f"host-{at}.example", f"www.host-{at}.example", **values) for at in range(first, next)]


def test_small_segments_become_a_large_one_with_the_same_entries(engine: Engine, home: Path) -> None:
    entries = hosts(0, 40)
    keep(engine, home, entries, size=4)
    done = compact(engine, ON, home, target=32)
    assert (done.merged, done.made, done.entries, done.problems) == (8, 1, 32, ())
    assert shape(engine) == [("lab-log", 0, 32, 1), ("lab-log", 32, 36, 0), ("lab-log", 36, 40, 0)]
    assert found(engine, home) == entries
    assert found(engine, home, tree="host-17.example") == [entries[17]]


def test_compacting_again_changes_nothing(engine: Engine, home: Path) -> None:
    keep(engine, home, hosts(0, 40), size=4)
    compact(engine, ON, home, target=32)
    before = shape(engine)
    assert compact(engine, ON, home, target=32).made == 0
    assert shape(engine) == before


def test_logs_are_not_mixed_and_gaps_are_not_bridged(engine: Engine, home: Path) -> None:
    keep(engine, home, hosts(0, 8), size=4)
    keep(engine, home, hosts(12, 24), size=4)
    keep(engine, home, hosts(0, 8, log="other-log"), size=4)
    compact(engine, ON, home, target=12)
    assert shape(engine) == [
        ("lab-log", 0, 8, 1),
        ("lab-log", 12, 24, 1),
        ("other-log", 0, 4, 0),
        ("other-log", 4, 8, 0),
    ]


def test_what_waits_is_compacted_after_an_hour_and_what_is_many_at_once(engine: Engine, home: Path) -> None:
    keep(engine, home, hosts(0, 8), size=1)
    assert compact(engine, ON, home).made == 0
    with engine.begin() as connection:
        connection.execute(text("UPDATE archive_segment SET created_at = created_at - interval '2 hours'"))
    assert compact(engine, ON, home).made == 1
    assert shape(engine) == [("lab-log", 0, 8, 1)]


def test_row_groups_have_one_size_whatever_the_segments_had(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_compact, "ROW_GROUP", 8)
    entries = hosts(0, 33)
    keep(engine, home, entries, size=3)
    compact(engine, ON, home, target=33)
    (made,) = standing(engine)
    metadata = pq.ParquetFile(home / "archive" / made.path).metadata
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [8, 8, 8, 8, 1]
    assert found(engine, home) == entries


def test_the_oldest_time_holds_for_what_was_merged(engine: Engine, home: Path) -> None:
    for first, judged in ((0, NOON), (4, NOON - timedelta(days=1)), (8, NOON + timedelta(days=1))):
        keep(engine, home, hosts(first, first + 4), judged_at=judged)
    compact(engine, ON, home, target=12)
    assert [one.judged_at for one in standing(engine)] == [NOON - timedelta(days=1)]


def test_the_old_files_stay_for_readers_and_go_later(engine: Engine, home: Path) -> None:
    keep(engine, home, hosts(0, 12), size=4)
    old = [one.path for one in standing(engine)]
    compact(engine, ON, home, target=12)
    assert all((home / "archive" / path).is_file() for path in old)
    tidy(engine, ON, home)
    assert all((home / "archive" / path).is_file() for path in old)
    assert tidy(engine, ON, home, spared=timedelta()).files == 3
    assert not any((home / "archive" / path).exists() for path in old)
    assert len(found(engine, home)) == 12


def test_a_segment_that_goes_meanwhile_is_not_brought_back(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(engine, home, hosts(0, 12), size=4)

    def late(*args: Any) -> int:
        with engine.begin() as connection:
            connection.execute(text("UPDATE archive_segment SET retired_at = clock_timestamp() WHERE first = 4"))
        return write(*args)

    write = archive_compact._write_entries
    monkeypatch.setattr(archive_compact, "_write_entries", late)
    assert compact(engine, ON, home, target=12).made == 0
    assert shape(engine) == [("lab-log", 0, 4, 0), ("lab-log", 8, 12, 0)]
    assert len(list((home / "archive").rglob("*.parquet"))) == 3


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_a_file_that_is_not_what_was_written_stops_its_group_alone(engine: Engine, home: Path, damage: str) -> None:
    keep(engine, home, hosts(0, 8), size=4)
    keep(engine, home, hosts(0, 8, log="other-log"), size=4)
    path = home / "archive" / standing(engine)[1].path
    octets = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(octets[:-20])
    else:
        for at in range(300, 340):
            octets[at] ^= 0xFF
        path.write_bytes(octets)
    done = compact(engine, ON, home, target=8)
    assert len(done.problems) == 1
    assert done.problems[0].startswith("couldn't read ")
    assert "lab-log" in done.problems[0]
    assert shape(engine) == [("lab-log", 0, 4, 0), ("lab-log", 4, 8, 0), ("other-log", 0, 8, 1)]


def test_two_do_not_compact_at_once(engine: Engine, home: Path) -> None:
    with runs.exclusive(engine, "archive:compact"), pytest.raises(BusyError):
        compact(engine, ON, home)


def test_what_was_killed_before_its_row_is_removed_after_an_hour(engine: Engine, home: Path) -> None:
    keep(engine, home, hosts(0, 4))
    orphan = written(home, hosts(4, 8))
    part = home / "archive" / f"{orphan.path}.0123abcd.part"
    part.write_bytes(b"half")
    stranger = home / "archive" / "notes.txt"
    stranger.write_text("not the archive's")
    assert tidy(engine, ON, home).left_behind == 0
    assert tidy(engine, ON, home, spared=timedelta()).left_behind == 2
    assert not part.exists()
    assert not (home / "archive" / orphan.path).exists()
    assert stranger.exists()
    assert len(found(engine, home)) == 4


# --- which are merged


def held_row(number: int, first: int, entries: int, level: int = 0) -> Held:
    return Held(
        id=number, source_id=1, log="lab-log", first=first, next=first + entries, time_min=NOON, time_max=NOON,
        level=level, path=f"{number}", names_path="", bytes=entries, judged_at=NOON, created_at=LONG_AGO,
    )  # fmt: skip


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(30, 200))
def test_merging_ends_and_writes_an_entry_only_so_often(sizes: list[int], target: int) -> None:
    segments, at, writes = [], 0, 0
    for number, size in enumerate(sizes):
        segments.append(held_row(number, at, min(size, target)))
        at = segments[-1].next
        for _ in range(100):  # until nothing is due
            groups = list(due(segments, NOON, target=target))
            if not groups:
                break
            for group in groups:
                writes += sum(one.entries for one in group)
                ids = {one.id for one in group}
                merged = msgspec.structs.replace(group[0], id=1000 + at + len(ids), next=group[-1].next, level=1)
                segments = sorted([merged, *(one for one in segments if one.id not in ids)], key=lambda one: one.first)
        else:
            pytest.fail("merging does not end")
        assert segments[0].first == 0
        assert all(one.next == two.first for one, two in pairwise(segments))
        assert all(one.entries <= target for one in segments)
    assert writes <= at * (2 + target.bit_length())
