from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, event, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from db.engine import open_engine
from intel.config.sources import Source
from intel.errors import CollectError, PagingError, ReadError, ThrottledError
from intel.settings import settings
from lab.configs import Addresses, write_configs
from lab.server import serve
from lab.taxii import LabCollection, TaxiiFaults, TaxiiLab, taxii_app
from lab.world import indicator
from tasks.collect import files, folder, slices
from tasks.collect.received import event_time
from tasks.collect.session import open_run
from tasks.collect.slices import collect_slice
from tasks.load.load import load_batch
from tasks.normalize.stage import stage

NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
COLLECTION: Final = "7f4c1a52-4c55-4f0c-8a3e-3e9c3b1c0f10"
UUIDS: Final = [f"5f0c1a2b-0000-4000-8000-00000000000{number}" for number in range(4)]
NOBODY: Final = "http://127.0.0.1:9"
DAYS: Final = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"


def entry(**values: Any) -> Source:
    row: dict[str, Any] = {
        "name": "feed",
        "title": "Feed",
        "transport": "folder",
        "format": "list",
        "location": "drop",
        "semantics": "stream",
        "cadence": "hourly",
        "reliability": "C",
        "tlp": "GREEN",
        "licence": {"name": "invented", "commercial_use": True, "redistribution": True},
        "enabled": True,
        "options": {"label": "listed", "kind": "domain"},
        "limits": {"retries": 0, "seconds": 5, "max_shrink": 1.0},
    }
    return Source.model_validate(row | values)


