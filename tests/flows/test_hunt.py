from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort
from sqlalchemy import Engine, text

from db import runs
from db.engine import open_engine
from intel.errors import ConfigError
from intel.settings import settings
from tests import factories
from tests.archives import entry, keep, sha

pytestmark = pytest.mark.flow


@pytest.fixture
def engine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A warehouse, and an archive of one log in which a watched name and its key are."""
    configs = tmp_path / "configs"
    (configs / "sources").mkdir(parents=True)
    (configs / "watches").mkdir()
    (configs / "ct.yaml").write_text("archive: {enabled: true, max_bytes: 0}\n")
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(configs))
    settings.cache_clear()
    made = open_engine(database_url)
    keep(made, tmp_path / "home", [entry(0, "quiet.example", key=sha("k")), entry(1, "evil.example", key=sha("k"))])
    with made.begin() as connection:
        watch = factories.watch(connection, "heron", rules=["*"], origin="command")
        factories.watch_item(connection, watch, "evil.example", match="scope", kind="")
    yield made
    made.dispose()
    settings.cache_clear()


def labels() -> list[tuple[str, int]]:
    """(label, number of parents) of the newest flow run's nodes."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]
        answer: httpx.Response = client._client.get(f"/flow_runs/{run.id}/graph-v2")
    return [(node["label"].partition("-")[0], len(node["parents"])) for _, node in answer.json()["nodes"]]


def test_a_hunt_finds_and_the_monitor_judges(prefect_server: object, engine: Engine) -> None:
    from flows.hunt import hunt

    assert hunt() == 3  # the name, and both entries by its key
    assert labels() == [("hunt", 0), ("monitor certificates", 1)]
    with engine.connect() as connection:
        rules = connection.execute(text("SELECT DISTINCT rule FROM finding ORDER BY 1")).scalars().all()
    assert {"certificate-name", "reused-key"} <= set(rules)
    assert hunt() == 0
    assert labels() == [("hunt", 0)]


def test_a_hunt_that_finds_another_at_it_has_not_failed(prefect_server: object, engine: Engine) -> None:
    from flows.hunt import hunt

    with runs.exclusive(engine, "source:ct-archive"):
        assert hunt() == 0


def test_upkeep_keeps_the_archive_within_its_limits(prefect_server: object, engine: Engine, tmp_path: Path) -> None:
    from flows.upkeep import upkeep_archive

    upkeep_archive()
    assert dict(labels()).keys() == {"compact archive", "tidy archive"}
    with engine.connect() as connection:
        standing = connection.execute(text("SELECT count(*) FROM archive_segment WHERE retired_at IS NULL"))
        assert standing.scalar_one() == 0
    with runs.exclusive(engine, "archive:compact"), runs.exclusive(engine, "archive:tidy"):
        upkeep_archive()
    (tmp_path / "home" / "archive" / "warehouse.id").write_text("another")
    with pytest.raises(ConfigError, match="another warehouse"):
        upkeep_archive()
