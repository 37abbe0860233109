from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import LapsewatchError, ReadError, RefusedError, StatusError, UnreachableError
from lab.feeds import LabClock, feeds_app
from lab.server import serve
from tasks.collect import misp
from tasks.collect.fetched import Fetched, utc_now
from tasks.collect.http import HttpLimits, NetworkPolicy, open_client

UUIDS = [f"5f0c1a2b-0000-4000-8000-00000000000{number}" for number in range(4)]


def feed(stamps: dict[str, Any]) -> dict[str, bytes]:
    manifest = {uuid: {"info": "Lab", "timestamp": stamp, "date": "2026-03-01"} for uuid, stamp in stamps.items()}
    files = {f"{uuid}.json": json.dumps({"Event": {"uuid": uuid, "info": "Lab"}}).encode() for uuid in stamps}
    return {"manifest.json": json.dumps(manifest).encode(), **files}


def document(body: bytes, outcome: str = "new") -> Fetched:
    return Fetched(
        url="https://feeds.example/x",
        final_url="https://feeds.example/x",
        status=200,
        outcome=outcome,  # type: ignore[arg-type]  # a test passes plain text
        body=body,
        wire_bytes=len(body),
        media_type="application/json",
        charset=None,
        etag=None,
        last_modified=None,
        fetched_at=utc_now(),
        headers={},
    )


def getter(files: dict[str, bytes], asked: list[str] | None = None) -> misp.Get:
    def get(name: str) -> Fetched:
        if asked is not None:
            asked.append(name)
        if name not in files:
            raise StatusError(f"couldn't fetch {name}: status 404; it is left", status=404)
        return document(files[name])

    return get


