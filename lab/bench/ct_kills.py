"""`ct_kills`: the process that follows a log is killed at random points; the end must not differ.

A child (_ct_kills_child.py) follows a lab log of each protocol with a process that reads for it and with the archive
switched on, judges what it found, and dies of SIGKILL at a random call into the project, again and again, until it has
come to the end. Then facts, findings and the position are compared with those of a log that was read without a kill,
and the archive must hold every entry once.

`differences` counts what is missing or too much; it must be 0. `LAPSEWATCH_BENCH_KILLS` changes the 100 kills.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import Engine, text

from db import archive_store, runs
from intel.config.ct import read_ct
from intel.errors import BusyError, WarehouseError
from intel.settings import CHECKOUT, settings
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog, Protocol
from lab.server import serve

KILLS: Final = int(os.environ.get("LAPSEWATCH_BENCH_KILLS", "100"))
SEED: Final = 20261124
SIZES: Final[dict[Protocol, tuple[int, int]]] = {"rfc6962": (64, 8), "static": (1100, 256), "hybrid": (1100, 256)}
"""Entries of the log, and entries that are committed together."""

FACTS: Final = """
SELECT s.value, f.predicate, o.value, f.qualifiers::text, f.locator,
    (SELECT array_agg(h.event_time::text ORDER BY h.event_time) FROM fact_history h WHERE h.fact_id = f.id)::text
