from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from intel.settings import settings
from lab.faults import FaultServer, serve_faults
from tasks.collect.http import HttpLimits, NetworkPolicy, open_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

LIMITS = HttpLimits(max_bytes=2 << 20, max_seconds=5.0, connect_seconds=2.0, read_seconds=2.0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home and a folder of configuration of its own, which hold nothing."""
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(tmp_path / "configs"))
    (tmp_path / "configs").mkdir()
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def faults() -> Iterator[FaultServer]:
    with serve_faults() as server:
        yield server


@pytest.fixture
def client(faults: FaultServer) -> Iterator[httpx.Client]:
    """A client that may reach the fault server and nothing else on this machine."""
    policy = NetworkPolicy(allow=frozenset({faults.address}))
    with open_client(policy, user_agent="lapsewatch-test", limits=LIMITS) as opened:
        yield opened


@pytest.fixture
def limits() -> HttpLimits:
    return LIMITS


@pytest.fixture
def slept() -> list[float]:
    """The waits that would have been; give `slept.append` as `sleep`."""
    return []
