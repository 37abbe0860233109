from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.normalize import flow_records
from tasks.normalize.flow_records import asks, standing

if TYPE_CHECKING:
    from intel.facts import Fact

FAST = (
    "cnt,af,firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,srcAS,dstAS,input,output,flags,srcTos,"
    "packets,bytes"
)
# As nfdump 1.7.1 wrote it of flows that were made up and sent to its collector.
LONG = """\
ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,mpls10,cl,sl,al,ra,eng,exid,tr
2023-11-14 22:13:20,2023-11-14 22:13:24,4.123,192.168.1.5,203.0.113.10,51000,443,TCP,...AP.SF,0,0,10,5000,0,0,1,2,64500,64501,0,0,0,0,0.0.0.0,0.0.0.0,0,0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,    0.000,    0.000,    0.000,127.0.0.1,0/0,1,2023-11-14 22:14:45.643
2023-11-14 22:13:20,2023-11-14 22:13:29,4.123,203.0.113.10,192.168.1.5,443,51000,TCP,...AP.SF,0,0,12,9000,0,0,1,2,64500,64501,0,0,0,0,0.0.0.0,0.0.0.0,0,0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,    0.000,    0.000,    0.000,127.0.0.1,0/0,1,2023-11-14 22:14:45.643
2023-11-14 22:13:20,2023-11-14 22:13:24,4.123,192.168.1.9,198.51.100.9,0,2048,ICMP,........,0,0,3,252,0,0,1,2,64500,64501,0,0,0,0,0.0.0.0,0.0.0.0,0,0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,    0.000,    0.000,    0.000,127.0.0.1,0/0,1,2023-11-14 22:14:45.643
2023-11-14 22:13:20,2023-11-14 22:13:24,4.123,192.168.1.9,198.51.100.8,41000,4444,TCP,......S.,0,0,1,60,0,0,1,2,64500,64501,0,0,0,0,0.0.0.0,0.0.0.0,0,0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,    0.000,    0.000,    0.000,127.0.0.1,0/0,1,2023-11-14 22:14:45.643
Summary
flows,bytes,packets,avg_bps,avg_pps,avg_bpp
4,14312,26,27637,6,532
"""  # noqa: E501 - as it is written
FIRST = 1_700_000_000


@pytest.fixture(scope="session")
def read(make_source: Any, read_all: Any) -> Any:
    return lambda *lines: read_all(make_source("nfdump"), "\n".join(lines), "flows/a.csv")


def row(
    source: str, target: str, *, flags: str = "...AP.SF", proto: str = "6", first: int = FIRST, size: int = 100
) -> str:
    """Ends as `address port`."""
    here, there = (end.replace(" ", ",") for end in (source, target))
    return f"1,4,{first * 1000},{first * 1000 + 5000},{proto},{here},{there},0,0,1,2,{flags},0,10,{size}"


def pairs(facts: list[Fact]) -> dict[tuple[str, str], dict[str, str]]:
    return {(fact.subject.value, fact.object.value): dict(fact.qualifiers) for fact in facts if fact.object}


def test_the_table_of_a_real_nfdump_with_its_summary(read: Any) -> None:
    facts, rejects = read(LONG)
    assert not rejects
    assert pairs(facts) == {
        ("192.168.1.5", "203.0.113.10:443"): {"proto": "tcp"},
        ("192.168.1.9", "198.51.100.9"): {"proto": "icmp", "answered": "no"},
        ("192.168.1.9", "198.51.100.8"): {"proto": "tcp", "answered": "no"},
    }
    first, last = facts[0], facts[1]
    assert (first.event_time, last.event_time) == (
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        datetime(2023, 11, 14, 22, 13, 29, tzinfo=UTC),
    )
    assert first.locator == "line 2 and 1 more, 14000 bytes"


def test_the_fast_table_joins_both_directions_of_many_flows(read: Any) -> None:
    rows = [
        one
        for n in range(50)
        for one in (
            row(f"192.168.1.5 {40000 + n}", "203.0.113.10 443", first=FIRST + n),
            row("203.0.113.10 443", f"192.168.1.5 {40000 + n}", first=FIRST + n + 1),
        )
    ]
    facts, rejects = read(FAST, *rows)
    assert not rejects
    assert [(fact.subject.value, fact.object.value) for fact in facts] == [("192.168.1.5", "203.0.113.10:443")] * 2
    assert [fact.event_time.timestamp() for fact in facts] == [FIRST, FIRST + 55]
    assert facts[0].locator == "line 2 and 99 more, 10000 bytes"


