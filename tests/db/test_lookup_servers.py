from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from db import lookup_servers as servers
from intel.config.lookups import Manners, Pace, server_key

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
PACE = Pace(per_minute=60, burst=3, per_day=10)
MANNERS = Manners(default=PACE)


def take(
    engine: Engine, at: datetime, *, pace: Pace = PACE, patience: float = 0, server: str = "whois.nic.example"
) -> servers.Turn:
    with engine.begin() as connection:
        return servers.take(connection, server, pace, now=at, patience=patience)


def answered(engine: Engine, outcome: str, at: datetime, *, retry_after: float | None = None) -> None:
    with engine.begin() as connection:
        servers.answered(connection, "whois.nic.example", MANNERS, outcome=outcome, now=at, retry_after=retry_after)


def state(engine: Engine, at: datetime) -> dict[str, object]:
    with engine.connect() as connection:
        return servers.servers(connection, now=at)[0]


def test_a_burst_and_then_one_a_second(engine: Engine) -> None:
    assert [take(engine, NOW).why for _ in range(4)] == ["", "", "", "its turn"]
    assert take(engine, NOW).at == NOW + timedelta(seconds=1)
    assert take(engine, NOW + timedelta(seconds=1)).why == ""
    assert take(engine, NOW + timedelta(seconds=1)).why == "its turn"


def test_turns_within_patience_are_given_out_one_behind_the_other(engine: Engine) -> None:
    turns = [take(engine, NOW, patience=4) for _ in range(8)]
    assert [(turn.at - NOW).total_seconds() for turn in turns[:7]] == [0, 0, 0, 1, 2, 3, 4]
    assert turns[7].why == "its turn"


def test_many_workers_together_keep_to_one_pace(engine: Engine) -> None:
    taken: list[datetime] = []
    lock = threading.Lock()

    def work() -> None:
        for _ in range(5):
            turn = take(engine, NOW, pace=Pace(per_minute=60, burst=1, per_day=1000), patience=1000)
            with lock:
                taken.append(turn.at)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [NOW + timedelta(seconds=number) for number in range(20)]


def test_the_budget_of_a_day_ends_at_midnight(engine: Engine) -> None:
    pace = Pace(per_minute=6000, burst=100, per_day=2)
    assert [take(engine, NOW, pace=pace).why for _ in range(2)] == ["", ""]
    spent = take(engine, NOW, pace=pace)
    assert spent.why == "its budget of the day is spent"
    assert spent.at == datetime(2026, 3, 5, tzinfo=UTC)
    assert take(engine, spent.at, pace=pace).why == ""
    assert state(engine, spent.at)["asked"] == 1


def test_retry_after_is_kept_by_all(engine: Engine) -> None:
    take(engine, NOW)
    answered(engine, "throttled", NOW, retry_after=300)
    for seconds in (0, 299):
        assert take(engine, NOW + timedelta(seconds=seconds)).why == "it asked for patience"
    assert take(engine, NOW + timedelta(seconds=300)).why == ""


def test_an_answer_that_was_on_its_way_does_not_end_the_rest_that_another_was_told(engine: Engine) -> None:
    for _ in range(3):
        take(engine, NOW)
    answered(engine, "throttled", NOW + timedelta(seconds=1), retry_after=300)
    for outcome in ("registered", "timeout"):
        answered(engine, outcome, NOW + timedelta(seconds=2))
        assert take(engine, NOW + timedelta(seconds=3)).at == NOW + timedelta(seconds=301)


def test_a_shorter_rest_does_not_shorten_a_longer_one(engine: Engine) -> None:
    for _ in range(3):
        take(engine, NOW)
    answered(engine, "throttled", NOW + timedelta(seconds=1), retry_after=3000)
    answered(engine, "throttled", NOW + timedelta(seconds=2))
    for _ in range(3):
        answered(engine, "timeout", NOW + timedelta(seconds=3))
    assert take(engine, NOW + timedelta(seconds=4)).at == NOW + timedelta(seconds=3001)


