from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ReadError
from intel.hubs import Hub, HubClass, weakest
from intel.warning_lists import WarningList, read_warning_list


def _list(**more: object) -> bytes:
    record = {"type": "string", "version": 20260805, "matching_attributes": ["domain"], "list": ["a.example"]}
    return json.dumps(record | more).encode()


def test_what_says_least_of_a_link_counts() -> None:
    half = Hub(hub=HubClass.CLOUD, why="rented", list="a", factor=0.5)
    none = Hub(hub=HubClass.CDN, why="shared", list="b")
    assert weakest([]) is None
    assert weakest([half, none]) == none
    assert half.links
    assert not none.links


@pytest.mark.parametrize(
    ("version", "day"),
    [
        (20260805, date(2026, 8, 5)),
        (25121022, date(2025, 12, 10)),
        (7, None),
        (99999999, None),
        (20261399, None),
    ],
)
def test_the_version_of_a_list_tells_its_day_or_none(version: int, day: date | None) -> None:
    assert read_warning_list(_list(version=version)).day == day


def test_the_newer_of_two_lists_is_told_by_day_and_a_day_beats_a_number() -> None:
    older, newer, numbered, later = (
        read_warning_list(_list(version=version)) for version in (20251223, 20260805, 5, 6)
    )
    assert newer.newer_than(older)
    assert not older.newer_than(newer)
    assert not newer.newer_than(newer)
    assert newer.newer_than(numbered)
    assert not numbered.newer_than(newer)
    assert later.newer_than(numbered)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        _list(version="20260805"),
        _list(version=True),
        _list(version=-1),
        _list(type="script"),
        _list(list="a.example"),
        _list(matching_attributes=None),
    ],
)
def test_what_is_no_list_is_refused(wrong: bytes) -> None:
    with pytest.raises(ReadError):
        read_warning_list(wrong)


_PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
_JSON = st.recursive(_PLAIN, lambda one: st.lists(one, max_size=4))
_KEYS = st.sampled_from(["type", "version", "list", "matching_attributes"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(_KEYS, _JSON), st.binary(max_size=40))
def test_whatever_comes_is_a_list_or_refused(record: dict[str, object], body: bytes) -> None:
    for one in (json.dumps(record).encode(), json.dumps({**json.loads(_list()), **record}).encode(), body):
        try:
            found = read_warning_list(one)
        except ReadError:
            continue
        assert isinstance(found, WarningList)
        assert all(line == line.strip() and line for line in found.lines)