@pytest.fixture(params=["web", "folder"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[dict[str, bytes], misp.Get]]:
    """The same feed over HTTP and from a folder; change the files and it changes."""
    files: dict[str, bytes] = {}
    if request.param == "folder":
        inner = misp.from_folder(tmp_path, max_bytes=1 << 20)

        def get(name: str) -> Fetched:
            for path in tmp_path.iterdir():
                path.unlink()
            for key, body in files.items():
                (tmp_path / key).write_bytes(body)
            return inner(name)

        yield files, get
        return

    class World:
        def documents(self, at: datetime) -> dict[str, tuple[bytes, str]]:
            del at
            return {f"feed/{key}": (body, "application/json") for key, body in files.items()}

    limits = HttpLimits(max_bytes=1 << 20, max_seconds=5)
    with serve(feeds_app(World(), LabClock(utc_now()))) as server:
        policy = NetworkPolicy(allow=frozenset({server.address}))
        with open_client(policy, user_agent="t", limits=limits) as client:
            yield files, misp.from_url(client, f"{server.url}/feed", limits=limits)


def test_events_come_oldest_first_and_only_what_is_newer_comes_again(
    served: tuple[dict[str, bytes], misp.Get],
) -> None:
    files, get = served
    files |= feed({UUIDS[0]: "300", UUIDS[1]: 100, UUIDS[2]: "200"})
    cursor: dict[str, int] = {}
    seen: list[str] = []
    for fetched, update in misp.events(get, cursor):
        seen.append(json.loads(fetched.body)["Event"]["uuid"])
        cursor |= update
    assert seen == [UUIDS[1], UUIDS[2], UUIDS[0]]
    assert cursor == {UUIDS[1]: 100, UUIDS[2]: 200, UUIDS[0]: 300}
    assert list(misp.events(get, cursor)) == []
    files |= feed({UUIDS[0]: "300", UUIDS[1]: 101, UUIDS[2]: "199", UUIDS[3]: "1"})
    assert [update for _, update in misp.events(get, cursor)] == [{UUIDS[3]: 1}, {UUIDS[1]: 101}]


def test_a_broken_or_missing_event_costs_itself_alone(served: tuple[dict[str, bytes], misp.Get]) -> None:
    files, get = served
    files |= feed({uuid: number for number, uuid in enumerate(UUIDS)})
    files[f"{UUIDS[1]}.json"] = b"<!DOCTYPE html><html></html>"
    del files[f"{UUIDS[2]}.json"]
    troubles: dict[str, LapsewatchError] = {}
    found = list(misp.events(get, {}, problem=troubles.__setitem__))
    assert [update for _, update in found] == [{UUIDS[0]: 0}, {UUIDS[3]: 3}]
    assert [type(error) for error in troubles.values()] == [ReadError, StatusError]
    with pytest.raises(ReadError):
        list(misp.events(get, {}))


def test_a_server_that_is_gone_ends_the_run() -> None:
    files = feed({UUIDS[0]: 1})

    def get(name: str) -> Fetched:
        if name == "manifest.json":
            return document(files[name])
        raise UnreachableError("couldn't fetch: gone; it is left")

    with pytest.raises(UnreachableError):
        list(misp.events(get, {}, problem=lambda _name, _error: None))


def test_names_that_are_no_uuid_are_never_asked_for() -> None:
    asked: list[str] = []
    stamps = {"../../etc/passwd": 1, "http://127.0.0.1/": 2, UUIDS[0].upper(): 3, "": 4}
    manifest = misp.read_manifest(getter(feed(stamps), asked))
    assert (list(manifest.events), manifest.rejected) == ([UUIDS[0]], 3)
    assert [update for _, update in misp.events(getter(feed(stamps), asked), {}, manifest=manifest)] == [{UUIDS[0]: 3}]
    assert asked == ["manifest.json", f"{UUIDS[0].upper()}.json"]


@pytest.mark.parametrize("stamp", ["", "soon", "-1", -1, 1.5, None, True, "9" * 30, 10**30, [], {}])
def test_an_entry_without_a_usable_timestamp_is_rejected(stamp: object) -> None:
    manifest = misp.read_manifest(getter(feed({UUIDS[0]: stamp, UUIDS[1]: 5})))
    assert (list(manifest.events), manifest.rejected) == ([UUIDS[1]], 1)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{", b'{"a":' * 100_000, b"{\xff}"])
def test_what_is_no_manifest_is_a_read_error(body: bytes) -> None:
    with pytest.raises(ReadError):
        misp.read_manifest(getter({"manifest.json": body}))


def test_an_unchanged_manifest_asks_for_no_event() -> None:
    assert list(misp.events(lambda _name: document(b"", "unchanged"), {})) == []


_leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
_json = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_entry = st.fixed_dictionaries({"timestamp": _json}) | _json


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(UUIDS) | st.text(max_size=10), _entry, max_size=5))
def test_no_manifest_breaks_the_reader(entries: dict[str, object]) -> None:
    manifest = misp.read_manifest(getter({"manifest.json": json.dumps(entries).encode()}))
    assert set(manifest.events) <= set(UUIDS)
    assert all(isinstance(stamp, int) and stamp >= 0 for _, stamp in manifest.events.values())
    assert len(manifest.events) + manifest.rejected == len(entries)


def test_a_folder_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "feed").mkdir()
    (tmp_path / "secret.json").write_bytes(b"{}")
    (tmp_path / "feed" / "manifest.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(RefusedError):
        misp.read_manifest(misp.from_folder(tmp_path / "feed", max_bytes=100))


@pytest.mark.data
@pytest.mark.parametrize("name", ["misp_feed_infoblox", "misp_feed_tweetfeed"])
def test_a_real_feed_is_read_whole(data_dir: Path, name: str) -> None:
    manifests = sorted((data_dir / "feeds" / name).rglob("manifest.json"))
    assert manifests
    get = misp.from_folder(manifests[0].parent, max_bytes=64 << 20)
    manifest = misp.read_manifest(get)
    assert manifest.rejected == 0
    missing: list[str] = []
    found = list(misp.events(get, {}, manifest=manifest, problem=lambda uuid, _error: missing.append(uuid)))
    assert len(found) + len(missing) == len(manifest.events)
    assert len(found) >= 10
    cursor = {uuid: stamp for _, update in found for uuid, stamp in update.items()}
    assert list(misp.events(get, cursor, manifest=manifest, problem=lambda _uuid, _error: None)) == []
