from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "zone_time_first,zone_time_last,time_first,time_last,count,rrname,rrtype,bailiwick,rdata"


@pytest.fixture(scope="session")
def read(make_source: Any, read_all: Any) -> Any:
    return lambda *lines, **options: read_all(make_source("dnsdb", **options), "\n".join(lines), "dnsdb/a.csv")


def test_both_ways_of_writing_times(read: Any) -> None:
    facts, rejects = read(
        HEADER,
        ',,"2024-05-10 18:23:45","2024-07-13 05:54:02",5560,"a.example.","A","a.example.","192.0.2.1"',
        ',,1700000000,1700086400,24,"b.example.","A",,"192.0.2.2"',
        '"2022-10-08 00:06:49","2024-07-12 00:09:40",,,643,"c.example.","A","example.","192.0.2.3"',
    )
    assert not rejects
    assert [(fact.subject.value, fact.event_time) for fact in facts] == [
        ("a.example", datetime(2024, 5, 10, 18, 23, 45, tzinfo=UTC)),
        ("a.example", datetime(2024, 7, 13, 5, 54, 2, tzinfo=UTC)),
        ("b.example", datetime.fromtimestamp(1_700_000_000, UTC)),
        ("b.example", datetime.fromtimestamp(1_700_086_400, UTC)),
        ("c.example", datetime(2022, 10, 8, 0, 6, 49, tzinfo=UTC)),
        ("c.example", datetime(2024, 7, 12, 0, 9, 40, tzinfo=UTC)),
    ]
    assert facts[0].locator == "line 2, seen 5560 times"


def test_quotes_within_a_value_and_commas(read: Any) -> None:
    facts, rejects = read(
        HEADER,
        r',,,,1,"a.example.","TXT","a.example.","\"v=spf1 ip4:192.0.2.1, -all\""',
        ',,,,1,"b.example.","TXT","b.example.","""token=1, 2"""',
        r',,,,1,"c.example.","HTTPS","c.example.","1 . alpn=\"h3,h2\" ipv4hint=192.0.2.1,192.0.2.2"',
    )
    assert not rejects
    assert [fact.object.value for fact in facts] == [
        *("v=spf1 ip4:192.0.2.1, -all", "token=1, 2", "192.0.2.1", "192.0.2.2")
    ]


def test_rows_of_one_set_are_the_set(read: Any) -> None:
    row = ',,1700000000,1700086400,5,"a.example.","NS","{}","{}"'
    facts, _ = read(HEADER, row.format("a.example.", "ns1.b.example."), row.format("a.example.", "ns2.b.example."))
    assert {fact.object.value for fact in facts if fact.predicate == "uses-name-servers"} == {
        "ns1.b.example ns2.b.example"
    }
    facts, _ = read(HEADER, row.format("a.example.", "ns1.b.example."), row.format("example.", "ns2.b.example."))
    assert not [fact for fact in facts if fact.predicate == "uses-name-servers"]


def test_columns_are_found_by_name_and_a_header_may_come_again(read: Any) -> None:
    facts, rejects = read(
        "RRType,rdata,rrname", "A,192.0.2.1,a.example", "rrtype,rdata,rrname", "A,192.0.2.2,a.example"
    )
    assert not rejects
    assert [fact.object.value for fact in facts] == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize("head", ["a,b,c", "rrname,rrtype,rvalue", '"rrname', "x" * 2_000_000])
def test_a_table_without_its_columns_is_refused_as_a_whole(read: Any, head: str) -> None:
    facts, rejects = read(head, "a.example,A,192.0.2.1")
    assert not facts
    assert [reject.locator for reject in rejects] == [""]


@pytest.mark.parametrize(
    "row",
    [
        "a.example,A",
        "a.example,A,192.0.2.1,more",
        'a.example,A,"192.0.2.1',
        'a.example,A,"192.0.2.1" more',
        'a.exa"mple,A,192.0.2.1',
        "a.example,,192.0.2.1",
        "a.example,A,",
        "a.example,HINFO,x",
        "a.example,SOA,ns1.a.example. jane.doe.example.",
        "a\ufffd.example,A,192.0.2.1",
        ",".join(["x"] * 100),
        "a.example,A," + "x" * 2_000_000,
    ],
)
def test_a_row_that_is_none_costs_itself(read: Any, row: str) -> None:
    facts, rejects = read("rrname,rrtype,rdata", row, "b.example,A,192.0.2.2")
    assert [fact.subject.value for fact in facts] == ["b.example"]
    assert [reject.locator for reject in rejects] == ["line 2"]
    assert "jane" not in rejects[0].excerpt


def test_lines_that_try_to_take_long_do_not(read: Any) -> None:
    started = time.process_time()
    rows = ['a,A,"' + '\\"' * 500_000, 'a,A,"' + '""' * 500_000, '"' + "\\" * 1_000_000, '"",' * 300_000]
    _, rejects = read("rrname,rrtype,rdata", *rows)
    assert len(rejects) == 4
    assert time.process_time() - started < 2


@settings(max_examples=150, deadline=1000)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='a.,"\\ \n1N', max_size=80).map(str.encode)))
def test_any_row_is_a_fact_or_a_reject(make_source: Any, read_all: Any, body: bytes) -> None:
    _, rejects = read_all(make_source("dnsdb"), b"rrname,rrtype,rdata\n" + body)
    assert not any("fault of Lapsewatch" in reject.reason for reject in rejects)


@pytest.mark.slow
def test_it_is_read_fast(read: Any) -> None:
    rows = [
        f',,"2024-05-{n % 28 + 1:02} 13:{n % 60:02}:00","2024-07-07 {n % 24:02}:45:00",4,"h{n % 5000}.example.","A",'
        f'"example.","192.0.2.{n % 250}"'
        for n in range(40_000)
    ]
    started = time.process_time()
    facts, _ = read(HEADER, *rows)
    rate = len(rows) / (time.process_time() - started)
    print(f"dnsdb: {rate:,.0f} lines/s")  # noqa: T201 - a rate to compare
    assert len(facts) == 80_000
    assert rate > 5_000


def test_every_real_row_is_a_fact_or_an_explained_reject(make_source: Any, read_all: Any, data_dir: Path) -> None:
    files = [
        *sorted((data_dir / "network/dnsdb_defi").glob("DNSDB*.csv")),
        *sorted((data_dir / "actors/domaintools/2024/TEPCO").glob("34.*.csv")),
    ]
    rows, places, reasons = 0, set(), set()
    for path in files:
        body = path.read_bytes()
        rows += sum(1 for line in body.splitlines() if line.strip()) - 1
        facts, rejects = read_all(make_source("dnsdb"), body, path.name)
        places |= {(path.name, one.locator.partition(",")[0]) for one in (*facts, *rejects)}
        reasons |= {reject.reason for reject in rejects}
        assert all(fact.event_time is not None for fact in facts)
    assert len(files) > 30
    assert rows > 1_600
    assert len(places) == rows
    assert reasons == {"not kept: 1 of type HINFO, which names no infrastructure"}
