from __future__ import annotations

import gzip
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db import runs
from intel.errors import OversizedError, UnavailableError, WarehouseError
from lab.server import serve
from tasks.collect.session import open_run
from tasks.collect.zones import next_zone
from tasks.load import zones as load_zones
from tasks.load.zones_keep import tidy
from tasks.load.zones_snapshot import sort
from tests import factories
from tests.tasks.load.zones_world import ZoneFolder, run_zone, zone_folder
from tests.zones import MONDAY, ZoneServer, zone_source, zone_text

OLD = {f"n{number}": "ns1.host.test ns2.host.test" for number in range(100)} | {
    "gone": "ns1.host.test",
    "moving": "ns1.host.test",
}
NEW = {name: hosts for name, hosts in OLD.items() if name != "gone"} | {
    "evil-login": "ns9.host.test",
    "fresh": "ns1.host.test",
    "moving": "ns2.host.test",
}
SEEN = "SELECT name, channel, first_seen FROM seen_domain ORDER BY name"
SNAPSHOTS = "SELECT zone, serial, names, added, removed, changed FROM zone_snapshot ORDER BY as_of"
RUNS = "SELECT outcome, error FROM run ORDER BY id"
FACTS = """
SELECT s.value, f.predicate, o.value, bool_or(h.ended)
FROM fact f JOIN entity s ON s.id = f.subject_id JOIN entity o ON o.id = f.object_id
JOIN fact_history h ON h.fact_id = f.id GROUP BY f.id, s.value, f.predicate, o.value ORDER BY 1, 2, 3
"""


@pytest.fixture
def zone(engine: Engine, tmp_path: Path) -> ZoneFolder:
    return zone_folder(engine, tmp_path / "zones")


def watch(engine: Engine, value: str, match: str = "scope", kind: str = "") -> None:
    with engine.begin() as connection:
        number = factories.watch(connection, "heron", rules=["*"], origin="command")
        factories.watch_item(connection, number, value, match=match, kind=kind)


def test_the_first_snapshot_is_a_baseline(zone: ZoneFolder) -> None:
    zone.put(OLD)
    (first,) = zone.run()
    assert (first.baseline, first.names, first.added, first.alarm) == (True, 102, 0, "")
    assert zone.rows(SNAPSHOTS) == [("example", 1, 102, None, None, None)]
    assert zone.rows(SEEN) == []
    assert zone.rows(RUNS) == [("ok", "")]


def test_the_next_day_brings_what_differs(zone: ZoneFolder) -> None:
    zone.put(OLD)
    zone.put(NEW)
    first, second = zone.run()
    assert first.baseline
    assert (second.added, second.removed, second.changed, second.new) == (2, 1, 1, 2)
    at = MONDAY + timedelta(days=2)
    assert zone.rows(SEEN) == [("evil-login.example", "zone", at), ("fresh.example", "zone", at)]
    assert zone.rows(SNAPSHOTS)[1] == ("example", 2, 103, 2, 1, 1)
    kept = zone.rows("SELECT path FROM zone_snapshot")
    assert {path.name for path in zone.place.iterdir()} == {path for (path,) in kept}
    assert all(path.is_file() for path in zone.folder.iterdir())


def test_what_touches_a_watch_is_a_fact_with_its_end(zone: ZoneFolder) -> None:
    watch(zone.engine, "evil-login.example")
    watch(zone.engine, "moving.example")
    watch(zone.engine, "gone.example")
    zone.put(OLD)
    zone.put(NEW)
    zone.put({**NEW, "moving": "ns3.host.test"})
    _, second, third = zone.run()
    assert second.matched == 3
    assert third.matched == 1
    facts = zone.rows(FACTS)
    assert ("evil-login.example", "uses-name-server", "ns9.host.test", False) in facts
    assert ("moving.example", "uses-name-server", "ns2.host.test", True) in facts
    assert ("moving.example", "uses-name-server", "ns3.host.test", False) in facts
    wanted = zone.rows("SELECT e.value FROM lookup l JOIN entity e ON e.id = l.entity_id")
    assert ("evil-login.example",) in wanted


def test_the_same_file_again_writes_nothing(zone: ZoneFolder) -> None:
    zone.put(OLD)
    zone.run()
    assert zone.run() == []
    path = zone.put(OLD, serial=1)
    (again,) = zone.run()
    assert (again.alarm, again.baseline) == ("", False)
    assert [outcome for outcome, _ in zone.rows(RUNS)] == ["ok", "unchanged", "unchanged"]
    assert len(zone.rows(SNAPSHOTS)) == 1
    assert len(list(zone.place.iterdir())) == 1
    path.unlink()
    assert zone.run() == []


