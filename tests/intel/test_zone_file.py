from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel import zone_file
from intel.errors import ReadError
from intel.zone_file import MAX_LINE, ZoneReader
from intel.zone_plain import Delegations, PlainReader, join_hosts

SOA = b"example.\t900\tin\tsoa\ta.nic.example. h.nic.example. 2026010100 1800 900 604800 86400\n"
PLAIN = (
    SOA
    + b"example.\t172800\tin\tns\ta.nic.example.\n"
    + b"heron.example.\t86400\tin\tds\t12345 8 2 00FFAA\n"
    + b"heron.example.\t172800\tin\tns\tns2.host.test.\n"
    + b"heron.example.\t172800\tin\tns\tns1.host.test.\n"
    + b"ns1.heron.example.\t172800\tin\ta\t192.0.2.1\n"
    + b"otter.example.\t172800\tin\tns\tns1.heron.example.\n"
    + b"deep.otter.example.\t172800\tin\tns\tns9.host.test.\n"
)
DELEGATIONS = {
    b"heron": b"ns1.host.test ns2.host.test",
    b"otter": b"ns1.heron.example",
    b"deep.otter": b"ns9.host.test",
}


def add(found: dict[bytes, bytes], more: Delegations | None) -> dict[bytes, bytes]:
    assert more is not None
    for name, hosts in zip(*more, strict=True):
        found[name] = join_hosts(found[name].split() + hosts.split()) if name in found else hosts
    return found


def read(text: bytes, *, size: int = 1 << 18, plain: bool = True) -> tuple[ZoneReader, dict[bytes, bytes]]:
    reader, found = ZoneReader(), dict[bytes, bytes]()
    for start in range(0, len(text), size):
        if not plain:
            reader._plain = None
        add(found, reader.feed(text[start : start + size]))
    if not plain:
        reader._plain = None
    add(found, reader.close())
    return reader, found


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 18])
@pytest.mark.parametrize("plain", [True, False])
def test_delegations_of_a_plain_file(size: int, plain: bool) -> None:
    reader, found = read(PLAIN, size=size, plain=plain)
    assert found == DELEGATIONS
    assert (reader.zone, reader.serial, reader.closed) == ("example", 2026010100, False)
    assert (reader.malformed, reader.lines) == (0, PLAIN.count(b"\n"))


def test_the_plain_reader_reads_what_is_plain() -> None:
    found = PlainReader(b"example").read(PLAIN[len(SOA) :])
    assert found is not None
    assert add({}, found.delegations) == DELEGATIONS
    assert found.owner == b"deep.otter.example."


def test_a_master_file_as_people_write_it() -> None:
    text = b"""; the zone of invented birds
$TTL 2d
$ORIGIN example.
@ IN SOA a.nic h.nic.example. ( 7 ; the serial
      1800 900
      604800 86400 )
  NS a.nic
HERON 172800 IN NS ns2.host.test.
\t\tIN 172800 NS NS1.Host.Test.
      NS heron ; its own
otter IN NS \\110s1.heron
      TXT "a quoted ; ( string"
      TYPE65534 \\# 4 0A000001
$ORIGIN marsh.example.
bittern NS ns1.host.test.
crane CH NS ns1.host.test.
"""
    reader, found = read(text)
    assert (reader.malformed, reader.first_malformed) == (0, "")
    assert (reader.zone, reader.serial) == ("example", 7)
    assert found == {
        b"heron": b"heron.example ns1.host.test ns2.host.test",
        b"otter": b"ns1.heron.example",
        b"bittern.marsh": b"ns1.host.test",
    }


def test_servers_before_the_soa_are_kept_for_it() -> None:
    text = b"".join(sorted(PLAIN.splitlines(keepends=True)))
    assert text.index(b"soa") > text.index(b"\tns\t")
    assert read(text)[1] == DELEGATIONS


def test_a_second_soa_closes_the_zone() -> None:
    reader, found = read(PLAIN + SOA)
    assert reader.closed
    assert found == DELEGATIONS
    assert read(PLAIN + SOA, plain=False)[0].closed


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"heron.example.\t1\tin\tns\n", "one name"),
        (b"heron.example.\t1\tin\tns\ta. b.\n", "one name"),
        (b"heron.test.\t1\tin\tns\tns1.host.test.\n", "outside"),
        (b"her\\.on.example.\t1\tin\tns\tns1.host.test.\n", "letters"),
        (b"her\\000on.example.\t1\tin\tns\tns1.host.test.\n", "letters"),
        (b"a..example.\t1\tin\tns\tns1.host.test.\n", "letters"),
        (b"relative\t1\tin\tns\tns1.host.test.\n", "origin"),
        (b"$INCLUDE /other\n", "not followed"),
        (b"$ORIGIN\n", "not followed"),
        (b"heron.example.\n", "type"),
        (b"heron.example.\t1\tin\t\xff\xfe\n", "type"),
        (b'heron.example.\t1\tin\ttxt\t"never ends\n', "does not end"),
        (b"heron.example.\t1\tin\ttxt\t)\n", "pair"),
        (b"other.example.\t1\tin\tsoa\ta. b. 1 2 3 4 5\n", "another zone"),
        (b"example.\t1\tin\tsoa\ta. b. 1 2 3 4\n", "five numbers"),
        (b"x" * 70 + b".example.\t1\tin\tns\tns1.host.test.\n", "letters"),
        (b"heron.example.\t1\tin\tns\t" + b"x" * (MAX_LINE + 2) + b"\n", "longer"),
    ],
)
def test_a_malformed_line_costs_itself(line: bytes, reason: str) -> None:
    for size in (1 << 18, 5_000):
        reader, found = read(PLAIN + line + b"swan.example.\t1\tin\tns\tns1.host.test.\n", size=size)
        assert reader.malformed == 1
        assert reason in reader.first_malformed
        assert reader.first_malformed.startswith("line 9: ")
        assert reader.lines == 10
        assert found == DELEGATIONS | {b"swan": b"ns1.host.test"}


