from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.engine import open_engine, warehouse
from db.rows import driver
from db.watching import lock_items
from intel.errors import UnavailableError, WarehouseError
from intel.settings import settings

SECRET = "jane.doe@victim.example"


@pytest.fixture(autouse=True)
def _installation(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    settings.cache_clear()
    yield
    settings.cache_clear()


@contextmanager
def said() -> Iterator[list[str]]:
    """All that a log would show of the error that the block ends with."""
    found: list[str] = []
    try:
        yield found
    except WarehouseError as error:
        found.append("".join(traceback.format_exception(error)))


def test_a_row_that_the_database_refuses_is_not_shown() -> None:
    with said() as shown, warehouse() as engine, engine.begin() as connection:
        row = {"digest": "00000000-0000-0000-0000-000000000001", "value": SECRET}
        insert = text("INSERT INTO entity (digest, kind, value) VALUES (:digest, 'email', :value)")
        connection.execute(insert, row)
        connection.execute(insert, row)
    (told,) = shown
    assert SECRET not in told
    assert "SQLSTATE 23505" in told
    assert "uq_entity_digest" in told
    assert "test_a_row_that_the_database_refuses_is_not_shown" in told  # where it happened


def test_a_row_that_copy_refuses_is_not_shown() -> None:
    with said() as shown, warehouse() as engine, engine.begin() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE copied (address inet)")
        with driver(connection).cursor().copy("COPY copied FROM STDIN") as copy:
            copy.write(f"{SECRET}\n")
    (told,) = shown
    assert SECRET not in told
    assert "SQLSTATE 22P02" in told


def test_a_value_that_was_bound_is_not_shown() -> None:
    engine = open_engine(settings().database_url.get_secret_value())  # type: ignore[union-attr]  # set above
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SELECT 1 / CAST(:zero AS integer), :value"), {"zero": 0, "value": SECRET})
    assert SECRET not in str(caught.value)
    engine.dispose()


def test_a_lock_that_another_holds_is_waited_for_and_then_told(database_url: str) -> None:
    other = open_engine(database_url)
    with other.begin() as holding:
        lock_items(holding)
        with (
            pytest.raises(WarehouseError, match="another process has held what this needs for 1 s"),
            warehouse(patience=1) as engine,
            engine.begin() as connection,
        ):
            lock_items(connection)
    other.dispose()


def test_a_session_waits_for_a_minute(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "1min"
        assert connection.exec_driver_sql("SHOW timezone").scalar_one() == "UTC"
        raw = driver(connection)
        assert isinstance(raw, psycopg.Connection)
        assert raw.info.get_parameters()["tcp_user_timeout"] == "120000"
    engine.dispose()


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", "postgresql://nobody:hidden@127.0.0.1:9/lapsewatch")
    settings.cache_clear()
    with (
        pytest.raises(UnavailableError, match=r"couldn't use the database: .*127\.0\.0\.1") as caught,
        warehouse() as engine,
        engine.connect(),
    ):
        pass
    assert "hidden" not in str(caught.value)