def test_a_later_serial_without_a_change_is_a_snapshot_of_its_own(zone: ZoneFolder) -> None:
    zone.put(OLD)
    zone.put(OLD)
    zone.run()
    assert zone.rows(SNAPSHOTS)[1] == ("example", 2, 102, 0, 0, 0)


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (NEW, {"at": MONDAY}, "older|not later than the last, of 2026-03-03 02:00 UTC; it ends nothing"),
        (NEW, {"serial": 1}, "serial number 1, not later than that of the last, 1; it ends nothing"),
        (NEW, {"serial": (1 << 31) + 2}, "not later than that of the last, 1; it ends nothing"),
        (NEW, {"zone": "test"}, "is of the zone 'test', the ones before of 'example'"),
        ({}, {}, "delegates no name"),
    ],
)
def test_a_snapshot_that_cannot_follow_changes_nothing(
    zone: ZoneFolder, names: dict[str, str], more: dict[str, object], said: str
) -> None:
    zone.put(OLD)
    zone.run()
    zone.put(names, **more)  # type: ignore[arg-type]  # each as its parameter wants it
    (refused,) = zone.run()
    assert (refused.added, refused.removed, refused.changed) == (0, 0, 0)
    outcome, error = zone.rows(RUNS)[-1]
    assert outcome == "partial"
    assert any(one in error for one in said.split("|"))
    assert len(zone.rows(SNAPSHOTS)) == 1
    assert zone.rows(SEEN) == []
    assert len(list(zone.place.iterdir())) == 1
    # It is said once, and the next whole one is compared with the last that was taken.
    assert zone.run() == []
    zone.put(NEW, serial=5)
    assert zone.run()[0].added == 2


def test_a_serial_goes_round(zone: ZoneFolder) -> None:
    zone.put(OLD, serial=(1 << 32) - 1)
    zone.put(NEW, serial=3)
    assert [one.alarm for one in zone.run()] == ["", ""]


def test_a_zone_that_shrank_too_much_ends_nothing(zone: ZoneFolder) -> None:
    watch(zone.engine, "gone.example")
    zone.put(OLD)
    zone.put({"n1": "ns1.host.test ns2.host.test", "fresh": "ns1.host.test"})
    _, shrunk = zone.run()
    assert "lacks 101 of 102 names that stood, more than its entry allows (50%); it ends nothing" in shrunk.alarm
    assert zone.rows(RUNS) == [("partial", shrunk.alarm)]
    # What it has is there all the same.
    assert [name for name, _, _ in zone.rows(SEEN)] == ["fresh.example"]
    assert zone.rows(FACTS) == []
    zone.put(NEW)
    (whole,) = zone.run()
    assert (whole.added, whole.removed) == (2, 1)


def test_a_zone_without_the_soa_at_its_end_is_cut(zone: ZoneFolder) -> None:
    zone.put(OLD, closed=True)
    zone.put(NEW)
    _, cut = zone.run()
    assert "lacks the SOA record at its end" in cut.alarm
    zone.put(NEW, closed=True)
    assert zone.run()[0].added == 2


def test_a_file_that_is_no_zone_does_not_hold_up_the_others(zone: ZoneFolder) -> None:
    zone.put(OLD)
    zone.days += 1
    zone.raw(gzip.compress(zone_text(NEW))[:-10])
    zone.days += 1
    zone.raw(b"<html>sorry</html>")
    zone.put(NEW)
    _, cut, page, whole = zone.run()
    assert "cut short" in cut.alarm
    assert "no SOA" in page.alarm
    assert (whole.added, whole.alarm) == (2, "")
    assert zone.rows(RUNS)[0][0] == "partial"


def test_a_few_malformed_lines_cost_themselves_and_many_the_snapshot(zone: ZoneFolder) -> None:
    zone.put(OLD)
    zone.days += 1
    zone.raw(zone_text(NEW, serial=2) + b"what is this\n")
    zone.days += 1
    zone.raw(zone_text(OLD, serial=3) + b"what is this\n" * 11)
    _, few, many = zone.run()
    assert (few.added, few.alarm) == (2, "")
    assert "a part of the snapshot of lab-zone could not be read, 11 of" in many.alarm
    assert "1 lines of day2.gz could not be read, the first line" in zone.rows(RUNS)[0][1]
    assert zone.rows("SELECT rejects FROM run") == [(1,)]


def test_a_snapshot_whose_last_one_is_gone_or_damaged_is_the_first_again(zone: ZoneFolder) -> None:
    zone.put(OLD)
    zone.run()
    (path,) = zone.place.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    zone.put(NEW)
    (second,) = zone.run()
    assert second.baseline
    assert "gone or damaged" in second.alarm
    for left in zone.place.iterdir():
        left.unlink()
    zone.put(OLD)
    assert zone.run()[0].baseline
    assert zone.rows(SEEN) == []


def test_old_files_go_and_their_rows_stay(zone: ZoneFolder) -> None:
    for day in range(5):
        zone.put(OLD | {f"fresh{day}": "ns1.host.test"})
        zone.run()
    assert [bool(path) for (path,) in zone.rows("SELECT path FROM zone_snapshot ORDER BY as_of")] == [
        False, False, False, True, True,
    ]  # fmt: skip
    assert len(list(zone.place.iterdir())) == 2


def test_what_a_dead_process_left_goes(zone: ZoneFolder) -> None:
    zone.put(OLD)
    zone.run()
    (zone.place / "sorting.main").write_bytes(b"half")
    (zone.place / "20260101T000000Z-0000.gz").write_bytes(b"no row")
    with runs.exclusive(zone.engine, "source:lab-zone"):
        assert tidy(zone.engine) == 0
    assert tidy(zone.engine) == 2
    assert len(list(zone.place.iterdir())) == 1
    assert tidy(zone.engine) == 0