def test_an_owner_that_is_left_out_where_there_is_none_is_malformed() -> None:
    reader, _ = read(b"\t1\tin\tns\tns1.host.test.\n" + PLAIN)
    assert "no owner" in reader.first_malformed


def test_a_parenthesis_that_is_never_closed_is_malformed() -> None:
    reader, found = read(PLAIN + b"heron.example. 1 in txt (\n a b\n")
    assert reader.malformed == 1
    assert found == DELEGATIONS


def test_a_record_in_parentheses_has_a_limit() -> None:
    reader, found = read(PLAIN + b"heron.example. 1 in txt (\n" + b"a b c d\n" * 10_000 + b")\n")
    assert reader.malformed
    assert "parentheses" in reader.first_malformed
    assert found == DELEGATIONS


def test_what_has_no_soa_is_no_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReadError, match="no SOA"):
        read(b"<html>\n<p>sorry</p>\n</html>")
    with pytest.raises(ReadError, match="no SOA"):
        read(b"")
    monkeypatch.setattr(zone_file, "MAX_BEFORE_SOA", 3)
    reader, found = read(b"a.example. 1 in ns b.test.\n" * 5 + SOA)
    assert reader.malformed == 2
    assert found == {b"a": b"b.test"}


LABEL = st.sampled_from(
    [b"a", b"b-c", b"xn--abc", b"0", b"_x", b"heron", b"A", b"a" * 63, b"a" * 64, b"", b"a b", b"*"]
)
NAME = st.lists(LABEL, min_size=0, max_size=2).map(
    lambda labels: b".".join([*labels, b"example", b""])
) | st.sampled_from([b"ns1.host.test.", b"host", b"example.", b".", b"..", b"@", b"a\\046b.example.", b"\\a.example."])
LINE = (
    st.tuples(
        NAME,
        st.sampled_from([b"\t172800\tin\t", b"\t1\tIN\t", b" 1 in ", b"\tin\t5\t", b"\t99999999999\tin\t", b"\tch\t"]),
        st.sampled_from([b"ns", b"ns", b"ns", b"NS", b"a", b"ds", b"soa", b"txt"]),
        st.sampled_from([b"\t", b"\t", b"\t", b" ", b""]),
        NAME | st.sampled_from([b"192.0.2.1", b"a. b. 1 2 3 4 5", b'"x;y"', b"( a", b")"]),
        st.sampled_from([b"", b"", b"", b"\r", b" ; said", b"\tmore"]),
    ).map(b"".join)
    | st.sampled_from([b"", b" ", b"\tin\tns\tns1.host.test.", b"; a comment", b"$ORIGIN example.", b"\x00\xff"])
    | st.binary(max_size=12)
)


@settings(max_examples=120, deadline=None)
@given(lines=st.lists(LINE, max_size=12), size=st.integers(1, 400))
def test_both_readers_answer_the_same(lines: list[bytes], size: int) -> None:
    text = SOA + b"\n".join(lines)
    fast, found = read(text, size=size)
    slow, expected = read(text, size=size, plain=False)
    assert found == expected
    assert (fast.malformed, fast.first_malformed, fast.lines) == (slow.malformed, slow.first_malformed, slow.lines)
    assert (fast.zone, fast.serial, fast.closed) == (slow.zone, slow.serial, slow.closed)


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(LINE, max_size=10))
def test_whatever_the_plain_reader_takes_is_what_the_other_says(lines: list[bytes]) -> None:
    text = b"".join(line + b"\n" for line in lines)
    taken = PlainReader(b"example").read(text) if text else None
    if taken is not None:
        reader, found = read(SOA + text, plain=False)
        assert add({}, taken.delegations) == found
        assert (reader.malformed, reader.closed) == (0, taken.soa)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_break_it(text: bytes, size: int) -> None:
    reader, found = read(SOA + text, size=size)
    assert reader.zone == "example"
    assert all(name and hosts for name, hosts in found.items())
