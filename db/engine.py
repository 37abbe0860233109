"""Engines: one way to the warehouse, embedded or elsewhere.

`LAPSEWATCH_DATABASE_URL` names any PostgreSQL 15 or newer; without it the embedded server is started for whoever needs
it and stopped when the last one leaves (see db/embedded.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from db import embedded
from intel.errors import ConfigError
from intel.settings import settings

_APPLICATION: Final = "lapsewatch"


def psycopg_url(text: str) -> URL:
    """A PostgreSQL URL with our driver, whatever driver it names. Raises ConfigError for other databases."""
    url = make_url(text)
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigError(f"couldn't use a database of kind {url.get_backend_name()}: Lapsewatch needs PostgreSQL 15+")
    return url.set(drivername="postgresql+psycopg")


def open_engine(url: str | URL, *, pooled: bool = False) -> Engine:
    """An engine on `url`: UTC sessions; times out rather than waiting for ever on a lock or a dead host."""
    extra = {} if pooled else {"poolclass": NullPool}
    engine = create_engine(
        psycopg_url(url) if isinstance(url, str) else url,
        connect_args={"application_name": _APPLICATION, "connect_timeout": 10, "keepalives_idle": 30},
        **extra,
    )

    @event.listens_for(engine, "connect")
    def _session(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # the driver's connection
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.close()
        connection.commit()  # type: ignore[attr-defined]

    return engine


@contextmanager
def warehouse(*, pooled: bool = False) -> Iterator[Engine]:
    """An engine on the warehouse of this installation, for as long as the block lasts.

    Starts the embedded server where no URL is set. Raises UnavailableError where it cannot.
    """
    given = settings().database_url
    if given is not None:
        engine = open_engine(given.get_secret_value(), pooled=pooled)
        try:
            yield engine
        finally:
            engine.dispose()
        return
    with embedded.acquire(settings().home / "postgres") as lease:
        engine = open_engine(lease.server.url("lapsewatch"), pooled=pooled)
        try:
            yield engine
        finally:
            engine.dispose()
