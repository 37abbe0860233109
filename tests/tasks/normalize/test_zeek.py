from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

    from intel.facts import Fact

FIRST = 1_700_000_000
ENDS = {"id.orig_h": "192.168.1.5", "id.orig_p": 40000, "id.resp_h": "203.0.113.10", "id.resp_p": 443}
FINGERPRINT = "ab" * 32


@pytest.fixture(scope="session")
def read(make_source: Any, read_all: Any) -> Any:
    def read_log(body: str | bytes, location: str = "zeek/current.log") -> Any:
        return read_all(make_source("zeek"), body, location)

    return read_log


def tsv(path: str, *rows: dict[str, Any], separator: str = "\t", unset: str = "-") -> str:
    """A log as Zeek writes it; values are written as they are."""
    fields = list(dict.fromkeys(name for row in rows for name in row))
    kinds = {"ts": "time", "answers": "vector[string]"}
    head = [
        "#separator " + "".join(f"\\x{ord(mark):02x}" for mark in separator),
        separator.join(["#set_separator", ","]),
        separator.join(["#empty_field", "(empty)"]),
        separator.join(["#unset_field", unset]),
        *([separator.join(["#path", path])] if path else []),
        separator.join(["#open", "2023-11-14-22-13-20"]),
        separator.join(["#fields", *fields]),
        separator.join(["#types", *(kinds.get(name, "string") for name in fields)]),
    ]
    lines = [separator.join(str(row.get(name, unset)) for name in fields) for row in rows]
    return "\n".join([*head, *lines, separator.join(["#close", "2023-11-14-23-00-00"])]) + "\n"


def conn(**fields: Any) -> dict[str, Any]:
    return {
        "ts": f"{FIRST}.250000",
        "uid": "C1",
        **ENDS,
        "proto": "tcp",
        "service": "ssl",
        "duration": "2.500000",
        "orig_bytes": 100,
        "resp_bytes": 400,
        "conn_state": "SF",
        **fields,
    }


def dns(query: str, kind: str, *answers: str, **fields: Any) -> dict[str, Any]:
    base = {"ts": FIRST, **ENDS, "id.resp_p": 53, "query": query, "qtype_name": kind}
    return {**base, "answers": ",".join(answers) or "-", **fields}


def said(facts: list[Fact]) -> set[tuple[str, str, str]]:
    return {(fact.subject.value, fact.predicate, fact.object.value) for fact in facts if fact.object}


def times(facts: list[Fact]) -> list[float]:
    return [fact.event_time.timestamp() for fact in facts if fact.event_time]


def test_many_connections_are_one_fact_at_two_times(read: Any) -> None:
    facts, rejects = read(tsv("conn", *(conn(ts=FIRST + n, **{"id.orig_p": 40000 + n}) for n in range(100))))
    assert not rejects
    assert said(facts) == {("192.168.1.5", "communicates-with", "203.0.113.10:443")}
    assert times(facts) == [FIRST, FIRST + 101.5]
    assert {fact.qualifiers for fact in facts} == {(("proto", "tcp"), ("service", "ssl"))}
    assert facts[0].locator == "line 9 and 99 more, 50000 bytes"


def test_json_says_the_same_as_tsv(read: Any) -> None:
    rows = [conn(), conn(**{"id.resp_h": "2001:db8::1", "service": "-"})]
    from_tsv, _ = read(tsv("conn", *rows))
    flat = [{key: value for key, value in row.items() if value != "-"} | {"ts": FIRST + 0.25} for row in rows]
    from_json, rejects = read("\n".join(map(json.dumps, flat)), "zeek/conn.log")
    assert not rejects
    assert said(from_json) == said(from_tsv)
    assert ("192.168.1.5", "communicates-with", "[2001:db8::1]:443") in said(from_tsv)
    nested = [
        {
            "_path": "conn",
            "id": {key[3:]: value for key, value in ENDS.items()},
            "proto": "tcp",
            "ts": "2023-11-14T22:13:20Z",
        },
        {"_path": "conn", "proto": "tcp", "ts": FIRST, **{key.replace(".", "_"): value for key, value in ENDS.items()}},
    ]
    for row in nested:
        facts, rejects = read(json.dumps(row), "spool/x.json")
        assert not rejects
        assert said(facts) == {("192.168.1.5", "communicates-with", "203.0.113.10:443")}
        assert times(facts) == [FIRST]


