from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.sorting import FlowRunSort
from sqlalchemy import Engine, text

from db import runs
from db.engine import open_engine
from intel.errors import CollectError, ConfigError, StatusError
from intel.settings import settings
from lab import world
from lab.configs import write_configs
from lab.internet import Internet, internet
from tasks.assess import task as assess
from tests import factories

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("prefect_server")]

CHAIN = {"collect": set(), "normalize": {"collect"}, "load": {"normalize"}}


class House:
    """An installation whose internet is the lab's, on Monday."""

    def __init__(self, configs: Path, engine: Engine, net: Internet) -> None:
        self.configs = configs
        self.engine = engine
        self.net = net

    def only(self, *names: str, gone: str = "") -> None:
        """Keep these sources; `gone` is one more, whose server knows no such document."""
        path = self.configs / "sources" / "lab.yaml"
        entries = yaml.safe_load(path.read_text("utf-8"))["sources"]
        kept = [entry for entry in entries if entry["name"] in names]
        if gone:
            kept.insert(0, {**entries[0], "name": gone, "location": entries[0]["location"] + ".gone"})
        path.write_text(yaml.safe_dump({"sources": kept}), "utf-8")

    def rows(self, statement: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def runs(self) -> list[Any]:
        return self.rows(
            "SELECT s.name, r.outcome FROM run r JOIN source s ON s.id = r.source_id ORDER BY r.id",
        )


@pytest.fixture
def house(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(tmp_path / "configs"))
    settings.cache_clear()
    engine = open_engine(database_url)
    try:
        with internet(at=world.MONDAY) as net:
            write_configs(tmp_path / "configs", net.addresses)
            yield House(tmp_path / "configs", engine, net)
    finally:
        engine.dispose()
        settings.cache_clear()


def last(name: str) -> Any:
    """The newest flow run of this name."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])),
            sort=FlowRunSort.START_TIME_DESC,
            limit=1,
        )
    return found[0]


def drawn(server: str, run_id: UUID, *, steps: int) -> dict[str, set[str]]:
    """Step -> the steps that it comes after, as Prefect's page draws it once the server has heard of all."""
    nodes: dict[str, Any] = {}
    until = time.monotonic() + 20
    while len(nodes) < steps and time.monotonic() < until:
        time.sleep(0.1)
        nodes = dict(httpx.get(f"{server}/flow_runs/{run_id}/graph-v2").json()["nodes"])
    labels = {one: str(node["label"]).partition(" ")[0] for one, node in nodes.items()}
    return {labels[one]: {labels[parent["id"]] for parent in node["parents"]} for one, node in nodes.items()}


def test_prefects_page_shows_collect_normalize_load(house: House, prefect_server: str) -> None:
    from flows.collect import collect_source

    assert collect_source("lab-phishing") > 0
    run = last("collect lab-phishing")
    assert drawn(prefect_server, run.id, steps=3) == CHAIN
    assert house.rows("SELECT flow_run, outcome FROM run") == [(str(run.id), "ok")]

    assert collect_source("lab-phishing") == 0
    again = last("collect lab-phishing")
    assert again.id != run.id
    assert drawn(prefect_server, again.id, steps=1)["collect"] == set()
    assert house.runs() == [("lab-phishing", "ok"), ("lab-phishing", "unchanged")]
    assert house.rows("SELECT count(*) FROM batch") == [(1,)]


def test_slice_after_slice_is_one_chain_each(house: House, prefect_server: str, tmp_path: Path) -> None:
    from flows.collect import collect_source

    folder = tmp_path / "drop"
    folder.mkdir()
    for day in (1, 2, 3):
        (folder / f"list_2026-03-0{day}.txt").write_text(f"one.example\nday-{day}.example\n")
    house.only("lab-phishing")
    path = house.configs / "sources" / "lab.yaml"
    (entry,) = yaml.safe_load(path.read_text("utf-8"))["sources"]
    entry |= {"transport": "folder", "location": str(folder), "limits": {"max_shrink": 1.0}}
    entry["options"] |= {
        "documents": "sequence",
        "as_of": r"list_(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)",
    }
    path.write_text(yaml.safe_dump({"sources": [entry]}), "utf-8")
    assert collect_source("lab-phishing") == 4
    run = last("collect lab-phishing")
    deadline = time.monotonic() + 20
    nodes: list[Any] = []
    while len(nodes) < 9 and time.monotonic() < deadline:
        nodes = httpx.get(f"{prefect_server}/flow_runs/{run.id}/graph-v2").json()["nodes"]
        time.sleep(0.1)
    assert len(nodes) == 9
    assert house.runs() == [("lab-phishing", "ok")]


def test_lists_of_new_domains_are_matched_in_place_of_normalize_and_load(
    house: House, prefect_server: str, tmp_path: Path
) -> None:
    from flows.collect import collect_source

    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "list_2026-03-01.txt").write_text("quiet.example\nns1.heron-watch.test\n")
    house.only("lab-phishing")
    path = house.configs / "sources" / "lab.yaml"
    (entry,) = yaml.safe_load(path.read_text("utf-8"))["sources"]
    entry |= {"transport": "folder", "format": "domains", "location": str(folder), "semantics": "stream"}
    entry["options"] = {"as_of": r"list_(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"}
    path.write_text(yaml.safe_dump({"sources": [entry]}), "utf-8")
    with house.engine.begin() as connection:
        watch = factories.watch(connection, "heron", rules=["*"], origin="command")
        factories.watch_item(connection, watch, "heron-watch.test", match="scope", kind="")
    assert collect_source("lab-phishing") == 1
    run = last("collect lab-phishing")
    assert drawn(prefect_server, run.id, steps=2) == {"collect": set(), "new": {"collect"}}
    assert house.rows("SELECT name, channel FROM seen_domain ORDER BY 1") == [
        ("heron-watch.test", "list"),
        ("quiet.example", "list"),
    ]
    assert house.rows("SELECT count(*) FROM lookup") == [(1,)]
    assert collect_source("lab-phishing") == 0
    assert house.runs() == [("lab-phishing", "ok"), ("lab-phishing", "unchanged")]


