"""`python -m lab.bench._ct_child`: follows one log to its end, as a flow run does, slice after slice.

In: the source's entry as JSON on standard input, and the settings of the environment. Out: one JSON line when it is
ready, and one when it has read all: clocks, CPU seconds and what was read.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

from db.engine import LONG_PATIENCE, warehouse
from intel.config.sources import Source
from lab.bench._ct_processes import parent
from tasks.collect.session import open_run
from tasks.load.ct import follow, head


def main() -> None:
    """Follow, and say how it went."""
    source = Source.model_validate(json.loads(sys.stdin.readline()))
    with warehouse(patience=LONG_PATIENCE) as engine:
        with engine.connect() as connection:
            # PostgreSQL's first process is the parent of the one that serves us, if it runs here.
            backend = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
            postmaster = parent(backend)
        _say(postmaster=postmaster)
        sys.stdin.readline()
        before, began = _cpu(), time.monotonic()
        entries = hits = 0
        while True:
            with open_run(engine, source) as run:
                followed = follow(engine, source, run, head(engine, source, run))
            entries, hits = entries + followed.entries, hits + followed.hits
            if not followed.more:
                break
        _say(
            began=began,
            ended=time.monotonic(),
            cpu=_cpu() - before,
            entries=entries,
            position=followed.position,
            hits=hits,
        )


def _cpu() -> float:
    """Of this process and of its children that have ended."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
