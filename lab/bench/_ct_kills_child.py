"""`python -m lab.bench._ct_kills_child STORY_JSON`: follows a log, judges what came of it, and dies where it is told to
(lab/bench/_dying.py).
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from db.engine import warehouse
from intel.config.sources import Source
from intel.names import default_suffixes
from lab.bench._dying import Watch, die_on_demand
from tasks.collect.session import open_run
from tasks.load import ct
from tasks.pivot.hub_lists import lists
from tasks.watch import certificates

WHERE: Final = ("/tasks/load/", "/tasks/collect/", "/tasks/watch/monitor.py", "/db/", "/sqlalchemy/engine/base.py")


def main(story: dict[str, Any]) -> None:
    """Live, and die, as often as asked."""
    source = Source.model_validate(story["source"])

    def follow(watch: Watch) -> None:
        with warehouse() as engine:
            watch(True)
            with open_run(engine, source) as run:
                # In processes of their own, as a long way is read.
                ct.follow(engine, source, run, ct.head(engine, source, run), chunk_entries=story["chunk"], few=0)
            certificates.monitor(engine)
            watch(False)

    # What each process would read for itself, slowly, being watched.
    default_suffixes()
    lists()
    die_on_demand(follow, WHERE)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