def test_a_source_that_fails_is_failed_everywhere(house: House) -> None:
    from flows.collect import collect_source

    house.only("lab-urls", gone="lab-gone")
    state = collect_source("lab-gone", return_state=True)
    assert state.is_failed()
    with pytest.raises(StatusError):
        state.result()
    assert last("collect lab-gone").state.is_failed()
    assert house.runs() == [("lab-gone", "failed")]
    ((error,),) = house.rows("SELECT error FROM run")
    assert "404" in error
    assert house.rows("SELECT count(*) FROM fact") == [(0,)]


def test_one_that_fails_spares_the_others_of_its_cadence(house: House, prefect_server: str) -> None:
    from flows.collect import collect_cadence

    house.only("lab-urls", "lab-trails", gone="lab-gone")
    collect_cadence("hourly")
    assert house.runs() == [("lab-gone", "failed"), ("lab-urls", "ok"), ("lab-trails", "ok")]
    assert last("collect hourly").state.is_completed()
    table = httpx.get(f"{prefect_server}/artifacts/collect-hourly/latest").json()["data"]
    for name in ("lab-gone", "lab-urls", "lab-trails"):
        assert name in table
    # What the run says, not what Prefect does.
    ((error,),) = house.rows("SELECT error FROM run WHERE outcome = 'failed'")
    assert error[:60] in table
    assert "encountered an exception" not in table
    collect_cadence("weekly")
    assert len(house.runs()) == 3


def test_a_cadence_of_which_all_failed_has_failed(house: House) -> None:
    from flows.collect import collect_cadence

    house.only(gone="lab-gone")
    with pytest.raises(CollectError, match="1 of 1 sources failed: lab-gone"):
        collect_cadence("hourly")
    assert last("collect hourly").state.is_failed()


