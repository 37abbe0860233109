from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intel.registration import FieldState
from tasks.normalize.registration_dates import Order, date_field, order_of, read_date

DAY = datetime(2015, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at", "precision"),
    [
        ("2015-03-04T05:06:07Z", DAY.replace(hour=5, minute=6, second=7), "second"),
        ("2015-03-04T05:06:07.123Z", DAY.replace(hour=5, minute=6, second=7), "second"),
        ("2015-03-04T05:06:07+02:00", DAY.replace(hour=3, minute=6, second=7), "second"),
        ("2015-03-04 05:06:07 (UTC+8)", datetime(2015, 3, 3, 21, 6, 7, tzinfo=UTC), "second"),
        ("2015-03-04 05:06:07 (GMT+0:00)", DAY.replace(hour=5, minute=6, second=7), "second"),
        ("Wed Mar 4 05:06:07 UTC 2015", DAY.replace(hour=5, minute=6, second=7), "second"),
        ("Wed Mar  4 05:06:07 2015".replace("  ", " "), DAY, "day"),
        ("20150304050607", DAY, "day"),
        ("4-Mar-15", DAY, "day"),
        ("4-Mar-97", DAY.replace(year=1997), "day"),
        ("25/03/2015 05:06:07", DAY.replace(day=25), "day"),
        ("2015-03-04 05:06:07 (UTC+08:00)", datetime(2015, 3, 3, 21, 6, 7, tzinfo=UTC), "second"),
        ("2015-03-04 05:06:07", DAY, "day"),
        ("2015/03/04", DAY, "day"),
        ("20150304", DAY, "day"),
        ("04-Mar-2015", DAY, "day"),
        ("4 March 2015", DAY, "day"),
        ("Mar 4, 2015", DAY, "day"),
        ("4.3.2015", DAY, "day"),
        ("2nd March, 2015", DAY.replace(day=2), "day"),
        ("Wednesday 4th Mar 2015", DAY, "day"),
        ("Wed Mar 4 2015", DAY, "day"),
        ("2015-03-04-T05:06:07Z", DAY.replace(hour=5, minute=6, second=7), "second"),
        ("2015/03/04 05:06:07 (JST)", datetime(2015, 3, 3, 20, 6, 7, tzinfo=UTC), "second"),
        ("2015/03/04 05:06:07 XYZ", DAY, "day"),
        ("03/03/2015", DAY.replace(day=3), "day"),
        ("25/03/2015", DAY.replace(day=25), "day"),
        ("03/04/2015", None, ""),
        ("before 2001", None, ""),
        ("2015-02-30", None, ""),
        ("1901-01-01", None, ""),
        ("9999-12-31T23:59:59Z", None, ""),
    ],
)
def test_dates_are_read_or_refused(text: str, at: datetime | None, precision: str) -> None:
    assert read_date(text) == (None if at is None else (at, precision))


def test_a_date_that_cannot_be_read_keeps_its_text() -> None:
    field = date_field("before 2001", where="0-11", reader="t")
    assert (field.state, field.at, field.text) == (FieldState.UNPARSED, None, "before 2001")
    assert date_field("-", where="", reader="t").state is FieldState.ABSENT


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("03/04/2015", "day", datetime(2015, 4, 3, tzinfo=UTC)),
        ("03/04/2015", "month", datetime(2015, 3, 4, tzinfo=UTC)),
        # What the date itself shows outweighs what its server is known for.
        ("25/03/2015", "month", datetime(2015, 3, 25, tzinfo=UTC)),
    ],
)
def test_a_known_order_reads_what_is_ambiguous(text: str, order: Order, day: datetime) -> None:
    assert read_date(text, order=order) == (day, "day")


@pytest.mark.parametrize(
    "text",
    [
        "someone@registry.example 20150304",
        "domain-registrar AT registry.example 20150304 (Changed)",
        "20150304 #162310",
        "2015-03-04 (YYYY-MM-DD)",
        "4th March 2015 at 00:00:00.000",
        "0-UANIC 20150304050607",
    ],
)
def test_what_stands_around_a_date_is_left_out(text: str) -> None:
    assert date_field(text, where="", reader="t").at == DAY


def test_a_day_beyond_twelve_shows_the_order() -> None:
    assert order_of(["03/04/2015", "x 25/03/2015"]) == "day"
    assert order_of(["03-25-2015"]) == "month"
    assert order_of(["03/04/2015", "2015-25-03"]) is None


@given(st.text(max_size=80) | st.from_regex(r"[0-9]{1,4}[-/. ][0-9A-Za-z]{1,9}[-/. ][0-9]{1,4}[ T0-9:.+Z-]{0,20}"))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = read_date(text)
    assert found is None or found[0].tzinfo is UTC


@given(st.datetimes(min_value=datetime(1985, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  hypothesis wants bounds without a zone
def test_a_written_time_reads_back(at: datetime) -> None:
    whole = at.replace(microsecond=0)
    assert read_date(whole.isoformat()) == (whole, "second")
