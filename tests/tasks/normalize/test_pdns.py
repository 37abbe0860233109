from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.enrich.known import known
from tasks.enrich.passive_dns import passive_dns
from tests.homes import home, world

if TYPE_CHECKING:
    from intel.facts import Fact
    from tests.homes import Home

__all__ = ["home", "world"]

FIRST, LAST = 1_700_000_000, 1_700_086_400


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def line(**fields: Any) -> str:
    said = {"rrname": "a.example.", "rrtype": "A", "rdata": "192.0.2.1", "time_first": FIRST, "time_last": LAST}
    return json.dumps({key: value for key, value in (said | fields).items() if value is not None})


def said(facts: list[Fact]) -> set[tuple[str, str, str | None]]:
    return {(fact.subject.value, fact.predicate, fact.object.value if fact.object else None) for fact in facts}


@pytest.fixture(scope="session")
def read(make_source: Any, read_all: Any) -> Any:
    return lambda *lines: read_all(make_source("pdns"), "\n".join(lines), "cof/a.json")


def test_a_record_is_stated_at_its_first_and_its_last_sighting(read: Any) -> None:
    facts, rejects = read(line(rrname="WWW.A.Example.", count=12))
    assert not rejects
    assert said(facts) == {("www.a.example", "resolves-to", "192.0.2.1")}
    assert [fact.event_time for fact in facts] == [at(FIRST), at(LAST)]
    assert {fact.qualifiers for fact in facts} == {(("type", "A"),)}
    assert {fact.locator for fact in facts} == {"line 1, seen 12 times"}


def test_seen_once_is_stated_once(read: Any) -> None:
    facts, _ = read(line(time_last=FIRST), line(rrname="b.example", time_first=None, time_last=None))
    assert [(fact.subject.value, fact.event_time) for fact in facts] == [("a.example", at(FIRST)), ("b.example", None)]


