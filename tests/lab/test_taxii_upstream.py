from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from lab.server import serve
from lab.taxii import MEDIA_TYPE, LabCollection, TaxiiLab, taxii_app

START = datetime(2026, 3, 1, tzinfo=UTC)
COLLECTION = "6c8f5a3e-1111-4111-8111-111111111111"
BASE = f"/api/collections/{COLLECTION}"


@pytest.fixture
def lab() -> TaxiiLab:
    collection = LabCollection(id=COLLECTION, title="Lab")
    for number in range(5):
        kind = "indicator" if number % 2 else "malware"
        collection.add(START + timedelta(seconds=number), {"type": kind, "id": f"{kind}--{number}"})
    return TaxiiLab(collections=[collection])


@pytest.fixture
def client(lab: TaxiiLab) -> Iterator[httpx.Client]:
    with serve(taxii_app(lab)) as server, httpx.Client(base_url=server.url, trust_env=False) as opened:
        yield opened


def test_a_client_finds_its_way_from_discovery_to_the_objects(client: httpx.Client) -> None:
    assert client.get("/taxii2/").json()["api_roots"] == ["/api/"]
    assert MEDIA_TYPE in client.get("/api/").json()["versions"]
    assert client.get("/api/collections/").json()["collections"][0]["id"] == COLLECTION
    assert client.get(f"{BASE}/").json()["can_read"] is True
    answer = client.get(f"{BASE}/objects/")
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert len(answer.json()["objects"]) == 5
    assert "more" not in answer.json()
    assert answer.headers["x-taxii-date-added-first"] == "2026-03-01T00:00:00.000000Z"
    assert answer.headers["x-taxii-date-added-last"] == "2026-03-01T00:00:04.000000Z"
    assert client.get(f"{BASE}/manifest/").json()["objects"][4]["date_added"] == "2026-03-01T00:00:04.000000Z"


def test_filters_and_tokens_go_together(client: httpx.Client) -> None:
    params = {"limit": "2", "added_after": "2026-03-01T00:00:00Z"}
    first = client.get(f"{BASE}/objects/", params=params).json()
    assert [item["id"] for item in first["objects"]] == ["indicator--1", "malware--2"]
    second = client.get(f"{BASE}/objects/", params={**params, "next": first["next"]}).json()
    assert [item["id"] for item in second["objects"]] == ["indicator--3", "malware--4"]
    only = client.get(f"{BASE}/objects/", params={"match[type]": "indicator"}).json()
    assert [item["id"] for item in only["objects"]] == ["indicator--1", "indicator--3"]
    assert client.get(f"{BASE}/objects/", params={"added_after": "2027-01-01T00:00:00Z"}).json() == {}


@pytest.mark.parametrize("params", [{"added_after": "soon"}, {"limit": "0"}, {"limit": "x"}, {"next": "x"}])
def test_bad_parameters_are_400(client: httpx.Client, params: dict[str, str]) -> None:
    assert client.get(f"{BASE}/objects/", params=params).status_code == 400


def test_switches_do_what_they_say(client: httpx.Client, lab: TaxiiLab) -> None:
    url = f"{BASE}/objects/?limit=2"
    lab.faults.more_without_next = True
    body = client.get(url).json()
    assert body["more"] is True
    assert "next" not in body
    lab.faults.more_without_next = False
    lab.faults.repeated_next = True
    assert client.get(url).json()["next"] == client.get(f"{url}&next=7").json()["next"]
    lab.faults.repeated_next = False
    lab.faults.inclusive_added_after = True
    assert len(client.get(f"{url}&added_after=2026-03-01T00:00:04Z").json()["objects"]) == 1
    lab.faults.empty_body = True
    assert client.get(url).content == b"{}"
    lab.faults.taxii_20 = True
    assert "vnd.oasis" in client.get(url).headers["content-type"]
    lab.faults.throttle = 1
    throttled = client.get(url)
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "3")
    assert client.get(url).status_code == 200
    lab.authorization = "Bearer x"
    assert client.get(url).status_code == 401
    assert client.get(url, headers={"Authorization": "Bearer x"}).status_code == 200
