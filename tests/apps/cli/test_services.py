from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.cli.services import Running, Service, answers
from intel.errors import UnavailableError
from lab.server import serve

CHECKOUT = Path(__file__).parents[3]

# Two services; `slow` hears no SIGTERM. `point` is where the process says that it has come to it, and stays.
PROGRAM = """
import sys, time
from pathlib import Path
from apps.cli.services import Running, Service

def say(word):
    print(word, flush=True)

point, folder = sys.argv[1], Path(sys.argv[2])
with Running(folder) as running:
    sleeping = ["sleep", "60"]
    deaf = ["sh", "-c", "trap '' TERM; while true; do sleep 0.05; done"]
    running.start(Service(name="one", command=sleeping, environment={}, healthy=lambda: True))
    say(running.started[0][1].pid)
    two = Service(name="slow", command=deaf, environment={}, healthy=lambda: point != "starting", grace=1)
    if point != "starting":
        running.start(two)
        say(running.started[1][1].pid)
        say("there")
        if point == "running":
            time.sleep(60)
    else:
        say("there")
        running.start(two)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(said: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not said() and time.monotonic() < deadline:
        time.sleep(0.05)
    return said()


def running(point: str, folder: Path, *before: str) -> tuple[subprocess.Popen[str], list[int]]:
    """The program, when it has come to `point`, and the processes that it has told of."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", PROGRAM, point, str(folder)],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    pids = []
    while (line := process.stdout.readline().strip()) != "there":
        pids.append(int(line))
    return process, pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_what_was_started(tmp_path: Path, number: signal.Signals) -> None:
    process, pids = running("running", tmp_path)
    assert all(map(is_alive, pids))
    process.send_signal(number)
    process.wait(10)
    assert not any(map(is_alive, pids))


def test_a_signal_while_one_starts_stops_the_others(tmp_path: Path) -> None:
    process, pids = running("starting", tmp_path)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert not any(map(is_alive, pids))


@pytest.mark.parametrize("point", ["running", "stopping"])
def test_more_signals_while_stopping_leave_none_behind(tmp_path: Path, point: str) -> None:
    process, pids = running(point, tmp_path)
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
        time.sleep(0.15)
    process.wait(10)
    assert not any(map(is_alive, pids))


def test_what_nohup_wants_ignored_is_ignored(tmp_path: Path) -> None:
    process, pids = running("running", tmp_path, "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    assert all(map(is_alive, pids))
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert not any(map(is_alive, pids))


def test_the_handlers_are_as_they_were_afterwards(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Running(tmp_path), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_stranger_at_the_address_does_not_count_as_ours(tmp_path: Path) -> None:
    async def stranger(scope: object, receive: object, send: Callable[..., object]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[misc]  # ASGI's send
        await send({"type": "http.response.body", "body": b"{}"})  # type: ignore[misc]  # ASGI's send

    with serve(stranger) as served, Running(tmp_path) as started:
        address = f"http://127.0.0.1:{served.port}"
        ours = Service(
            name="ours", command=["sleep", "60"], environment={}, healthy=answers(f"{address}/health"), address=address
        )
        with pytest.raises(UnavailableError, match=f"couldn't start ours: something answers at {address} already"):
            started.start(ours)
        assert started.started == []


def test_one_that_ends_is_not_ready_whoever_answers(tmp_path: Path) -> None:
    def healthy() -> bool:
        time.sleep(0.5)  # by then ours has ended, for the port that a stranger took meanwhile
        return True

    with Running(tmp_path) as started:
        ended = Service(name="ours", command=["sh", "-c", "echo in use; exit 3"], environment={}, healthy=healthy)
        with pytest.raises(UnavailableError, match=r"it ended with code 3; .*\nin use"):
            started.start(ended)


def test_a_free_address_is_no_hindrance(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    ours = Service(name="ours", command=["sleep", "60"], environment={}, healthy=lambda: True, address=address)
    with Running(tmp_path) as started:
        started.start(ours)
        started.check()


def test_logs_are_moved_aside(tmp_path: Path) -> None:
    talking = ["sh", "-c", "while true; do echo 0123456789012345678901234567890123456789; sleep 0.01; done"]
    service = Service(name="ours", command=talking, environment={}, healthy=lambda: True)
    log, before = tmp_path / "ours.log", tmp_path / "ours.log.1"
    with Running(tmp_path, log_bytes=1_000) as started:
        started.start(service)
        assert until(lambda: log.stat().st_size > 1_000)
        started.check()
        assert before.stat().st_size > 1_000
        assert log.stat().st_size < 1_000
        size = log.stat().st_size
        assert until(lambda: log.stat().st_size > size)
        assert b"\0" not in log.read_bytes()
    last = log.read_bytes()
    with Running(tmp_path) as started:
        started.start(service)
        assert before.read_bytes() == last