def test_each_type_says_what_it_says(read: Any) -> None:
    facts, rejects = read(
        line(rrtype="aaaa", rdata="2001:DB8:0::1"),
        line(rrtype="CNAME", rdata="C.Example.NET."),
        line(rrtype="MX", rdata="10 mail.example.net."),
        line(rrtype="MX", rdata="mail.a.example."),
        line(rrname="1.2.0.192.in-addr.arpa.", rrtype="PTR", rdata="host.a.example."),
        line(rrname=f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa", rrtype="PTR", rdata="six.a.example."),
        line(rrtype="HTTPS", rdata='1 . alpn="h3,h2" ipv4hint=192.0.2.7,192.0.2.8 ipv6hint="2001:db8::7"'),
        line(rrtype="TYPE65", rdata="0 other.example."),
        line(rrtype=1, rdata="192.0.2.9"),
        line(rrtype="TXT", rdata='"v=spf1 include:mail.example" " -all"'),
    )
    assert said(facts) == {
        ("a.example", "resolves-to", "2001:db8::1"),
        ("a.example", "resolves-to", "c.example.net"),
        ("192.0.2.1", "resolves-to", "host.a.example"),
        ("2001:db8::1", "resolves-to", "six.a.example"),
        ("a.example", "resolves-to", "192.0.2.7"),
        ("a.example", "resolves-to", "192.0.2.8"),
        ("a.example", "resolves-to", "2001:db8::7"),
        ("a.example", "resolves-to", "other.example"),
        ("a.example", "resolves-to", "192.0.2.9"),
        ("a.example", "described-as", "v=spf1 include:mail.example -all"),
        ("a.example", "uses-mail-host", "mail.example.net"),
        ("a.example", "uses-mail-host", "mail.a.example"),
    }
    assert not rejects


def test_the_null_mail_host_is_absent(read: Any) -> None:
    facts, _ = read(line(rrtype="MX", rdata="0 ."))
    assert [(fact.object, fact.state) for fact in facts] == [(None, "absent")] * 2


@pytest.mark.parametrize(
    ("rname", "kind", "value", "state"),
    [
        ("jane.doe.a.example.", "email", "jane@doe.a.example", "value"),
        (r"jane\.doe.a.example.", "email", "jane.doe@a.example", "value"),
        (r"jane\043dns.a.example.", "email", "jane+dns@a.example", "value"),
        ("hostmaster@a.example.", "email", "hostmaster@a.example", "value"),
        ("nobody.invalid.", "text", "nobody.invalid.", "placeholder"),
        ("root.", "text", "root.", "placeholder"),
        (r"a\000.b.example.", "text", r"a\000.b.example.", "unparsed"),
        (".", None, None, "absent"),
    ],
)
def test_the_contact_of_a_zone_is_a_mailbox_and_marked(
    read: Any, rname: str, kind: str | None, value: str | None, state: str
) -> None:
    facts, rejects = read(line(rrtype="SOA", rdata=f"ns1.a.example. {rname} 1 7200 900 1209600 86400"))
    assert not rejects
    assert {fact.predicate for fact in facts} == {"has-soa-contact"}
    fact = facts[0]
    assert (fact.object and fact.object.kind, fact.object and fact.object.value) == (kind, value)
    assert (fact.state, fact.personal) == (state, True)


def test_a_text_with_a_mail_address_is_marked(read: Any) -> None:
    facts, _ = read(line(rrtype="TXT", rdata='"owner=jane@mail.example"'), line(rrtype="TXT", rdata="token=1"))
    assert {(fact.object.value, fact.personal) for fact in facts if fact.object} == {
        ("owner=jane@mail.example", True),
        ("token=1", False),
    }


def sets(facts: list[Fact]) -> list[tuple[str, datetime | None]]:
    return [(fact.object.value, fact.event_time) for fact in facts if fact.object and "servers" in fact.predicate]


def test_name_servers_that_came_together_are_a_set(read: Any) -> None:
    facts, _ = read(line(rrtype="NS", rdata=["NS2.a.example.", "ns1.a.example."]))
    assert sets(facts) == [("ns1.a.example ns2.a.example", at(FIRST)), ("ns1.a.example ns2.a.example", at(LAST))]
    assert sum(fact.predicate == "uses-name-server" for fact in facts) == 4
    facts, rejects = read(line(rrtype="NS", rdata=["ns1.a.example.", "no name", "ns2.a.example."]))
    assert (sets(facts), len(facts), len(rejects)) == ([], 4, 1)
    assert sets(read(line(rrtype="NS", rdata=["ns1.a.example."]))[0])[0] == ("ns1.a.example", at(FIRST))


def test_name_servers_with_the_same_times_are_a_set_and_one_alone_is_none(read: Any) -> None:
    one, two = line(rrtype="NS", rdata="ns1.a.example"), line(rrtype="NS", rdata="ns2.a.example")
    facts, _ = read(one, line(rrname="b.example", rrtype="NS", rdata="ns9.a.example"), two)
    assert [value for value, _ in sets(facts)] == ["ns1.a.example ns2.a.example"] * 2
    facts, _ = read(one, line(rrtype="NS", rdata="ns2.a.example", time_last=LAST + 1))
    assert sets(facts) == []
    facts, _ = read(line(rrtype="NS", rdata="ns1.a.example", bailiwick="example"), two)
    assert sets(facts) == []
    timeless = {"time_first": None, "time_last": None}
    assert sets(read(*(line(rrtype="NS", rdata=f"ns{n}.a.example", **timeless) for n in (1, 2)))[0]) == []


def test_times_of_every_form_are_kept(read: Any) -> None:
    nothing = {"time_first": None, "time_last": None}
    facts, rejects = read(
        line(**nothing, zone_time_first=FIRST + 1, zone_time_last=str(LAST + 1)),
        line(**nothing, time_first_ms=FIRST * 1000 + 250, time_last_ms=LAST * 1000),
        line(**nothing, time_first_rfc3339="2023-11-14T22:13:25Z", time_last_rfc3339="2023-11-15T00:00:00+01:00"),
        line(time_last=None),
        line(time_first=FIRST + 0.5, time_last=""),
    )
    assert not rejects
    assert [fact.event_time for fact in facts] == [
        *(at(FIRST + 1), at(LAST + 1)),
        *(at(FIRST + 0.25), at(LAST)),
        *(datetime(2023, 11, 14, 22, 13, 25, tzinfo=UTC), datetime(2023, 11, 14, 23, tzinfo=UTC)),
        at(FIRST),
        at(FIRST + 0.5),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"time_first": 0},
        {"time_first": -5},
        {"time_last": 9_999_999_999},
        {"time_last": 10**400},
        {"time_last": "never"},
        {"time_first": LAST, "time_last": FIRST},
        {"rrname": ""},
        {"rrname": "*.a.example"},
        {"rrname": "com."},
        {"rrname": r"a\032b.example"},
        {"rrname": r"a\.b.example"},
        {"rrname": "x" * 70_000},
        {"rdata": ""},
        {"rdata": []},
        {"rdata": ["192.0.2.1"] * 1001},
        {"rdata": "2001:db8::1"},
        {"rdata": "192.0.2.999"},
        {"rrtype": "AAAA"},
        {"rrtype": "DS", "rdata": "1 8 2 ABCD"},
        {"rrtype": "PTR", "rdata": "b.example."},
        {"rrtype": "SOA", "rdata": "ns1.a.example. jane.doe.example."},
        {"rrtype": "MX", "rdata": "10 20 mail.example."},
        {"rrtype": "HTTPS", "rdata": '1 . alpn="h2"'},
        {"rrtype": "TXT", "rdata": '""'},
        {"rrtype": {"a": 1}},
    ],
)
def test_what_cannot_be_costs_itself_and_says_why(read: Any, fields: dict[str, Any]) -> None:
    facts, rejects = read(line(**fields), line(rrname="good.example"))
    assert {fact.subject.value for fact in facts} == {"good.example"}
    assert rejects
    assert all(reject.locator == "line 1" and reject.reason for reject in rejects)
    assert "jane" not in "".join(reject.excerpt for reject in rejects)