@pytest.mark.parametrize("state", ["S0", "REJ", "SH", "RSTOS0"])
def test_an_attempt_says_nothing_of_the_port(read: Any, state: str) -> None:
    facts, _ = read(tsv("conn", conn(conn_state=state), conn(conn_state=state, **{"id.resp_p": 80})))
    assert said(facts) == {("192.168.1.5", "communicates-with", "203.0.113.10")}
    assert {fact.qualifiers for fact in facts} == {(("proto", "tcp"), ("answered", "no"))}


def test_protocols_without_ports_lead_to_the_address(read: Any) -> None:
    facts, _ = read(tsv("conn", conn(proto="icmp", service="-", **{"id.orig_p": 8, "id.resp_p": 0})))
    assert said(facts) == {("192.168.1.5", "communicates-with", "203.0.113.10")}


def test_a_connection_met_half_way_is_turned_by_its_ports(read: Any) -> None:
    turned = {"id.orig_h": "203.0.113.10", "id.orig_p": 443, "id.resp_h": "192.168.1.5", "id.resp_p": 40000}
    facts, _ = read(tsv("conn", conn(conn_state="OTH", **turned)))
    assert said(facts) == {("192.168.1.5", "communicates-with", "203.0.113.10:443")}
    facts, _ = read(tsv("conn", conn(conn_state="SF", **turned)))
    assert said(facts) == {("203.0.113.10", "communicates-with", "192.168.1.5:40000")}


def test_what_never_leaves_is_neither_fact_nor_reject(read: Any) -> None:
    rows = [conn(**{"id.resp_h": host}) for host in ("10.0.0.1", "224.0.0.251", "ff02::fb", "169.254.1.1")]
    assert read(tsv("conn", *rows)) == ([], [])
    assert read(tsv("ssl", {"ts": FIRST, **ENDS, "id.resp_h": "10.0.0.1", "server_name": "a.example"})) == ([], [])


def test_answers_lead_from_name_to_name_to_address(read: Any) -> None:
    facts, rejects = read(
        tsv(
            "dns",
            dns("WWW.a.example", "A", "c.example.net", "d.example.net", "192.0.2.1", "192.0.2.2"),
            dns("www.a.example", "A", "c.example.net", "d.example.net", "192.0.2.1", "192.0.2.2", ts=FIRST + 60),
            dns("b.example", "AAAA", "2001:db8::1"),
        )
    )
    assert not rejects
    assert said(facts) == {
        ("www.a.example", "resolves-to", "c.example.net"),
        ("c.example.net", "resolves-to", "d.example.net"),
        ("d.example.net", "resolves-to", "192.0.2.1"),
        ("d.example.net", "resolves-to", "192.0.2.2"),
        ("b.example", "resolves-to", "2001:db8::1"),
    }
    assert {dict(fact.qualifiers)["type"] for fact in facts} == {"A", "AAAA", "CNAME"}
    assert times(facts)[:2] == [FIRST, FIRST + 60]


def test_other_questions_say_what_they_say(read: Any) -> None:
    facts, rejects = read(
        tsv(
            "dns",
            dns("a.example", "NS", "ns2.a.example", "ns1.a.example"),
            dns("a.example", "MX", "mail.a.example"),
            dns("1.2.0.192.in-addr.arpa", "PTR", "1.0-25.2.0.192.in-addr.arpa", "host.a.example"),
            dns("a.example", "TXT", "TXT 7 token=1"),
            dns("a.example", "SOA", "ns1.a.example"),
            dns("a.example", "A"),
            dns("printer.local", "A", "192.168.1.9", **{"id.resp_p": 5353}),
        )
    )
    assert not rejects
    assert said(facts) == {
        ("a.example", "uses-name-server", "ns1.a.example"),
        ("a.example", "uses-name-server", "ns2.a.example"),
        ("a.example", "uses-name-servers", "ns1.a.example ns2.a.example"),
        ("a.example", "uses-mail-host", "mail.a.example"),
        ("192.0.2.1", "resolves-to", "host.a.example"),
    }


