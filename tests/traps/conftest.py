"""One warehouse for each module of traps.

real      the campaigns of the real data, the actors of the galaxy (skips, visibly, without the data)
invented  empty, with configs that know an invented content network and an invented authority that seizes
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import _data_folder, _database
from tests.traps.invented import write_configs
from tests.traps.real import read_all
from tests.traps.warehouse import Warehouse, opened


@pytest.fixture(scope="module")
def real(
    database_server: str, _template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    if not _data_folder().is_dir():
        pytest.skip("lacks the real data (LAPSEWATCH_DATA)")
    home = tmp_path_factory.mktemp("home")
    for url in _database(database_server, _template_database):
        with opened(url, home) as warehouse:
            read_all(warehouse, _data_folder(), home)
            yield warehouse


@pytest.fixture(scope="module")
def invented(
    database_server: str, _template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    home: Path = tmp_path_factory.mktemp("home")
    write_configs(home / "configs")
    for url in _database(database_server, _template_database):
        with opened(url, home, home / "configs") as warehouse:
            yield warehouse
