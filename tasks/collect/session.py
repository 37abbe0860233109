"""A run from its beginning to its end: the lock, the row, and what is written when it fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from db import runs, staging
from db.engine import warehouse, what_failed
from db.rows import driver
from intel.config.ct import read_ct
from intel.config.sources import Source, read_sources
from intel.errors import ConfigError, LapsewatchError
from intel.settings import settings
from tasks.collect.ct_choice import list_problem, listed_source
from tasks.records import Run

log = logging.getLogger(__name__)


def find_source(name: str, connection: Connection | None = None) -> Source:
    """The entry of source `name` in configs/sources/, or of the log `name` in the list of logs.

    The warehouse is asked through `connection`, or one of its own. Raises ConfigError where there is neither.
    """
    configs = settings().configs
    sources = read_sources(configs)
    if name in sources:
        return sources[name]
    found: Source | None = None
    if connection is not None:
        found = listed_source(connection, name)
    elif not list_problem(read_ct(configs)):  # without a list there is no listed log, and the warehouse can stay down
        with warehouse() as engine, engine.connect() as own:
            found = listed_source(own, name)
    if found is not None:
        return found
    near = ", ".join(sorted(other for other in sources if other[:3] == name[:3])[:5])
    hint = f"; did you mean {near}?" if near else "; `lapsewatch sources` and `lapsewatch ct logs` list them"
    raise ConfigError(f"couldn't collect {name}: there is no such source in configs/sources, and no such log{hint}")


@contextmanager
def open_run(engine: Engine, source: Source, *, flow_run: str = "") -> Iterator[Run]:
    """A run of `source`, alone on it for as long as the block lasts.

    An error in the block closes the run as `failed` with the error's message, drops what was staged, and goes on up;
    the cursor has not moved. Raises BusyError where another process collects from the source.
    """
    with runs.exclusive(engine, f"source:{source.name}"):
        with engine.begin() as connection:
            source_id = runs.ensure_source(connection, **source.row())
            run_id = runs.begin(connection, source_id, flow_run=flow_run)
        with engine.begin() as connection:
            staging.sweep(driver(connection))
        try:
            yield Run(source=source.name, source_id=source_id, run_id=run_id)
        except BaseException as error:
            _fail(engine, run_id, error)
            raise
        with engine.begin() as connection:
            runs.finish_if_running(connection, run_id)


def _fail(engine: Engine, run_id: int, error: BaseException) -> None:
    """Say on the run what went wrong; where even that fails, the next run finds it `running` and says `interrupted`."""
    known = isinstance(error, LapsewatchError)
    message = str(error) if known else f"{type(error).__name__}: a fault of Lapsewatch; see the log of the flow run"
    try:
        with engine.begin() as connection:
            runs.finish(connection, run_id, outcome="failed", error=message)
            staging.sweep(driver(connection), run_id)
    except Exception as fault:  # noqa: BLE001 - whatever it is, the error that brought us here is the one to go on up
        log.warning("couldn't close run %s: %s; the next run of its source closes it", run_id, what_failed(fault))
