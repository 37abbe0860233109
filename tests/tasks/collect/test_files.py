from __future__ import annotations

import gzip
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intel.errors import OversizedError, ReadError, RefusedError, UnreachableError
from lab.faults import bomb
from tasks.collect.files import list_files, read_file

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_a_file_is_read_as_if_fetched(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"a,b\n")
    os.utime(path, (0, 86400))
    got = read_file(path, max_bytes=100, clock=lambda: NOW)
    assert (got.body, got.wire_bytes, got.outcome, got.fetched_at) == (b"a,b\n", 4, "new", NOW)
    assert got.media_type == "text/csv"
    assert got.last_modified == "Fri, 02 Jan 1970 00:00:00 GMT"
    assert got.url == path.as_uri()


def test_packed_files_are_unpacked_within_the_limits(tmp_path: Path) -> None:
    packed = tmp_path / "list.csv.gz"
    packed.write_bytes(gzip.compress(b"a,b\n"))
    got = read_file(packed, max_bytes=100)
    assert (got.body, got.media_type) == (b"a,b\n", "text/csv")
    with zipfile.ZipFile(tmp_path / "list.zip", "w") as archive:
        archive.writestr("list.csv", b"c,d\n")
        archive.writestr("other.txt", b"")
    assert read_file(tmp_path / "list.zip", max_bytes=1000, member="*.csv").body == b"c,d\n"
    packed.write_bytes(bomb(8 << 20))
    with pytest.raises(OversizedError):
        read_file(packed, max_bytes=1 << 20)
    with pytest.raises(OversizedError):
        read_file(packed, max_bytes=1 << 30)


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"a" * 101)
    with pytest.raises(OversizedError):
        read_file(tmp_path / "big", max_bytes=100)
    with pytest.raises(UnreachableError):
        read_file(tmp_path / "none", max_bytes=100)
    with pytest.raises(ReadError, match="not a regular file"):
        read_file(tmp_path, max_bytes=100)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReadError, match="not a regular file"):
        read_file(tmp_path / "pipe", max_bytes=100)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UnreachableError):
        read_file(tmp_path / "loop", max_bytes=100)


def test_links_that_leave_the_folder_are_refused_and_others_are_not(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "in-secret"
    inside.mkdir()
    outside.mkdir()
    (outside / "key.csv").write_bytes(b"secret")
    (inside / "a.csv").write_bytes(b"a")
    (inside / "b.csv").symlink_to("a.csv")
    assert read_file(inside / "b.csv", max_bytes=10, within=inside).body == b"a"
    assert [path.name for path in list_files(inside, "*.csv")] == ["a.csv", "b.csv"]
    (inside / "c.csv").symlink_to(outside / "key.csv")
    with pytest.raises(RefusedError):
        read_file(inside / "c.csv", max_bytes=10, within=inside)
    with pytest.raises(RefusedError):
        read_file(inside / ".." / "in-secret" / "key.csv", max_bytes=10, within=inside)
    with pytest.raises(RefusedError):
        list_files(inside, "*.csv")


def test_files_are_listed_sorted_by_pattern(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt", "sub/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "gone")
    assert [path.name for path in list_files(tmp_path, "*.csv")] == ["a.csv", "b.csv"]
    assert [path.name for path in list_files(tmp_path, "**/*.csv")] == ["a.csv", "b.csv", "d.csv"]
    for pattern in ("../*", "/etc/*", ""):
        with pytest.raises(RefusedError):
            list_files(tmp_path, pattern)
    with pytest.raises(UnreachableError):
        list_files(tmp_path / "none", "*")
