from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import UnreachableError
from tasks.collect.ct_ahead import in_order


def nothing() -> None:
    """Nobody waits for the network."""


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ct-ahead")]


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 40), workers=st.integers(1, 6), slow=st.sets(st.integers(0, 39)))
def test_results_come_in_order(count: int, workers: int, slow: set[int]) -> None:
    def work(job: int, _stop: threading.Event) -> bytes:
        if job in slow:
            time.sleep(0.002)
        return b"%d" % job

    got = list(in_order(iter(range(count)), work, threads=workers, weigh=len, cut=nothing))
    assert got == [b"%d" % job for job in range(count)]
    assert threads() == []


def test_one_slow_answer_holds_nobody_up() -> None:
    done: list[int] = []
    release = threading.Event()

    def work(job: int, _stop: threading.Event) -> int:
        if job == 0:
            assert release.wait(5)
        done.append(job)
        if job == 5:
            release.set()
        return job

    assert list(in_order(iter(range(8)), work, threads=3, weigh=lambda _: 1, cut=nothing)) == list(range(8))
    assert done.index(0) > done.index(5)


def test_an_error_comes_at_its_place() -> None:
    def work(job: int, _stop: threading.Event) -> int:
        if job == 7:
            raise UnreachableError("couldn't fetch the seventh: it is gone; it is left")
        time.sleep(0.001 * (10 - job))  # later ones are ready before
        return job

    got: list[int] = []
    with pytest.raises(UnreachableError, match="the seventh"):
        got.extend(in_order(iter(range(100)), work, threads=4, weigh=lambda _: 1, cut=nothing))
    # `extend` keeps what came before the error.
    assert got == list(range(7))
    assert threads() == []


def test_closing_ends_the_threads() -> None:
    begun: list[int] = []
    woken = threading.Event()

    def work(job: int, stop: threading.Event) -> int:
        begun.append(job)
        if job:
            stop.wait(30)
        return job

    got = in_order(iter(range(1000)), work, threads=4, weigh=lambda _: 1, cut=woken.set)
    assert next(got) == 0
    while len(begun) < 4:
        time.sleep(0.001)
    started = time.monotonic()
    got.close()
    assert time.monotonic() - started < 1
    assert woken.is_set()
    assert threads() == []
    assert len(begun) <= 8


def test_one_that_was_never_asked_starts_nothing() -> None:
    got = in_order(iter(range(10)), lambda job, _stop: job, threads=4, weigh=lambda _: 1, cut=nothing)
    got.close()
    assert threads() == []


def test_no_more_lies_ready_than_is_allowed() -> None:
    guard = threading.Lock()
    out = most = 0
    size = 1 << 20

    def work(_job: int, _stop: threading.Event) -> bytes:
        nonlocal out, most
        with guard:
            out += 1
            most = max(most, out)
        return bytes(size)

    got = in_order(iter(range(60)), work, threads=8, weigh=len, cut=nothing, most_bytes=6 * size)
    for _ in range(60):
        assert len(next(got)) == size
        time.sleep(0.002)  # the consumer is the slow one
        with guard:
            out -= 1
    assert list(got) == []
    assert most <= 7  # six that lie ready or are on their way, and the one that was just given


def test_large_results_are_got_one_at_a_time() -> None:
    at_once = most = 0
    guard = threading.Lock()

    def work(_job: int, _stop: threading.Event) -> int:
        nonlocal at_once, most
        with guard:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.001)
        with guard:
            at_once -= 1
        return 1

    weights = iter([100] * 30)
    got = in_order(iter(range(30)), work, threads=4, weigh=lambda _: next(weights), cut=nothing, most_bytes=50)
    assert len(list(got)) == 30
    assert most == 1


def test_jobs_are_taken_as_late_as_possible() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(1000):
            taken.append(job)
            yield job

    got = in_order(jobs(), lambda job, _stop: job, threads=2, weigh=lambda _: 1, cut=nothing)
    next(got)
    time.sleep(0.05)
    assert len(taken) <= 1 + 4 * 2
    got.close()


def test_time_is_up_for_all_but_the_first() -> None:
    def work(job: int, stop: threading.Event) -> int:
        stop.wait(0.2 if job == 0 else 30)
        return job

    began = time.monotonic()
    got = in_order(iter(range(10)), work, threads=3, weigh=lambda _: 1, cut=nothing, until=began + 0.1)
    assert list(got) == [0]
    assert time.monotonic() - began < 5
    assert threads() == []


def test_what_lies_ready_is_given_although_time_is_up() -> None:
    got = in_order(iter(range(5)), lambda job, _stop: job, threads=2, weigh=lambda _: 1, cut=nothing, until=0.0)
    first = next(got)
    time.sleep(0.1)
    assert [first, *got] == list(range(5))
