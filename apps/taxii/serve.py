"""Runs the TAXII server on this installation's warehouse, at the host and port of the settings."""

from __future__ import annotations

import uvicorn
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from apps.taxii.app import create_app
from apps.taxii.resources import Description
from db.engine import warehouse
from db.migrate import pending
from db.publishing import ensure_collections
from intel.config.organisation import read_organisation
from intel.config.publishing import read_publishing
from intel.errors import UnavailableError, WarehouseError
from intel.settings import settings


def serve() -> None:
    """Serve until the process is told to stop.

    Plain HTTP on loopback, unless the settings say otherwise: TLS, which the standard asks for, is the business of the
    proxy in front. Raises ConfigError for wrong files in configs/, UnavailableError without a database,
    WarehouseError for one that lacks migrations.
    """
    policy = read_publishing(settings().configs)
    contact = policy.contact or read_organisation(settings().configs).contact
    with warehouse() as engine:
        _expect_migrated(engine)
        with engine.begin() as connection:
            # Collections are there before the first finding is published.
            ensure_collections(connection, [entry.row() for entry in policy.collections])
        app = create_app(
            engine.url.render_as_string(hide_password=False),
            description=Description(title=policy.title, description=policy.description, contact=contact),
        )
        uvicorn.run(app, host=settings().taxii_host, port=settings().taxii_port, server_header=False, ws="none")


def _expect_migrated(engine: Engine) -> None:
    try:
        lacks = pending(engine)
    except OperationalError as error:
        raise UnavailableError(
            f"couldn't reach the warehouse: {type(error.orig).__name__}; check LAPSEWATCH_DATABASE_URL, and that the"
            " server runs"
        ) from error
    if lacks:
        raise WarehouseError(
            "couldn't serve the warehouse: it lacks migrations; run `lapsewatch db upgrade`, then start this again"
        )
