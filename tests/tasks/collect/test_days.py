from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from intel.errors import StatusError, UnreachableError
from intel.settings import settings
from tasks.collect.days import address, is_daily, take_day
from tasks.collect.fetched import Fetched
from tests.tasks.normalize.test_domains import source

NOW = datetime(2026, 3, 10, 5, tzinfo=UTC)
PLACE = "https://lists.example/{day}/nrd"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path))
    settings.cache_clear()


def server(*days: str) -> Callable[[str], Fetched]:
    """Who offers the lists of these days and no other."""

    def get(url: str) -> Fetched:
        day = url.split("/")[3]
        if day not in days:
            raise StatusError(f"couldn't get {url}: 404", status=404)
        return Fetched(
            url=url, final_url=url, status=200, outcome="new", body=f"of-{day}.example\n".encode(), wire_bytes=1,
            media_type="text/plain", charset=None, etag=None, last_modified=None, fetched_at=NOW, headers={},
        )  # fmt: skip

    return get


def take(cursor: dict[str, str], *days: str, catch_up: int = 7) -> tuple[list[str], str, bool, tuple[str, ...]]:
    entry = source(transport="http", location=PLACE, options={"catch_up_days": catch_up})
    found = take_day(entry, cursor, server(*days), clock=lambda: NOW)
    taken = [f"{one.as_of:%Y-%m-%d}" for one in found.received]
    return taken, (found.cursor or {}).get("day", ""), found.more, found.problems


def test_a_location_may_name_the_day_in_two_ways() -> None:
    day = date(2026, 3, 9)
    assert address("https://lists.example/{day}.txt", day) == "https://lists.example/2026-03-09.txt"
    assert address("https://lists.example/{day.zip:base64}/nrd", day) == (
        "https://lists.example/MjAyNi0wMy0wOS56aXA=/nrd"
    )
    assert is_daily(PLACE)
    assert not is_daily("https://lists.example/today.txt")


def test_the_next_day_is_taken_and_later_ones_follow() -> None:
    assert take({"day": "2026-03-07"}, "2026-03-08", "2026-03-09") == (["2026-03-08"], "2026-03-08", True, ())
    assert take({"day": "2026-03-08"}, "2026-03-08", "2026-03-09") == (["2026-03-09"], "2026-03-09", False, ())
    assert take({"day": "2026-03-09"}, "2026-03-09", "2026-03-10") == ([], "", False, ())


def test_the_first_look_begins_with_the_oldest_day_that_is_offered() -> None:
    assert take({}, "2026-03-08", "2026-03-09") == (["2026-03-08"], "2026-03-08", True, ())
    assert take({}, "2026-03-01", "2026-03-09", catch_up=1) == (["2026-03-09"], "2026-03-09", False, ())


def test_yesterdays_list_may_be_late_without_a_word() -> None:
    assert take({"day": "2026-03-08"}) == ([], "", False, ())


def test_a_day_that_was_never_offered_is_passed_over_and_said() -> None:
    taken, cursor, _, problems = take({"day": "2026-03-06"}, "2026-03-06", "2026-03-08", "2026-03-09")
    assert (taken, cursor) == (["2026-03-08"], "2026-03-08")
    assert "2026-03-07" in problems[0]
    _, cursor, _, problems = take({"day": "2026-03-05"})
    assert cursor == ""
    assert "2026-03-06, 2026-03-07" in problems[0]


def test_days_longer_ago_than_the_bound_are_lost_and_counted() -> None:
    taken, _, _, problems = take({"day": "2026-02-20"}, "2026-03-03", "2026-03-04")
    assert taken == ["2026-03-03"]
    assert "10 more days" in problems[0]


def test_another_failure_is_the_runs() -> None:
    def down(url: str) -> Fetched:
        raise UnreachableError(f"couldn't reach {url}: refused")

    with pytest.raises(UnreachableError):
        take_day(source(transport="http", location=PLACE), {}, down, clock=lambda: NOW)
