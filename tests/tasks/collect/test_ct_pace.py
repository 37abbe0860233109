from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ThrottledError
from tasks.collect.ct_pace import Pace
from tasks.collect.retry import RetryPolicy

PATIENCE = RetryPolicy(retries=3, base_seconds=1.0, max_backoff_seconds=20.0, max_retry_after=100.0)


class Clock:
    """Both clocks, standing still until they are moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1_700_000_000.0

    def move(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pace_of(clock: Clock, patience: RetryPolicy = PATIENCE, **more: Any) -> Pace:
    return Pace(patience=patience, now=lambda: clock.now, wall=lambda: clock.wall, **more)


def turn(pace: Pace) -> float:
    began = pace.turn()
    assert began is not None
    return began


def in_flight(pace: Pace) -> int:
    found = pace.state()["in_flight"]
    assert isinstance(found, int)
    return found


def test_one_more_at_once_for_each_round_that_went_well(clock: Clock) -> None:
    pace = pace_of(clock)
    assert in_flight(pace) == 2
    for expected in (3, 4, 5):
        for _ in range(expected):
            turn(pace)
            pace.succeeded()
        assert in_flight(pace) == expected
    for _ in range(200):
        turn(pace)
        pace.succeeded()
    assert in_flight(pace) == pace.most == 8


def test_half_as_many_where_it_was_too_much(clock: Clock) -> None:
    pace = pace_of(clock, state={"in_flight": 8})
    began = [turn(pace) for _ in range(8)]
    clock.move(0.1)
    # They were sent together, so they are told one thing, not eight.
    assert all(pace.slowed(at) for at in began)
    assert (in_flight(pace), pace.throttled) == (4, 8)
    assert pace.state()["delay"] == 0


def test_fewer_a_second_where_one_at_a_time_is_too_much(clock: Clock) -> None:
    patience = RetryPolicy(retries=50, base_seconds=0.0, max_backoff_seconds=5.0)
    pace = pace_of(clock, patience)
    delays = []
    for _ in range(12):
        clock.move(10)
        pace.slowed(turn(pace))
        delays.append(pace.state()["delay"])
    assert delays[:4] == [0, 0.1, 0.2, 0.4]
    assert delays[-1] == 5  # no slower than that
    assert in_flight(pace) == 1
    for _ in range(100):
        clock.move(10)
        turn(pace)
        pace.succeeded()
    assert pace.state()["delay"] < 0.2


def test_a_pause_is_for_the_whole_log(clock: Clock) -> None:
    pace = pace_of(clock)
    pace.slowed(turn(pace), retry_after=30)
    assert pace.state()["wait_until"] == clock.wall + 30
    waiting = threading.Event()
    stop = threading.Event()

    def wait() -> None:
        waiting.set()
        assert pace.turn(stop) is None

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(5)
    stop.set()
    pace.wake()
    thread.join(5)
    assert not thread.is_alive()
    clock.move(30)
    assert turn(pace) == clock.now


def test_a_pause_lasts_into_the_next_run(clock: Clock) -> None:
    pace = pace_of(clock)
    pace.slowed(turn(pace), retry_after=90)
    state = pace.state()
    clock.move(60)
    again = pace_of(clock, state=state)
    assert again.state()["wait_until"] == state["wait_until"]
    assert again.throttled == 1
    clock.move(30)
    assert turn(again) == clock.now


def test_a_clock_that_jumped_keeps_no_log_waiting_for_ever(clock: Clock) -> None:
    pace = pace_of(clock, state={"wait_until": clock.wall + 10_000_000})
    assert pace.state()["wait_until"] == clock.wall + 3600
    with pytest.raises(ThrottledError) as caught:
        pace.turn()
    assert caught.value.retry_after == 3600
    clock.move(-5_000_000)  # and back
    assert "wait_until" in pace.state()


def test_more_patience_than_we_have(clock: Clock) -> None:
    pace = pace_of(clock)
    assert not pace.slowed(turn(pace), retry_after=101)
    with pytest.raises(ThrottledError, match="left alone for 101 s"):
        pace.turn()


def test_turned_away_round_after_round(clock: Clock) -> None:
    pace = pace_of(clock)
    useful = []
    for _ in range(4):
        clock.move(100)
        useful.append(pace.slowed(turn(pace)))
    assert useful == [True, True, True, False]
    clock.move(100)
    turn(pace)
    pace.succeeded()
    clock.move(100)
    assert pace.slowed(turn(pace))


def test_pauses_grow_where_the_log_does_not_say(clock: Clock) -> None:
    pace = pace_of(clock)
    waits = []
    for _ in range(3):
        clock.move(100)
        pace.slowed(turn(pace))
        waits.append(pace.state()["wait_until"] - clock.wall)
    for number, wait in enumerate(waits):
        assert 0.5 * 2**number <= wait + 0.1
        assert wait <= 2**number + 0.1


def test_silence_halves_and_says_nothing_of_waiting(clock: Clock) -> None:
    pace = pace_of(clock, state={"in_flight": 6})
    assert pace.slowed(turn(pace), told=False)
    assert (in_flight(pace), pace.throttled, "wait_until" in pace.state()) == (3, 0, False)


def test_never_more_at_once_than_it_says() -> None:
    pace = Pace(patience=PATIENCE, state={"in_flight": 3}, most=3)
    at_once = most = 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        for _ in range(20):
            assert pace.turn() is not None
            with guard:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.001)
            with guard:
                at_once -= 1
            pace.succeeded()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 3


def test_a_delay_is_kept_between_two_requests() -> None:
    pace = Pace(patience=PATIENCE, state={"in_flight": 4, "delay": 0.05})
    began = []
    for _ in range(4):
        began.append(turn(pace))
        pace.done()
    gaps = [after - before for before, after in itertools.pairwise(began)]
    assert min(gaps) > 0.04


values = st.one_of(st.none(), st.floats(), st.integers(-(10**20), 10**20), st.text(max_size=5), st.booleans())


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(["in_flight", "delay", "throttled", "wait_until", "other"]), values))
def test_any_stored_state_is_taken(state: dict[str, Any]) -> None:
    clock = Clock()
    shown = pace_of(clock, state=state).state()
    assert 1 <= shown["in_flight"] <= 8
    assert 0 <= shown["delay"] <= PATIENCE.max_backoff_seconds
    assert shown["throttled"] >= 0
    assert shown.get("wait_until", 0) <= clock.wall + 3600
