"""One warehouse for each module of pivots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from db.engine import open_engine
from tests.conftest import _database
from tests.pivots import Pivots


@pytest.fixture(scope="module")
def pivots(database_server: str, _template_database: str) -> Iterator[Pivots]:
    for url in _database(database_server, _template_database):
        engine = open_engine(url, pooled=True)
        try:
            yield Pivots(engine)
        finally:
            engine.dispose()
