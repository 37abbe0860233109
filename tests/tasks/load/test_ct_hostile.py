"""What a log, a process or a machine may do that would lose, double or hide something."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db import runs
from intel.config.ct import Alarms
from intel.ct import EntryType, TimestampedEntry, write_leaf
from intel.errors import ThrottledError, UnavailableError, VerificationError, WarehouseError
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog
from tasks.collect.retry import RetryPolicy
from tasks.collect.session import open_run
from tasks.load import ct_readers
from tasks.load.ct import follow, head
from tasks.load.ct_status import log_statuses

AUTHORITY = Authority()
NO_PATIENCE = RetryPolicy(retries=1, base_seconds=0.01, max_retry_after=1.0)
PLAIN = [AUTHORITY.issue(Order(names=(f"parcel-{number}.example",), key=key_from_seed("p"))) for number in range(8)]


def grow(log: CtLog, count: int) -> None:
    for index in range(log.size, log.size + count):
        log.append(PLAIN[index % len(PLAIN)], chain=[AUTHORITY.certificate])


def statuses(following: Any) -> Any:
    with following.engine.connect() as connection:
        return log_statuses(connection, {"lab-log": following.log.protocol}, Alarms())[0]


@pytest.mark.parametrize("read", [0, 4])
def test_a_run_that_another_process_has_taken_over_moves_no_cursor(following: Any, read: int) -> None:
    grow(following.log, 20)
    if read:
        following.run(max_entries=read, chunk_entries=read)
    before = following.cursor()
    entry = following.source()

    def taken_over() -> None:
        with open_run(following.engine, entry) as run:
            shown = head(following.engine, entry, run, patience=NO_PATIENCE)
            # The connection that holds the lock is lost, and another process begins.
            with following.engine.begin() as connection:
                runs.begin(connection, run.source_id)
            follow(following.engine, entry, run, shown, patience=NO_PATIENCE)

    with pytest.raises(WarehouseError, match="taken over"):
        taken_over()
    assert following.cursor() == before


def test_an_entry_of_no_year_does_not_take_the_status_of_all_logs_away(following: Any) -> None:
    entry = TimestampedEntry(timestamp=(1 << 64) - 1, entry_type=EntryType.X509, signed=PLAIN[0])
    following.log.append_raw(write_leaf(entry))
    grow(following.log, 4)
    following.log.maximum = 1
    following.run(max_entries=1, chunk_entries=1)
    assert statuses(following).verified == 1


def test_entries_that_nobody_can_read_do_not_hide_that_we_are_behind(following: Any) -> None:
    following.log._clock = lambda: datetime(2026, 1, 2, tzinfo=UTC)
    grow(following.log, 4)
    following.run()
    following.log._clock = lambda: datetime(2026, 1, 3, tzinfo=UTC)
    following.log.append_raw(b"\x00\x01 no leaf")
    grow(following.log, 10)
    following.log.maximum = 1
    following.run(max_entries=1, chunk_entries=1)
    found = statuses(following)
    assert found.lag_entries == 10
    assert found.lag_seconds == timedelta(days=1).total_seconds()


def test_a_process_that_hangs_is_ended_and_the_run_with_it(following: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ct_readers, "HANGS", 1.0, raising=False)
    grow(following.log, 4)
    started: list[int] = []
    made = ct_readers._Child.__init__

    def stopped(child: Any) -> None:
        made(child)
        started.append(child._process.pid)
        os.kill(child._process.pid, signal.SIGSTOP)

    monkeypatch.setattr(ct_readers._Child, "__init__", stopped)

    def wake() -> None:
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    timer = threading.Timer(6.0, wake)
    timer.start()
    began = time.monotonic()
    try:
        with pytest.raises(UnavailableError, match="no answer"):
            following.run(few=0)
    finally:
        timer.cancel()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("protocol", ["static"])
def test_issuers_that_cannot_be_had_do_not_hold_up_the_log(following: Any) -> None:
    following.watch(("scope", "", "evil.example"))
    for number in range(12):
        certificate = AUTHORITY.issue(Order(names=(f"n{number}.evil.example",), key=key_from_seed(f"n{number}")))
        following.log.append(certificate, chain=[bytes((number,)) * 40])
    following.log.faults.only, following.log.faults.throttled = "/issuer/", True
    following.log.faults.retry_after = "0"
    assert following.run().hits == 12
    asked = [path for path in following.log.requests if "issuer" in path]
    assert len(asked) <= 4
    assert "couldn't have the issuer" in following.outcomes()[-1][1]


@pytest.mark.parametrize("protocol", ["static"])
def test_an_issuer_that_is_missing_is_asked_for_once_a_slice(following: Any) -> None:
    following.watch(("scope", "", "evil.example"))
    following.log.faults.issuer_missing = True
    for number in range(600):
        certificate = AUTHORITY.issue(Order(names=(f"n{number}.evil.example",), key=key_from_seed("n")))
        following.log.append(certificate, chain=[AUTHORITY.certificate])
    following.run(chunk_entries=256)
    assert len([path for path in following.log.requests if "issuer" in path]) == 1


def test_an_older_head_of_another_tree_stops_the_log(following: Any) -> None:
    following.log._clock = lambda: datetime(2026, 1, 3, tzinfo=UTC)
    grow(following.log, 20)
    following.run()
    other = CtLog(clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    grow(other, 9)
    following.log.faults.stale = other.tree_head(9)
    with pytest.raises(VerificationError, match="couldn't believe lab-log"):
        following.run()
    assert len(following.cursor("ct:lab-log")["halted"]["documents"]) == 2


@pytest.mark.slow
def test_a_log_that_gives_little_and_then_wants_a_long_rest_is_read_all_the_same(
    following: Any,
) -> None:
    following.log.maximum = 32
    grow(following.log, 1500)
    left = [0]

    class Rations(list[str]):
        def append(self, item: str) -> None:
            left[0] -= "get-entries" in item
            following.log.faults.throttled = left[0] <= 0
            super().append(item)

    following.log.requests = Rations()
    following.log.faults.retry_after = "1.2"
    for _ in range(4):
        left[0] = 12
        with contextlib.suppress(ThrottledError):
            following.run()
        time.sleep(1.3)
    assert following.cursor()["position"] > 100


def test_what_did_not_add_up_when_time_was_up_is_noted(following: Any) -> None:
    following.log.maximum = 4
    grow(following.log, 24)
    answered: list[str] = []

    def slow(path: str) -> None:
        answered.extend([path] if "get-entries" in path else [])
        if len(answered) == 6:
            time.sleep(1.5)

    following.log.before_answer = slow
    following.log.faults.flipped_leaf = 17
    followed = following.run(chunk_entries=8, max_seconds=1.0)
    assert followed.position in {8, 16}
    assert "couldn't verify" in following.outcomes()[-1][1]


@pytest.mark.parametrize("protocol", ["static"])
def test_the_evidence_of_a_tiled_log_says_what_it_is(following: Any) -> None:
    grow(following.log, 4)
    following.log.faults.bad_signature = True
    with pytest.raises(VerificationError):
        following.run()
    assert following.rows("SELECT media_type FROM document") == [("text/plain",)]