def test_a_run_that_failed_between_slices_goes_on_with_the_same_snapshot(
    zone: ZoneFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.put(OLD)
    zone.run()
    path = zone.put(OLD | {f"fresh{number}": "ns1.host.test" for number in range(10)})
    loaded = load_zones.load_arrivals
    calls = []

    def third_fails(*given: object, **more: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise WarehouseError("couldn't: the disk is full; nothing")
        return loaded(*given, **more)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(load_zones, "load_arrivals", third_fails)
    with pytest.raises(WarehouseError):
        zone.run(slice_=3)
    assert len(zone.rows(SEEN)) == 6
    path.unlink()  # it is not needed any more
    (rest,) = zone.run(slice_=3)
    assert (rest.new, rest.added) == (4, 10)
    assert len(calls) == 3 + 2
    assert len(zone.rows(SEEN)) == 10
    assert zone.rows(SNAPSHOTS)[1] == ("example", 2, 112, 10, 0, 0)
    assert zone.run() == []


def test_a_snapshot_that_is_damaged_before_all_of_it_was_loaded_holds_up_no_later_one(
    zone: ZoneFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.put(OLD)
    zone.run()
    zone.put(NEW)
    loaded = load_zones.load_arrivals
    calls = []

    def second_fails(*given: object, **more: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise WarehouseError("couldn't: the disk is full; nothing")
        return loaded(*given, **more)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(load_zones, "load_arrivals", second_fails)
    with pytest.raises(WarehouseError):
        zone.run(slice_=1)
    (held,) = zone.rows("SELECT path FROM zone_snapshot")
    (half,) = (path for path in zone.place.iterdir() if path.name not in {*held, "changes"})
    half.write_bytes(half.read_bytes()[:-3])
    zone.put(NEW | {"last": "ns1.host.test"})
    refused, third = zone.run()
    assert "is damaged" in refused.alarm
    assert (third.added, third.removed, third.changed) == (3, 1, 1)


def test_a_run_that_was_taken_over_writes_nothing(zone: ZoneFolder) -> None:
    zone.put(OLD)
    zone.run()
    zone.put(NEW)
    with open_run(zone.engine, zone.source) as run:
        file = next_zone(zone.engine, zone.source, run)
        assert file is not None
        snapshot = sort(zone.engine, zone.source, run, file)
        with zone.engine.begin() as connection:
            runs.interrupt(connection, run.source_id)
        with pytest.raises(WarehouseError, match="another process has taken over"):
            load_zones.compare(zone.engine, zone.source, run, snapshot)
    assert zone.rows(SEEN) == []


def test_two_sources_of_one_zone_do_not_meet(zone: ZoneFolder, tmp_path: Path) -> None:
    zone.put(OLD)
    zone.run()
    other = zone_folder(zone.engine, tmp_path / "others", name="other-zone")
    other.put(OLD)
    (refused,) = other.run()
    assert "given already" in refused.alarm


def test_no_room_is_said_before_it_is_sorted(zone: ZoneFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    zone.put(OLD)
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UnavailableError, match="couldn't sort the zone of lab-zone: it needs"):
        zone.run()


def test_over_http_each_day_is_asked_for_once(engine: Engine, tmp_path: Path) -> None:
    server = ZoneServer()
    with serve(server.app()) as served:
        (tmp_path / "configs" / "network.yaml").write_text(f'allow: ["127.0.0.1:{served.port}"]\n')
        source = zone_source(f"{served.url}/zone.gz")
        server.put(zone_text(OLD, serial=1), etag='"one"', modified=MONDAY)
        assert [one.baseline for one in run_zone(engine, source)] == [True]
        assert run_zone(engine, source) == []
        server.put(zone_text(NEW, serial=2), etag='"two"', modified=MONDAY + timedelta(days=1))
        (second,) = run_zone(engine, source)
        assert (second.added, second.removed, second.changed) == (2, 1, 1)
        assert len(server.sent) == 2
        server.put(zone_text(NEW, serial=3), etag='"three"', modified=MONDAY + timedelta(days=2))
        with pytest.raises(OversizedError, match="bytes"):
            run_zone(engine, zone_source(f"{served.url}/zone.gz", limits={"retries": 0, "bytes": 2000}))
        assert [one.alarm for one in run_zone(engine, source)] == [""]


def test_a_server_without_validators_is_asked_once_in_a_run(engine: Engine, tmp_path: Path) -> None:
    server = ZoneServer()
    with serve(server.app()) as served:
        (tmp_path / "configs" / "network.yaml").write_text(f'allow: ["127.0.0.1:{served.port}"]\n')
        source = zone_source(f"{served.url}/zone.gz")
        server.put(zone_text(OLD), etag="", modified=None)
        assert [one.baseline for one in run_zone(engine, source)] == [True]
        assert [one.alarm for one in run_zone(engine, source)] == [""]
        assert len(server.sent) == 2
