from __future__ import annotations

import bisect
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import DigitallySigned, EntryType, SignedTreeHead, TimestampedEntry
from intel.ct_answer import Answer, AnswerFormat
from tasks.collect.ct_reader import search

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = DigitallySigned(hash_algorithm=4, signature_algorithm=3, signature=b"")


def head_of(size: int) -> SignedTreeHead:
    return SignedTreeHead(tree_size=size, timestamp=0, root_hash=bytes(32), signature=SIGNATURE)


class Log:
    """A tiled log of entries at these milliseconds after BEGUN, in tiles of `width`; some tiles cannot be read."""

    def __init__(self, times: list[int], width: int, unreadable: set[int]) -> None:
        self.times, self.width, self.unreadable = times, width, unreadable
        self.asked = 0

    def read(self, index: int) -> Answer:
        self.asked += 1
        begins = index // self.width * self.width
        behind = min(begins + self.width, len(self.times))
        body = b"".join(self.leaf(at) for at in range(begins, behind))
        if begins // self.width in self.unreadable:
            body = body[:-1]
        return Answer(format=AnswerFormat.TILE, begins=begins, first=begins, next=behind, body=body)

    def leaf(self, index: int) -> bytes:
        moment = int(BEGUN.timestamp() * 1000) + self.times[index]
        entry = TimestampedEntry(timestamp=moment, entry_type=EntryType.X509, signed=b"certificate")
        return entry.to_bytes() + b"\0\0"


times = st.lists(st.integers(0, 50), min_size=1, max_size=80).map(sorted)


@settings(max_examples=100)
@given(times, st.integers(-1, 51), st.integers(1, 12))
def test_the_search_finds_the_first_entry_that_is_not_earlier(stamps: list[int], wanted: int, width: int) -> None:
    log = Log(stamps, width, set())
    found = search(BEGUN + timedelta(milliseconds=wanted), head_of(len(stamps)), log.read)
    assert found == bisect.bisect_left(stamps, wanted)
    assert log.asked <= 9


@settings(max_examples=100)
@given(times, st.integers(-1, 51), st.integers(1, 12), st.sets(st.integers(0, 80), max_size=40))
def test_what_cannot_be_read_never_makes_it_begin_too_late(
    stamps: list[int], wanted: int, width: int, unreadable: set[int]
) -> None:
    log = Log(stamps, width, unreadable)
    found = search(BEGUN + timedelta(milliseconds=wanted), head_of(len(stamps)), log.read)
    assert 0 <= found <= bisect.bisect_left(stamps, wanted)
    assert log.asked <= 9 * 8


def test_one_entry_that_cannot_be_read_costs_nothing() -> None:
    stamps = list(range(1000))
    log = Log(stamps, 1, {500, 501, 502})
    for wanted in (0, 400, 499, 510, 999):
        assert search(BEGUN + timedelta(milliseconds=wanted), head_of(1000), log.read) == wanted


@settings(max_examples=50)
@given(st.lists(st.integers(0, 50), max_size=60), st.integers(-1, 51), st.integers(1, 9))
def test_times_in_any_order_end_the_search(stamps: list[int], wanted: int, width: int) -> None:
    log = Log(stamps, width, set())
    assert 0 <= search(BEGUN + timedelta(milliseconds=wanted), head_of(len(stamps)), log.read) <= len(stamps)
