"""A place to measure in: an empty warehouse and a home of its own, gone when the block ends.

In: TEST_DATABASE_URL, a PostgreSQL server whose account may create databases; without it the embedded server. Out: an
engine. The settings of the process point to the place for as long as the block lasts.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from db.engine import psycopg_url, warehouse
from db.migrate import upgrade_engine
from intel.settings import settings


@contextmanager
def fresh_warehouse(data: Path) -> Iterator[Engine]:
    """An engine on an empty, migrated warehouse; `data` is where relative locations of sources lie."""
    # The embedded server runs as an account of its own, which must get here.
    home = Path(tempfile.mkdtemp(prefix="lapsewatch-bench-"))
    home.chmod(0o711)
    try:
        with _database() as url:
            # No other warehouse than this one, whatever the environment says.
            environment = {
                "LAPSEWATCH_HOME": str(home),
                "LAPSEWATCH_DATA": str(data),
                "LAPSEWATCH_DATABASE_URL": url or None,
            }
            with _environment(environment), warehouse(pooled=True) as engine:
                upgrade_engine(engine)
                yield engine
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _database() -> Iterator[str]:
    """The URL of a new database on TEST_DATABASE_URL, dropped afterwards; empty where that is not set."""
    given = os.environ.get("TEST_DATABASE_URL", "")
    if not given:
        yield ""
        return
    url = psycopg_url(given)
    name = f"lapsewatch_bench_{os.getpid()}_{secrets.token_hex(3)}"
    server = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    settings.cache_clear()
    try:
        yield
    finally:
        _set(before)
        settings.cache_clear()


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
