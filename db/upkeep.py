"""Upkeep: what dead processes left, and statistics for the planner. Idempotent; safe beside everything else."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine, text

from db import runs, staging
from db.rows import driver
from intel.errors import BusyError

_ANALYZED: Final = ("entity", "fact", "fact_history", "link", "watch_item", "finding", "seen_domain")


def close_dead_runs(engine: Engine) -> int:
    """Runs that say `running` while nobody holds their source's lock become `interrupted`. Returns how many."""
    closed = 0
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT DISTINCT s.id, s.name FROM run r JOIN source s ON s.id = r.source_id"
                " WHERE r.outcome = 'running'"
            )
        ).all()
    for source_id, name in rows:
        try:
            with runs.exclusive(engine, f"source:{name}"), engine.begin() as connection:
                closed += runs.interrupt(connection, source_id)
        except BusyError:
            continue
    return closed


def sweep_staging(engine: Engine) -> int:
    """Drop staging tables that belong to no running run. Returns how many."""
    with engine.begin() as connection:
        return staging.sweep(driver(connection))


def analyze(engine: Engine) -> None:
    """Fresh statistics of the large tables, so that the planner knows how they have grown."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in _ANALYZED:
            connection.exec_driver_sql(f"VACUUM (ANALYZE, SKIP_LOCKED) {table}")
