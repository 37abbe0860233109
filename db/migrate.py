"""Migrations from Python: bring a warehouse up to date, and say whether it is."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from db.engine import open_engine
from db.models import Base
from intel.settings import CHECKOUT


def _config(connection: Connection | None = None) -> Config:
    config = Config(CHECKOUT / "alembic.ini")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def upgrade_engine(engine: Engine, revision: str = "head") -> None:
    """Bring the warehouse behind `engine` to `revision`; nothing happens where it is there already."""
    with engine.connect() as connection:
        command.upgrade(_config(connection), revision)


def upgrade(url: str) -> None:
    """Bring the warehouse at `url` up to date."""
    engine = open_engine(url)
    try:
        upgrade_engine(engine)
    finally:
        engine.dispose()


def pending(engine: Engine) -> bool:
    """Whether the warehouse lacks a migration."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() != head


def drift(engine: Engine) -> list[object]:
    """Where models and migrations disagree, in alembic's words; empty where they agree."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_server_default": True,
                "include_object": lambda thing, _name, kind, _reflected, _other: (
                    kind != "table" or thing.schema in {None, "public"}
                ),
            },
        )
        return list(compare_metadata(context, Base.metadata))
