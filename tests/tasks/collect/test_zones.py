from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine

from db import runs, zones
from db.engine import open_engine
from intel.config.sources import Source
from intel.errors import (
    ConfigError,
    OversizedError,
    ReadError,
    RefusedError,
    StatusError,
    UnavailableError,
    UnreachableError,
)
from intel.settings import settings
from lab.server import serve
from tasks.collect.session import open_run
from tasks.collect.zones import ABOUT, RECEIVED, ZoneFile, next_zone
from tests.zones import MONDAY, ZoneServer, zone_source, zone_text

TEXT = zone_text({f"n{number}": "ns1.host.test ns2.host.test" for number in range(3000)})


@pytest.fixture
def engine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    (tmp_path / "configs").mkdir()
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(tmp_path / "configs"))
    settings.cache_clear()
    made = open_engine(database_url)
    yield made
    made.dispose()
    settings.cache_clear()


class World(NamedTuple):
    server: ZoneServer
    engine: Engine
    url: str

    def ask(self, source: Source | None = None) -> ZoneFile | None:
        entry = source or zone_source(f"{self.url}/zone.gz")
        with open_run(self.engine, entry) as run:
            return next_zone(self.engine, entry, run)

    @property
    def place(self) -> Path:
        return zones.folder_of("lab-zone")

    def remember(self, **cursor: Any) -> None:
        with self.engine.begin() as connection:
            runs.write_cursor(connection, "source:lab-zone", cursor, None)


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> Iterator[World]:
    server = ZoneServer()
    server.put(TEXT, etag='"one"', modified=MONDAY)
    with serve(server.app()) as served:
        (tmp_path / "configs" / "network.yaml").write_text(f'allow: ["127.0.0.1:{served.port}"]\n')
        yield World(server, engine, served.url)


def test_a_zone_comes_to_the_disk(world: World) -> None:
    file = world.ask()
    assert file is not None
    assert Path(file.path).read_bytes() == world.server.body
    assert (file.as_of, file.etag, file.ours) == (MONDAY, '"one"', True)
    assert world.server.asked[0]["accept-encoding"] == "identity"


def test_what_is_here_is_not_asked_for_again(world: World) -> None:
    first, second = world.ask(), world.ask()
    assert first is not None
    assert second is not None
    assert (second.path, second.as_of, second.fetched_at) == (first.path, first.as_of, first.fetched_at)
    assert len(world.server.asked) == 1


def test_what_was_read_is_asked_for_with_its_validators(world: World) -> None:
    world.remember(etag='"one"', last_modified="")
    assert world.ask() is None
    assert world.server.sent == []


def test_a_transfer_that_breaks_goes_on_where_it_broke(world: World) -> None:
    size = len(world.server.body)
    world.server.break_at = [2000, 3000]
    file = world.ask(zone_source(f"{world.url}/zone.gz", limits={"retries": 3, "wait": 1}))
    assert file is not None
    assert Path(file.path).read_bytes() == world.server.body
    assert world.server.sent == [size, size - 2000, size - 5000]


def test_the_next_run_goes_on_too(world: World) -> None:
    world.server.break_at = [2000]
    with pytest.raises(UnreachableError):
        world.ask()
    assert (world.place / RECEIVED).stat().st_size == 2000
    file = world.ask()
    assert file is not None
    assert world.server.asked[1]["range"] == "bytes=2000-"
    assert world.server.asked[1]["if-range"] == '"one"'
    assert Path(file.path).read_bytes() == world.server.body


@pytest.mark.parametrize(("etag", "ranges"), [('"two"', True), ('"one"', False), ('W/"one"', True)])
def test_another_file_or_a_server_without_ranges_begins_anew(world: World, etag: str, ranges: bool) -> None:
    world.server.etag = etag if etag.startswith("W/") else '"one"'
    world.server.break_at = [2000]
    with pytest.raises(UnreachableError):
        world.ask()
    world.server.put(TEXT + b"\n", etag=etag, modified=MONDAY + timedelta(hours=1))
    world.server.ranges = ranges
    file = world.ask()
    assert file is not None
    assert Path(file.path).read_bytes() == world.server.body
    assert file.etag == etag


