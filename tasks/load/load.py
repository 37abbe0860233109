"""Load of a batch: staged facts into the warehouse, with cursor and run, in one transaction (see db/load.py)."""

from __future__ import annotations

from sqlalchemy import Engine

from db.load import Batch, Loaded, load


def load_batch(engine: Engine, batch: Batch) -> Loaded:
    """Commit `batch`. Raises WarehouseError; nothing is committed then, and the staged rows stay for `sweep`."""
    with engine.begin() as connection:
        return load(connection, batch)
