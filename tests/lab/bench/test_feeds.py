from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from intel.config.sources import Source
from intel.errors import ConfigError
from lab import data
from lab.bench import __main__ as command
from lab.bench import _tweetfeed as tweetfeed
from lab.bench import feeds

TWEETFEED = (tweetfeed.TABLES, tweetfeed.EVENTS, tweetfeed.PAGES)
FIRST = [
    ("domain", "a.example", "#phishing"),
    ("url", "http://b.example/x?y=1", ""),
    ("ip", "192.0.2.1", "#C2"),
    ("md5", "c" * 32, ""),
]
SECOND = [("domain", "a.example", ""), ("sha256", "d" * 64, "#malware #C2"), ("url", "https://www.names.example/p", "")]
DAYS = {"2026-07-23": FIRST, "2026-07-24": SECOND}
MISP_TYPES = {"domain": "domain", "url": "url", "ip": "ip-dst", "md5": "md5", "sha256": "sha256"}
STIX_PATHS = {
    "domain": "domain-name:value",
    "url": "url:value",
    "ip": "ipv4-addr:value",
    "md5": "file:hashes.MD5",
    "sha256": "file:hashes.'SHA-256'",
}


@pytest.fixture(autouse=True)
def _server(database_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", database_server)


def write(path: Path, content: str | bytes | object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    body = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    path.write_bytes(body)


def md5(value: str) -> str:
    return hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()


def write_tweetfeed(root: Path) -> None:
    """The same two days in all four shapes, with what the real ones do: repeats left out, one host renamed."""
    manifest, hashes, pages, reported = {}, [], [], set()
    for number, (day, rows) in enumerate(DAYS.items()):
        table = io.StringIO()
        lines = [[f"{day} 0{at}:00:00", "x", kind, value, tags, f"https://t.example/{at}"]
                 for at, (kind, value, tags) in enumerate(rows)]  # fmt: skip
        csv.writer(table, lineterminator="\n").writerows(lines)
        write(root / f"feeds/tweetfeed/daily/{day.replace('-', '')}.csv", table.getvalue())
        uuid = f"00000000-0000-4000-8000-{number:012d}"
        attributes = []
        for at, (kind, value, _) in enumerate(rows):
            noon = 1784764800 + 86_400 * number + 3_600 * at  # 2026-07-23 00:00 UTC and on
            attributes.append(
                {"uuid": f"{uuid[:-3]}9{number}{at}", "type": MISP_TYPES[kind], "category": "Network activity",
                 "to_ids": True, "value": value, "timestamp": str(noon)}
            )  # fmt: skip
            hashes.append(f"{md5(value.replace('www.names.example/', 'www.names.com/'))},{uuid}")
            if value not in reported:
                reported.add(value)
                when = f"{day}T0{at}:00:00.000Z"
                pages.append(
                    {"type": "indicator", "id": f"indicator--{uuid[:-3]}8{number}{at}", "created": when,
                     "modified": when, "valid_from": when, "pattern": f"[{STIX_PATHS[kind]} = '{value}']"}
                )  # fmt: skip
        event = {"uuid": uuid, "info": f"day {day}", "date": day, "timestamp": "1785628800", "Attribute": attributes}
        write(root / f"feeds/misp_feed_tweetfeed/{uuid}.json", {"Event": event})
        manifest[uuid] = {"info": f"day {day}", "date": day, "timestamp": "1785628800"}
    write(root / "feeds/misp_feed_tweetfeed/manifest.json", manifest)
    write(root / "feeds/misp_feed_tweetfeed/hashes.csv", "\n".join(hashes) + "\n")
    write(root / "stix/tweetfeed_taxii/pages/1.json", pages)
    write(root / "stix/tweetfeed_taxii/index.json", {"pages": []})


ALL = data.sources()


def chosen(*names: str) -> dict[str, Source]:
    return {name: ALL[name] for name in names}


def differences(result: Any) -> list[tuple[str | float, ...]]:
    return [row for table in result.tables if table.title == "TweetFeed: every difference" for row in table.rows]


def test_the_shapes_of_one_feed_agree_but_for_causes_that_were_checked(tmp_path: Path) -> None:
    write_tweetfeed(tmp_path)
    result = feeds.measure(tmp_path, chosen(*TWEETFEED))
    assert differences(result) == [
        ("2026-07-24", "MISP hashes", "lacks", "url hxxps://www[.]names[.]example/p", tweetfeed.RENAMED),
        ("2026-07-24", "TAXII pages", "lacks", "domain a[.]example", tweetfeed.REPEATED),
    ]
    figures = result.figures
    assert (figures["files"], figures["files_unexplained"], figures["tweetfeed_unexplained"]) == (8, 0, 0)
    assert (figures["documents"], figures["rejects"], figures["problems"]) == (5, 0, 0)
    assert figures["tweetfeed_compared"] == 3 * 7


def test_differences_without_a_cause_are_counted(tmp_path: Path) -> None:
    write_tweetfeed(tmp_path)
    pages = tmp_path / "stix/tweetfeed_taxii/pages/1.json"
    objects = json.loads(pages.read_bytes())
    lost = [item for item in objects if "192.0.2.1" not in item["pattern"]]
    # The value that is only reported on the second day is dated to the first: no repeat explains that.
    moved = [{**item, "valid_from": "2026-07-23T00:00:00Z"} if "names" in item["pattern"] else item for item in lost]
    write(pages, moved)
    hashes = tmp_path / "feeds/misp_feed_tweetfeed/hashes.csv"
    write(hashes, hashes.read_text().replace(md5("a.example"), md5("other.example"), 1))
    result = feeds.measure(tmp_path, chosen(*TWEETFEED))
    without = [row[:4] for row in differences(result) if row[4] == "none found"]
    assert without == [
        ("2026-07-23", "MISP hashes", "lacks", "domain a[.]example"),
        ("2026-07-23", "MISP hashes", "has over", md5("other.example")),
        ("2026-07-23", "TAXII pages", "lacks", "ip 192[.]0[.]2[.]1"),
        ("2026-07-23", "TAXII pages", "has over", "url hxxps://www[.]names[.]example/p"),
        ("2026-07-24", "TAXII pages", "lacks", "url hxxps://www[.]names[.]example/p"),
    ]
    assert result.figures["tweetfeed_unexplained"] == 5


def test_every_file_is_ingested_or_refused_or_counted(tmp_path: Path) -> None:
    write(tmp_path / "actors/signature-base/c2-iocs.txt", "# a report\nc2.example;65\nnothing here\n")
    write(tmp_path / "actors/eset/x/README.adoc", "= A report")
    write(tmp_path / "actors/citizenlab/x/openioc.ioc", "<ioc/>")
    write(tmp_path / "actors/unknown/list.txt", "c3.example\n")
    write(tmp_path / "actors/talos/2024/01/a.txt", "# nothing but a comment\n")
    write(tmp_path / "actors/talos/2024/01/b.json", b'{"type": "bundle", "objects": [')
    result = feeds.measure(tmp_path, chosen("data-signature-base", "data-talos", "data-talos-lists", "data-eset"))
    (unexplained,) = [table for table in result.tables if table.title == "Files without explanation"]
    assert unexplained.rows == (("actors/talos/2024/01/a.txt",), ("actors/unknown/list.txt",))
    assert (result.figures["facts"], result.figures["rejects"], result.figures["files_unexplained"]) == (1, 2, 2)
    assert (result.figures["sources"], result.figures["sources_without_files"]) == (3, 1)
    sources = {row[0]: row for row in result.tables[0].rows}
    assert "cut off at line 1" in str(sources["data-talos"][6])


def test_a_snapshot_in_a_sequence_is_loaded_one_after_another(tmp_path: Path) -> None:
    write(tmp_path / "feeds/openphish/feed_2026-06-01T0000Z.txt", "http://a.example/\nhttp://b.example/\n")
    write(tmp_path / "feeds/openphish/feed_2026-06-01T1200Z.txt", "http://b.example/\n")
    result = feeds.measure(tmp_path, chosen("data-openphish"))
    assert (result.figures["documents"], result.figures["facts"], result.figures["files_unexplained"]) == (2, 3, 0)


def test_every_entry_keeps_to_the_schema_and_reads_below_the_data(data_dir: Path) -> None:
    assert len(data.sources()) > 90
    for source in data.sources().values():
        assert not source.enabled
        assert not Path(source.location).is_absolute()
        assert data.files_of(source, data_dir), source.name
    covered = {path for source in data.sources().values() for path in data.files_of(source, data_dir)}
    for path in data.all_files(data_dir):
        reason = data.refused(path.relative_to(data_dir))
        assert (path in covered) != (reason is not None), (path, reason)


def test_real_folders_are_explained_file_by_file(data_dir: Path) -> None:
    names = ("data-stix-validator", "data-stix-oasis", "data-volexity", "data-amnesty-stix", "data-meta-json")
    result = feeds.measure(data_dir, chosen(*names))
    (table,) = [table for table in result.tables if table.title == "Files without explanation"]
    unexplained = [str(row[0]) for row in table.rows]
    prefixes = ("stix/stix-validator", "stix/cti-stix2", "actors/volexity", "actors/meta/json")
    assert not [name for name in unexplained if name.startswith(prefixes)]
    assert int(result.figures["facts"]) > 4_000


@pytest.mark.slow
def test_the_real_shapes_of_one_feed_agree(data_dir: Path) -> None:
    result = feeds.measure(data_dir, chosen(*TWEETFEED))
    assert result.figures["tweetfeed_unexplained"] == 0
    assert int(result.figures["tweetfeed_compared"]) > 20_000


def test_the_command_names_its_benchmarks_and_prints_figures_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--list"]) == 0
    assert "feeds" in capsys.readouterr().out.split()
    write(tmp_path / "actors/signature-base/c2-iocs.txt", "c2.example\n")
    monkeypatch.setenv("LAPSEWATCH_DATA", str(tmp_path))
    monkeypatch.setattr(data, "sources", lambda: chosen("data-signature-base"))
    assert command.main(["feeds"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["files"], figures["facts"], figures["files_unexplained"]) == (1, 1, 0)


def test_without_data_the_command_says_so_and_ends_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPSEWATCH_DATA", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="there is no data in"):
        feeds.run()
    done = subprocess.run(
        [sys.executable, "-m", "lab.bench", "feeds"], capture_output=True, text=True, check=False,
        cwd=Path(feeds.__file__).parents[2],
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "LAPSEWATCH_DATA" in done.stderr
    assert command.main(["absent"]) == 2
