from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort
from sqlalchemy import text

from db import runs
from db.engine import open_engine
from intel.errors import CollectError
from intel.settings import settings
from lab import world
from lab.ct import CtLog
from lab.server import serve
from tasks.assess import task as assess

pytestmark = pytest.mark.flow


@pytest.fixture
def lab_log(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CtLog]:
    """A log on loopback that holds the invented world's certificates, and configs that follow it from its start."""
    log = CtLog()
    for certificate in world.certificates(world.WEDNESDAY):
        log.append(certificate)
    configs = tmp_path / "configs"
    (configs / "sources").mkdir(parents=True)
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(configs))
    settings.cache_clear()
    with serve(log.app()) as served:
        entry = {
            "name": "lab-log",
            "title": "Lab log",
            "transport": "ct",
            "format": "ct",
            "location": f"{served.url}/",
            "semantics": "stream",
            "cadence": "continuous",
            "reliability": "A",
            "tlp": "TLP:CLEAR",
            "licence": {"name": "invented", "commercial_use": True, "redistribution": True},
            "enabled": True,
            "options": {"follow": "start", "log_key": base64.b64encode(log.key_der).decode()},
        }
        (configs / "network.yaml").write_text(yaml.safe_dump({"allow": [f"127.0.0.1:{served.port}"]}))
        (configs / "sources" / "ct.yaml").write_text(yaml.safe_dump({"sources": [entry]}))
        yield log
    settings.cache_clear()


def edges() -> list[tuple[str, int]]:
    """(label, number of parents) of the newest flow run's nodes, in the order in which they ran."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]
        answer: httpx.Response = client._client.get(f"/flow_runs/{run.id}/graph-v2")
    return [(node["label"], len({parent["id"] for parent in node["parents"]})) for _, node in answer.json()["nodes"]]


def test_head_follow_and_monitor_are_one_chain(prefect_server: object, lab_log: CtLog, database_url: str) -> None:
    from flows.follow_log import follow_log

    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO watch (name, origin, rules) VALUES ('heron', 'command', '{*}');"
            f"INSERT INTO watch_item (watch_id, match, value) SELECT id, 'scope', '{world.KNOWN_DOMAIN}' FROM watch"
        )
    assert follow_log("lab-log") == lab_log.size
    labels = [(label.partition("-")[0], parents) for label, parents in edges()]
    assert labels == [("head lab", 0), ("follow lab", 1), ("monitor certificates", 1)]
    with engine.connect() as connection:
        found = connection.execute(text("SELECT rule, lapse FROM finding ORDER BY rule")).all()
    assert [tuple(row) for row in found] == [("certificate-name", False), ("reused-key", True), ("reused-key", True)]
    assert follow_log("lab-log") == 0
    engine.dispose()


def test_a_log_is_followed_while_another_process_judges(
    prefect_server: object, lab_log: CtLog, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.follow_log import follow_log

    monkeypatch.setattr(assess, "TRIES", 1)
    monkeypatch.setattr(assess, "PAUSE", 0)
    engine = open_engine(database_url)
    with runs.exclusive(engine, "monitor:certificates"):
        assert follow_log("lab-log") == lab_log.size
    engine.dispose()


def test_logs_are_followed_side_by_side_and_one_that_fails_spares_the_other(
    prefect_server: object, lab_log: CtLog, database_url: str, tmp_path: Path
) -> None:
    from flows.follow_log import follow_logs

    path = tmp_path / "configs" / "sources" / "ct.yaml"
    (entry,) = yaml.safe_load(path.read_text())["sources"]
    gone = {**entry, "name": "gone-log", "location": "http://127.0.0.1:9/"}
    path.write_text(yaml.safe_dump({"sources": [gone, entry]}))
    assert follow_logs() == lab_log.size
    labels = sorted((re.sub(r"-[0-9a-f]{3}$", "", label), parents) for label, parents in edges())
    # What follows a head that failed is never begun, and has no name of its own.
    assert labels == [
        ("follow", 1), ("follow lab-log", 1), ("head gone-log", 1), ("head lab-log", 1), ("logs", 0),
        ("monitor certificates", 1),
    ]  # fmt: skip
    engine = open_engine(database_url)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT s.name, r.outcome FROM run r JOIN source s ON s.id = r.source_id ORDER BY s.name")
        ).all()
    assert [tuple(row) for row in found] == [("gone-log", "failed"), ("lab-log", "ok")]
    assert follow_logs(only=["lab-*"]) == 0
    engine.dispose()


def test_what_was_committed_before_a_log_failed_is_judged(
    prefect_server: object, lab_log: CtLog, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.follow_log import follow_log

    lab_log.maximum = 4
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO watch (name, origin, rules) VALUES ('heron', 'command', '{*}');"
            f"INSERT INTO watch_item (watch_id, match, value) SELECT id, 'scope', '{world.KNOWN_DOMAIN}' FROM watch"
        )

    class Breaks(list[str]):
        def append(self, item: str) -> None:
            lab_log.faults.no_entries = f"end={lab_log.size - 1}" in item and "start=0" not in item
            super().append(item)

    lab_log.requests = Breaks()
    with pytest.raises(CollectError):
        follow_log("lab-log")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM finding")).scalar_one() > 0
    engine.dispose()


def test_a_log_that_cannot_be_begun_spares_the_others(
    prefect_server: object, lab_log: CtLog, database_url: str, tmp_path: Path
) -> None:
    from flows.follow_log import follow_logs

    path = tmp_path / "configs" / "sources" / "ct.yaml"
    (entry,) = yaml.safe_load(path.read_text())["sources"]
    path.write_text(yaml.safe_dump({"sources": [entry, {**entry, "name": "no-log"}]}))
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE source ADD CONSTRAINT no_such CHECK (name <> 'no-log')")
    assert follow_logs() == lab_log.size
    with engine.connect() as connection:
        assert connection.execute(text("SELECT outcome FROM run")).scalars().all() == ["ok"]
    engine.dispose()


def test_logs_of_which_all_failed_have_failed(
    prefect_server: object, lab_log: CtLog, database_url: str, tmp_path: Path
) -> None:
    from flows.follow_log import follow_logs

    engine = open_engine(database_url)
    with runs.exclusive(engine, "source:lab-log"):
        follow_logs()
    engine.dispose()
    path = tmp_path / "configs" / "sources" / "ct.yaml"
    path.write_text(path.read_text().replace("127.0.0.1:", "127.0.0.1:9/"))
    with pytest.raises(CollectError, match="1 of 1 sources failed: lab-log"):
        follow_logs()
