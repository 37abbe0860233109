from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from db.engine import open_engine
from db.watched import load_watch_set
from intel.errors import ReadError
from lab.bench import _ct_certspotter, _ct_lapsewatch, ct
from lab.bench._ct_lists import MET, domains, everything, only_domains, special, watch, watch_file
from lab.bench._ct_measured import Measured
from lab.bench._ct_processes import Sampler, parent
from lab.ct_big import BigLog, make_big, serve_big

ENTRIES = 8192


def name_some(number: int) -> str:
    return f"host-{number}.{MET[number % 5]}" if number % 1000 == 500 else ""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigLog]:
    folder: Path = tmp_path_factory.mktemp("log")
    make_big(folder, ENTRIES, special=name_some, level=1)
    with serve_big(folder) as served:
        yield served


def test_lists_are_as_long_as_asked_for_and_always_the_same() -> None:
    assert list(everything(50)) == list(everything(50))
    rows = Counter((match, kind, value.partition(":")[0] if kind == "pattern" else "") for match, kind, value in
                   everything(50))  # fmt: skip
    assert set(rows.values()) == {50}
    assert len(rows) == 11
    assert domains(7)[:5] == list(MET)
    assert watch_file(domains(5)).splitlines()[0] == ".watched-0.example"
    assert [number for number in range(20_000) if special(number)] == [5_000, 15_000]


def test_what_is_watched_is_what_the_matcher_gets(database_url: str) -> None:
    engine = open_engine(database_url)
    watch(engine, everything(20))
    with engine.connect() as connection:
        found = load_watch_set(connection)
        items = connection.execute(text("SELECT count(*) FROM watch_item")).scalar_one()
    engine.dispose()
    assert items == 11 * 20
    lists = _ct_lapsewatch._lists(found)
    for name in ("scopes", "addresses", "certificates", "keys", "lookalikes", "keywords", "issuers", "subjects"):
        assert f"20 {name}" in lists
    assert "20 serials" in lists
    assert "40 subtrees" in lists  # a watched name is met by all below it, too


def test_patterns_are_written_as_the_matcher_writes_them() -> None:
    patterns = pytest.importorskip("intel.match.patterns")
    by = pytest.importorskip("intel.match.certificates").By
    for match, kind, value in everything(30):
        if kind == "pattern":
            assert match == "entity"
            name, _, words = value.partition(":")
            assert patterns.pattern(by(name), words) == words


def test_a_tree_of_processes_is_measured() -> None:
    # A child that uses CPU and memory, and a child of that one.
    program = (
        "import subprocess, sys, time\n"
        "held = b'x' * 30_000_000\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(9)'])\n"
        "until = time.process_time() + 0.3\n"
        "while time.process_time() < until: pass\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.readline()\n"
        "child.kill()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        with Sampler([process.pid]) as sampler:
            grandchild = int(process.stdout.readline())
            time.sleep(0.15)
            assert sampler.cpu() >= 0.3
        assert set(sampler.uses) >= {process.pid, grandchild}
        assert parent(grandchild) == process.pid
        assert sampler.sum_peak > sampler.largest() > 30_000_000
        assert sampler.history[-1][1][grandchild] > 0
        process.communicate("\n")
    assert parent(grandchild) != process.pid


@pytest.mark.slow
def test_lapsewatch_reads_it_all_in_a_process_of_its_own(log: BigLog) -> None:
    found = _ct_lapsewatch.measure(log, entries=ENTRIES, watched="5", rows=only_domains(5), protocol="static")
    one = found.measured
    assert (one.entries, one.hits, one.lists) == (ENTRIES, 8, "5 scopes")
    assert 0 < one.rate < 1e6
    assert one.largest > 1_000_000
    assert one.parts["follower"] > 0


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("certspotter") is None, reason="certspotter is not installed; the benchmark installs it"
)
def test_certspotter_reads_it_all(log: BigLog) -> None:
    path, version = _ct_certspotter.installed()
    assert version
    one = _ct_certspotter.measure(path, log, entries=4096, domains=domains(5), patience=60)
    assert (one.entries, one.hits) == (4096, 4)
    with pytest.raises(ReadError, match="after 0 s"):
        _ct_certspotter.measure(path, log, entries=ENTRIES, domains=domains(5), patience=0)


def measured(**more: object) -> Measured:
    given = {"system": "one", "protocol": "rfc6962", "watched": "5", "entries": 8192, "seconds": 1.0, "cpu": 0.5,
             "largest": 1, "together": 2, "hits": 8, **more}  # fmt: skip
    return Measured(**given)  # type: ignore[arg-type]  # what a test gives


def test_a_run_that_missed_something_is_void(log: BigLog) -> None:
    assert ct._checked(log, measured()).each == pytest.approx(61.0, abs=0.1)
    with pytest.raises(ReadError, match="7 of 8"):
        ct._checked(log, measured(hits=7))
    assert ct._median([measured(seconds=3.0), measured(seconds=1.0), measured(seconds=2.0)]).seconds == 2.0
