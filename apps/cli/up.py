"""`lapsewatch up`: the database, Prefect's server and worker, the TAXII server, and the timetable, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, text

from apps.cli import interrupts, prefect_server
from apps.cli.services import Running, Service, answers
from db import embedded
from db.engine import open_engine, psycopg_url
from db.migrate import upgrade_engine
from intel.errors import ConfigError
from intel.settings import settings

Say = Callable[[str], None]
_DATABASES: Final = ("lapsewatch", "prefect")


@contextmanager
def everything(say: Say) -> Iterator[Running]:
    """All services, healthy, with the timetable deployed, for as long as the block lasts.

    Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt at any time in here; everything is stopped then.
    """
    with interrupts.stoppable(), databases() as (warehouse_url, prefect_url):
        engine = open_engine(warehouse_url)
        upgrade_engine(engine)
        engine.dispose()
        say("warehouse ready")
        with Running(settings().home / "log") as running:
            running.start(prefect_server.server(prefect_url))
            say(f"Prefect server ready: http://127.0.0.1:{settings().prefect_port}")
            prefect_server.deploy()
            say("timetable deployed")
            running.start(prefect_server.worker())
            say("worker ready")
            running.start(_taxii())
            say(f"TAXII server ready: {taxii_address()}")
            yield running


def taxii_address() -> str:
    """Where partners find the TAXII server."""
    return f"http://{settings().taxii_host}:{settings().taxii_port}/taxii2/"


@contextmanager
def databases() -> Iterator[tuple[str, str]]:
    """URLs of the warehouse (psycopg) and of Prefect's database (asyncpg): embedded, or beside the one that is set."""
    given = settings().database_url
    if given is None:
        with embedded.acquire(settings().home / "postgres", databases=_DATABASES) as lease:
            yield lease.server.url("lapsewatch"), lease.server.url("prefect", driver="asyncpg")
        return
    url = psycopg_url(given.get_secret_value())
    if url.database == "prefect":
        raise ConfigError("couldn't use LAPSEWATCH_DATABASE_URL: `prefect` is the name of Prefect's own database")
    _create_beside(url.render_as_string(hide_password=False), "prefect")
    yield (
        url.render_as_string(hide_password=False),
        url.set(drivername="postgresql+asyncpg", database="prefect").render_as_string(hide_password=False),
    )


def _create_beside(url: str, name: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}).scalar():
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    engine.dispose()


def _taxii() -> Service:
    address = f"http://{settings().taxii_host}:{settings().taxii_port}"
    return Service(
        name="taxii",
        command=[sys.executable, "-m", "apps.taxii"],
        environment={},
        healthy=answers(f"{address}/health"),
        address=address,
    )


def until_interrupted(running: Running) -> None:
    """Wait for Ctrl-C, SIGTERM or SIGHUP; raises UnavailableError where a service ends by itself."""
    with suppress(KeyboardInterrupt):
        while True:
            running.check()
            time.sleep(0.5)


def log_folder() -> Path:
    """Where the services' output goes."""
    return settings().home / "log"
