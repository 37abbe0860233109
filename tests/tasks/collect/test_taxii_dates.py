from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.collect.taxii import TaxiiSource, _start
from tasks.collect.taxii_dates import earlier, format_date, parse_date, usable_date

_zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_dates = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=_zones)  # noqa: DTZ001 - the zone is drawn


@given(_dates)
def test_dates_come_back_as_they_were_written(date: datetime) -> None:
    assert parse_date(format_date(date)) == date
    assert parse_date(date.isoformat()) == date
    assert len(format_date(date)) == len("2026-01-01T00:00:00.000000Z")


@settings(max_examples=300)
@given(
    st.one_of(st.text(max_size=130), st.integers(), st.none(), st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d.*"))
)
def test_no_value_breaks_the_reader(value: object) -> None:
    date = parse_date(value)
    assert date is None or date.utcoffset() == timedelta(0)
    if date is not None:
        earlier(date, timedelta(days=1))
        assert parse_date(format_date(date)) == date


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01t12:00:00.000000000z",
        "2026-03-01 12:00:00",
        "2026-03-01T14:00:00+02:00",
        "2026-03-01T14:00:00,0+0200",
        "Sun, 01 Mar 2026 12:00:00 GMT",
        "Sun Mar 01 2026 12:00:00 GMT+0000 (Coordinated Universal Time)",
    ],
)
def test_dates_are_read_as_servers_write_them(text: str) -> None:
    assert parse_date(text) == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_more_than_microseconds_is_cut_never_rounded_up() -> None:
    assert parse_date("2026-03-01T12:00:00.9999999Z") == datetime(2026, 3, 1, 12, 0, 0, 999999, tzinfo=UTC)


def test_a_date_in_the_future_is_not_usable() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert usable_date("2026-03-01T12:00:00Z", now) is not None
    assert usable_date("2026-03-03T12:00:00Z", now) is None


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["added_after", "next", "asked", "last", "other"]), st.text(max_size=40)))
def test_no_cursor_breaks_the_start_of_a_poll(cursor: dict[str, str]) -> None:
    _, ask, fresh = _start(TaxiiSource(api_root="https://taxii.example/", collection="c"), cursor)
    assert ask.token == (cursor.get("next") or None)
    assert fresh.token is None
    assert fresh.added_after is None or parse_date(fresh.added_after) is not None
