"""What wakes the monitors: one event for what is loaded together, and none too late."""

from __future__ import annotations

import time

import pytest

from tasks.load import task


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    heard: list[int] = []
    monkeypatch.setattr(task, "emit_event", lambda payload, **_: heard.append(payload["batch"]))
    return heard


def test_each_load_is_said_at_once(said: list[int]) -> None:
    task.say_loaded("feed", 1)
    task.say_loaded("feed", 2)
    assert said == [1, 2]


def test_what_is_loaded_together_is_said_once_at_the_end(said: list[int]) -> None:
    with task.said_together():
        for batch in (1, 2, 3):
            task.say_loaded("feed", batch)
        assert said == []
    assert said == [3]
    task.say_loaded("feed", 4)
    assert said == [3, 4]


def broken() -> None:
    with task.said_together():
        task.say_loaded("feed", 1)
        raise ValueError("broken")


def test_nothing_loaded_says_nothing_and_an_error_keeps_nothing_back(said: list[int]) -> None:
    with task.said_together():
        pass
    assert said == []
    with pytest.raises(ValueError, match="broken"):
        broken()
    assert said == [1]


def test_nothing_waits_for_a_slow_neighbour(said: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "TOGETHER", 0.05)
    with task.said_together():
        task.say_loaded("quick", 1)
        until = time.monotonic() + 5
        while not said and time.monotonic() < until:
            time.sleep(0.01)
        assert said == [1]
        task.say_loaded("slow", 2)
    assert said == [1, 2]