def test_a_name_that_is_none_is_a_reject_with_its_place(read: Any) -> None:
    facts, rejects = read(tsv("dns", dns("WPAD", "A", "192.0.2.1"), dns("a.example", "A", "192.0.2.1")))
    assert {fact.subject.value for fact in facts} == {"a.example"}
    assert [(reject.locator, reject.excerpt) for reject in rejects] == [("line 9", "wpad")]


def test_tls_names_certificates_and_fingerprints(read: Any) -> None:
    row = {
        "ts": FIRST,
        **ENDS,
        "server_name": "C2.example",
        "ja3": "AA" * 16,
        "ja3s": "bb" * 16,
        "ja4": "t13d1516h2_8daaf6152771_b186095e22b6",
        "cert_chain_fps": f"{FINGERPRINT},{'cd' * 32}",
        "client_cert_chain_fps": "ef" * 20,
    }
    facts, rejects = read(tsv("ssl", row))
    assert not rejects
    assert said(facts) == {
        ("192.168.1.5", "communicates-with", "c2.example"),
        ("203.0.113.10:443", "presents", f"sha256:{FINGERPRINT}"),
        ("192.168.1.5", "presents", f"sha1:{'ef' * 20}"),
        ("192.168.1.5", "uses", f"ja3:{'aa' * 16}"),
        ("203.0.113.10:443", "uses", f"ja3s:{'bb' * 16}"),
        ("192.168.1.5", "uses", "ja4:t13d1516h2_8daaf6152771_b186095e22b6"),
    }
    old = {"ts": FIRST, **ENDS, "server_name": "-", "cert_hash": "ab" * 16}
    assert said(read(tsv("ssl", old))[0]) == {("203.0.113.10:443", "presents", f"md5:{'ab' * 16}")}


def test_a_certificate_with_its_names(read: Any) -> None:
    row = {
        "ts": FIRST,
        "fingerprint": FINGERPRINT,
        "certificate.subject": "CN=a.example,O=A\\x2c Inc.",
        "certificate.issuer": "CN=R\\xc3\\xa9, O=B",
        "certificate.serial": "0AFF",
        "san.email": "jane@a.example",
        "certificate.not_valid_before": FIRST,
        "certificate.not_valid_after": 4_000_000_000,
        "san.dns": "a.example,*.B.example,not a name",
        "san.ip": "192.0.2.1",
    }
    facts, rejects = read(tsv("x509", row))
    assert [reject.locator for reject in rejects] == ["line 9"]
    assert {(fact.predicate, fact.object.value, fact.qualifiers) for fact in facts if fact.object} == {
        ("issued-by", "CN=Ré, O=B", ()),
        ("described-as", "CN=a.example,O=A, Inc.", (("field", "subject"),)),
        ("described-as", "0aff", (("field", "serial"),)),
        ("valid-from", "2023-11-14T22:13:20+00:00", ()),
        ("valid-until", "2096-10-02T07:06:40+00:00", ()),
        ("names", "a.example", ()),
        ("names", "b.example", (("wildcard", "yes"),)),
        ("names", "192.0.2.1", ()),
        ("names", "jane@a.example", ()),
    }
    assert [fact.personal for fact in facts if fact.object and "@" in fact.object.value] == [True]
    assert read(tsv("x509", {key: value for key, value in row.items() if key != "fingerprint"})) == ([], [])


def test_hosts_asked_for_and_user_agents(read: Any) -> None:
    rows = [
        {"ts": FIRST, **ENDS, "host": host, "user_agent": "Tool/1.0"} for host in ("A.example:8080", "192.0.2.1", "-")
    ]
    facts, rejects = read(tsv("http", *rows))
    assert not rejects
    assert said(facts) == {
        ("192.168.1.5", "communicates-with", "a.example"),
        ("192.168.1.5", "communicates-with", "203.0.113.10:443"),
        ("192.168.1.5", "uses", "Tool/1.0"),
    }
    spoken = {fact.qualifiers for fact in facts if fact.object and fact.object.value == "203.0.113.10:443"}
    assert spoken == {(("proto", "tcp"), ("service", "http"))}


