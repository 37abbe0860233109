"""First and last seen of what vanishes and returns, against plain sets that nothing of ours has touched."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine, text

from db.engine import open_engine
from intel.config.sources import Format, Source, read_sources
from intel.config.watches import read_watches
from intel.settings import settings
from lab import data, world
from lab.configs import write_configs
from lab.internet import internet
from tasks.collect.session import open_run
from tasks.collect.slices import collect_slice
from tasks.load import ct
from tasks.load.load import load_batch
from tasks.load.new_domain_lists import load_lists
from tasks.normalize.stage import stage
from tasks.watch import certificates, items, registrations

TWO_SPELLINGS = {"blacknet botnet"}
"""A list that was written in two ways: one removes an address at the moment at which the other adds it."""

Spans = tuple[tuple[datetime, datetime | None], ...]
"""When something was so, in order; None is: it still is."""


@dataclass(frozen=True, kw_only=True)
class Place:
    engine: Engine
    data: Path

    def collect(self, source: Source) -> None:
        """Everything that is new from one source, as its flow does it."""
        with open_run(self.engine, source) as run:
            if source.transport == "ct":
                ct.follow(self.engine, source, run, ct.head(self.engine, source, run))
                return
            more = True
            while more:
                collected = collect_slice(self.engine, source, run)
                if not collected.documents and collected.cursor is None and not collected.problems:
                    return
                if source.format is Format.DOMAINS:
                    more = not load_lists(self.engine, source, collected).last
                    continue
                more = not load_batch(self.engine, stage(self.engine, source, collected)).last

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), values))

    def links(self) -> dict[tuple[str, str], Spans]:
        """(subject, object) -> the spans of the merged view."""
        rows = self.rows(
            "SELECT s.value AS subject, o.value AS object, lower(r.span) AS first, upper(r.span) AS last"
            " FROM link l JOIN entity s ON s.id = l.subject_id JOIN entity o ON o.id = l.object_id"
            " CROSS JOIN LATERAL unnest(l.seen) AS r (span) WHERE l.predicate = 'listed' ORDER BY first"
        )
        found: dict[tuple[str, str], list[tuple[datetime, datetime | None]]] = {}
        for row in rows:
            found.setdefault((row.subject, row.object), []).append((row.first, row.last))
        return {key: tuple(spans) for key, spans in found.items()}

    def history(self) -> dict[tuple[str, str], tuple[datetime, datetime]]:
        """(subject, object) -> first and last time that its fact was stated."""
        rows = self.rows(
            "SELECT s.value AS subject, o.value AS object, min(h.event_time) FILTER (WHERE NOT h.ended) AS first,"
            " max(coalesce(h.last_seen, h.event_time)) AS last"
            " FROM fact f JOIN entity s ON s.id = f.subject_id JOIN entity o ON o.id = f.object_id"
            " JOIN fact_history h ON h.fact_id = f.id WHERE f.predicate = 'listed' GROUP BY 1, 2"
        )
        return {(row.subject, row.object): (row.first, row.last) for row in rows}

    def sizes(self) -> dict[str, int]:
        """Rows of every table, but of `run`: looking is written down each time.

        A document that could not be read is asked for again each time, and says so again: it is not counted.
        """
        tables = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'run'")
        read = {
            "document": "WHERE loaded",
            "reject": "r JOIN document d ON d.id = r.document_id WHERE d.loaded",
        }
        return {name: self.rows(f'SELECT count(*) FROM "{name}" {read.get(name, "")}')[0][0] for (name,) in tables}


@pytest.fixture
def place(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name, value in {
        "DATABASE_URL": database_url, "HOME": tmp_path / "home", "CONFIGS": tmp_path / "configs",
        "DATA": tmp_path / "data",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"LAPSEWATCH_{name}", str(value))
    (tmp_path / "configs" / "sources").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    settings.cache_clear()
    engine = open_engine(database_url)
    yield Place(engine=engine, data=tmp_path / "data")
    engine.dispose()
    settings.cache_clear()


@pytest.fixture
def real(data_dir: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("LAPSEWATCH_DATA", str(data_dir))
    settings.cache_clear()
    return place


# --- the oracles: lines and sets, nothing of ours


def of_snapshots(snapshots: Mapping[datetime, set[str]]) -> dict[str, Spans]:
    """Value -> spans: from the first snapshot of a row of them that has it to the last; open at the newest."""
    times = sorted(snapshots)
    found: dict[str, Spans] = {}
    for value in set().union(*snapshots.values()):
        spans: list[tuple[datetime, datetime | None]] = []
        began: datetime | None = None
        for at, after in zip(times, [*times[1:], None], strict=True):
            if value not in snapshots[at]:
                continue
            began = began or at
            if after is None:
                spans.append((began, None))
            elif value not in snapshots[after]:
                spans.append((began, at))
                began = None
        found[value] = tuple(spans)
    return found


def of_changes(changes: Iterable[tuple[datetime, str, tuple[str, str]]]) -> dict[tuple[str, str], Spans]:
    """(value, list) -> spans: from each time that it was added to its removal; a point where that was not said."""
    spans: dict[tuple[str, str], list[tuple[datetime, datetime]]] = {}
    there: set[tuple[str, str]] = set()
    for at, change, key in sorted(changes):
        if change == "remove":
            if key in there:
                spans[key][-1] = (spans[key][-1][0], at)
                there.discard(key)
        else:
            spans.setdefault(key, []).append((at, at))
            there.add(key)
    return {key: tuple(found) for key, found in spans.items()}


def plain_url(line: str) -> str:
    """A URL of the real lists in one form: a path at least, no port that goes without saying."""
    parts = urlsplit(line)
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    rest = line[len(parts.scheme) + 3 + len(parts.netloc) :]
    host = parts.netloc.lower().removesuffix(usual)
    return f"{parts.scheme}://{host}{rest if rest.startswith('/') else '/' + rest}"


def read_changes(path: Path) -> list[tuple[datetime, str, tuple[str, str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (datetime.fromisoformat(row["date"]), row["op"], (str(ip_address(row["ip"])), row["list"].lower()))
            for row in csv.DictReader(file)
            if row["list"].lower() not in TWO_SPELLINGS
        ]


def check_snapshots(place: Place, source: Source, snapshots: Mapping[datetime, set[str]], label: str) -> None:
    place.collect(source)
    wanted = of_snapshots(snapshots)
    links = {subject: spans for (subject, _), spans in place.links().items()}
    assert {label} == {named for _, named in place.links()}
    assert set(links) == set(wanted)
    assert {value: (links[value], wanted[value]) for value in wanted if links[value] != wanted[value]} == {}
    for (value, _), (first, last) in place.history().items():
        assert first == wanted[value][0][0]
        end = wanted[value][-1]
        assert last == (end[0] if end[1] is None else end[1]), value


def check_changes(place: Place, source: Source, changes: list[tuple[datetime, str, tuple[str, str]]]) -> None:
    place.collect(source)
    wanted = of_changes(changes)
    found = {key: spans for key, spans in place.links().items() if key[1] not in TWO_SPELLINGS}
    assert set(found) == set(wanted)
    assert {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]} == {}
    # Whatever the list: when the address itself was first and last seen.
    by_value: dict[str, set[datetime]] = {}
    for (value, _), spans in found.items():
        by_value.setdefault(value, set()).update(at for span in spans for at in span if at is not None)
    for value in {key[0] for _, _, key in changes}:
        said = [at for at, change, key in changes if key[0] == value]
        assert (min(by_value[value]), max(by_value[value])) == (min(said), max(said)), value


# --- the real data


@pytest.mark.slow
def test_openphish_snapshots(real: Place, data_dir: Path) -> None:
    snapshots = {
        datetime.strptime(path.stem, "feed_%Y-%m-%dT%H%MZ").replace(tzinfo=UTC): {
            plain_url(line.strip()) for line in path.read_text("utf-8").splitlines() if line.strip()
        }
        for path in sorted((data_dir / "feeds" / "openphish").glob("feed_*.txt"))
    }
    assert len(snapshots) == 28
    check_snapshots(real, data.sources()["data-openphish"], snapshots, "phishing")


def test_c2_tracker_weekly_changes(real: Place, data_dir: Path) -> None:
    changes = read_changes(data_dir / "actors" / "c2_tracker" / "weekly_diffs.csv")
    assert any(len(spans) > 2 for spans in of_changes(changes).values())
    check_changes(real, data.sources()["data-c2-tracker-timeline"], changes)


# --- the same, invented: more of what vanishes and returns than the real world shows


def test_invented_snapshots_in_which_things_vanish_and_return(place: Place) -> None:
    folder = place.data / "feeds" / "openphish"
    folder.mkdir(parents=True)
    chance = random.Random(20260601)
    names = [f"http://host-{number}.example/login" for number in range(60)]
    snapshots: dict[datetime, set[str]] = {}
    for number in range(12):
        at = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=12 * number)
        snapshots[at] = {name for name in names if chance.random() < 0.6}
        (folder / f"feed_{at:%Y-%m-%dT%H%MZ}.txt").write_text("\n".join(sorted(snapshots[at])) + "\n")
    assert any(len(spans) > 2 for spans in of_snapshots(snapshots).values())
    check_snapshots(place, data.sources()["data-openphish"], snapshots, "phishing")


def test_invented_changes_in_which_things_vanish_and_return(place: Place) -> None:
    folder = place.data / "actors" / "c2_tracker"
    folder.mkdir(parents=True)
    chance = random.Random(20250505)
    lists = ("First C2", "Second Botnet")
    keys = [(f"203.0.113.{number}", name) for number in range(40) for name in lists]
    there: set[tuple[str, str]] = set()
    rows = ["date,commit,list,op,ip"]
    for week in range(10):
        at = datetime(2026, 1, 5, 8, 30, tzinfo=UTC) + timedelta(days=7 * week)
        now = {key for key in keys if chance.random() < 0.5}
        for change, changed in (("add" if week else "baseline", now - there), ("remove", there - now)):
            rows += [f"{at.isoformat()},{week:012x},{name},{change},{ip}" for ip, name in sorted(changed)]
        there = now
    path = folder / "weekly_diffs.csv"
    path.write_text("\n".join(rows) + "\n")
    changes = read_changes(path)
    assert any(len(spans) > 2 for spans in of_changes(changes).values())
    check_changes(place, data.sources()["data-c2-tracker-timeline"], changes)


# --- everything twice


def twice(place: Place, sources: Iterable[Source], between: Callable[[], None] = lambda: None) -> set[str]:
    """Ingest and judge, and again: the second time writes no row but of runs. How those ended is given back."""

    def once() -> None:
        for source in sources:
            place.collect(source)
        registrations.monitor(place.engine)
        certificates.monitor(place.engine)

    sources = list(sources)
    once()
    between()
    # A server is asked again for the last moment that it gave: that page, with less in it, is a document once.
    for source in sources:
        if source.transport == "taxii":
            place.collect(source)
    before = place.sizes()
    assert before["fact"] > 0
    ((last,),) = place.rows("SELECT max(id) FROM run")
    once()
    assert place.sizes() == before
    return {row.outcome for row in place.rows("SELECT outcome FROM run WHERE id > :last", last=last)}


@pytest.mark.slow
def test_the_invented_world_twice_writes_nothing(place: Place) -> None:
    configs = settings().configs
    with internet(at=world.MONDAY) as net:
        write_configs(configs, net.addresses)
        with place.engine.begin() as connection:
            items.sync_files(connection, read_watches(configs))
        sources = [source for source in read_sources(configs).values() if source.transport != "lookup"]
        assert {source.transport for source in sources} == {"http", "misp", "taxii", "ct"}
        for source in sources:
            place.collect(source)
        net.move(world.WEDNESDAY)
        assert twice(place, sources) == {"unchanged"}
    assert place.rows("SELECT count(*) FROM finding") != [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "folders",
    [
        ("actors/amnesty", "actors/talos", "actors/volexity", "actors/unit42"),
        ("feeds/abusech", "feeds/criticalpath", "feeds/intelmq", "feeds/misp_feed_infoblox", "stix"),
    ],
    ids=["actors", "feeds"],
)
def test_real_data_twice_writes_nothing(real: Place, data_dir: Path, folders: tuple[str, ...]) -> None:
    sources = [
        source
        for source in data.sources().values()
        if source.location.startswith(folders) and data.files_of(source, data_dir)
    ]
    assert len(sources) > 5

    def watched() -> None:
        with real.engine.begin() as connection:
            watch = connection.execute(
                text("INSERT INTO watch (name, origin, rules) VALUES ('any', 'command', '{*}') RETURNING id")
            ).scalar_one()
            connection.execute(
                text(
                    "INSERT INTO watch_item (watch_id, match, kind, value)"
                    " SELECT :watch, 'scope', '', scope FROM entity WHERE scope <> '' GROUP BY scope LIMIT 20"
                ),
                {"watch": watch},
            )
        registrations.monitor(real.engine)
        certificates.monitor(real.engine)
        assert real.rows("SELECT count(*) FROM finding") != [(0,)]

    assert twice(real, sources, watched) <= {"unchanged", "partial"}