def test_a_file_that_became_shorter_begins_anew(world: World) -> None:
    world.server.break_at = [2000]
    with pytest.raises(UnreachableError):
        world.ask()
    world.server.body = world.server.body[:1500]
    with pytest.raises(UnreachableError, match="from its beginning"):
        world.ask()
    assert world.ask() is not None


def test_another_part_than_was_asked_for_is_not_taken(world: World) -> None:
    world.server.break_at = [2000]
    with pytest.raises(UnreachableError):
        world.ask()
    world.server.wrong_range = True
    with pytest.raises(UnreachableError, match="another part"):
        world.ask()
    assert not (world.place / RECEIVED).exists()


def test_gzip_as_a_coding_is_gzip_as_a_file(world: World) -> None:
    world.server.coding = "gzip"
    file = world.ask()
    assert file is not None
    assert gzip.decompress(Path(file.path).read_bytes()) == TEXT
    world.server.coding = "br"
    shutil.rmtree(world.place)
    with pytest.raises(ReadError, match="coding"):
        world.ask()


def test_a_file_that_is_too_large_is_left(world: World) -> None:
    for chunked in (False, True):
        small = zone_source(f"{world.url}/zone.gz", limits={"retries": 0, "bytes": 1000})
        with pytest.raises(OversizedError, match="more than 1000 bytes"):
            world.ask(small)
        assert not (world.place / RECEIVED).exists() or (world.place / RECEIVED).stat().st_size == 0, chunked


def test_a_web_page_in_its_place_is_said(world: World) -> None:
    world.server.body = b"<!DOCTYPE html><html>Please sign in</html>"
    with pytest.raises(ReadError, match="web page"):
        world.ask()
    assert list(world.place.iterdir()) == []


def test_the_token_comes_from_the_environment_and_shows_nowhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.server.token = "a-secret"
    with pytest.raises(StatusError, match="401"):
        world.ask()
    source = zone_source(f"{world.url}/moved", secret="LAPSEWATCH_TEST_ZONE")
    with pytest.raises(ConfigError, match="LAPSEWATCH_TEST_ZONE"):
        world.ask(source)
    monkeypatch.setenv("LAPSEWATCH_TEST_ZONE", "a-secret")
    assert world.ask(source) is not None
    assert "a-secret" not in (world.place / ABOUT).read_text()


def test_no_room_is_said_before_anything_comes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UnavailableError, match=r"needs 0\.0 GB .* 0\.0 GB are free"):
        world.ask()


def test_the_files_of_a_folder_come_one_after_another_and_once(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "zones"
    folder.mkdir()
    for day in ("20260303", "20260301", "20260302"):
        (folder / f"example-{day}.zone").write_bytes(TEXT)
    (folder / "readme.zone").write_bytes(b"about these")
    source = zone_source(
        str(folder), options={"pattern": "*.zone", "as_of": r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"}
    )
    known: dict[str, str] = {}
    for day in (1, 2, 3):
        file = world.ask(source)
        assert file is not None
        assert (file.as_of, file.ours) == (datetime(2026, 3, day, tzinfo=UTC), False)
        known[file.location] = file.stamp
        world.remember(files=known)
    assert world.ask(source) is None
    (folder / "example-20260302.zone").write_bytes(TEXT + TEXT)
    file = world.ask(source)
    assert file is not None
    assert file.location == "example-20260302.zone"


def test_a_link_out_of_the_folder_is_not_followed(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "zones"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(TEXT)
    (folder / "example.zone").symlink_to(tmp_path / "secret")
    with pytest.raises(RefusedError, match="leads out of its folder"):
        world.ask(zone_source(str(folder)))


def test_what_an_earlier_run_has_sorted_goes_first(world: World) -> None:
    world.remember(pending={"path": "there.gz"})
    file = world.ask()
    assert file is not None
    assert file.path == ""
    assert world.server.asked == []