def test_a_source_that_another_process_collects_from_has_not_failed(house: House) -> None:
    from flows.collect import collect_cadence

    house.only("lab-urls")
    with runs.exclusive(house.engine, "source:lab-urls"):
        collect_cadence("hourly")
    assert last("collect hourly").state.is_completed()
    assert house.runs() == []
    with get_client(sync_client=True) as client:
        table = client.request("GET", "/artifacts/collect-hourly/latest").json()["data"]
    assert "another process is at it" in table


def test_a_monitor_that_another_process_runs_has_not_failed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.monitor import monitor_registrations

    monkeypatch.setattr(assess, "TRIES", 1)
    monkeypatch.setattr(assess, "PAUSE", 0)
    with runs.exclusive(house.engine, "monitor:registrations"):
        assert monitor_registrations() == 0


def test_a_monitor_waits_for_the_one_that_is_at_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.collect import collect_source
    from flows.monitor import monitor_registrations

    collect_source("lab-trails")
    monkeypatch.setattr(assess, "PAUSE", 1)
    with ExitStack() as other:
        other.enter_context(runs.exclusive(house.engine, "monitor:registrations"))
        Timer(1.0, other.pop_all().close).start()
        monitor_registrations()
    assert house.rows("SELECT count(*) FROM judgement WHERE monitor = 'registrations'") == [(1,)]


def test_a_watch_file_that_is_wrong_stops_no_monitor_and_is_told(house: House) -> None:
    from flows.collect import collect_source
    from flows.monitor import monitor_registrations

    collect_source("lab-trails")
    assert monitor_registrations() >= 0
    watches = house.rows("SELECT count(*) FROM watch")
    assert watches != [(0,)]
    collect_source("lab-urls")
    (house.configs / "watches" / "wrong.yaml").write_text("name: wrong\nitems: [{domain: '!'}]\n")
    with pytest.raises(ConfigError, match="couldn't use watch wrong"):
        monitor_registrations()
    assert house.rows("SELECT count(*) FROM watch") == watches
    assert house.rows("SELECT count(*) FROM judgement WHERE monitor = 'registrations'") == [(2,)]


def test_monitors_find_and_publish_publishes(house: House) -> None:
    from flows.collect import collect_source
    from flows.monitor import monitor_certificates, monitor_registrations
    from flows.publish import publish

    collect_source("lab-trails")
    house.net.move(world.WEDNESDAY)
    collect_source("lab-new-domains")
    collect_source("lab-misp")
    found = monitor_registrations() + monitor_certificates()
    assert found == house.rows("SELECT count(*) FROM finding")[0][0] > 0
    assert monitor_registrations() == 0
    published = publish()
    assert published == house.rows("SELECT count(*) FROM publication")[0][0] > 0
    assert publish() == 0


def test_upkeep_closes_a_dead_run_and_drops_what_it_staged(house: House) -> None:
    from flows.collect import collect_source
    from flows.upkeep import upkeep

    collect_source("lab-trails")
    with house.engine.begin() as connection:
        (source_id,) = connection.execute(text("SELECT id FROM source")).one()
        dead = runs.begin(connection, source_id)
        connection.exec_driver_sql(f'CREATE TABLE staging."fact_{dead}_0" (key uuid)')
        # A living one holds its source's lock.
        other = runs.ensure_source(
            connection, name="alive", title="Alive", reliability="B", tlp=0, snapshot=False, redistribution=True,
            commercial_use=True,
        )  # fmt: skip
        runs.begin(connection, other)
    with runs.exclusive(house.engine, "source:alive"):
        upkeep()
    assert house.runs() == [("lab-trails", "ok"), ("lab-trails", "interrupted"), ("alive", "running")]
    assert house.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'") == [(0,)]
