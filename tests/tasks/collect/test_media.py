from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import StatusError, ThrottledError, UnreachableError
from tasks.collect.media import charset_of, parse_http_date, parse_media_type, parse_retry_after, validator
from tasks.collect.retry import RetryPolicy, SpentError, retrying

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@given(st.integers(0, 10**11))
def test_retry_after_in_seconds_is_read(seconds: int) -> None:
    assert parse_retry_after(f" {seconds} ", NOW) == float(seconds)


@given(st.integers(-(10**8), 10**8))
def test_retry_after_as_a_date_is_read_and_never_negative(seconds: int) -> None:
    text = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(text, NOW) == max(0.0, float(seconds))


@settings(max_examples=300)
@given(st.text(max_size=200))
def test_no_text_breaks_the_header_readers(text: str) -> None:
    wait = parse_retry_after(text, NOW)
    assert wait is None or wait >= 0
    media_type, parameters = parse_media_type(text)
    assert media_type is None or "/" in media_type
    charset_of(parameters)
    date = parse_http_date(text)
    assert date is None or date.utcoffset() == timedelta(0)
    assert validator(text) in {text, None}


@pytest.mark.parametrize("text", ["", "-1", "1.5", "soon", "\u0663", "Wed, 99 Foo 2026 00:00:00 GMT", "1e9"])
def test_a_retry_after_that_says_nothing_is_none(text: str) -> None:
    assert parse_retry_after(text, NOW) is None


def test_a_retry_after_of_thousands_of_digits_is_cut() -> None:
    assert parse_retry_after("9" * 5000, NOW) == float("9" * 12)


@pytest.mark.parametrize(
    ("text", "media_type", "charset"),
    [
        ("text/csv", "text/csv", None),
        ("Text/CSV; Charset=UTF-8", "text/csv", "utf-8"),
        ('application/json ; charset="utf-8"; version=2', "application/json", "utf-8"),
        ("text/html;charset=utf-8;charset=latin-1", "text/html", "utf-8"),
        ("application/taxii+json;version=2.1", "application/taxii+json", None),
        ("text", None, None),
        ("te xt/csv", None, None),
        ("text/csv; charset=", "text/csv", None),
        (None, None, None),
    ],
)
def test_media_types_are_read(text: str | None, media_type: str | None, charset: str | None) -> None:
    found, parameters = parse_media_type(text)
    assert (found, charset_of(parameters)) == (media_type, charset)


_token = st.from_regex(r"[a-z0-9.+-]{1,12}", fullmatch=True)


@given(_token, _token, st.dictionaries(_token, _token, max_size=4))
def test_media_types_come_back_as_they_were_written(kind: str, sub: str, parameters: dict[str, str]) -> None:
    text = "; ".join([f"{kind}/{sub}", *(f"{name}={value}" for name, value in parameters.items())])
    assert parse_media_type(text) == (f"{kind}/{sub}", parameters)


@given(st.integers(0, 5), st.lists(st.sampled_from(["unreachable", "500", "429"]), max_size=8))
def test_attempts_are_counted_and_waits_bounded(retries: int, failures: list[str]) -> None:
    errors = {
        "unreachable": UnreachableError("x"),
        "500": StatusError("x", status=500),
        "429": ThrottledError("x", retry_after=9),
    }
    slept: list[float] = []
    left = list(failures)

    def attempt() -> str:
        if left:
            raise errors[left.pop(0)]
        return "done"

    policy = RetryPolicy(retries=retries, base_seconds=1, max_backoff_seconds=4)
    if len(failures) <= retries:
        assert retrying(attempt, policy=policy, sleep=slept.append) == "done"
    else:
        with pytest.raises((UnreachableError, StatusError, ThrottledError)):
            retrying(attempt, policy=policy, sleep=slept.append)
    assert len(slept) == min(retries, len(failures))
    assert all(wait == 9 or 0 <= wait <= 4 for wait in slept)


@pytest.mark.parametrize(
    "error", [SpentError("x"), StatusError("x", status=404), ThrottledError("x", retry_after=121), ValueError("x")]
)
def test_what_would_not_get_better_is_not_tried_again(error: Exception) -> None:
    slept: list[float] = []

    def attempt() -> None:
        raise error

    with pytest.raises(type(error)):
        retrying(attempt, sleep=slept.append)
    assert slept == []
