from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db import runs
from intel.errors import BusyError
from lab.server import serve
from tasks.load.zones_keep import tidy
from tests import factories
from tests.tasks.load.test_zones import FACTS, SEEN, SNAPSHOTS
from tests.tasks.load.zones_world import ZoneFolder, zone_folder
from tests.zones import MONDAY, ZoneServer, zone_text

CHECKOUT = Path(__file__).resolve().parents[3]
FORGET = (
    "TRUNCATE fact, fact_history, link, entity, finding_fact, finding, judgement, batch, reject, document, cursor, run,"
    " lookup, seen_domain, zone_snapshot, watch_item, watch CASCADE"
)


@contextmanager
def dying(location: str, module: str = "tests.tasks.load.zones_and_die") -> Iterator[Callable[[int], tuple[int, int]]]:
    """A child that takes what a folder or URL has, and dies at a call into the project."""
    command = [sys.executable, "-m", module, location]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        given, said = child.stdin, child.stdout

        def die(at: int) -> tuple[int, int]:
            given.write(f"{at}\n")
            given.flush()
            status, calls = said.readline().split()
            return int(status), int(calls)

        yield die
        given.close()


def begin(zone: ZoneFolder) -> None:
    with zone.engine.begin() as connection:
        connection.execute(text(FORGET))
        watch = factories.watch(connection, "heron", rules=["*"], origin="command")
        for name in ("evil-1.example", "n3.example", "n50.example"):
            factories.watch_item(connection, watch, name, match="scope", kind="")
    shutil.rmtree(zone.place, ignore_errors=True)


def let_go(engine: Engine, lock: str = "source:lab-zone") -> None:
    """Wait until the server has noticed that the killed process is gone."""
    for _ in range(200):
        try:
            with runs.exclusive(engine, lock):
                return
        except BusyError:
            continue


def end(zone: ZoneFolder) -> dict[str, Any]:
    with zone.engine.connect() as connection:
        cursor = runs.read_cursor(connection, "source:lab-zone") or {}
    return {
        "seen": zone.rows(SEEN),
        "snapshots": zone.rows(SNAPSHOTS),
        "facts": zone.rows(FACTS),
        "wanted": zone.rows("SELECT e.value FROM lookup l JOIN entity e ON e.id = l.entity_id ORDER BY 1"),
        "files": sorted(path.name for path in zone.place.iterdir()),
        "held": sorted(path for (path,) in zone.rows("SELECT path FROM zone_snapshot WHERE path <> ''")),
        "staging": zone.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'staging'"),
        "cursor": {name: value for name, value in cursor.items() if name not in {"files", "asked"}},
        "read": len(cursor.get("files", ())),
    }


@pytest.mark.slow
def test_killed_anywhere_nothing_is_lost_or_doubled(engine: Engine, tmp_path: Path) -> None:
    zone = zone_folder(engine, tmp_path / "zones")
    names = {f"n{number}": "ns1.host.test" for number in range(60)}
    zone.put(names)
    names = {name: hosts for name, hosts in names.items() if not name.endswith("3")}
    names |= {f"evil-{number}": "ns9.host.test" for number in range(9)} | {"n50": "ns2.host.test"}
    zone.put(names)
    zone.put(names | {"n3": "ns9.host.test", "n51": "ns3.host.test"})
    random, kills = Random(20261124), 0
    with dying(str(zone.folder)) as die:
        begin(zone)
        status, calls = die(-1)
        assert status == 0
        expected = end(zone)
        assert [row[3:] for row in expected["snapshots"]] == [(None, None, None), (9, 6, 1), (1, 0, 1)]
        assert expected["files"] == expected["held"]
        assert expected["facts"]
        while kills < 20:
            begin(zone)
            status, most = -signal.SIGKILL, calls
            while status == -signal.SIGKILL:
                status, _ = die(-1 if kills >= 20 else random.randrange(1, most))
                if status == -signal.SIGKILL:
                    kills += 1
                    let_go(engine)
                # What is left takes fewer calls; a kill that comes too late is none.
                most = max(2, most * 3 // 4)
            assert status == 0
            # What a death between a commit and the clearing up has left goes with the next file, or nightly.
            tidy(engine)
            assert end(zone) == expected


@pytest.mark.slow
def test_killed_while_it_fetches_too(engine: Engine, tmp_path: Path) -> None:
    server = ZoneServer()
    first = {f"n{number}": "ns1.host.test" for number in range(3000)}
    second = {**first, "evil-1": "ns9.host.test", "evil-2": "ns9.host.test", "n50": "ns2.host.test"}
    random, kills = Random(20261124), 0
    with serve(server.app()) as served:
        (tmp_path / "configs" / "network.yaml").write_text(f'allow: ["127.0.0.1:{served.port}"]\n')
        zone = zone_folder(engine, tmp_path / "zones")

        def story(die: Callable[[int], tuple[int, int]], most: int, wanted: int) -> tuple[int, int]:
            begin(zone)
            count = calls = 0
            for day, names in enumerate((first, second)):
                server.put(zone_text(names, serial=day + 1), etag=f'"{day}"', modified=MONDAY + timedelta(days=day))
                status, left = 1, most
                while status:
                    # A transfer that breaks is an error of its own; the next run goes on.
                    broken = count < wanted and random.random() < 0.3
                    server.break_at = [4000] if broken else []
                    status, calls = die(random.randrange(1, left) if count < wanted else -1)
                    assert status in {0, -signal.SIGKILL} or broken
                    count += status == -signal.SIGKILL
                    let_go(engine)
                    left = max(2, left * 3 // 4)
            tidy(engine)
            return count, calls

        with dying(f"{served.url}/zone.gz") as die:
            _, calls = story(die, 2, 0)
            expected = end(zone)
            assert [row[3:] for row in expected["snapshots"]] == [(None, None, None), (2, 0, 1)]
            while kills < 10:
                kills += story(die, calls, 10 - kills)[0]
                assert end(zone) == expected