def test_certificates_that_only_the_log_of_files_has(read: Any) -> None:
    row = {
        "ts": FIRST,
        "source": "SSL",
        "mime_type": "application/x-x509-user-cert",
        "sha1": "AB" * 20,
        "md5": "cd" * 16,
        "tx_hosts": "203.0.113.10",
        "rx_hosts": "192.168.1.5",
    }
    others = [{**row, "mime_type": "application/x-x509-ca-cert"}, {**row, "source": "HTTP"}, {**row, "sha1": "zz"}]
    facts, rejects = read(tsv("files", row, *others))
    assert said(facts) == {
        ("203.0.113.10", "presents", f"sha1:{'ab' * 20}"),
        (f"sha1:{'ab' * 20}", "same-as", f"md5:{'cd' * 16}"),
    }
    assert {reject.locator for reject in rejects} == {"line 12"}


def test_headers_decide_how_it_is_read(read: Any) -> None:
    whole, rejects = read(tsv("conn", conn(), separator="|", unset="NULL"))
    assert not rejects
    assert said(whole) == {("192.168.1.5", "communicates-with", "203.0.113.10:443")}
    fewer = tsv("conn", {"ts": FIRST, **ENDS, "proto": "tcp"})
    drifted = tsv("conn", conn()) + fewer
    facts, rejects = read(drifted)
    assert not rejects
    assert len({fact.qualifiers for fact in facts}) == 2


def test_a_file_is_known_by_its_name_where_nothing_else_says_it(read: Any) -> None:
    body = tsv("", dns("a.example", "A", "192.0.2.1"))
    for name in ("dns.log", "2024-01-01/dns.10:00:00-11:00:00.log", "site_dns.log"):
        assert len(read(body, name)[0]) == 1
    assert read(body, "weird.log") == ([], [])
    assert read(body, "conn-summary.log") == ([], [])
    for wrong in ("indicators.intel", "x.json"):
        facts, rejects = read(body if wrong.endswith("l") else json.dumps(conn()), wrong)
        assert not facts
        assert [reject.locator for reject in rejects] == [""]


def test_other_logs_state_nothing_and_other_files_are_refused(read: Any) -> None:
    assert read(tsv("weird", {"ts": FIRST, "name": "x"}, {"ts": "y", "name": ""})) == ([], [])
    assert read(json.dumps({"_path": "files", "ts": "x"})) == ([], [])
    assert read("") == ([], [])
    for body in ("1,2,3\n", "nonsense", b"\xff\xfe\x00"):
        facts, rejects = read(body)
        assert not facts
        assert len(rejects) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"ts": "-"},
        {"ts": "0.000000"},
        {"ts": "99999999999999999999"},
        {"id.resp_h": "-"},
        {"id.resp_h": "host.example"},
        {"id.resp_p": "70000"},
        {"id.orig_p": "x"},
        {"proto": "-"},
        {"uid": "one\tcolumn more"},
        {"uid": "\ufffd"},
    ],
)
def test_a_line_that_is_none_costs_itself(read: Any, fields: dict[str, Any]) -> None:
    facts, rejects = read(tsv("conn", conn(**fields), conn()))
    assert len(facts) == 2
    assert [reject.locator for reject in rejects] == ["line 9"]


def test_broken_json_costs_its_line(read: Any) -> None:
    body = "\n".join([json.dumps(conn()), "{", "[1]", '{"a":' * 5000, json.dumps(conn())])
    facts, rejects = read(body, "conn.log")
    assert len(facts) == 2
    assert [reject.locator for reject in rejects] == ["line 2", "line 3", "line 4"]


def test_senseless_numbers_are_left_out(read: Any) -> None:
    facts, rejects = read(tsv("conn", conn(duration="1e300", orig_bytes="-5", resp_bytes="nan")))
    assert not rejects
    assert (len(facts), facts[0].locator) == (1, "line 9")


CELLS = st.one_of(
    st.sampled_from(["-", "(empty)", "192.0.2.1", "::1", "443", "1700000000.5", "a.example", "\\x2c", "A", "tcp"]),
    st.text(max_size=12),
)
NAMES = (
    *("ts", *ENDS, "proto", "service", "query", "qtype_name", "answers", "server_name", "cert_chain_fps", "ja3"),
    *("fingerprint", "san.dns", "certificate.not_valid_before", "host", "user_agent"),
)


