from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from intel.zone_file import ZoneReader
from lab.bench import zonediff
from lab.bench._zone_rows import ADDED, MOVED, REMOVED, days, hosters


def read(path: Path) -> tuple[ZoneReader, dict[bytes, bytes], list[bytes]]:
    reader = ZoneReader()
    parts = [reader.feed(gzip.decompress(path.read_bytes())), reader.close()]
    names = [name for part in parts for name in part.names]
    return reader, dict(zip(names, [hosts for part in parts for hosts in part.hosts], strict=True)), names


def test_the_invented_days_are_the_same_each_time_and_differ_as_they_say(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = days(tmp_path, 30_000)
    assert [path.read_bytes() for path in days(tmp_path / "again", 30_000)] == [first.read_bytes(), second.read_bytes()]
    (one, before, order), (two, after, _) = read(first), read(second)
    assert (one.zone, one.serial, one.closed, one.malformed) == ("example", 2026030100, True, 0)
    assert two.serial == 2026030101
    assert len(after.keys() - before.keys()) == pytest.approx(30_000 * ADDED, rel=0.4)
    assert len(before.keys() - after.keys()) == pytest.approx(30_000 * REMOVED, rel=0.4)
    moved = [name for name in before.keys() & after.keys() if before[name] != after[name]]
    assert len(moved) == pytest.approx(30_000 * MOVED, rel=0.4)
    assert order != sorted(order)
    assert all(host.endswith(".test") for host in hosters(0, 5))


@pytest.mark.slow
def test_a_small_run_gives_the_figures(database_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", database_server)
    result = zonediff.run(30_000)
    figures = result.figures
    assert {"seconds", "peak_mb", "first_seconds", "coreutils_s"} <= set(figures)
    assert 0 < int(figures["differences"]) <= int(figures["coreutils_lines"])
    assert int(figures["matched"]) > 0
    assert 50 < int(figures["peak_mb"]) < 300
    assert result.tables[0].rows[0][0] == "zone file, s"