@dataclass(kw_only=True)
class Web:
    """A web server that gives what the test says, and any status in place of a document."""

    bodies: dict[str, bytes | int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        async def answer(request: Request) -> Response:
            path = request.url.path
            self.asked.append(path)
            body = self.bodies.get(path, 404)
            if isinstance(body, int):
                return Response(status_code=body)
            return Response(body, headers=self.headers)

        return Starlette(routes=[Route("/{path:path}", answer)])


@dataclass(kw_only=True)
class Site:
    engine: Engine
    drop: Path
    web: Web
    url: str
    upstream: TaxiiLab
    taxii: str

    def file(self, name: str, body: str, at: datetime = NOON) -> Path:
        path = self.drop / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
        os.utime(path, (at.timestamp(), at.timestamp()))
        return path

    def collect(self, source: Source) -> int:
        """A run; how many slices it took."""
        taken = 0
        with open_run(self.engine, source) as run:
            more = True
            while more:
                collected = collect_slice(self.engine, source, run)
                taken += 1
                if not collected.documents and collected.cursor is None and not collected.problems:
                    break
                more = not load_batch(self.engine, stage(self.engine, source, collected)).last
        return taken

    def rows(self, statement: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def last(self) -> tuple[str, str]:
        """How the last run ended, and what it said."""
        ((outcome, error),) = self.rows("SELECT outcome, error FROM run ORDER BY id DESC LIMIT 1")
        return outcome, error

    def standing(self) -> set[str]:
        return {
            name
            for (name,) in self.rows("SELECT e.value FROM fact f JOIN entity e ON e.id = f.subject_id WHERE f.standing")
        }

    def known(self) -> set[str]:
        return {name for (name,) in self.rows("SELECT e.value FROM fact f JOIN entity e ON e.id = f.subject_id")}

    def snapshot_time(self) -> datetime:
        ((value,),) = self.rows("SELECT value ->> 'as_of' FROM cursor WHERE name = 'snapshot:feed'")
        return datetime.fromisoformat(value)

    def taxii_source(self, **limits: Any) -> Source:
        return entry(
            transport="taxii", format="stix", location=f"{self.taxii}/api/", options={"collection": COLLECTION},
            limits={"retries": 0, "seconds": 20} | limits,
        )  # fmt: skip

    def misp_source(self) -> Source:
        return entry(transport="misp", format="misp", location=f"{self.url}/misp/", options={})


@pytest.fixture
def site(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(tmp_path / "configs"))
    monkeypatch.setenv("LAPSEWATCH_DATA", str(tmp_path))
    settings.cache_clear()
    engine = open_engine(database_url)
    web = Web()
    upstream = TaxiiLab(collections=[LabCollection(id=COLLECTION, title="Invented")])
    with serve(web.app()) as served, serve(taxii_app(upstream)) as taxii:
        here = Addresses(
            feeds=NOBODY, taxii=NOBODY, taxii_collection="", ct=NOBODY, ct_key=b"", rdap=NOBODY,
            whois=("127.0.0.1", 9), allow=frozenset({served.address, taxii.address}),
        )  # fmt: skip
        write_configs(tmp_path / "configs", here, entries=[], watches={})
        (tmp_path / "drop").mkdir()
        yield Site(
            engine=engine, drop=tmp_path / "drop", web=web, url=served.url, upstream=upstream, taxii=taxii.url
        )  # fmt: skip
    engine.dispose()
    settings.cache_clear()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read."""
    read: list[str] = []
    real = files._read_bytes

    def counted(path: Path, name: str, max_bytes: int) -> Any:
        read.append(name)
        return real(path, name, max_bytes)

    monkeypatch.setattr(files, "_read_bytes", counted)
    return read


def misp_event(number: int) -> bytes:
    attribute = {"type": "domain", "value": f"event-{number}.example", "uuid": UUIDS[number].replace("5f", "6f")}
    return json.dumps(
        {"Event": {"uuid": UUIDS[number], "info": "Invented", "timestamp": "100", "Attribute": [attribute]}}
    ).encode()


# Times


def test_a_date_of_2099_does_not_stop_a_snapshot_for_ever(site: Site) -> None:
    source = entry(transport="http", semantics="snapshot", location=f"{site.url}/list.txt")
    site.web.bodies["/list.txt"] = b"one.example\ntwo.example\n"
    site.web.headers["Last-Modified"] = "Thu, 01 Jan 2099 00:00:00 GMT"
    site.collect(source)
    assert site.snapshot_time() <= datetime.now(UTC)
    site.web.headers.clear()
    site.web.bodies["/list.txt"] = b"two.example\n"
    site.collect(source)
    assert site.last() == ("ok", "")
    assert site.standing() == {"two.example"}


def test_the_time_of_a_file_and_the_date_in_a_name_are_never_later_than_now(site: Site) -> None:
    late = datetime(2099, 1, 1, tzinfo=UTC)
    site.file("a-2099-01-01.txt", "one.example\n", at=late)
    for options in ({}, {"as_of": DAYS}):
        source = entry(semantics="snapshot", options={"label": "listed", "kind": "domain"} | options)
        site.collect(source)
        assert site.snapshot_time() <= datetime.now(UTC)
    site.file("a-2099-01-01.txt", "two.example\n", at=datetime.now(UTC))
    site.collect(entry(semantics="snapshot"))
    assert site.last()[0] == "ok"
    assert site.standing() == {"two.example"}


@pytest.mark.parametrize("seconds", [1e18, -1e18, float(2**62)])
def test_a_file_time_that_is_none_is_now(seconds: float) -> None:
    assert files.file_time(seconds, NOON) == NOON


@pytest.mark.parametrize("name", ["2026-13-01.txt", "2026-02-30.txt", "0000-01-01.txt", "list.txt"])
def test_a_name_without_a_date_is_a_read_error(name: str) -> None:
    with pytest.raises(ReadError, match="couldn't date"):
        event_time(entry(options={"as_of": DAYS}), name, "", NOON)


# What the world gave before it failed


def test_pages_before_an_endless_one_are_kept(site: Site) -> None:
    site.upstream.collections[0].add(NOON, indicator("[domain-name:value = 'first.example']", NOON, "first"))
    site.upstream.faults = TaxiiFaults(pages_for_ever=True)
    source = site.taxii_source()
    site.collect(source)
    outcome, said = site.last()
    assert outcome == "partial"
    assert "two pages hold the same objects" in said
    assert "first.example" in site.known()
    ((cursor,),) = site.rows("SELECT value FROM cursor WHERE name = 'source:feed'")
    assert cursor["added_after"].startswith("2026-03-02T12:00:00")
    site.upstream.faults = TaxiiFaults()
    later = NOON + timedelta(hours=1)
    site.upstream.collections[0].add(later, indicator("[domain-name:value = 'later.example']", later, "later"))
    site.collect(source)
    assert site.last() == ("ok", "")
    assert "later.example" in site.known()


def test_a_run_that_meets_its_limit_is_continued_by_the_next(site: Site) -> None:
    for hour in range(5):
        at = NOON + timedelta(hours=hour)
        site.upstream.collections[0].add(at, indicator(f"[domain-name:value = 'h{hour}.example']", at, f"h{hour}"))
    site.upstream.faults = TaxiiFaults(max_limit=1)
    source = site.taxii_source(pages=2)
    for expected in (2, 4, 5):
        site.collect(source)
        assert len(site.known() & {f"h{hour}.example" for hour in range(5)}) == expected
    assert site.last() == ("ok", "")


def test_a_server_that_gives_nothing_fails_the_run(site: Site) -> None:
    site.upstream.faults = TaxiiFaults(empty_for_ever=True)
    with pytest.raises(PagingError):
        site.collect(site.taxii_source())
    assert site.last()[0] == "failed"
    assert site.rows("SELECT name FROM cursor") == []


def test_events_before_a_throttled_one_are_kept(site: Site) -> None:
    entries = {uuid: {"timestamp": number, "info": "x"} for number, uuid in enumerate(UUIDS)}
    site.web.bodies["/misp/manifest.json"] = json.dumps(entries).encode()
    for number, uuid in enumerate(UUIDS):
        site.web.bodies[f"/misp/{uuid}.json"] = misp_event(number)
    site.web.bodies[f"/misp/{UUIDS[2]}.json"] = 429
    site.collect(site.misp_source())
    outcome, said = site.last()
    assert outcome == "partial"
    assert "asks to wait" in said
    assert {"event-0.example", "event-1.example"} == {name for name in site.known() if name.startswith("event-")}
    site.web.bodies[f"/misp/{UUIDS[2]}.json"] = misp_event(2)
    site.web.asked.clear()
    site.collect(site.misp_source())
    assert site.last() == ("ok", "")
    assert len({name for name in site.known() if name.startswith("event-")}) == 4
    assert f"/misp/{UUIDS[0]}.json" not in site.web.asked
    site.web.bodies["/misp/manifest.json"] = 429
    with pytest.raises(ThrottledError):
        site.collect(site.misp_source())


# How a run ends


def test_a_run_whose_last_slice_was_empty_is_ok(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "MAX_SLICE_DOCUMENTS", 1)
    site.file("one.txt", "one.example\n")
    source = entry()
    real = slices._folder

    def one_more(*given: Any) -> Any:
        found = real(*given)
        return type(found)(received=found.received, as_of=found.as_of, more=bool(found.received))

    monkeypatch.setitem(slices._TRANSPORTS, "folder", one_more)
    assert site.collect(source) == 2
    assert site.last() == ("ok", "")
    assert site.collect(source) == 1
    assert site.last() == ("unchanged", "")


# Folders


def test_each_file_of_a_sequence_is_read_once(site: Site, reads: list[str]) -> None:
    for day in range(1, 29):
        site.file(f"2026-01-{day:02}.txt", f"one.example\nday-{day}.example\n")
    source = entry(
        semantics="snapshot",
        options={"documents": "sequence", "as_of": DAYS, "label": "listed", "kind": "domain", "pattern": "*.txt"},
    )
    assert site.collect(source) == 28
    assert sorted(reads) == [f"2026-01-{day:02}.txt" for day in range(1, 29)]
    assert site.standing() == {"one.example", "day-28.example"}
    assert site.last() == ("ok", "")
    reads.clear()
    assert site.collect(source) == 1
    assert reads == []
    assert site.last() == ("unchanged", "")


def test_a_file_of_a_sequence_that_cannot_be_read_costs_itself(site: Site) -> None:
    options = {"documents": "sequence", "as_of": DAYS, "label": "listed", "kind": "domain", "pattern": "*"}
    for day in (1, 3):
        site.file(f"2026-01-0{day}.txt", f"day-{day}.example\n")
    site.file("2026-01-02.txt.gz", "no gzip")
    site.file("undated.txt", "undated.example\n")
    site.collect(entry(semantics="snapshot", options=options))
    outcome, said = site.last()
    assert outcome == "partial"
    assert "2026-01-02.txt.gz" in said
    assert "undated.txt" in said
    assert site.standing() == {"day-3.example"}


def test_a_file_that_changes_within_its_second_is_read_again(site: Site, reads: list[str]) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    site.file("list.txt", "one.example\n", at=now)
    site.collect(entry())
    site.file("list.txt", "two.example\n", at=now)
    site.collect(entry())
    assert {"one.example", "two.example"} <= site.known()
    assert len(reads) == 2


def test_a_file_that_was_only_touched_is_read_once_more_and_no_more(site: Site, reads: list[str]) -> None:
    site.file("list.txt", "one.example\n")
    site.collect(entry())
    site.file("list.txt", "one.example\n", at=NOON + timedelta(hours=1))
    site.collect(entry())
    site.collect(entry())
    assert len(reads) == 2
    assert [outcome for (outcome,) in site.rows("SELECT outcome FROM run ORDER BY id")] == [
        "ok",
        "unchanged",
        "unchanged",
    ]


def test_a_file_that_left_a_snapshot_ends_what_it_alone_stated(site: Site) -> None:
    source = entry(semantics="snapshot", options={"label": "listed", "kind": "domain", "pattern": "**/*.txt"})
    site.file("a/old.txt", "one.example\nboth.example\n")
    gone = site.file("b/new.txt", "two.example\nboth.example\n", at=NOON + timedelta(hours=1))
    site.collect(source)
    site.collect(source)
    assert site.last() == ("unchanged", "")
    gone.unlink()
    site.collect(source)
    assert site.last() == ("ok", "")
    assert site.standing() == {"one.example", "both.example"}
    site.collect(source)
    assert site.last() == ("unchanged", "")
    gone.parent.rmdir()
    (site.drop / "a" / "old.txt").unlink()
    site.collect(source)
    outcome, said = site.last()
    assert outcome == "partial"
    assert "its folder is empty" in said
    assert site.standing() == {"one.example", "both.example"}


def test_a_file_that_cannot_be_read_ends_nothing(site: Site) -> None:
    source = entry(semantics="snapshot", options={"label": "listed", "kind": "domain", "pattern": "*"})
    site.file("a.txt", "one.example\n")
    broken = site.file("b.txt.gz", "no gzip")
    site.collect(source)
    site.collect(source)
    assert site.last()[0] == "partial"
    assert site.rows("SELECT count(*) FROM document") == [(1,)]
    broken.unlink()
    site.file("b.txt", "two.example\n")
    site.collect(source)
    assert site.last() == ("ok", "")
    assert site.standing() == {"one.example", "two.example"}


@pytest.mark.parametrize("documents", ["together", "sequence"])
def test_a_stream_comes_in_slices_and_a_copy_does_not_stop_it(
    site: Site, reads: list[str], monkeypatch: pytest.MonkeyPatch, documents: str
) -> None:
    monkeypatch.setattr(slices, "MAX_SLICE_DOCUMENTS", 2)
    for number in range(5):
        body = f"n{max(number, 1)}.example\n"  # the second is a copy of the first
        site.file(f"f{number}.txt", body, at=NOON + timedelta(minutes=number))
        if number == 0:
            site.collect(entry(options={"label": "listed", "kind": "domain"}))
    source = entry(options={"label": "listed", "kind": "domain", "documents": documents})
    assert site.collect(source) == 2
    assert {f"n{number}.example" for number in range(1, 5)} <= site.known()
    assert site.last() == ("ok", "")
    assert len(reads) == 5
    site.collect(source)
    assert len(reads) == 5
    assert site.last() == ("unchanged", "")


def test_a_stream_is_cut_by_size_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "MAX_SLICE_BYTES", 20)
    for number in range(4):
        site.file(f"f{number}.txt", f"name-{number}.example\n", at=NOON + timedelta(minutes=number))
    assert site.collect(entry()) == 2
    assert {f"name-{number}.example" for number in range(4)} <= site.known()


# What is asked of the warehouse


def test_documents_are_looked_up_only_where_it_matters(site: Site) -> None:
    statements: list[str] = []

    @event.listens_for(site.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "DISTINCT ON (document.location)" in statement:
            statements.append(statement)

    site.web.bodies["/misp/manifest.json"] = b"{}"
    site.collect(site.misp_source())
    site.collect(site.taxii_source())
    assert statements == []
    site.web.bodies["/list.txt"] = b"one.example\n"
    site.collect(entry(transport="http", semantics="snapshot", location=f"{site.url}/list.txt"))
    assert len(statements) == 1
    assert "document.location = " in statements[0]


def test_a_missing_folder_fails_the_run(site: Site) -> None:
    with pytest.raises(CollectError):
        site.collect(entry(location="nowhere"))
    assert folder.folder(entry(location="nowhere")) == site.drop.parent / "nowhere"
