from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from intel.cadence import next_every

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def every(days: float, *, changed: bool = False, **life: object) -> float:
    return next_every(days, changed=changed, least=0.5, most=30, now=NOW, **life)  # type: ignore[arg-type]  # of the test's own


def test_what_never_changes_is_asked_about_ever_less_often() -> None:
    days = [1.0]
    for _ in range(12):
        days.append(every(days[-1]))
    assert all(before < after for before, after in pairwise(days[:9]))
    assert days[-1] == 30


def test_a_change_halves_the_time() -> None:
    assert every(8, changed=True) == 4
    assert every(0.5, changed=True) == 0.5


def test_the_young_the_ending_and_the_deleted_are_looked_at_daily() -> None:
    assert every(20, created=NOW - timedelta(days=3)) == 1
    assert every(20, expires=NOW + timedelta(days=2)) == 1
    assert every(20, expires=NOW - timedelta(days=30)) == 1
    assert every(20, statuses=("redemptionPeriod",)) == 1
    assert every(20, statuses=("pending delete",)) == 1
    assert every(20, created=NOW - timedelta(days=900), expires=NOW + timedelta(days=200)) == 30
    assert every(20, expires=NOW - timedelta(days=900)) == 30


@given(st.floats(0.01, 1000), st.booleans())
def test_the_bounds_hold(days: float, changed: bool) -> None:
    assert 0.5 <= every(days, changed=changed) <= 30