FROM fact f JOIN entity s ON s.id = f.subject_id JOIN entity o ON o.id = f.object_id ORDER BY 1, 2, 3, 4, 5
"""
FINDINGS: Final = """
SELECT n.rule, e.value, n.title, n.status, count(x.fact_id)
FROM finding n JOIN entity e ON e.id = n.subject_id LEFT JOIN finding_fact x ON x.finding_id = n.id
GROUP BY n.id, n.rule, e.value, n.title, n.status ORDER BY 1, 2, 3, 4
"""
FORGET: Final = (
    "TRUNCATE fact, fact_history, link, entity, finding_fact, finding, judgement, batch, reject, document, cursor, run,"
    " archive_segment, hunt_term, watch_item, watch CASCADE"
)
WATCH: Final = """
WITH made AS (INSERT INTO watch (name, origin, rules) VALUES ('heron', 'command', '{*}') RETURNING id)
INSERT INTO watch_item (watch_id, match, value) SELECT id, 'scope', 'evil.example' FROM made
"""


@dataclass(kw_only=True)
class Killed:
    """How it went: kills by protocol, stories told, and what differed in the end."""

    kills: dict[str, int] = field(default_factory=dict)
    stories: int = 0
    wrong: list[str] = field(default_factory=list)


def run() -> Result:
    """Kill the followers of all protocols, in turn."""
    began = time.monotonic()
    killed = Killed()
    with fresh_warehouse(CHECKOUT) as engine:
        protocols = list(SIZES)
        for number, protocol in enumerate(protocols):
            share = KILLS // len(protocols) + (number < KILLS % len(protocols))
            kill(engine, settings().home, protocol, killed, wanted=share, seed=SEED + number)
    tables = [Table(title="kills", columns=("protocol", "times"), rows=tuple(killed.kills.items()))]
    if killed.wrong:
        rows = tuple((line[:300],) for line in killed.wrong[:20])
        tables.append(Table(title=f"the first of {len(killed.wrong)} differences", columns=("difference",), rows=rows))
    return Result(
        tables=tuple(tables),
        figures={
            "kills": sum(killed.kills.values()),
            "differences": len(killed.wrong),
            "stories": killed.stories,
            "seconds": round(time.monotonic() - began),
        },
    )


def kill(engine: Engine, home: Path, protocol: Protocol, killed: Killed, *, wanted: int, seed: int) -> None:
    """Follow a log of `protocol` until its follower was killed `wanted` times; `killed` is added to."""
    random = Random(seed)
    log = _log(protocol)
    with serve(log.app()) as served, _configs(home, served.port), _child(_story(log, served.url)) as die:
        _begin(engine)
        status, calls = die(-1)
        if status != 0:
            raise WarehouseError(f"couldn't follow the {protocol} log undisturbed: status {status}; nothing is killed")
        expected = _end(engine, log)
        count = 0
        while count < wanted:
            _begin(engine)
            status, most = -signal.SIGKILL, calls
            while status != 0:
                status, _ = die(-1 if count >= wanted else random.randrange(1, most))
                if status == -signal.SIGKILL:
                    count += 1
                    _let_go(engine)
                elif status != 0:
                    killed.wrong.append(f"{protocol}: ended with status {status}")
                    break
                # What is left takes fewer calls; a kill that comes too late is none.
                most = max(2, most * 3 // 4)
            killed.stories += 1
            killed.wrong += [f"{protocol}: {line}" for line in _differences(expected, _end(engine, log))]
        killed.kills[protocol] = count


def _log(protocol: Protocol) -> CtLog:
    authority, heron = Authority(), key_from_seed("grey heron's server")
    log = CtLog(protocol=protocol, maximum=8)
    count, chunk = SIZES[protocol]
    others = [_issued(authority, f"parcel-{number}.example", number) for number in range(min(count, 60))]
    step = max(3, chunk // 3)
    for number in range(count):
        if number % step == 1:
            name = f"n{number}.evil.example"
            log.append(authority.issue(Order(names=(name,), key=heron)), chain=[authority.certificate])
        elif number % (2 * step) == 4:
            log.append(authority.issue(Order(names=(f"quiet-{number}.example",), key=heron)))
        else:
            log.append(others[number % len(others)])
    return log


def _issued(authority: Authority, name: str, number: int) -> bytes:
    return authority.issue(Order(names=(name,), key=key_from_seed(f"parcel {number}")))


def _story(log: CtLog, url: str) -> dict[str, Any]:
    return {
        "chunk": SIZES[log.protocol][1],
        "source": {
            "name": "lab-log",
            "title": "Lab log",
            "transport": "ct",
            "format": "ct",
            "location": f"{url}/",
            "semantics": "stream",
            "cadence": "continuous",
            "reliability": "A",
            "tlp": "TLP:CLEAR",
            "licence": {"name": "invented", "commercial_use": True, "redistribution": True},
            "enabled": True,
            "options": {
                "protocol": log.protocol,
                "follow": "start",
                "log_key": base64.b64encode(log.key_der).decode(),
            },
        },
    }


@contextmanager
def _configs(home: Path, port: int) -> Iterator[None]:
    folder = home / "configs-of-kills"
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    shutil.copy(CHECKOUT / "configs" / "hubs.yaml", folder)
    (folder / "network.yaml").write_text(f'allow: ["127.0.0.1:{port}"]\n')
    (folder / "ct.yaml").write_text("readers: 1\narchive: {enabled: true}\n")
    before = os.environ.get("LAPSEWATCH_CONFIGS")
    os.environ["LAPSEWATCH_CONFIGS"] = str(folder)
    settings.cache_clear()
    try:
        yield
    finally:
        os.environ.pop("LAPSEWATCH_CONFIGS")
        if before is not None:
            os.environ["LAPSEWATCH_CONFIGS"] = before
        settings.cache_clear()


@contextmanager
def _child(story: dict[str, Any]) -> Iterator[Any]:
    with subprocess.Popen(
        [sys.executable, "-m", "lab.bench._ct_kills_child", json.dumps(story)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, answers = process.stdin, process.stdout

        def die(kill_at: int) -> tuple[int, int]:
            given.write(f"{kill_at}\n")
            given.flush()
            status, calls = answers.readline().split()
            return int(status), int(calls)

        yield die
        given.close()


def _begin(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(FORGET)
        connection.exec_driver_sql(WATCH)


def _let_go(engine: Engine) -> None:
    """Wait until the server has noticed that the killed process is gone."""
    for lock in ("source:lab-log", "monitor:certificates"):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with suppress(BusyError), runs.exclusive(engine, lock):
                break
            time.sleep(0.02)


def _end(engine: Engine, log: CtLog) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        found: dict[str, list[Any]] = {
            "facts": [tuple(row) for row in connection.execute(text(FACTS))],
            "findings": [tuple(row) for row in connection.execute(text(FINDINGS))],
            "position": list(connection.execute(text("SELECT value FROM cursor WHERE name = 'source:lab-log'")).all()),
            "staging": list(connection.execute(text("SELECT * FROM pg_tables WHERE schemaname = 'staging'")).all()),
            "archived": _archived(connection),
        }
    if found["archived"] != list(range(log.size)):
        found["archived"] = [f"{len(found['archived'])} entries, each once and in order: no"]
    return found


def _archived(connection: Any) -> list[int]:
    """The indexes that the archive holds, in the order of its manifest."""
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    store = archive_store.open_store(read_ct(settings().configs).archive, settings().home)
    paths = connection.execute(
        text("SELECT path FROM archive_segment WHERE retired_at IS NULL ORDER BY first")
    ).scalars()
    found: list[int] = []
    for path in paths:
        found += parquet.read_table(store.open(path), columns=["index"])["index"].to_pylist()
    return found


def _differences(expected: dict[str, list[Any]], found: dict[str, list[Any]]) -> list[str]:
    wrong = []
    for name, rows in expected.items():
        lost = [row for row in rows if row not in found[name]]
        more = [row for row in found[name] if row not in rows]
        wrong += [f"{name}: lost {row}" for row in lost] + [f"{name}: too much {row}" for row in more]
        if not lost and not more and len(rows) != len(found[name]):
            wrong.append(f"{name}: {len(found[name])} rows, {len(rows)} expected")
    return wrong
