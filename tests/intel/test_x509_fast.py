from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from intel.ct import EntryType
from intel.ct_static import read_data_tile
from intel.der import wrap
from intel.x509 import read_certificate, read_tbs, tbs_without_scts
from intel.x509_fast import read_fast_certificate, read_fast_tbs
from lab.bench._reading_corpora import certificates
from lab.certificates import Authority, Order, key_from_seed
from lab.certificates_bulk import made
from lab.fuzz.oracle import agree
from lab.fuzz.targets import certificate as check
from tests.handmade import MALFORMED, certificate, dns, extension, name, oid, san

AUTHORITY = Authority()
NAMES = ("www.example.com", "*.example.com", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7")
ORDER = Order(names=NAMES, key=key_from_seed("server"))
FINAL = AUTHORITY.final(ORDER, [b"one", b"two"])
BULK = [one.signed for one in made(0, 256)]
PLAIN = [FINAL, AUTHORITY.issue(ORDER), AUTHORITY.precertificate(ORDER), tbs_without_scts(FINAL), *BULK[:40]]
# What a mutation puts in: tags and lengths that mean something, and any octet.
PUT = st.sampled_from(b"\x00\x01\x03\x04\x06\x0a\x0c\x13\x1e\x24\x30\x31\x7f\x80\x81\x82\x84\x87\xa0\xa2\xa3\xff. :0")


def read_either(octets: bytes) -> bool:
    """Whether the fast reader answers, which then says what the lenient one says."""
    answered = False
    for read, fast in ((read_certificate, read_fast_certificate), (read_tbs, read_fast_tbs)):
        view = fast(octets, 0, len(octets))
        if view is not None:
            agree(view, read(octets), octets)
            answered = True
    return answered


def test_it_says_of_every_plain_certificate_what_the_lenient_reader_says() -> None:
    assert all(read_either(octets) for octets in (*PLAIN, *BULK))


def test_it_reads_a_certificate_amid_other_octets() -> None:
    around = b"\x30\x82\xff" + FINAL + b"\x30\x82\x01\x01" + bytes(300)
    view = read_fast_certificate(around, 3, 3 + len(FINAL))
    assert view is not None
    agree(view, read_certificate(FINAL), FINAL)
    assert read_fast_certificate(around, 3, 4 + len(FINAL)) is None
    assert read_fast_certificate(around, 3, 2 + len(FINAL)) is None
    assert read_fast_tbs(around, 0, len(around)) is None


@pytest.mark.parametrize("case", MALFORMED)
def test_it_leaves_what_is_malformed_to_the_lenient_reader_or_says_the_same(case: str) -> None:
    octets = MALFORMED[case]
    read_either(octets)
    if case not in {"no signature", "cut short"}:
        check(octets)


WORDS = st.one_of(
    st.sampled_from(["www.example.com", "A-b.Example", "*.a.b", "x", "Some Name", "Some v1.2 name"]),
    st.text(alphabet="abXY01-_*. :/\0\n\x1cä", max_size=12),
)


@settings(max_examples=150, deadline=None)
@given(
    common=st.lists(st.tuples(WORDS, st.sampled_from([0x0C, 0x13, 0x14, 0x16, 0x1E])), max_size=3),
    named=st.lists(st.tuples(WORDS, st.sampled_from([0x82, 0x82, 0x82, 0x81, 0x86, 0x87, 0x88, 0xA0])), max_size=4),
    serial=st.binary(min_size=1, max_size=20),
    dates=st.tuples(*(st.one_of(st.just(b"260101000000Z"), st.from_regex(rb"\A[0-9]{12}Z|[0-9_ Z]{13}\Z")),) * 2),
    more=st.sampled_from(
        [b"", extension(oid("2b06010401d679020402"), b"\x04\x00" + bytes(300)), b"\x30\x00", b"\x05\x00"]
    ),
)
@example([("a.b \x1c", 0x0C)], [("www.example.com", 0x82)], b"\x01", (b"260101000000Z", b"260231000000Z"), b"")
@example(
    [("a.b", 0x0C)], [("A.B", 0x82), ("a.b", 0x82), ("1.2", 0x82)], b"\x80", (b"2_0101000000Z", b"260101240000Z"), b""
)
def test_it_agrees_on_any_names_and_dates(
    common: list[tuple[str, int]],
    named: list[tuple[str, int]],
    serial: bytes,
    dates: tuple[bytes, bytes],
    more: bytes,
) -> None:
    subject = b"".join(name(text.encode("latin-1"), tag)[2:] for text, tag in common)
    general = [wrap(tag, text.encode("latin-1")) for text, tag in named]
    padding = extension(oid("551d20"), bytes(200))
    read_either(
        certificate(
            subject=wrap(0x30, subject),
            serial=wrap(0x02, serial),
            validity=wrap(0x30, b"".join(wrap(0x17, date) for date in dates)),
            extensions=padding + san(*general) + more,
        )
    )


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(PLAIN),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), PUT), min_size=1, max_size=3),
    st.integers(0, 2),
)
def test_it_agrees_on_altered_certificates(octets: bytes, puts: list[tuple[float, int]], drop: int) -> None:
    altered = bytearray(octets)
    for place, put in puts:
        at = int(place * len(altered))
        altered[at : at + drop] = bytes([put])
    check(bytes(altered))