@settings(max_examples=150, deadline=1000)
@given(st.sampled_from(["conn", "dns", "ssl", "x509", "http", "files"]), st.lists(CELLS, min_size=19, max_size=19))
def test_any_row_is_read(read: Any, path: str, cells: list[str]) -> None:
    row = dict(zip(NAMES, cells, strict=False))
    for body in (tsv(path, row), json.dumps({"_path": path, **row})):
        _, rejects = read(body)
        assert not any("fault of Lapsewatch" in reject.reason for reject in rejects)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=100, deadline=1000)
@given(st.sampled_from(["conn", "dns", "ssl", "x509", "http", "files"]), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_json_is_read(read: Any, path: str, row: dict[str, Any]) -> None:
    _, rejects = read(json.dumps({**row, "_path": path}))
    assert not any("fault of Lapsewatch" in reject.reason for reject in rejects)


@settings(max_examples=100, deadline=1000)
@given(st.binary(max_size=200))
def test_any_bytes_are_read(read: Any, body: bytes) -> None:
    for head in (b"", b"#separator ", b"#fields\tts\tquery\n", b"{"):
        _, rejects = read(head + body, "dns.log")
        assert not any("fault of Lapsewatch" in reject.reason for reject in rejects)


@pytest.mark.slow
def test_it_is_read_fast(read: Any) -> None:
    rows = [
        conn(ts=FIRST + n, **{"id.orig_h": f"192.168.1.{n % 200}", "id.resp_h": f"203.0.113.{n % 250}"})
        for n in range(40_000)
    ]
    questions = [
        dns(f"www{n % 9000}.a{n % 300}.example", "A", f"c{n % 99}.example.net", "192.0.2.1") for n in range(40_000)
    ]
    for name, body in (
        ("conn TSV", tsv("conn", *rows)),
        ("conn JSON", "\n".join(json.dumps({"_path": "conn", **row}) for row in rows)),
        ("dns TSV", tsv("dns", *questions)),
    ):
        started = time.process_time()
        facts, _ = read(body)
        rate = len(rows) / (time.process_time() - started)
        print(f"zeek {name}: {rate:,.0f} lines/s")  # noqa: T201 - a rate to compare
        assert facts
        assert rate > 5_000


def test_real_logs_are_facts_and_explained_rejects(make_source: Any, read_all: Any, data_dir: Path) -> None:
    counts: dict[str, int] = {}
    reasons: dict[str, set[str]] = {}
    for path in sorted((data_dir / "network/zeek_zat").glob("*.log")):
        facts, rejects = read_all(make_source("zeek"), path.read_bytes(), path.name)
        counts[path.stem] = len(facts)
        reasons[path.stem] = {reject.reason for reject in rejects}
        assert all(fact.event_time and fact.event_time < datetime(2018, 1, 1, tzinfo=UTC) for fact in facts)
    stating = {"conn", "dns", "ssl", "tor_ssl", "http"}
    assert {name for name, count in counts.items() if count} == stating
    assert counts["conn"] > 350
    assert counts["dns"] > 150
    # Its x509.log is of 2017 and has no fingerprints.
    assert not {name: said for name, said in reasons.items() if said}


def test_a_duration_that_ends_after_the_document_is_not_believed(read: Any) -> None:
    facts, rejects = read(tsv("conn", conn(duration="90000000.0"), conn(**{"id.resp_h": "203.0.113.11"})))
    assert {fact.object.value for fact in facts} == {"203.0.113.11:443"}
    assert [reject.locator for reject in rejects] == ["line 9"]


def test_a_header_that_cannot_be_read_leaves_no_older_one_in_its_place(read: Any) -> None:
    log = tsv("conn", conn()).splitlines()
    row = log[8].replace("203.0.113.10", "203.0.113.66")
    facts, rejects = read("\n".join([*log[:9], "#fields\t" + "x" * 70_000, row]))
    assert {fact.object.value for fact in facts} == {"203.0.113.10:443"}
    assert [(reject.locator, reject.reason) for reject in rejects] == [("line 10", "couldn't read a header: too long")]
