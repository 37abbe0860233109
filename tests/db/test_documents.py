from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import pytest

from db import documents
from intel.errors import ReadError, UnavailableError

BODY = b"one.example\ntwo.example\n" * 100


def kept(store: Path) -> list[Path]:
    return sorted(path for path in store.rglob("*") if path.is_file())


def broken(data: bytes, how: str) -> bytes:
    if how == "cut":
        return data[:-20]
    if how == "no gzip":
        return b"<html>" + data[6:]
    if how == "other bytes":
        return gzip.compress(b"other")
    middle = bytearray(data)
    middle[12:40] = b"\xff" * 28
    return bytes(middle)


def test_the_same_bytes_are_kept_once(tmp_path: Path) -> None:
    digest = documents.put(tmp_path, BODY)
    assert documents.put(tmp_path, BODY) == digest
    assert len(kept(tmp_path)) == 1
    assert documents.get(tmp_path, digest) == BODY


@pytest.mark.parametrize("how", ["cut", "no gzip", "other bytes", "deflate"])
def test_bytes_that_changed_are_a_read_error_and_can_be_fetched_again(tmp_path: Path, how: str) -> None:
    digest = documents.put(tmp_path, BODY)
    (path,) = kept(tmp_path)
    bad = broken(path.read_bytes(), how)
    path.write_bytes(bad)
    with pytest.raises(ReadError, match="fetch it again"):
        documents.get(tmp_path, digest)
    assert documents.put(tmp_path, BODY) == digest
    assert documents.get(tmp_path, digest) == BODY
    # What was found stays, for whoever wants to know what happened.
    assert [one.read_bytes() for one in kept(tmp_path) if one.suffix == ".bad"] == [bad]


def test_what_is_missing_is_a_read_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="fetch it again"):
        documents.get(tmp_path, bytes(32))


def test_what_killed_processes_left_is_removed_after_a_day(tmp_path: Path) -> None:
    digest = documents.put(tmp_path, BODY)
    (path,) = kept(tmp_path)
    old, young = (path.with_name(f"{path.name}.{name}.part") for name in ("0a0a0a0a", "0b0b0b0b"))
    for part in (old, young):
        part.write_bytes(b"half")
    day_before = time.time() - 90_000
    os.utime(old, (day_before, day_before))
    os.utime(path, (day_before, day_before))
    assert documents.sweep(tmp_path) == 1
    assert kept(tmp_path) == sorted([path, young])
    assert documents.get(tmp_path, digest) == BODY
    assert documents.sweep(tmp_path / "none") == 0


def test_a_document_that_cannot_be_kept_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"no folder")
    with pytest.raises(UnavailableError):
        documents.put(tmp_path / "store", BODY)


def test_half_a_document_is_not_left_where_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        documents.put(tmp_path, BODY)
    assert kept(tmp_path) == []
