"""Compacts, hunts and tidies, and dies where it is told to (lab/bench/_dying.py)."""

from __future__ import annotations

from datetime import timedelta

from db.archive_compact import compact
from db.archive_retain import tidy
from db.engine import warehouse
from intel.config.ct import read_ct
from intel.names import default_suffixes
from intel.settings import settings
from lab.bench._dying import Watch, die_on_demand
from tasks.load.ct_hunt import hunt

WHERE = ("/tasks/load/", "/tasks/normalize/", "/tasks/collect/session.py", "/db/", "/sqlalchemy/engine/base.py")


def keep_house(watch: Watch) -> None:
    archive, home = read_ct(settings().configs).archive, settings().home
    with warehouse() as engine:
        watch(True)
        compact(engine, archive, home, target=16)
        hunt(engine)
        # At once, so that a kill may meet the removal of what the kills before left.
        tidy(engine, archive, home, spared=timedelta())
        watch(False)


if __name__ == "__main__":
    default_suffixes()
    die_on_demand(keep_house, WHERE)
