from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.registration import Registry
from lab.world import registry
from tests import homes
from tests.homes import Home


@pytest.fixture
def world() -> Registry:
    return registry()


@pytest.fixture
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Registry) -> Iterator[Home]:
    with homes.home(database_url, tmp_path, monkeypatch, world) as made:
        yield made
