"""The command as a person has it: a home of its own, a terminal of 80 columns, the lab as its internet.

lapsewatch   runs the command on a new, empty home
told         the same on a home that has read the invented world's Monday and Wednesday
"""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from rich.cells import cell_len
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from apps.cli import output
from apps.cli.main import app
from db.engine import open_engine
from db.entities import ensure_entities
from intel.config.sources import read_sources
from intel.entities import guess
from intel.settings import settings
from lab import world
from lab.configs import write_configs
from lab.internet import Internet, internet
from tasks.enrich.records import Case, Subject
from tasks.enrich.registration import registration

COLUMNS: Final = 80
_NUMBERS: Final = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the command said, on standard output and standard error."""

    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def widest(self) -> int:
        return max((cell_len(line) for line in self.stdout.splitlines()), default=0)


@dataclass(kw_only=True)
class Lapsewatch:
    """Call it with the words that a person types; `code` is the exit code that they must bring."""

    configs: Path
    engine: Engine

    def __call__(self, *words: str, code: int = 0) -> Said:
        result = CliRunner().invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, f"{words}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
        return Said(stdout=result.stdout, stderr=result.stderr)

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.engine.begin() as connection:
            done = connection.execute(text(statement), values)
            return list(done) if done.returns_rows else []


@contextmanager
def installed(url: str, folder: Path, net: Internet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lapsewatch]:
    write_configs(folder / "configs", net.addresses)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = probe.getsockname()[1]
    for name, value in {
        "DATABASE_URL": url, "CONFIGS": folder / "configs", "HOME": folder / "home", "PREFECT_PORT": nobody,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"LAPSEWATCH_{name}", str(value))
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    for console in (output.console, output.errors):
        monkeypatch.setattr(console, "_width", None)  # what COLUMNS was when it was made
    settings.cache_clear()
    engine = open_engine(url)
    try:
        yield Lapsewatch(configs=folder / "configs", engine=engine)
    finally:
        engine.dispose()
        settings.cache_clear()


@pytest.fixture(scope="session")
def net() -> Iterator[Internet]:
    with internet() as running:
        yield running


@pytest.fixture
def lapsewatch(
    database_url: str, tmp_path: Path, net: Internet, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lapsewatch]:
    with installed(database_url, tmp_path, net, monkeypatch) as made:
        yield made


@pytest.fixture(scope="session")
def _told(
    database_server: str, _template_database: str, net: Internet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a warehouse that has read Monday and Wednesday, and asked the registry about the new domain."""
    with _copy(database_server, _template_database) as (name, url), pytest.MonkeyPatch.context() as monkeypatch:
        with installed(url, tmp_path_factory.mktemp("told"), net, monkeypatch) as command:
            for moment in (world.MONDAY, world.WEDNESDAY):
                net.move(moment)
                for source in read_sources(command.configs).values():
                    if source.transport != "lookup":
                        command("collect", source.name)
            _ask_registry(command.engine, world.NEW_DOMAIN)
        yield name


@pytest.fixture
def told(
    database_server: str, _told: str, tmp_path: Path, net: Internet, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lapsewatch]:
    with _copy(database_server, _told) as (_, url), installed(url, tmp_path, net, monkeypatch) as made:
        yield made


def _ask_registry(engine: Engine, domain: str) -> None:
    named = guess(domain)
    with engine.begin() as connection:
        number = ensure_entities(connection, [named])[named.digest]
    subject = Subject(id=number, kind=named.kind, value=named.value, scope=named.scope, address="")
    registration(engine, Case(incident=1, subjects=(subject,)))


@contextmanager
def _copy(server: str, template: str) -> Iterator[tuple[str, str]]:
    """(name, URL) of a copy of a database that nobody is connected to."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"lapsewatch_cli_{worker}_{os.getpid()}_{next(_NUMBERS)}"
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield name, make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
