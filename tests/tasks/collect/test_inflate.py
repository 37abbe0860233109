from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import OversizedError, ReadError
from lab.faults import bomb
from tasks.collect.inflate import Inflater, expand, expand_gzip, expand_zip

CAPS: dict[str, Any] = {"max_bytes": 4 << 20, "max_expansion": 200.0}


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


def feed(coding: str, data: bytes, size: int) -> tuple[bytes, bool]:
    inflater = Inflater(coding, max_bytes=4 << 20, max_expansion=2000)
    body = b"".join(inflater.feed(data[start : start + size]) for start in range(0, len(data), size))
    return body, inflater.complete


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 2000), st.integers(1, 400))
def test_every_coding_comes_back_in_pieces_of_any_size(data: bytes, times: int, size: int) -> None:
    data *= times
    for coding, packed in (
        ("identity", data),
        ("gzip", gzip.compress(data)),
        ("deflate", zlib.compress(data)),
        ("deflate", raw_deflate(data)),
    ):
        assert feed(coding, packed, size) == (data, True)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_break_the_decoders(data: bytes) -> None:
    for coding in ("gzip", "deflate"):
        with contextlib.suppress(ReadError):
            feed(coding, data, 7)
    for head in (b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"PK\x05\x06"):
        with contextlib.suppress(ReadError):
            expand(head + data, max_bytes=1000, max_expansion=10)


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=500), st.data())
def test_a_cut_is_seen(data: bytes, draw: st.DataObject) -> None:
    packed = gzip.compress(data)
    cut = packed[: draw.draw(st.integers(1, len(packed) - 1))]
    assert feed("gzip", cut, 64)[1] is False
    with pytest.raises(ReadError, match="cut short"):
        expand_gzip(cut, **CAPS)


def test_gzip_members_follow_each_other_and_padding_is_ignored() -> None:
    assert expand_gzip(gzip.compress(b"a") + gzip.compress(b"b") + b"\0" * 100, **CAPS) == b"ab"


def test_bombs_of_every_kind_end() -> None:
    with pytest.raises(OversizedError, match="expands"):
        expand_gzip(bomb(3 << 20), **CAPS)
    with pytest.raises(OversizedError, match="decoded"):
        expand_gzip(bomb(8 << 20), max_bytes=4 << 20, max_expansion=5000)
    with pytest.raises(OversizedError, match="members"):
        expand_gzip(gzip.compress(b"") * 20_000, **CAPS)
    with pytest.raises(OversizedError, match="beyond"):
        expand_zip(zipped(("zeros.csv", bytes(8 << 20))), **CAPS)
    with pytest.raises(OversizedError, match="entries"):
        expand_zip(zipped(*((f"{n}", b"") for n in range(10_001))), **CAPS)
    with pytest.raises(OversizedError):
        expand(b"plain" * 1000, max_bytes=100, max_expansion=10)


def test_the_one_file_of_a_zip_is_read() -> None:
    assert expand(zipped(("a/", b""), ("a/list.csv", b"x,y")), **CAPS) == b"x,y"
    two = zipped(("list.csv", b"x,y"), ("../README.md", b"hello"))
    assert expand(two, member="*.csv", **CAPS) == b"x,y"
    with pytest.raises(ReadError, match="2 files match"):
        expand(two, **CAPS)
    with pytest.raises(ReadError, match="0 files match"):
        expand(two, member="*.json", **CAPS)


def test_zip_methods_that_cannot_be_bounded_and_encrypted_files_are_refused() -> None:
    with pytest.raises(ReadError, match="neither stored nor deflate"):
        expand_zip(zipped(("a", b"x" * 1000), method=zipfile.ZIP_LZMA), **CAPS)
    locked = bytearray(zipped(("a", b"x")))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ReadError, match="encrypted"):
        expand_zip(bytes(locked), **CAPS)
    lying = bytearray(zipped(("a", b"x" * 1000)))
    lying[lying.index(b"PK\x01\x02") + 24 : lying.index(b"PK\x01\x02") + 28] = b"\x01\0\0\0"
    with pytest.raises(ReadError):
        expand_zip(bytes(lying), **CAPS)
