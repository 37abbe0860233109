from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort

from lab.world import FRIDAY, NEW_DOMAIN, WEDNESDAY
from tasks.watch import items

if TYPE_CHECKING:
    from tests.homes import Home

pytestmark = pytest.mark.flow


def labels() -> list[tuple[str, int]]:
    """(label, number of parents) of the newest flow run's nodes."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]
        answer: httpx.Response = client._client.get(f"/flow_runs/{run.id}/graph-v2")
    return [(node["label"].partition("-")[0], len(node["parents"])) for _, node in answer.json()["nodes"]]


def test_what_is_watched_is_looked_up_and_refreshed(prefect_server: object, home: Home) -> None:
    from flows.look_up import look_up_due

    home.lookups(stale_days=36_500)
    text = f"name: w\nreason: r\nitems: [{{domain: {NEW_DOMAIN}}}]\n"
    (home.configs / "watches" / "w.yaml").write_text(text)
    with home.engine.begin() as connection:
        items.sync(connection, home.configs)
    home.internet.registry.now = WEDNESDAY
    assert look_up_due(seconds=20) == 1
    assert labels() == [("timetable", 0), ("look up", 1)]
    assert look_up_due(seconds=20) == 0
    home.internet.registry.now = FRIDAY
    assert look_up_due(seconds=20, ahead_days=2) == 1
    # The versions have the lab's times, not those of the run.
    ends = home.rows("SELECT DISTINCT event_time FROM fact_history WHERE ended")
    assert [row.event_time for row in ends] == [FRIDAY]
