"""Compares the zones of a folder, and dies where it is told to (lab/bench/_dying.py)."""

from __future__ import annotations

import sys

from db.engine import warehouse
from intel.names import default_suffixes
from lab.bench._dying import Watch, die_on_demand
from tests.tasks.load.zones_world import run_zone
from tests.zones import zone_source

WHERE = ("/tasks/load/", "/tasks/collect/zones", "/tasks/collect/session.py", "/db/", "/sqlalchemy/engine/base.py")


def compare_all(watch: Watch) -> None:
    source = zone_source(sys.argv[1])
    with warehouse() as engine:
        watch(True)
        run_zone(engine, source, slice_=7)
        watch(False)


if __name__ == "__main__":
    default_suffixes()
    die_on_demand(compare_all, WHERE)
