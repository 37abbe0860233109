"""The warehouse of the monitors' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tasks.watch.world import Say, World


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    try:
        yield made
    finally:
        made.engine.dispose()


@pytest.fixture
def say() -> type[Say]:
    return Say
