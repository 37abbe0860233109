from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert

from db import ct_logs, runs
from db.ct_logs import Synced, source_name, sync_logs
from db.models import ArchiveSegment
from intel.ct_log_list import read_log_list
from intel.errors import ReadError
from intel.merkle import Frontier
from tests import factories
from tests.ct_lists import MADE, list_json, log_json, tiled_json


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as opened:
        yield opened


def sync(connection: Connection, *logs: dict[str, Any], days: int = 0, **more: Any) -> Synced:
    tiled = more.pop("tiled", ())
    body = list_json(*logs, tiled=tiled, made_at=MADE + timedelta(days=days))
    return sync_logs(connection, read_log_list(body), **more)


def test_logs_come_stay_and_go(connection: Connection) -> None:
    assert sync(connection, log_json("fisher"), log_json("otter")) == Synced(new=2, changed=0, gone=0)
    assert sync(connection, log_json("fisher"), log_json("otter")) == Synced(new=0, changed=0, gone=0)
    assert sync(connection, log_json("otter"), log_json("vole"), days=1) == Synced(new=1, changed=0, gone=1)
    assert [(log.name, log.listed) for log in ct_logs.logs(connection)] == [
        ("heron-trust-heron-fisher", False),
        ("heron-trust-heron-otter", True),
        ("heron-trust-heron-vole", True),
    ]
    assert sync(connection, log_json("fisher"), days=2) == Synced(new=0, changed=1, gone=2)
    assert ct_logs.list_cursor(connection) == {
        "made_at": (MADE + timedelta(days=2)).isoformat(),
        "version": "1.2",
        "rejects": [],
    }


def test_a_log_keeps_its_name_when_it_is_renamed(connection: Connection) -> None:
    sync(connection, tiled=(tiled_json("reed"),))
    renamed = tiled_json("reed", description="Heron 'reed2026a'", monitoring_url="https://elsewhere.heron.test/")
    assert sync(connection, tiled=(renamed,), days=1) == Synced(new=0, changed=1, gone=0)
    (log,) = ct_logs.logs(connection)
    assert (log.name, log.description) == ("heron-trust-heron-reed", "Heron 'reed2026a'")
    assert (log.url, log.protocol) == ("https://elsewhere.heron.test/", "static")
    assert log.first_listed < log.last_listed
    assert ct_logs.find_log(connection, log.name) == log
    assert ct_logs.find_log(connection, "nobody") is None


def test_two_logs_of_one_description(connection: Connection) -> None:
    same = [log_json(seed, description="Heron Trust 2026") for seed in ("fisher", "otter", "vole")]
    sync(connection, *same, taken={"heron-trust-2026"})
    assert [log.name for log in ct_logs.logs(connection)] == [
        "heron-trust-2026-2",
        "heron-trust-2026-3",
        "heron-trust-2026-4",
    ]


def test_the_order_is_that_of_the_list(connection: Connection) -> None:
    seeds = ["vole", "otter", "adder", "fisher", "reed", "bittern"]
    sync(connection, *(log_json(seed) for seed in seeds))
    assert [log.name.rpartition("-")[2] for log in ct_logs.logs(connection)] == seeds


def test_a_log_that_serves_tiles_as_well(connection: Connection) -> None:
    sync(connection, log_json("fisher"), log_json("otter"), tiled=(tiled_json("reed"),), hybrid=("heron 'F*",))
    assert [log.protocol for log in ct_logs.logs(connection)] == ["hybrid", "rfc6962", "static"]


def test_a_final_tree(connection: Connection) -> None:
    final = {"sha256_root_hash": "A" * 43 + "=", "tree_size": 12}
    sync(connection, log_json("fisher", state={"readonly": {"final_tree_head": final}}))
    (log,) = ct_logs.logs(connection)
    assert log.final_head == {"size": 12, "root": bytes(32).hex()}


def test_an_older_list_is_refused(connection: Connection) -> None:
    sync(connection, log_json("fisher"), days=1)
    with pytest.raises(ReadError, match="a newer one"):
        sync(connection, log_json("otter"))
    assert len(ct_logs.logs(connection)) == 1
    sync(connection, log_json("otter"), may_be_older=True)
    assert len(ct_logs.logs(connection)) == 2


def test_nothing_of_a_list_is_kept_where_its_transaction_fails(engine: Engine) -> None:
    with engine.connect() as connection:
        sync(connection, log_json("fisher"))
        assert len(ct_logs.logs(connection)) == 1
        connection.rollback()
    with engine.connect() as connection:
        assert ct_logs.logs(connection) == []
        assert ct_logs.list_cursor(connection) == {}


@pytest.mark.parametrize(
    ("operator", "description", "name"),
    [
        ("Google", "Google 'Argon2026h1' log", "google-argon2026h1"),
        ("Let's Encrypt", "Let's Encrypt Sycamore2026h1", "lets-encrypt-sycamore2026h1"),
        ("TrustAsia", "Trust Asia Log2024-2", "trust-asia-log2024-2"),
        ("Geomys", "Tuscolo2026h1", "geomys-tuscolo2026h1"),
        ("Bürger & Töchter", "★", "burger-tochter"),
        ("漢", "漢", "log"),
        ("X", "y" * 300, "x-" + "y" * 54),
    ],
)
def test_names_of_sources(operator: str, description: str, name: str) -> None:
    assert source_name(operator, description) == name


def test_how_fast_a_log_grew(connection: Connection) -> None:
    assert ct_logs.growth(connection) == {}
    source_id = factories.source(connection, "reed")
    head = {"size": 1000, "root": "00", "timestamp": 1_000_000, "signature": ""}
    position = {"position": 900, "frontier": Frontier().to_bytes().hex(), "head": head}
    runs.write_cursor(connection, "source:reed", position, None)
    runs.write_cursor(connection, "source:feed", {"events": {}}, None)
    assert ct_logs.growth(connection) == {"reed": ct_logs.Growth(position=900)}
    runs.write_cursor(connection, "ct:reed", {"head_size": 1060, "head_at": 1_100_000}, None)
    assert ct_logs.growth(connection)["reed"].entries_per_second is None  # too short a time to tell from
    runs.write_cursor(connection, "ct:reed", {"head_size": 7000, "head_at": 1_600_000}, None)
    assert ct_logs.growth(connection)["reed"].entries_per_second == 10
    now = datetime.now(UTC)
    connection.execute(
        insert(ArchiveSegment).values(
            source_id=source_id, first=0, next=720, time_min=now - timedelta(hours=1), time_max=now, level=0, path="x",
            bytes=72_000, judged_at=now,
        )
    )  # fmt: skip
    assert ct_logs.growth(connection)["reed"] == ct_logs.Growth(position=900, entries_per_second=0.2, archive_bytes=100)


def test_when_the_list_was_looked_at(connection: Connection) -> None:
    assert ct_logs.last_looks(connection) == (None, None)
    source_id = factories.source(connection, ct_logs.LIST_SOURCE)
    good = datetime(2026, 3, 1, tzinfo=UTC)
    factories.run(connection, source_id, started_at=good, finished_at=good)
    failed = good + timedelta(days=1)
    factories.run(connection, source_id, started_at=failed, finished_at=failed, outcome="failed")
    assert ct_logs.last_looks(connection) == (good, failed)