def test_types_that_name_no_infrastructure_are_counted(read: Any) -> None:
    facts, rejects = read(line(rrtype="DS"), line(), line(rrtype="ds"), line(rrtype="NSEC"))
    assert len(facts) == 2
    assert [(reject.locator, reject.reason) for reject in rejects] == [
        ("line 1", "not kept: 2 of type DS, which names no infrastructure"),
        ("line 4", "not kept: 1 of type NSEC, which names no infrastructure"),
    ]
    _, rejects = read(*(line(rrtype=f"X{number}") for number in range(400)))
    assert len(rejects) == 257


def test_one_wrong_datum_of_a_set_costs_itself(read: Any) -> None:
    facts, rejects = read(line(rdata=["192.0.2.1", "not an address", "192.0.2.2"]))
    assert len(facts) == 4
    assert len(rejects) == 1


def test_escapes_and_letters_of_other_scripts_have_one_form(read: Any) -> None:
    facts, _ = read(
        line(rrname=r"\119ww.a.example"), line(rrname="BÜCHER.example."), line(rrname="xn--bcher-kva.example")
    )
    assert {fact.subject.value for fact in facts} == {"www.a.example", "xn--bcher-kva.example"}


def test_a_senseless_count_is_left_out(read: Any) -> None:
    facts, _ = read(*(line(count=count) for count in (1, -4, 10**30, "many", [1], True, None)))
    assert {fact.locator for fact in facts} == {f"line {number}" for number in range(1, 8)}


def test_the_streaming_form_and_an_array_are_read(read: Any) -> None:
    wrapped = json.dumps({"obj": json.loads(line(rdata=["192.0.2.1"]))})
    facts, rejects = read('{"cond":"begin"}', wrapped, '{"cond":"succeeded"}')
    assert (len(facts), rejects) == (2, [])
    facts, rejects = read(f"[{line()},{line(rrtype='NULL')}]")
    assert {fact.locator for fact in facts} == {"/0"}
    assert [reject.locator for reject in rejects] == ["/1"]


