"""Work that is judged piece by piece, a transaction each: a piece that fails spares the others, and is told at the end.

A failure is logged without the error's own words, which may quote a row; where the database is gone the others would
fail as well, each after a wait, and the error goes up at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from db.engine import what_failed, where
from intel.errors import WarehouseError

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Pieces:
    """The pieces of one run of a monitor; those that failed are in `failed`, each with what happened."""

    def __init__(self, engine: Engine, monitor: str) -> None:
        self.failed: dict[str, str] = {}
        self._engine = engine
        self._monitor = monitor

    def judge(self, what: str, work: Callable[[Connection], Result]) -> Result | None:
        """What the work returns, committed; None where it failed, and nothing of it is kept."""
        try:
            return in_transaction(self._engine, work)
        except Exception as error:
            if _is_gone(error):
                raise
            self.failed[what] = what_failed(error)
            log.error(  # noqa: TRY400 - the traceback without the error, whose words may quote a row
                "%s: %s: %s\n%s", self._monitor, what, self.failed[what], where(error)
            )
            return None

    def tell(self, called: str) -> None:
        """Raises WarehouseError where pieces (`called`: batches, rules, ...) failed."""
        if not self.failed:
            return
        told = ", ".join(f"{what} ({said})" for what, said in list(self.failed.items())[:5])
        raise WarehouseError(
            f"couldn't judge {len(self.failed)} {called} for the monitor of {self._monitor}: {told}; the others are"
            " judged, and the next run tries these again"
        )


def in_transaction(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """What the work returns, committed."""
    with engine.begin() as connection:
        return work(connection)


def _is_gone(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, psycopg.OperationalError) and error.sqlstate is None
    lost = isinstance(error.orig, psycopg.OperationalError) and error.orig.sqlstate is None
    return error.connection_invalidated or lost
