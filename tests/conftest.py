"""What every test may ask for: a database server, a database of its own, the real data.

database_server      URL of a server's maintenance database; the account may create databases
database_url         a migrated, empty warehouse, dropped after the test
engine               an engine on that
empty_database_url   a database without a table, dropped after the test
data_dir             the folder of real data; the test is skipped, and counted, where it is missing
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

CHECKOUT: Final = Path(__file__).resolve().parent.parent
_LACKS_DATA: Final = "lacks the real data (LAPSEWATCH_DATA)"
_NUMBERS: Final = itertools.count(1)
# A test's database is thrown away: what a power cut would do to it is of no interest.
_SERVER_SETTINGS: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
}


def _data_folder() -> Path:
    return Path(os.environ.get("LAPSEWATCH_DATA") or CHECKOUT.parent / "shared" / "data")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "data_dir" in names:
            item.add_marker("data")
        # What takes a process many seconds to start is started by one of them.
        for costly in ("prefect_server", "_told"):
            if costly in names:
                item.add_marker(pytest.mark.xdist_group(costly))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("data") is not None and not _data_folder().is_dir():
        pytest.skip(_LACKS_DATA)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    lacking = sum(_LACKS_DATA in str(report.longrepr) for report in skipped)
    if lacking:
        terminalreporter.write_line(f"{lacking} tests lacked the real data (LAPSEWATCH_DATA)", yellow=True)


@pytest.fixture
def data_dir() -> Path:
    return _data_folder()


def _memory() -> str | None:
    """A folder in memory, where there is one with room: each temporary table is files, which a disk makes slowly."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or not os.access(shared, os.W_OK | os.X_OK) or shutil.disk_usage(shared).free < 4 << 30:
        return None
    return str(shared)


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """TEST_DATABASE_URL, or an embedded server of this (pytest-xdist) process's own."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        return
    from db import embedded

    # pytest's own folders have mode 700; run by root, the server's account could not get there.
    folder = Path(tempfile.mkdtemp(prefix="lapsewatch-tests-", dir=_memory()))
    folder.chmod(0o711)
    try:
        with embedded.acquire(folder / "postgres", databases=(), settings=_SERVER_SETTINGS) as lease:
            yield lease.server.url("postgres")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _template_database(database_server: str) -> Iterator[str]:
    from db.migrate import upgrade

    name = _new_name("template")
    _administer(database_server, f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        upgrade(_url(database_server, name))
        yield name
    finally:
        _administer(database_server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database_url(database_server: str, _template_database: str) -> Iterator[str]:
    yield from _database(database_server, _template_database)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    from db.engine import open_engine

    made = open_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def empty_database_url(database_server: str) -> Iterator[str]:
    yield from _database(database_server, "template0")


def _database(server: str, template: str) -> Iterator[str]:
    name = _new_name("test")
    # Files are copied in a sixth of the time that it takes to write every page to the log.
    _administer(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    try:
        yield _url(server, name)
    finally:
        _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _new_name(kind: str) -> str:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return f"lapsewatch_{kind}_{worker}_{os.getpid()}_{next(_NUMBERS)}"


def _url(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


def _administer(server: str, statement: str) -> None:
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
