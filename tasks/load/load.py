"""Load of a batch: staged facts into the warehouse, with cursor and run, in one transaction (see db/load.py)."""

from __future__ import annotations

from typing import Final

from psycopg.errors import DeadlockDetected, SerializationFailure
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from db.load import Batch, Loaded, load
from intel.errors import WarehouseError

_TRIES: Final = 5


def load_batch(engine: Engine, batch: Batch) -> Loaded:
    """Commit `batch`. Raises WarehouseError; nothing is committed then, and the staged rows stay for `sweep`.

    Two loads of several chunks that name the same entities in opposite orders can deadlock; PostgreSQL ends one of
    them, which wrote nothing, and is loaded again from what it staged.
    """
    for _ in range(_TRIES):
        try:
            with engine.begin() as connection:
                return load(connection, batch)
        except OperationalError as error:
            if not isinstance(error.orig, DeadlockDetected | SerializationFailure):
                raise
    raise WarehouseError(
        f"couldn't load run {batch.run_id} of {batch.source}: it met other loads {_TRIES} times; nothing was written,"
        " the next run reads the documents again"
    )
