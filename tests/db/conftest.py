from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from intel.settings import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of the test's own, not there yet."""
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()
