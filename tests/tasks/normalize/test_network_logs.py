"""The entries for one's own logs and passive DNS, from files in their folders to links in the warehouse."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from intel.config.sources import read_sources
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.collect.slices import collect_slice
from tasks.load.load import load_batch
from tasks.normalize.stage import stage
from tests.homes import CHECKOUT, home, world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.homes import Home

__all__ = ["home", "world"]

SOURCES = read_sources(CHECKOUT / "configs")
CONN = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    "#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tconn_state\n"
    "1700000000.0\t192.168.1.5\t40000\t203.0.113.10\t443\ttcp\tssl\tSF\n"
    "1700000600.0\t192.168.1.5\t40001\t203.0.113.10\t443\ttcp\tssl\tSF\n"
)
DNS = {"ts": 1700000000, "id.resp_p": 53, "query": "c2.example", "qtype_name": "A", "answers": ["203.0.113.10"]}
COF = {
    "rrname": "c2.example",
    "rrtype": "A",
    "rdata": "203.0.113.10",
    "time_first": 1690000000,
    "time_last": 1695000000,
}
FLOWS = (
    "cnt,af,firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,srcAS,dstAS,input,output,flags,srcTos,packets,bytes\n"
    "1,4,1700000100000,1700000200000,6,192.168.1.5,40000,203.0.113.10,443,0,0,1,2,...AP.SF,0,10,500\n"
)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data = tmp_path / "data"
    for name, body in (
        ("network-logs/zeek/2023-11-14/conn.22:00:00-23:00:00.log.gz", gzip.compress(CONN.encode())),
        ("network-logs/zeek/2023-11-14/dns.22:00:00-23:00:00.log", json.dumps(DNS).encode()),
        ("network-logs/zeek/2023-11-14/weird.22:00:00-23:00:00.log", b'{"ts": 1, "name": "x"}'),
        ("network-logs/nfdump/a.csv", FLOWS.encode()),
        ("passive-dns/cof/a.json", json.dumps(COF).encode()),
        ("passive-dns/dnsdb/a.csv.gz", gzip.compress(b"rrname,rrtype,rdata\nc2.example.,MX,10 mail.example.net.\n")),
    ):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    monkeypatch.setenv("LAPSEWATCH_DATA", str(data))
    settings.cache_clear()
    return data


def collect(home: Home, name: str) -> int:
    new, more = 0, True
    with open_run(home.engine, SOURCES[name]) as run:
        while more:
            collected = collect_slice(home.engine, SOURCES[name], run)
            if not collected.documents and not collected.problems:
                return new
            loaded = load_batch(home.engine, stage(home.engine, SOURCES[name], collected))
            new, more = new + loaded.facts_new, not loaded.last
    return new


def links(home: Home) -> dict[tuple[str, str, str], Any]:
    rows = home.rows(
        "SELECT s.value AS subject, l.predicate, o.value AS object, lower(l.seen) AS first, upper(l.seen) AS last,"
        " l.sources FROM link l JOIN entity s ON s.id = l.subject_id JOIN entity o ON o.id = l.object_id"
    )
    return {(row.subject, row.predicate, row.object): row for row in rows}


def test_files_in_their_folders_become_links(home: Home, files: Path) -> None:
    names = ("zeek", "nfdump", "passive-dns", "dnsdb")
    assert [collect(home, name) for name in names] == [2, 1, 1, 1]
    assert [collect(home, name) for name in names] == [0, 0, 0, 0]
    found = links(home)
    assert set(found) == {
        ("192.168.1.5", "communicates-with", "203.0.113.10:443"),
        ("c2.example", "resolves-to", "203.0.113.10"),
        ("c2.example", "uses-mail-host", "mail.example.net"),
    }
    talk = found["192.168.1.5", "communicates-with", "203.0.113.10:443"]
    assert (talk.sources, talk.first, talk.last) == (
        2,
        datetime.fromtimestamp(1_700_000_000, UTC),
        datetime.fromtimestamp(1_700_000_600, UTC),
    )
    led = found["c2.example", "resolves-to", "203.0.113.10"]
    assert (led.sources, led.first) == (2, datetime.fromtimestamp(1_690_000_000, UTC))
    assert {row.outcome for row in home.rows("SELECT outcome FROM run")} == {"ok", "unchanged"}
    rows = home.rows("SELECT DISTINCT s.redistribution, f.tlp FROM fact f JOIN source s ON s.id = f.source_id")
    assert {(row.redistribution, row.tlp) for row in rows} == {(False, 2)}
    assert files.is_dir()


def test_a_file_that_is_no_log_costs_itself_and_is_told(home: Home, files: Path) -> None:
    (files / "network-logs/zeek/broken.log").write_text("not a log\n")
    assert collect(home, "zeek") == 2
    (run,) = home.rows("SELECT outcome, error FROM run")
    assert run.outcome == "partial"
    assert "broken.log" in run.error
