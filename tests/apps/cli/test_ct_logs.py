from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from db import runs
from intel.ct_costs import ARCHIVE_BYTES, CPU_SECONDS, ENTRIES_A_DAY
from intel.merkle import Frontier
from tests.ct_lists import LIST_KEY_TEXT, list_json, log_json, signed, tiled_json

if TYPE_CHECKING:
    from tests.apps.cli.conftest import Lapsewatch

OPEN = {"start_inclusive": "2026-01-01T00:00:00Z", "end_exclusive": "2126-01-01T00:00:00Z"}
LOGS = (
    log_json("fisher", temporal_interval=OPEN),
    log_json("otter", temporal_interval=OPEN, description="Heron 'otter' log of a long name, that shard of 2026h1 a"),
    log_json("adder", state={"retired": {}}),
)
TILED = (tiled_json("reed", temporal_interval=OPEN), tiled_json("vole", temporal_interval=OPEN))
REED = "heron-trust-heron-reed"


@pytest.fixture
def listing(lapsewatch: Lapsewatch) -> Lapsewatch:
    """A home that follows tiled logs, and whose list has not been read."""
    (lapsewatch.configs / "sources" / "lab.yaml").unlink(missing_ok=True)
    for path in (lapsewatch.configs / "sources").glob("*.yaml"):
        entries = yaml.safe_load(path.read_text())["sources"]
        kept = [entry for entry in entries if entry["transport"] != "ct"]
        path.write_text(yaml.safe_dump({"sources": kept}))
    made_at = datetime.now(UTC) - timedelta(days=2, minutes=1)
    (lapsewatch.configs / "logs.json").write_bytes(list_json(*LOGS, tiled=TILED, made_at=made_at))
    configure(lapsewatch)
    return lapsewatch


def configure(command: Lapsewatch, **more: Any) -> None:
    config = {
        "log_list": {"location": "logs.json"},
        "follow": [{"protocols": ["static"], "most": 1}],
        "archive": {"enabled": True},
    }
    (command.configs / "ct.yaml").write_text(yaml.safe_dump(config | more))


def test_before_the_list_was_read(listing: Lapsewatch) -> None:
    said = listing("ct", "logs")
    assert "no log is known" in said.stdout
    assert "--refresh" in said.stdout


def test_the_chosen_log_and_what_it_takes(listing: Lapsewatch) -> None:
    said = listing("ct", "logs", "--refresh")
    assert REED in said.stdout
    assert "from head" in said.stdout
    assert "vole" not in said.stdout
    assert "following 1 log takes about 4.5 GB from the network, 1.7 GB of archive" in " ".join(said.stdout.split())
    assert "2 days old" in said.stdout
    assert said.widest <= 80


def test_all_logs(listing: Lapsewatch) -> None:
    listing("ct", "logs", "--refresh")
    said = listing("ct", "logs", "--all", "--estimate")
    for name in ("fisher", "adder", "vole", "reed"):
        assert name in said.stdout
    assert "following all 4 that take new certificates would take" in said.stdout
    assert said.widest <= 80


def test_as_json(listing: Lapsewatch) -> None:
    said = listing("ct", "logs", "--refresh", "--all", "--json").json
    assert said["list"]["age_days"] == 2
    assert not said["list"]["stale"]
    assert said["list"]["problem"] == ""
    by_name = {row["log"]: row for row in said["logs"]}
    reed = by_name[REED]
    assert (reed["operator"], reed["protocol"], reed["state"]) == ("Heron Trust", "static", "usable")
    assert (reed["chosen"], reed["start"], reed["position"], reed["listed"]) == (True, "head", None, True)
    assert reed["a day"]["entries"] == ENTRIES_A_DAY
    assert reed["a day"]["archive_bytes"] == ENTRIES_A_DAY * ARCHIVE_BYTES
    assert [row["chosen"] for row in said["logs"]].count(True) == 1
    assert said["a day"]["open"]["entries"] == 4 * ENTRIES_A_DAY


def test_a_log_that_was_read(listing: Lapsewatch) -> None:
    listing("ct", "logs", "--refresh")
    head = {"size": 1000, "timestamp": 1_000_000, "root": "", "signature": ""}
    position = {"position": 4000, "frontier": Frontier().to_bytes().hex(), "head": head}
    with listing.engine.begin() as connection:
        runs.write_cursor(connection, f"source:{REED}", position, None)
        runs.write_cursor(connection, f"ct:{REED}", {"head_size": 101_000, "head_at": 2_000_000}, None)
    (row,) = listing("ct", "logs", "--json").json["logs"]
    assert row["position"] == 4000
    assert row["a day"] == {
        "entries": 8_640_000,
        "wire_bytes": 8_640_000 * 372,
        "archive_bytes": 8_640_000 * ARCHIVE_BYTES,
        "cpu_seconds": round(8_640_000 * CPU_SECONDS),
        "measured": True,
    }
    assert "at 4000" in listing("ct", "logs").stdout
    configure(listing, follow=[{"logs": ["*vole*"]}], archive={"enabled": False})
    said = listing("ct", "logs")
    assert "no longer, at 4000" in " ".join(said.stdout.split())
    assert "0.0 GB of archive" in said.stdout


def test_an_old_list_is_said_to_be_stale(listing: Lapsewatch) -> None:
    made_at = datetime.now(UTC) - timedelta(days=40)
    (listing.configs / "logs.json").write_bytes(list_json(*LOGS, log_json("bad", mmd=-1), made_at=made_at))
    said = listing("ct", "logs", "--refresh")
    assert "40 days old: stale" in said.stdout
    assert "left out: Heron Trust, logs 3: its maximum merge delay" in " ".join(said.stdout.split())


def test_a_list_without_a_key_is_explained(listing: Lapsewatch) -> None:
    configure(listing, log_list={"location": "https://lists.heron.test/log_list.json"})
    assert "log_list.key of ct.yaml is empty" in " ".join(listing("ct", "logs").stdout.split())
    assert "log_list.key" in listing("ct", "logs", "--refresh", code=2).stderr


def test_a_signed_list(listing: Lapsewatch) -> None:
    configure(listing, log_list={"location": "logs.json", "key": LIST_KEY_TEXT})
    (listing.configs / "logs.sig").write_bytes(signed(b"another"))
    assert "did not sign it" in listing("ct", "logs", "--refresh", code=1).stderr
    (listing.configs / "logs.sig").write_bytes(signed((listing.configs / "logs.json").read_bytes()))
    assert REED in listing("ct", "logs", "--refresh").stdout