def test_the_origin_says_who_saw_it(read: Any) -> None:
    facts, _ = read(line(origin="https://sensor.example/1"))
    assert {fact.reference for fact in facts} == {"https://sensor.example/1"}


def test_broken_lines_cost_themselves(read: Any) -> None:
    facts, rejects = read("{", line(), "[" * 2000, "nonsense", "", '{"rrname": 5}', line())
    assert len(facts) == 4
    assert [reject.locator for reject in rejects] == ["line 1", "line 3", "line 4", "line 6"]
    assert all("JSON" in reject.reason for reject in rejects)


@settings(max_examples=150, deadline=1000)
@given(
    st.fixed_dictionaries(
        {
            "rrname": st.one_of(st.text(max_size=40), st.from_regex(r"[a-z\\.0-9*_]{1,40}", fullmatch=True)),
            "rrtype": st.sampled_from(["A", "AAAA", "NS", "MX", "SOA", "TXT", "PTR", "CNAME", "HTTPS", "SPF", "X", 5]),
            "rdata": st.one_of(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=4), st.integers()),
        },
        optional={
            "time_first": st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=12), st.none()),
            "time_last": st.one_of(st.integers(0, 2**33), st.none()),
            "count": st.one_of(st.integers(), st.text(max_size=5)),
        },
    )
)
def test_any_record_is_facts_or_a_reject(read: Any, record: dict[str, Any]) -> None:
    facts, rejects = read(json.dumps(record))
    assert facts or rejects
    assert not any("fault of Lapsewatch" in reject.reason for reject in rejects)


@settings(max_examples=100, deadline=1000)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=120).map(str.encode)))
def test_any_bytes_are_read(make_source: Any, read_all: Any, body: bytes) -> None:
    _, rejects = read_all(make_source("pdns"), body)
    assert not any("fault of Lapsewatch" in reject.reason for reject in rejects)


def test_lines_that_try_to_take_long_do_not(read: Any) -> None:
    started = time.process_time()
    read(
        line(rrtype="SOA", rdata="a " + "\\" * 900_000 + " 1 2 3 4 5"),
        line(rrtype="TXT", rdata='"' * 900_000),
        line(rrtype="TXT", rdata='"' + '\\"' * 400_000),
        line(rrtype="HTTPS", rdata="1 . " + "ipv4hint=" + "1," * 400_000),
        line(rrname="." * 1_000_000),
    )
    assert time.process_time() - started < 2


@pytest.mark.slow
def test_it_is_read_fast(read: Any) -> None:
    lines = [line(rrname=f"h{n % 5000}.a{n % 300}.example", rdata=f"192.0.2.{n % 250}") for n in range(40_000)]
    started = time.process_time()
    facts, _ = read(*lines)
    rate = len(lines) / (time.process_time() - started)
    print(f"pdns: {rate:,.0f} lines/s")  # noqa: T201 - a rate to compare
    assert len(facts) == 80_000
    assert rate > 5_000


def test_what_was_loaded_keeps_both_times_and_shows_as_passive_dns(read: Any, home: Home) -> None:
    facts, _ = read(
        line(),
        line(rrtype="MX", rdata="10 mail.example.net."),
        line(rrname="1.2.0.192.in-addr.arpa", rrtype="PTR", rdata="host.example.net."),
    )
    when = datetime(2026, 1, 1, tzinfo=UTC)
    assert home.state("dns", facts, at=when) is not None
    assert home.state("dns", facts, at=when) is None
    rows = home.rows("SELECT lower(seen) AS first, upper(seen) AS last FROM link WHERE predicate <> 'listed'")
    assert {(row.first, row.last) for row in rows} == {(at(FIRST), at(LAST))}
    case = home.case("192.0.2.1")
    found = passive_dns(home.engine, case, known(home.engine, case))
    assert {(one.name, one.target, one.forward, one.first, one.last) for one in found.resolutions} == {
        ("a.example", "192.0.2.1", False, at(FIRST), at(LAST)),
        ("192.0.2.1", "host.example.net", True, at(FIRST), at(LAST)),
    }
