"""Engines: one way to the warehouse, embedded or elsewhere.

`LAPSEWATCH_DATABASE_URL` names any PostgreSQL 15 or newer; without it the embedded server is started for whoever needs
it and stopped when the last one leaves (see db/embedded/).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from db import embedded
from intel.errors import ConfigError, LapsewatchError, UnavailableError, WarehouseError
from intel.settings import settings

PATIENCE: Final = 60
"""Seconds that a session waits for a lock: a person who waits longer is better told."""
LONG_PATIENCE: Final = 1_800
"""The same for loads and monitors, which nobody watches: they wait for the transactions of others, one of which may be
a whole snapshot or a backward sweep."""

_APPLICATION: Final = "lapsewatch"
_LOCK_NOT_AVAILABLE: Final = "55P03"


def psycopg_url(text: str) -> URL:
    """A PostgreSQL URL with our driver, whatever driver it names. Raises ConfigError for other databases."""
    url = make_url(text)
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigError(f"couldn't use a database of kind {url.get_backend_name()}: Lapsewatch needs PostgreSQL 15+")
    return url.set(drivername="postgresql+psycopg")


def open_engine(url: str | URL, *, pooled: bool = False, patience: int = PATIENCE) -> Engine:
    """An engine on `url`: UTC sessions that wait `patience` seconds for a lock, and two minutes for a dead host.

    Its errors do not show the values that were bound; what the driver says may still quote a row (see `warehouse`).
    """
    extra = {} if pooled else {"poolclass": NullPool}
    engine = create_engine(
        psycopg_url(url) if isinstance(url, str) else url,
        # A host that is gone is noticed after 30 + 3 * 10 seconds of silence, and after 120 with data on its way.
        connect_args={
            "application_name": _APPLICATION,
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 120_000,
        },
        hide_parameters=True,
        **extra,
    )

    @event.listens_for(engine, "connect")
    def _session(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # the driver's connection
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"SET lock_timeout = '{int(patience)}s'")
        cursor.close()
        connection.commit()  # type: ignore[attr-defined]

    return engine


@contextmanager
def warehouse(*, pooled: bool = False, patience: int = PATIENCE) -> Iterator[Engine]:
    """An engine on the warehouse of this installation, for as long as the block lasts.

    Starts the embedded server where no URL is set. Raises UnavailableError where it cannot be started or reached,
    WarehouseError in the place of what the database says in the block: the driver's words may quote a row.
    """
    with _somewhere() as url:
        engine = open_engine(url, pooled=pooled, patience=patience)
        try:
            yield engine
        except (DBAPIError, psycopg.Error) as error:
            # With its frames, which hold no values, and without the error itself, which tracebacks would show.
            raise _without_values(error, patience).with_traceback(error.__traceback__) from None
        finally:
            engine.dispose()


@contextmanager
def _somewhere() -> Iterator[str | URL]:
    given = settings().database_url
    if given is not None:
        yield given.get_secret_value()
        return
    with embedded.acquire(settings().home / "postgres") as lease:
        yield lease.server.url("lapsewatch")


def what_failed(error: BaseException) -> str:
    """An error as it may be logged and shown: without the values that a database's or a parser's words may quote.

    Our own errors are written to be shown. Of the database's, the class, SQLSTATE and constraint are left; of others,
    the class.
    """
    if isinstance(error, LapsewatchError):
        return str(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return type(error).__name__
    constraint = f", constraint {cause.diag.constraint_name}" if cause.diag.constraint_name else ""
    return f"{type(cause).__name__} (SQLSTATE {cause.sqlstate or 'none'}{constraint})"


def where(error: BaseException) -> str:
    """The frames that an error came through: files, lines and code, no values."""
    return "".join(traceback.format_tb(error.__traceback__))


def _without_values(error: DBAPIError | psycopg.Error, patience: int) -> WarehouseError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = what_failed(error)
    if isinstance(cause, psycopg.Error) and cause.sqlstate == _LOCK_NOT_AVAILABLE:
        return WarehouseError(
            f"couldn't wait any longer for the warehouse: another process has held what this needs for {patience} s"
            f" ({said}); nothing of it is kept, try again when the other is done"
        )
    if isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None:
        # What libpq says of a connection names a host, a role and a database, never a row.
        told = " ".join(str(cause).split())[:300]
        return UnavailableError(f"couldn't use the database: {told}; nothing is changed")
    return WarehouseError(f"couldn't use the database: {said}; the transaction that it happened in is undone")
