from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import EntryType, TimestampedEntry, entry_in_frame, vector24, write_leaf
from intel.ct_frames import RawEntry, read_entry_frame, read_leaf_frame, read_raw_entries
from intel.errors import ReadError
from lab.fuzz.targets import entries, leaf, tile

ENTRIES = st.builds(
    TimestampedEntry,
    timestamp=st.integers(0, (1 << 64) - 1),
    entry_type=st.just(EntryType.X509),
    signed=st.binary(max_size=40),
    extensions=st.binary(max_size=12),
) | st.builds(
    TimestampedEntry,
    timestamp=st.integers(0, (1 << 64) - 1),
    entry_type=st.just(EntryType.PRECERT),
    signed=st.binary(max_size=40),
    issuer_key_hash=st.binary(min_size=32, max_size=32),
    extensions=st.binary(max_size=12),
)


@settings(max_examples=100, deadline=None)
@given(ENTRIES, st.binary(max_size=20), st.binary(max_size=20))
def test_an_entry_is_found_where_it_stands(entry: TimestampedEntry, before: bytes, after: bytes) -> None:
    octets = before + entry.to_bytes() + after
    frame = read_entry_frame(octets, len(before))
    assert entry_in_frame(octets, frame) == entry
    assert frame.end == len(octets) - len(after)


@settings(max_examples=60, deadline=None)
@given(ENTRIES, st.data())
def test_an_entry_that_is_cut_has_no_frame(entry: TimestampedEntry, data: st.DataObject) -> None:
    octets = write_leaf(entry)
    cut = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(ReadError):
        read_leaf_frame(octets[:cut])
    with pytest.raises(ReadError):
        read_leaf_frame(octets + b"\x00")


def test_an_unknown_type_has_no_frame() -> None:
    with pytest.raises(ReadError, match="type 2 is unknown"):
        read_entry_frame(bytes(8) + b"\x00\x02" + bytes(9), 0)


@pytest.mark.parametrize("octets", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_the_precertificate_is_read_without_the_chain(octets: bytes) -> None:
    for chain in (b"", b"\x00\x00\x00", vector24(b"\x00\x00\x01x")):
        raw = RawEntry(b"", base64.b64encode(vector24(octets) + chain).decode())
        assert raw.precertificate() == octets
        assert raw.extra_octets() == vector24(octets) + chain


@pytest.mark.parametrize("text", ["", "A", "AAAF", "AAAFYWJj", "????", "AAAAä", "=AAA"])
def test_what_is_beside_a_leaf_and_cannot_be_read_is_empty(text: str) -> None:
    raw = RawEntry(b"", text)
    assert raw.precertificate() == b""
    raw.extra_octets()


@pytest.mark.parametrize("body", [b'{"entries":null}', b'{"entries":[{"extra_data":""}]}', b'{"a":' + b"[" * 99_999])
def test_an_answer_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(ReadError):
        read_raw_entries(body, 0)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x00\x00", bytes(10), bytes(8) + b"\x00\x01" + bytes(34)]))
def test_any_octets_are_read_or_refused(octets: bytes, before: bytes) -> None:
    for read in (leaf, tile, entries):
        read(before + octets)
