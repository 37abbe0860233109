from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intel.config.sources import Source, read_sources
from intel.config.watches import WatchedItem
from intel.facts import Fact, RawDocument
from intel.settings import CHECKOUT
from tasks.normalize.formats import read_document
from tests.tasks.watch.test_lapses import flow, titles
from tests.tasks.watch.world import World, day

pytestmark = pytest.mark.data


def _facts(source: Source, path: Path, as_of: datetime) -> list[Fact]:
    document = RawDocument(document_id=1, location=path.name, body=path.read_bytes(), as_of=as_of)
    return [item for item in read_document(document, source) if isinstance(item, Fact)]


def test_real_ranges_and_real_logs_of_zeek(world: World, data_dir: Path) -> None:
    sources = read_sources(CHECKOUT / "configs")
    vpn = _facts(sources["vpn-networks"], next((data_dir / "network/x4bnet/output/vpn").iterdir()), day(0))
    assert len(vpn) > 5_000
    inside = [
        str(ipaddress.ip_network(vpn[place].subject.value)[0]) for place in range(0, len(vpn), max(1, len(vpn) // 3))
    ]
    logs = [
        fact
        for name in ("conn", "http", "ssl")
        for fact in _facts(sources["zeek"], data_dir / f"network/zeek_zat/{name}.log", datetime(2018, 1, 1, tzinfo=UTC))
    ]
    spoken = {
        fact.object.value
        for fact in logs
        if fact.object and fact.object.kind == "endpoint" and dict(fact.qualifiers).get("service") == "http"
    }
    server = min(spoken)
    world.watch("c2", WatchedItem(network=server.rpartition(":")[0]), WatchedItem(network="192.0.2.10"))
    world.load_all(vpn, source="vpn", snapshot=True, as_of=day(0))
    world.load_all(logs, source="zeek")
    world.load(*[flow(one, "192.0.2.10:22", on=1) for one in inside], flow("203.0.113.9", "192.0.2.10:22", on=1))
    world.monitor()
    assert any(
        str(title).startswith(f"traffic with {server} goes in the clear: http")
        for title, *_ in titles(world, "clear-c2")
    )
    assert [str(title).partition(" (")[0] for title, *_ in titles(world, "outside-vpn")] == [
        "203.0.113.9 reached 192.0.2.10:22 on 2026-01-02"
    ]
