from __future__ import annotations

import gzip
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort
from sqlalchemy import Engine, text

from db import runs
from db.engine import open_engine
from intel.errors import CollectError, ConfigError
from intel.settings import settings
from tests.zones import MONDAY, zone_source, zone_text

pytestmark = pytest.mark.flow


@pytest.fixture
def engine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A warehouse, and two sources of zones; one has no folder."""
    configs = tmp_path / "configs"
    (configs / "sources").mkdir(parents=True)
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(configs))
    settings.cache_clear()
    sources = [
        zone_source(str(tmp_path / "none"), name="absent-zone").model_dump(mode="json"),
        zone_source(str(tmp_path / "zones")).model_dump(mode="json"),
    ]
    (configs / "sources" / "zones.yaml").write_text(yaml.safe_dump({"sources": sources}))
    (tmp_path / "zones").mkdir()
    for day in (1, 2):
        path = tmp_path / "zones" / f"day{day}.gz"
        names = {f"n{number}": "ns1.host.test" for number in range(day, 20 + day)}
        path.write_bytes(gzip.compress(zone_text(names, serial=day)))
        when = (MONDAY + timedelta(days=day)).timestamp()
        os.utime(path, (when, when))
    made = open_engine(database_url)
    yield made
    made.dispose()
    settings.cache_clear()


def nodes(name: str, count: int) -> list[tuple[str, set[str]]]:
    """(label, labels of its parents) of the nodes of the newest flow run of this name."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=10)
        run = next(one for one in found if one.name.startswith(name))
        # What a task says of itself comes to the server a little later.
        for _ in range(100):
            answer: httpx.Response = client._client.get(f"/flow_runs/{run.id}/graph-v2")
            graph = dict(answer.json()["nodes"])
            if len(graph) == count and all(node["state_type"] == "COMPLETED" for node in graph.values()):
                break
            time.sleep(0.1)
    return [(node["label"], {graph[parent["id"]]["label"] for parent in node["parents"]}) for node in graph.values()]


def test_one_zone_is_compared_file_by_file(prefect_server: object, engine: Engine) -> None:
    from flows.zones import compare_zone

    assert compare_zone("lab-zone") == 2
    shown = nodes("compare lab-zone", 7)
    assert [label.partition(" ")[0] for label, _ in shown] == ["zone", "sort", "compare"] * 2 + ["zone"]
    assert {label: parents for label, parents in shown if label.startswith(("sort", "compare"))} == {
        "sort lab-zone": {"zone file lab-zone"},
        "compare lab-zone": {"sort lab-zone"},
    }
    with engine.connect() as connection:
        seen = connection.execute(text("SELECT name FROM seen_domain")).scalars().all()
    assert seen == ["n21.example"]
    assert compare_zone("lab-zone") == 0


def test_a_zone_that_fails_spares_the_others(prefect_server: object, engine: Engine, tmp_path: Path) -> None:
    from flows.zones import compare_zones

    compare_zones()
    with engine.connect() as connection:
        outcomes = connection.execute(text("SELECT s.name, r.outcome FROM run r JOIN source s ON s.id = r.source_id"))
        assert dict(map(tuple, outcomes)) == {"absent-zone": "failed", "lab-zone": "ok"}
    (tmp_path / "zones").rename(tmp_path / "moved")
    with pytest.raises(CollectError, match="2 of 2 sources failed"):
        compare_zones()


def test_another_at_it_is_no_failure_and_other_formats_are_no_zones(prefect_server: object, engine: Engine) -> None:
    from flows.zones import compare_zone, compare_zones

    with runs.exclusive(engine, "source:lab-zone"), runs.exclusive(engine, "source:absent-zone"):
        compare_zones()
    path = settings().configs / "sources" / "zones.yaml"
    path.write_text(path.read_text().replace("format: zone", "format: list"))
    compare_zones()
    with pytest.raises(ConfigError, match="its format is list, not zone"):
        compare_zone("lab-zone")
