from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.normalize.whois_worker import WhoisWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = "Domain Name: a.test\nCreation Date: 2020-01-02T03:04:05Z\nRegistrar: Example Registrar\n"
# The library's reader of .jp nests two runs of white space and lines: (?:^\s*.*\s+)*. The name is the one that the
# .jp registry itself reserves for examples; its reader is chosen by the ending.
SPINNING = "[Domain Name] EXAMPLE.JP\n\nContact Information:\n" + "[Line]   some words and more words   \n" * 40


@pytest.fixture
def worker() -> Iterator[WhoisWorker]:
    with WhoisWorker() as made:
        yield made


def child_of(worker: WhoisWorker) -> int:
    assert worker.pid is not None
    return worker.pid


def test_a_plain_reply_is_read(worker: WhoisWorker) -> None:
    found = worker.read("a.test", PLAIN)
    assert found.status == "ok"
    assert found.fields["creation_date"] == (("t", "2020-01-02T03:04:05+00:00"),)
    assert found.fields["registrar"] == (("s", "Example Registrar"),)


def test_a_spinning_reply_is_killed_and_the_next_is_read(worker: WhoisWorker) -> None:
    worker.read("a.test", PLAIN)
    first = child_of(worker)
    started = time.monotonic()
    found = worker.read("example.jp", SPINNING)
    assert time.monotonic() - started < 2
    assert found.status == "killed"
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert worker.read("a.test", PLAIN).status == "ok"
    assert worker.pid != first


def test_the_wall_clock_ends_a_child_whose_own_timer_does_not() -> None:
    with WhoisWorker(cpu_seconds=60, wall_seconds=0.4) as worker:
        worker.read("a.test", PLAIN)
        started = time.monotonic()
        found = worker.read("example.jp", SPINNING)
        assert time.monotonic() - started < 2
        assert (found.status, found.detail) == ("killed", "wall time")


def test_a_long_run_of_letters_is_killed_too(worker: WhoisWorker) -> None:
    assert worker.read("a.test", "a" * 250_000).status == "killed"
    assert worker.read("a.test", PLAIN).status == "ok"


def test_a_child_killed_from_outside_is_replaced(worker: WhoisWorker) -> None:
    worker.read("a.test", PLAIN)
    os.kill(child_of(worker), signal.SIGKILL)
    time.sleep(0.05)
    assert worker.read("a.test", PLAIN).status == "ok"


def test_one_child_serves_many_threads(worker: WhoisWorker) -> None:
    results = []
    threads = [threading.Thread(target=lambda: results.append(worker.read("a.test", PLAIN))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.status for one in results] == ["ok"] * 8


def test_what_the_library_raises_is_a_status(worker: WhoisWorker) -> None:
    found = worker.read("a.test", "Creation Date: the day before yesterday\n")
    assert (found.status, found.detail) == ("error", "WhoisUnknownDateFormatError")
    assert worker.read("a.test", "").status in {"ok", "error"}


def test_an_oversized_reply_is_not_sent(worker: WhoisWorker) -> None:
    assert worker.read("a.test", "a" * (5 << 20)).status == "error"


def test_the_child_leads_its_own_group_and_ends_with_the_worker() -> None:
    worker = WhoisWorker()
    worker.read("a.test", PLAIN)
    child = child_of(worker)
    assert os.getpgid(child) == child
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_child_has_no_environment_and_no_files_to_open(worker: WhoisWorker) -> None:
    worker.read("a.test", PLAIN)
    process = Path(f"/proc/{worker.pid}")
    assert b"LAPSEWATCH" not in (process / "environ").read_bytes()
    text = (process / "limits").read_text()
    assert "Max open files            3 " in text
    assert f"Max address space         {512 << 20} " in text