def test_newer_tables_with_a_duration_are_read(read: Any) -> None:
    head = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows"
    facts, rejects = read(head, "2023-11-14 22:13:20.500,2.5,TCP,203.0.113.10,443,192.168.1.5,50123,5,900,1")
    assert not rejects
    assert [fact.event_time.timestamp() for fact in facts] == [FIRST + 0.5, FIRST + 3]
    assert pairs(facts) == {("192.168.1.5", "203.0.113.10:443"): {"proto": "tcp"}}


@pytest.mark.parametrize(
    ("flags", "back", "answered"),
    [
        ("......S.", None, False),
        ("...A..S.", None, True),
        ("0x12", None, True),
        ("2", None, False),
        ("......S.", "...A.R..", False),
        ("......S.", "...A..S.", True),
        ("......S.", "20", False),
        ("......S.", "0xzz", True),
    ],
)
def test_only_what_was_answered_says_something_of_a_port(
    read: Any, flags: str, back: str | None, answered: bool
) -> None:
    rows = [row("192.168.1.5 40000", "203.0.113.10 8443", flags=flags)]
    if back is not None:
        rows.append(row("203.0.113.10 8443", "192.168.1.5 40000", flags=back))
    facts, _ = read(FAST, *rows)
    assert {fact.object.value for fact in facts} == {"203.0.113.10:8443" if answered else "203.0.113.10"}


def test_a_datagram_is_answered_by_one_that_comes_back(read: Any) -> None:
    asked = row("192.168.1.5 40000", "203.0.113.10 53", proto="17", flags="........")
    facts, _ = read(FAST, asked)
    assert {fact.object.value for fact in facts} == {"203.0.113.10"}
    facts, _ = read(FAST, asked, row("203.0.113.10 53", "192.168.1.5 40000", proto="UDP", flags="........"))
    assert {fact.object.value for fact in facts} == {"203.0.113.10:53"}


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (("192.168.1.5", 51000), ("203.0.113.10", 443)),
        (("203.0.113.10", 51000), ("192.168.1.5", 22)),
        (("192.168.1.5", 1032), ("203.0.113.10", 4444)),
        (("192.168.1.5", 50001), ("203.0.113.10", 50000)),
        (("203.0.113.10", 50001), ("203.0.113.11", 50000)),
        (("203.0.113.10", 40000), ("203.0.113.11", 4444)),
        (("192.168.1.5", 123), ("203.0.113.10", 123)),
        (("203.0.113.10", 500), ("203.0.113.11", 500)),
        (("203.0.113.10", 4444), ("203.0.113.11", 3389)),
        (("2001:db8::1", 40000), ("2001:db8::2", 443)),
    ],
)
def test_which_end_serves_is_the_same_from_both_sides(client: tuple[str, int], server: tuple[str, int]) -> None:
    assert asks(*client, *server)
    assert not asks(*server, *client)


def test_addresses_stand_somewhere() -> None:
    assert {one: standing(one) for one in ("10.1.2.3", "192.0.2.1", "::ffff:10.0.0.1", "fd00::1", "100.64.3.2")} == {
        "10.1.2.3": "internal",
        "192.0.2.1": "outside",
        "::ffff:10.0.0.1": "internal",
        "fd00::1": "internal",
        "100.64.3.2": "internal",
    }
    assert {standing(one) for one in ("255.255.255.255", "224.0.0.251", "::1", "fe80::1", "ff02::fb", "0.0.0.0")} == {
        "nowhere"
    }
    assert {standing(one) for one in ("2001:d..4:1", "", "2001:db8::1%eth0", "1" * 5000)} == {"wrong"}


def test_what_never_leaves_is_neither_fact_nor_reject(read: Any) -> None:
    facts, rejects = read(
        FAST,
        row("192.168.1.5 40000", "10.0.0.1 443"),
        row("192.168.1.5 5353", "224.0.0.251 5353", proto="17"),
        row("192.168.1.5 68", "255.255.255.255 67", proto="17"),
        row("127.0.0.1 40000", "203.0.113.10 443"),
    )
    assert (facts, rejects) == ([], [])


def test_a_client_that_looks_around_is_counted(read: Any) -> None:
    rows = [row("203.0.113.10 40000", f"192.168.{n // 250}.{n % 250 + 1} 22", flags="......S.") for n in range(300)]
    facts, rejects = read(FAST, *rows, row("203.0.113.10 40001", "192.168.9.9 22"))
    assert len({fact.object.value for fact in facts}) == 257
    assert [(reject.locator, reject.reason) for reject in rejects] == [
        ("client 203.0.113.10", "not kept: 44 more addresses that one client tried in vain")
    ]


def test_what_is_held_is_bounded(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_records, "MOST_PAIRS", 10)
    rows = [row("192.168.1.5 40000", f"203.0.113.{n % 25} 443", first=FIRST + n) for n in range(75)]
    facts, rejects = read(FAST, *rows)
    assert not rejects
    times: dict[str, list[float]] = {}
    for fact in facts:
        times.setdefault(fact.object.value, []).append(fact.event_time.timestamp())
    assert len(times) == 25
    assert all(min(said) == FIRST + int(name[10:-4]) for name, said in times.items())
    assert all(max(said) == min(said) + 55 for said in times.values())