def test_after_a_rest_one_question_goes_alone_and_the_pace_is_halved(engine: Engine) -> None:
    take(engine, NOW)
    answered(engine, "throttled", NOW)
    back = NOW + timedelta(seconds=60)
    assert take(engine, back).why == ""
    assert take(engine, back + timedelta(seconds=5)).why == "it asked for patience"
    answered(engine, "registered", back + timedelta(seconds=6))
    assert [take(engine, back + timedelta(seconds=7)).why for _ in range(2)] == ["", "its turn"]
    assert take(engine, back + timedelta(seconds=7)).at > back + timedelta(seconds=8)


def test_it_rests_longer_each_time_it_throttles_and_never_for_ever(engine: Engine) -> None:
    at, rests = NOW, []
    for _ in range(12):
        assert take(engine, at).why == ""
        answered(engine, "throttled", at)
        until = take(engine, at).at
        rests.append((until - at).total_seconds())
        at = until
    assert rests[:3] == [60, 120, 240]
    assert max(rests) == MANNERS.longest_rest
    answered(engine, "throttled", at, retry_after=10**9)
    assert take(engine, at).at == at + timedelta(seconds=MANNERS.longest_rest)


def test_the_breaker_opens_after_failures_in_a_row_and_closes_with_an_answer(engine: Engine) -> None:
    for number in range(3):
        at = NOW + timedelta(minutes=number)
        assert take(engine, at).why == ""
        answered(engine, "timeout", at)
    assert take(engine, at + timedelta(seconds=59)).why == "it asked for patience"
    at += timedelta(seconds=61)
    assert take(engine, at).why == ""
    answered(engine, "timeout", at)
    assert take(engine, at + timedelta(seconds=100)).why == "it asked for patience"
    at += timedelta(seconds=121)
    assert take(engine, at).why == ""
    answered(engine, "not_found", at)
    assert take(engine, at + timedelta(seconds=10)).why == ""
    assert state(engine, at)["failures"] == 0


def test_two_failures_apart_open_nothing(engine: Engine) -> None:
    for number, outcome in enumerate(("timeout", "malformed", "registered", "timeout", "timeout")):
        at = NOW + timedelta(minutes=number)
        assert take(engine, at).why == ""
        answered(engine, outcome, at)
    assert take(engine, at + timedelta(seconds=5)).why == ""


def test_blocked_rests_for_an_hour(engine: Engine) -> None:
    take(engine, NOW)
    answered(engine, "blocked", NOW)
    assert take(engine, NOW).at == NOW + timedelta(hours=1)


def test_servers_do_not_hold_each_other_up(engine: Engine) -> None:
    take(engine, NOW)
    answered(engine, "blocked", NOW)
    assert take(engine, NOW, server="whois.nic.test").why == ""


def test_questions_of_the_day_are_counted_over_all_servers(engine: Engine) -> None:
    for server in ("a.example", "b.example", "a.example"):
        take(engine, NOW, server=server)
    with engine.connect() as connection:
        assert servers.asked_today(connection, now=NOW) == 3
        assert servers.asked_today(connection, now=NOW + timedelta(days=1)) == 0


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("https://RDAP.nic.example/v1/", "rdap.nic.example"),
        ("https://rdap.nic.example:8443/v1", "rdap.nic.example:8443"),
        ("https://u:p@rdap.nic.example:443", "rdap.nic.example"),
        ("http://127.0.0.1:80/", "127.0.0.1"),
        ("whois.nic.example:43", "whois.nic.example"),
        ("whois.nic.example:4343", "whois.nic.example:4343"),
        ("whois.nic.example", "whois.nic.example"),
    ],
)
def test_a_server_has_one_key_however_it_is_written(text: str, key: str) -> None:
    assert server_key(text) == key


def test_what_a_server_has_of_its_own_comes_before_the_default() -> None:
    manners = Manners.model_validate(
        {
            "default": {"per_minute": 12, "burst": 2, "per_day": 9},
            "servers": {"WHOIS.nic.example:43": {"per_minute": 1}},
        }
    )
    assert manners.of("whois.nic.example") == Pace(per_minute=1, burst=2, per_day=9)
    assert manners.of("other.example") == manners.default
