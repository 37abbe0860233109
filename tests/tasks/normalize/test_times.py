from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ReadError
from tasks.normalize.times import canonical_time, event_time


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05T06:07:08Z",
        "2024-03-05T06:07:08+00:00",
        "2024-03-05T08:07:08+02:00",
        "2024-03-05 06:07:08",
        " 2024-03-05 06:07:08 UTC ",
        "2024-03-05T06:07:08",
        "1709618828",
        "1709618828000",
        "1709618828000000",
        "1709618828.0",
        "20240305060708",
        "Tue, 05 Mar 2024 06:07:08 GMT",
        "5 Mar 2024 06:07:08 +0000",
        "Tue, 5 Mar 2024 01:07:08 EST",
    ],
)
def test_one_time_in_many_forms(text: str) -> None:
    assert event_time(text) == datetime(2024, 3, 5, 6, 7, 8, tzinfo=UTC)
    assert event_time(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["2024-03-05", "20240305", "2024-03-05T00:00:00.000000Z"])
def test_a_date_is_its_beginning(text: str) -> None:
    assert event_time(text) == datetime(2024, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "today",
        "12",
        "2024-13-01",
        "20241301",
        "0001-01-01T00:00:00+05:00",
        "9" * 15,
        "1" * 400,
        "01/Aug/2018:09:49:41 +0200",
        "\0",
        "\N{ARABIC-INDIC DIGIT TWO}" * 10,
        "Tue, 99 Mar 2024 06:07:08 GMT",
        "5 Xyz 2024 06:07:08 GMT",
    ],
)
def test_other_forms_are_no_times(text: str) -> None:
    with pytest.raises(ReadError):
        event_time(text)


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=70), st.text(alphabet="0123456789-:. TZ+ADJMarn,", max_size=40)))
def test_any_text_is_an_aware_time_or_a_read_error(text: str) -> None:
    try:
        found = event_time(text)
    except ReadError:
        return
    assert found.tzinfo is UTC


@settings(max_examples=100)
@given(
    st.datetimes(
        min_value=datetime(1000, 1, 2),  # noqa: DTZ001  the zone is drawn below
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001  the zone is drawn below
    ),
    st.integers(-840, 840),
)
def test_iso_round_trip(naive: datetime, minutes: int) -> None:
    said = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert event_time(said.isoformat()) == said


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-03-01", "2026-03-01"),
        (" 20260301 ", "2026-03-01"),
        ("2026-03-01T10:11:12.9+02:00", "2026-03-01T08:11:12+00:00"),
        ("2026-03-01 00:00", "2026-03-01T00:00:00+00:00"),
        ("Sun, 01 Mar 2026 10:11:12 GMT", "2026-03-01T10:11:12+00:00"),
        ("1772359872", "2026-03-01T10:11:12+00:00"),
        ("20260301101112", "2026-03-01T10:11:12+00:00"),
    ],
)
def test_a_time_as_a_value_is_iso_8601_in_utc_to_the_second_or_a_date(text: str, value: str) -> None:
    assert canonical_time(text) == value
    assert canonical_time(value) == value
