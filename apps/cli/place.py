"""The warehouse as a command wants it: there, and of this release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from db.engine import warehouse
from db.migrate import upgrade_engine


@contextmanager
def ready_warehouse() -> Iterator[Engine]:
    """An engine on the warehouse, brought up to date first: on a new home any command may be the first."""
    with warehouse() as engine:
        upgrade_engine(engine)
        yield engine
