"""The driver's connection behind a SQLAlchemy one, for COPY."""

from __future__ import annotations

import psycopg
from sqlalchemy import Connection


def driver(connection: Connection) -> psycopg.Connection:
    """The psycopg connection that `connection` uses; it shares its transaction."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError("the warehouse is reached through psycopg")
    return raw
