"""`zonediff`: a zone of 20 million names against the next day's: seconds and peak memory, beside coreutils.

The zone is invented (_zone_rows.py: 0.2 % of the names are added, 0.15 % go, 0.5 % move to other name servers; slightly
out of order). Each day is a run of its own in a process of its own, the real path whole: read and unpack the file,
parse, sort, write the snapshot, and on the second day compare it with the first and load what differs into PostgreSQL.

`seconds` is the second day's run. `peak_mb` is the sum of the peaks (VmHWM) of that process and its children, the
larger of both days; the database server, which others use as well, is not in it. 10,000 items are watched, some of them
hosters that names move to.
The peer does less: `zcat | grep | sort` of the second day and `comm` with the first day's, sorted before; it neither
groups name servers nor parses, keeps and loads nothing. `LAPSEWATCH_BENCH_ZONE_NAMES` changes the 20 million.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, text

from intel.errors import WarehouseError
from intel.settings import CHECKOUT, settings
from lab.bench._ct_processes import Sampler
from lab.bench._zone_rows import days, hosters
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table

NAMES: Final = int(os.environ.get("LAPSEWATCH_BENCH_ZONE_NAMES", "20000000"))
WATCHED: Final = 10_000
WATCH: Final = """
WITH made AS (INSERT INTO watch (name, origin, rules) VALUES ('bench', 'command', '{*}') RETURNING id)
INSERT INTO watch_item (watch_id, match, value)
SELECT id, 'scope', value FROM made, unnest(CAST(:hosters AS text[])) value
UNION ALL SELECT id, 'scope', 'w' || n || '.example' FROM made, generate_series(1, :watched) n
"""
SORT: Final = "zcat {zone} | grep -P '\\tin\\tns\\t' | sort -S 100M -T {folder} > {sorted}"
COMM: Final = "comm -3 {before} {sorted} > {folder}/differs"


def run(names: int = NAMES) -> Result:
    """Compare both ways."""
    with fresh_warehouse(CHECKOUT) as engine:
        made, folder = settings().home / "made", settings().home / "files"
        made.mkdir()
        folder.mkdir()
        files = days(made, names)
        with engine.begin() as connection:
            connection.execute(text(WATCH), {"watched": WATCHED, "hosters": hosters(100, 120)})
        measured = []
        for file in files:
            shutil.move(file, folder / file.name)
            measured.append(_compare(engine, folder))
        peer = _peer(folder, names)
        sizes = [file.stat().st_size for file in sorted(folder.iterdir())]
        kept = [path.stat().st_size for path in sorted((settings().home / "zones" / "bench-zone").iterdir())]
    first, second = measured
    rows: list[tuple[str | int | float, ...]] = [
        (f"{step}, s", round(first["seconds"][step], 1), round(second["seconds"][step], 1)) for step in first["seconds"]
    ]
    rows += [
        ("all, s", round(first["total"], 1), round(second["total"], 1)),
        ("processor, s", round(first["cpu"], 1), round(second["cpu"], 1)),
        ("peak, MB", round(first["peak"] / 1e6), round(second["peak"] / 1e6)),
        ("names", first["names"], second["names"]),
        ("zone file, MB", round(sizes[0] / 1e6), round(sizes[1] / 1e6)),
        ("snapshot, MB", round(kept[0] / 1e6), round(kept[1] / 1e6)),
        *((what, first[what], second[what]) for what in ("added", "removed", "changed", "matched")),
    ]
    return Result(
        tables=(
            Table(title=f"a zone of {names:,} names", columns=("", "first day", "second day"), rows=tuple(rows)),
            Table(
                title="coreutils",
                columns=("step", "s"),
                rows=(("sort the first day, before", peer["before"]), ("sort", peer["sort"]), ("comm", peer["comm"])),
            ),
        ),
        figures={
            "seconds": round(second["total"], 1),
            "peak_mb": round(max(first["peak"], second["peak"]) / 1e6),
            "first_seconds": round(first["total"], 1),
            "names": second["names"],
            "differences": second["added"] + second["removed"] + second["changed"],
            "matched": second["matched"],
            "coreutils_s": round(peer["sort"] + peer["comm"], 1),
            "coreutils_lines": peer["lines"],
        },
    )


def _compare(engine: Engine, folder: Path) -> dict[str, Any]:
    """A run in a process of its own: what it said, and `peak`, in bytes."""
    engine.dispose()
    command = [sys.executable, "-m", "lab.bench._zonediff_child", str(folder)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as child,
        Sampler([child.pid]) as sampler,
    ):
        assert child.stdout is not None
        lines = child.stdout.read().splitlines()
        status = child.wait()
    said: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if status or said.get("alarm") or "names" not in said:
        raise WarehouseError(f"couldn't compare the zone: status {status}, {said.get('alarm')}; nothing is measured")
    return said | {"peak": sum(use.peak for use in sampler.uses.values())}


def _peer(folder: Path, names: int) -> dict[str, float]:
    """Seconds of coreutils, each step; `lines` differ between the days."""
    del names
    place = settings().home / "coreutils"
    place.mkdir()
    one, two = sorted(folder.iterdir())
    found = {
        "before": _shell(SORT.format(zone=one, folder=place, sorted=place / "one")),
        "sort": _shell(SORT.format(zone=two, folder=place, sorted=place / "two")),
        "comm": _shell(COMM.format(before=place / "one", sorted=place / "two", folder=place)),
    }
    with (place / "differs").open("rb") as file:
        found["lines"] = sum(1 for _ in file)
    return found


def _shell(command: str) -> float:
    began = time.monotonic()
    subprocess.run(["sh", "-c", command], check=True, env={**os.environ, "LC_ALL": "C"})
    return round(time.monotonic() - began, 1)
