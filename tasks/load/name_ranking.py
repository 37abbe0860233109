"""The model of names that this warehouse has learnt, for those who rank arrivals by it.

Its bytes lie in the document store; the cursor `name-model` says which they are (tasks/upkeep/name_model.py makes it).
"""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import Engine

from db import documents, runs
from intel.config.newdomains import read_new_domains
from intel.errors import ReadError
from intel.match.name_model import NameModel, read_model
from intel.settings import settings

log = logging.getLogger(__name__)

CURSOR: Final = "name-model"


def open_ranker(engine: Engine) -> NameModel | None:
    """The newest model; None where none was made, ranking is off, or it can no longer be read (the log says so)."""
    if not read_new_domains(settings().configs).ranking.enabled:
        return None
    with engine.connect() as connection:
        kept = runs.read_cursor(connection, CURSOR)
    if kept is None:
        return None
    try:
        return read_model(documents.get(settings().document_store, bytes.fromhex(kept["sha256"])))
    except ReadError as error:
        log.warning("%s", error)
        return None
