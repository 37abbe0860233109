"""`python -m lab.bench._zonediff_child FOLDER`: compares what is new of the zones in a folder, as their flow does.

A process of its own, so that its memory is what a worker needs. Its last line is JSON: seconds by step, what came out.
"""

from __future__ import annotations

import json
import sys
import time

from db.engine import warehouse
from intel.config.sources import Source
from lab.bench._zonediff_source import zone_source
from tasks.collect.session import open_run
from tasks.collect.zones import next_zone
from tasks.load.zones import Compared, compare
from tasks.load.zones_snapshot import sort


def main(source: Source) -> None:
    """Compare, and say how long each step took."""
    began = time.monotonic()
    seconds = {"zone file": 0.0, "sort": 0.0, "compare and load": 0.0}
    compared: Compared | None = None
    with warehouse() as engine, open_run(engine, source) as run:
        while True:
            at = time.monotonic()
            file = next_zone(engine, source, run)
            seconds["zone file"] += time.monotonic() - at
            if file is None:
                break
            at = time.monotonic()
            snapshot = sort(engine, source, run, file)
            seconds["sort"] += time.monotonic() - at
            at = time.monotonic()
            compared = compare(engine, source, run, snapshot)
            seconds["compare and load"] += time.monotonic() - at
    said = {"seconds": seconds, "total": time.monotonic() - began, "cpu": time.process_time()}
    if compared is not None:
        told = ("names", "added", "removed", "changed", "matched", "alarm")
        said |= {name: getattr(compared, name) for name in told}
    print(json.dumps(said))


if __name__ == "__main__":
    main(zone_source(sys.argv[1]))
