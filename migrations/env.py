"""Runs migrations: each in a transaction of its own, under an advisory lock, with lock and statement timeouts.

A migration must work with the release before it: add, fill, switch, and drop only in the next release.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from db.engine import open_engine
from db.models import Base
from intel.settings import settings

LOCK = 0x6C617073  # "laps": one migration at a time, wherever it was started from


def _run(connection: Connection) -> None:
    # A session lock, so that it outlives the transaction of each migration.
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.execute(text("SET statement_timeout = '15min'"))
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            compare_server_default=True,
            include_object=lambda thing, _name, kind, _reflected, _other: (
                kind != "table" or thing.schema in {None, "public"}
            ),
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        if connection.in_transaction():
            connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
        connection.commit()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    url = settings().database_url
    if url is None:
        raise SystemExit("set LAPSEWATCH_DATABASE_URL, or use `lapsewatch db upgrade`")
    engine = open_engine(url.get_secret_value())
    with engine.connect() as connection:
        _run(connection)