@pytest.mark.parametrize("octet", [b"\n", b"\0", b" ", b"/", b"\xff", b":", b"1\x82"])
def test_a_name_with_a_character_that_none_has_is_left_to_the_lenient_reader(octet: bytes) -> None:
    for broken in (b"www.exam" + octet + b"ple.example", b"www.example" + octet, octet + b"www.example"):
        check(FINAL.replace(b"www.example.com", broken[: len(b"www.example.com")].ljust(15, b"a")))
        check(certificate(extensions=extension(oid("551d20"), bytes(200)) + san(dns(broken), dns(b"www.example.com"))))


def test_it_gives_up_rather_than_to_read_much() -> None:
    wide = certificate(extensions=san(*(dns(b"%d.example" % at) for at in range(9_000))))
    assert read_fast_certificate(wide, 0, len(wide)) is None
    many = certificate(extensions=extension(oid("551d20"), bytes(200)) + extension(oid("550000"), b"") * 70)
    assert read_fast_certificate(many, 0, len(many)) is None
    long = certificate(subject=wrap(0x30, name(b"x")[2:] * 200), extensions=extension(oid("551d20"), bytes(200)))
    assert read_fast_certificate(long, 0, len(long)) is None


def test_long_names_and_many_of_them_are_plain() -> None:
    names = [b"n%d.%s.example" % (at, b"a" * 60) for at in range(300)] + [b".".join([b"b" * 60] * 4)]
    octets = certificate(extensions=san(*map(dns, names)))
    view = read_fast_certificate(octets, 0, len(octets))
    assert view is not None
    assert len(view.names) == 302
    agree(view, read_certificate(octets), octets)


# Real data.


@pytest.mark.data
def test_it_agrees_on_certificates_made_to_break_readers(data_dir: Path) -> None:
    read = fast = 0
    for _, octets in certificates(data_dir):
        read += 1
        fast += read_either(octets)
        check(octets)
    assert read > 700
    assert fast > read // 2


@pytest.mark.data
def test_it_answers_for_every_entry_of_a_real_log(data_dir: Path) -> None:
    for signed in real_leaves(data_dir):
        assert read_either(signed)


def real_leaves(data_dir: Path) -> Iterator[bytes]:
    tiles = data_dir / "certificates" / "sunlight" / "navigli2025h2" / "tile" / "data"
    for number in range(2):
        for logged in read_data_tile((tiles / f"{number:03}").read_bytes(), 256 * number):
            assert logged.entry is not None
            assert logged.entry.entry_type is EntryType.PRECERT
            yield logged.entry.signed