@pytest.mark.parametrize(
    "line",
    [
        "1,4,1700000000000,1700000005000,6,192.168.1.5,40000,203.0.113.10",
        row("192.168.1.5 40000", "203.0.113.10 443").replace("1700000000000", "x"),
        row("192.168.1.5 40000", "203.0.113.10 443").replace("1700000005000", "1600000005000"),
        row("192.168.1.5 40000", "203.0.113.10 443").replace("1700000000000", "").replace("1700000005000", ""),
        row("192.168.1.5 40000", "203.0.113.10 70000"),
        row("192.168.1.5 40000", "203.0.113.1000 443"),
        row("192.168.1.5 40000", "2001:d..4:1 443"),
        "nonsense",
        "x" * 5000,
    ],
)
def test_a_line_that_is_no_flow_costs_itself(read: Any, line: str) -> None:
    facts, rejects = read(FAST, line, row("192.168.1.5 40000", "203.0.113.10 443"))
    assert len(facts) == 2
    assert [reject.locator for reject in rejects] == ["line 2"]


def test_what_is_no_table_is_refused_and_an_empty_one_is_empty(read: Any) -> None:
    for body in ("a,b,c\n1,2,3", "ts,te,td,sa,da\n", "Date first seen  Duration"):
        facts, rejects = read(body)
        assert not facts
        assert [reject.locator for reject in rejects] == [""]
    for body in ("", "No matched flows\n", "No matching flows\n", FAST, f"{FAST}\nSummary\nflows,bytes\n0,0"):
        assert read(body) == ([], [])


def test_joined_tables_are_read_one_after_another(read: Any) -> None:
    facts, rejects = read(FAST, row("192.168.1.5 40000", "203.0.113.10 443"), "Summary", "flows", "1", LONG)
    assert not rejects
    assert len({fact.object.value for fact in facts}) == 3


@settings(max_examples=150, deadline=1000)
@given(st.one_of(st.binary(max_size=150), st.text(alphabet="16.,:-TS \n", max_size=150).map(str.encode)))
def test_any_line_is_read(make_source: Any, read_all: Any, body: bytes) -> None:
    _, rejects = read_all(make_source("nfdump"), b"firstSeen,proto,srcAddr,srcPort,dstAddr,dstPort\n" + body)
    assert not any("fault of Lapsewatch" in reject.reason for reject in rejects)


@settings(max_examples=200, deadline=1000)
@given(st.integers(0, 65535), st.integers(0, 65535), st.booleans())
def test_one_end_asks_whatever_the_ports_are(here: int, there: int, inside: bool) -> None:
    source, target = "192.168.1.5" if inside else "203.0.113.9", "203.0.113.10"
    assert asks(source, here, target, there) is not asks(target, there, source, here)


@settings(max_examples=200, deadline=1000)
@given(st.one_of(st.ip_addresses().map(str), st.text(alphabet="0123456789abcdef:.%[]", max_size=40)))
def test_any_address_has_its_facts_or_is_refused(read: Any, address: str) -> None:
    facts, rejects = read(FAST, row(f"{address} 40000", "203.0.113.10 443"), row("192.0.2.1 40000", f"{address} 443"))
    assert not any(reject.locator == "" for reject in rejects)
    if standing(address) == "outside":
        assert len(facts) == 4
    assert all(reject.locator in ("line 2", "line 3") for reject in rejects)


@pytest.mark.slow
def test_it_is_read_fast(read: Any) -> None:
    rows = [row(f"192.168.1.{n % 200} {1024 + n % 60000}", f"203.0.113.{n % 250} 443") for n in range(60_000)]
    started = time.process_time()
    facts, _ = read(FAST, *rows)
    rate = len(rows) / (time.process_time() - started)
    print(f"nfdump: {rate:,.0f} lines/s")  # noqa: T201 - a rate to compare
    assert len(facts) == 2_000
    assert rate > 5_000


def test_a_duration_that_ends_after_the_document_is_not_believed(read: Any) -> None:
    head = "ts,td,sa,da,sp,dp,pr,flg,ibyt"
    ends = "192.168.1.5,203.0.113.10,51000,443,TCP,...AP.SF,100"
    facts, rejects = read(head, f"2023-11-14 22:13:20,4.0,{ends}", f"2023-11-14 22:13:20,99000000,{ends}")
    assert [fact.event_time.timestamp() - FIRST for fact in facts] == [0, 4]
    assert [reject.locator for reject in rejects] == ["line 3"]
