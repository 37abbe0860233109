"""Collects the lists of a folder, and dies where it is told to (lab/bench/_dying.py)."""

from __future__ import annotations

import sys

from db.engine import warehouse
from intel.names import default_suffixes
from lab.bench._dying import Watch, die_on_demand
from tasks.collect.session import open_run
from tasks.collect.slices import collect_slice
from tasks.load import new_domains
from tasks.load.new_domain_lists import load_lists
from tests.tasks.normalize.test_domains import source

WHERE = ("/tasks/load/", "/tasks/collect/session.py", "/tasks/collect/slices.py", "/db/", "/sqlalchemy/engine/base.py")


def load_all(watch: Watch) -> None:
    entry = source(location=sys.argv[1], options={"as_of": r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"})
    with warehouse() as engine:
        watch(True)
        with open_run(engine, entry) as run:
            last = False
            while not last:
                collected = collect_slice(engine, entry, run)
                if not collected.documents and collected.cursor is None and not collected.problems:
                    break
                last = load_lists(engine, entry, collected).last
        watch(False)


if __name__ == "__main__":
    default_suffixes()
    new_domains.SLICE = 7  # type: ignore[misc]  # several slices of a short list
    die_on_demand(load_all, WHERE)
