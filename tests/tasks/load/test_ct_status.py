from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from intel.config.ct import Alarms
from tasks.load.ct_status import LogStatus, log_status

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def status(
    *,
    protocol: str = "static",
    position: int | None = 100,
    head: int = 100,
    head_age: timedelta = timedelta(minutes=1),
    asked_age: timedelta = timedelta(minutes=1),
    lag: timedelta = timedelta(0),
    halted: bool = False,
    now: datetime = NOW,
    chosen: bool = True,
    **row: Any,
) -> LogStatus:
    signed = NOW - head_age
    known: dict[str, Any] = {
        "head_size": head,
        "head_at": milliseconds(signed),
        "asked_at": (NOW - asked_age).isoformat(),
        "logged_at": milliseconds(signed - lag),
        "downloaded": head,
        "rate": 12.5,
        "pace": {"in_flight": 4, "throttled": 2},
    }
    if halted:
        known["halted"] = {"at": "2026-11-24T10:00:00", "reason": "two roots", "run": 1, "documents": []}
    given: dict[str, Any] = {
        "source": "lab-log",
        "position": None if position is None else {"position": position},
        "known": known,
        "operator": "Lab",
        "state": "usable",
        "mmd": None,
        "outcome": "ok",
        "error": "",
        **row,
    }
    return log_status(given, protocol, Alarms(), now, chosen=chosen)


def test_a_log_that_is_read_to_its_head_is_followed_without_lag() -> None:
    found = status()
    assert (found.state, found.alarms) == ("following", ())
    assert (found.lag_entries, found.lag_seconds) == (0, 0.0)
    assert (found.in_flight, found.throttled, found.rate) == (4, 2, 12.5)


def test_lag_is_shown_in_entries_and_in_time() -> None:
    found = status(position=40, lag=timedelta(minutes=5))
    assert (found.state, found.lag_entries, found.lag_seconds) == ("following", 60, 300.0)


def test_being_behind_and_a_log_that_stopped_publishing_are_different_alarms() -> None:
    behind = status(position=40, lag=timedelta(hours=2))
    assert behind.state == "backlogged"
    stale = status(head_age=timedelta(hours=3))
    assert stale.state == "stale"
    assert status(protocol="rfc6962", head_age=timedelta(hours=3)).state == "following"
    assert status(protocol="rfc6962", head_age=timedelta(hours=26)).state == "stale"
    both = status(position=40, lag=timedelta(hours=2), head_age=timedelta(hours=3))
    assert [alarm.partition(":")[0] for alarm in both.alarms] == ["stale", "backlogged"]


def test_a_log_that_nobody_asked_is_not_called_stale() -> None:
    found = status(asked_age=timedelta(hours=5), head_age=timedelta(hours=5))
    assert [alarm.partition(":")[0] for alarm in found.alarms] == ["unasked"]


@pytest.mark.parametrize("moment", [NOW - timedelta(days=400), NOW + timedelta(days=400)])
def test_a_clock_that_jumps_raises_no_alarm_but_that_nobody_asked(moment: datetime) -> None:
    found = status(now=moment)
    assert [alarm.partition(":")[0] for alarm in found.alarms] in ([], ["unasked"])


def test_a_stopped_log_says_since_when_and_why() -> None:
    found = status(halted=True, outcome="failed", error="couldn't believe it")
    assert found.state == "halted"
    assert found.alarms == ("halted: what it said on 2026-11-24T10:00 did not add up (two roots)",)


def test_a_failed_run_says_what_went_wrong() -> None:
    assert status(outcome="failed", error="couldn't get it").alarms == ("failing: couldn't get it",)


def test_a_log_that_will_not_grow_ends() -> None:
    assert status(state="readonly", head_age=timedelta(days=30)).state == "ended"
    assert status(state="readonly", position=40, head_age=timedelta(days=30)).state == "following"


def test_a_log_that_was_never_read_is_new() -> None:
    found = status(position=None)
    assert (found.state, found.lag_entries, found.lag_seconds) == ("new", None, None)
    empty = log_status(
        {
            "source": "x",
            "position": None,
            "known": None,
            "operator": None,
            "state": None,
            "mmd": None,
            "outcome": None,
            "error": None,
        },
        "static",
        Alarms(),
        NOW,
    )
    assert (empty.state, empty.alarms) == ("new", ())


def test_a_log_that_is_no_longer_chosen_is_no_alarm_unless_it_was_not_believed() -> None:
    gone = status(chosen=False, asked_age=timedelta(days=90), head_age=timedelta(days=90), outcome="failed", error="x")
    assert (gone.state, gone.alarms) == ("left", ())
    assert status(chosen=False, state="readonly").state == "ended"
    halted = status(chosen=False, asked_age=timedelta(days=90), halted=True)
    assert [alarm.partition(":")[0] for alarm in halted.alarms] == ["halted"]
