from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import EntryType
from intel.ct_static import read_data_tile
from intel.der import children, dotted, read_time, wrap
from intel.errors import OversizedError, ReadError
from intel.x509 import (
    MAX_CERTIFICATE,
    certificate_sha256,
    read_certificate,
    read_tbs,
    tbs_without_scts,
    tbs_without_scts_sha256,
)
from lab.certificates import Authority, Order, key_from_seed, self_signed
from tests.handmade import GOOD_NAME, MALFORMED, certificate, dns, extension, name, oid, san

AUTHORITY = Authority()
NAMES = ("www.example.com", "*.example.com", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7")
ORDER = Order(names=NAMES, key=key_from_seed("server"))
CERTIFICATE = AUTHORITY.issue(ORDER)


def test_reads_what_cryptography_reads() -> None:
    view = read_certificate(CERTIFICATE)
    peer = x509.load_der_x509_certificate(CERTIFICATE)
    alternative = peer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(view.names) == alternative.get_values_for_type(x509.DNSName)
    assert list(view.ip_addresses) == [str(ip) for ip in alternative.get_values_for_type(x509.IPAddress)]
    assert view.subject == peer.subject.rfc4514_string()
    assert view.issuer == peer.issuer.rfc4514_string() == "CN=Lab Authority,O=Lab"
    assert view.subject_der == peer.subject.public_bytes()
    assert view.issuer_der == peer.issuer.public_bytes()
    assert view.serial == peer.serial_number
    assert int(view.serial_hex, 16) == peer.serial_number
    assert (view.not_before, view.not_after) == (peer.not_valid_before_utc, peer.not_valid_after_utc)
    spki = peer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert view.spki_sha256 == hashlib.sha256(spki).digest()
    assert view.signature_algorithm == peer.signature_algorithm_oid.dotted_string
    assert view.tbs == peer.tbs_certificate_bytes
    assert view.common_names == ("www.example.com",)
    assert view.faults == ()
    assert not view.is_precertificate
    assert certificate_sha256(CERTIFICATE) == hashlib.sha256(CERTIFICATE).digest()


def test_a_bare_tbs_reads_like_its_certificate() -> None:
    assert read_tbs(read_certificate(CERTIFICATE).tbs) == read_certificate(CERTIFICATE)


def test_the_hand_made_certificate_is_well_formed() -> None:
    der = certificate()
    view = read_certificate(der)
    assert view.names == ("www.example.com",)
    assert view.faults == ()
    assert x509.load_der_x509_certificate(der).serial_number == view.serial == 5


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_certificate_still_gives_its_name(case: str) -> None:
    view = read_certificate(MALFORMED[case])
    assert "www.example.com" in view.names
    assert view.spki_sha256 is not None


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("octets after", "certificate: octets after its end"),
        ("no signature", "certificate: no signature"),
        ("bad time", "validity: an unreadable time"),
        ("no serial", "tbs: no serial number"),
        ("serial of 300 octets", "tbs: a serial number of more than 64 octets"),
        ("length past the end", "names: an element runs past the end"),
        ("non-ascii name", "names: one with characters that a name cannot have"),
    ],
)
def test_a_fault_is_named(case: str, fault: str) -> None:
    assert fault in read_certificate(MALFORMED[case]).faults


def test_an_unreadable_time_keeps_its_text() -> None:
    view = read_certificate(MALFORMED["bad time"])
    assert view.not_before is None
    assert view.not_before_text == "26010100000"
    assert view.not_after == datetime(2026, 4, 1, tzinfo=UTC)
    assert view.not_after_text == ""


def test_serials_that_no_one_should_issue() -> None:
    assert read_certificate(MALFORMED["negative serial"]).serial == -1
    long = read_certificate(MALFORMED["serial of 300 octets"])
    assert long.serial is None
    assert long.serial_hex == "01" * 64


@pytest.mark.parametrize(
    ("content", "names", "addresses"),
    [
        (b"WWW.Example.COM.", {"www.example.com"}, set()),
        (b"good.example\x00.evil.example", {"good.example", "evil.example"}, set()),
        (b"http://www.example.net/login", {"www.example.net"}, set()),
        (b"HTTPS://www.example.net", {"www.example.net"}, set()),
        (b" spaced.example\n", {"spaced.example"}, set()),
        ("bücher.example".encode(), {"xn--bcher-kva.example", "xn--bcher-yva4r.example"}, set()),
        (b"b\xfccher.example", {"xn--bcher-kva.example"}, set()),
        ("*.bücher.example".encode("latin-1"), {"*.xn--bcher-kva.example"}, set()),
        (b"192.0.2.9", set(), {"192.0.2.9"}),
        (b"2001:DB8:0::9", set(), {"2001:db8::9"}),
        (b"_service.example", {"_service.example"}, set()),
        (b"", set(), set()),
        (b".", set(), set()),
    ],
)
def test_every_reading_of_a_name(content: bytes, names: set[str], addresses: set[str]) -> None:
    view = read_certificate(certificate(subject=b"\x30\x00", extensions=san(dns(content))))
    if content == "bücher.example".encode():
        assert "xn--bcher-kva.example" in view.names
        assert len(view.names) == 2
    else:
        assert set(view.names) == names
    assert set(view.ip_addresses) == addresses


def test_other_general_names_are_kept_apart() -> None:
    general = (
        wrap(0x81, b"hostmaster@example.org"),
        wrap(0x86, b"https://example.org/a\x00b"),
        wrap(0x87, bytes((192, 0, 2, 1))),
        wrap(0x87, b"\x01\x02"),
        wrap(0x88, b"\x2a"),
        GOOD_NAME,
    )
    view = read_certificate(certificate(extensions=san(*general)))
    assert view.emails == ("hostmaster@example.org",)
    assert view.uris == ("https://example.org/a\\00b",)
    assert view.ip_addresses == ("192.0.2.1",)
    assert view.faults == ("names: an address of neither 4 nor 16 octets",)


def test_common_names_that_are_no_names_stay_out_of_the_names() -> None:
    view = read_certificate(certificate(subject=name(b"Some Service v1.2"), extensions=b""))
    assert view.names == ()
    assert view.common_names == ("Some Service v1.2",)
    wide = read_certificate(certificate(subject=name("wide.example".encode("utf-16-be"), 0x1E), extensions=b""))
    assert wide.names == ("wide.example",)


def test_distinguished_names_are_escaped_and_bounded() -> None:
    view = read_certificate(certificate(subject=name(b"#a,b\x00c ")))
    assert view.subject == "CN=\\#a\\,b\\00c\\ "
    long = read_certificate(certificate(subject=name(b"x" * 5000)))
    assert len(long.subject) == 1024
    assert long.subject.endswith("…")


def test_attributes_of_a_name_are_bounded() -> None:
    attribute = wrap(0x30, oid("550403") + wrap(0x0C, b"a.example"))
    for subject in (wrap(0x30, wrap(0x31, attribute * 9000)), wrap(0x30, wrap(0x31, attribute) * 9000)):
        view = read_certificate(certificate(subject=subject))
        assert len(view.common_names) == 256
        assert "subject: more than 256 elements" in view.faults


def test_names_are_bounded() -> None:
    view = read_certificate(certificate(extensions=san(dns(b"a" * 5000), GOOD_NAME)))
    assert view.names == ("www.example.com",)
    assert "names: one of more than 4096 octets, left out" in view.faults
    assert "\x00" not in "".join(view.faults)


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x31\x00", b"-----BEGIN", b"\x30\x85", b"\x30\x89" + bytes(20)])
def test_what_has_no_outer_frame_is_refused(data: bytes) -> None:
    for read in (read_certificate, read_tbs, tbs_without_scts):
        with pytest.raises(ReadError):
            read(data)


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(OversizedError):
        read_certificate(b"\x30" + bytes(MAX_CERTIFICATE))


def test_an_empty_frame_gives_an_empty_view_with_faults() -> None:
    assert read_certificate(b"\x30\x00").faults == ("certificate: no TBSCertificate",)
    assert read_tbs(b"\x30\x00").faults == ("tbs: no serial number", "tbs: a part is missing")


def test_precertificate_and_final_certificate_meet() -> None:
    precertificate, final = AUTHORITY.precertificate(ORDER), AUTHORITY.final(ORDER, [b"one", b"two"])
    assert read_certificate(precertificate).is_precertificate
    assert not read_certificate(final).is_precertificate
    bare = read_certificate(CERTIFICATE).tbs
    assert tbs_without_scts(precertificate) == tbs_without_scts(final) == tbs_without_scts(bare) == bare
    assert tbs_without_scts_sha256(final) == hashlib.sha256(bare).digest()
    peer = x509.load_der_x509_certificate(precertificate)
    poison = peer.extensions.get_extension_for_class(x509.PrecertPoison)
    assert poison.critical


def test_a_certificate_with_nothing_but_scts_loses_its_extensions() -> None:
    poison = extension(oid("2b06010401d679020403"), b"\x05\x00", b"\x01\x01\xff")
    assert tbs_without_scts(certificate(extensions=poison)) == tbs_without_scts(certificate(extensions=b""))


def test_a_certificate_without_scts_keeps_every_octet_of_its_tbs() -> None:
    der = MALFORMED["length in four octets"]
    assert tbs_without_scts(der) == read_certificate(der).tbs


def test_scts_in_a_broken_frame_are_refused() -> None:
    poison = extension(oid("2b06010401d679020403"), b"\x05\x00")
    with pytest.raises(ReadError):
        tbs_without_scts(certificate(extensions=poison + b"\x30\x7f\x00"))


def test_self_signed_certificates_share_a_key_with_what_else_uses_it() -> None:
    own = read_certificate(self_signed(Order(names=("c2.example",), key=ORDER.key)))
    assert own.spki_sha256 == read_certificate(CERTIFICATE).spki_sha256
    assert own.subject == own.issuer == "CN=c2.example"


@pytest.mark.parametrize(
    ("tag", "content", "moment", "by_the_book"),
    [
        (0x17, b"491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), True),
        (0x17, b"500101000000Z", datetime(1950, 1, 1, tzinfo=UTC), True),
        (0x18, b"99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), True),
        (0x17, b"2601010000Z", datetime(2026, 1, 1, tzinfo=UTC), False),
        (0x17, b"260101020000+0200", datetime(2026, 1, 1, tzinfo=UTC), False),
        (0x18, b"20260101000000.5Z", datetime(2026, 1, 1, tzinfo=UTC), False),
        (0x18, b"20260101000000", datetime(2026, 1, 1, tzinfo=UTC), False),
        (0x17, b"20260101000000Z", datetime(2026, 1, 1, tzinfo=UTC), False),
        (0x17, b"260230000000Z", None, False),
        (0x18, b"00010101000000+1400", None, False),
        (0x17, b"260101000000+9999", None, False),
        (0x17, b"", None, False),
    ],
)
def test_times(tag: int, content: bytes, moment: datetime | None, by_the_book: bool) -> None:
    assert read_time(tag, content) == (moment, by_the_book)


def test_identifiers() -> None:
    assert dotted(bytes.fromhex("2a864886f70d01010b")) == "1.2.840.113549.1.1.11"
    assert dotted(bytes.fromhex("8837")) == "2.999"
    assert dotted(b"") == dotted(b"\x80") == dotted(b"\x01" * 65) == ""


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (read_certificate, read_tbs, tbs_without_scts):
        for body in (data, wrap(0x30, data), wrap(0x30, wrap(0x30, data))):
            with contextlib.suppress(ReadError):
                read(body)


@settings(max_examples=200)
@given(st.integers(0, len(CERTIFICATE) - 1), st.binary(max_size=8), st.integers(0, 8))
def test_an_altered_certificate_is_read_whatever_was_altered(at: int, put: bytes, drop: int) -> None:
    altered = CERTIFICATE[:at] + put + CERTIFICATE[at + drop :]
    try:
        view = read_certificate(altered)
        json.dumps([view.names, view.subject, view.issuer, view.uris, view.emails])
        " ".join((view.subject, view.issuer, *view.names, *view.emails, *view.uris)).encode()
    except ReadError:
        assert altered[:1] != b"\x30" or at < 6
    with contextlib.suppress(ReadError):
        tbs_without_scts(altered)


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_names_are_read_into_text_that_can_be_stored(contents: list[bytes]) -> None:
    view = read_certificate(certificate(subject=b"\x30\x00", extensions=san(*map(dns, contents))))
    for text in view.names:
        assert "\x00" not in text
        text.encode()


def test_children_stop_at_their_limit() -> None:
    faults: list[str] = []
    assert len(children(b"\x05\x00" * 10, 0, 20, faults, "test", limit=4)) == 4
    assert faults == ["test: more than 4 elements"]


@pytest.mark.timeout(20)
def test_megabytes_of_foreign_names_stay_in_time() -> None:
    names = b"".join(dns(b"%05d" % at + b"\xe4." * 20 + b"example") for at in range(70_000))
    view = read_certificate(certificate(subject=b"\x30\x00", extensions=san(names)))
    assert view.names[0].startswith("xn--00000-")
    assert len(view.names) == 65_536
    assert "names: more than 65536 elements" in view.faults


# Real data.


def pem_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("*.pem")):
        match = re.search(rb"-----BEGIN CERTIFICATE-----([^-]+)-----END", path.read_bytes())
        if match is not None:
            yield path.name, base64.b64decode(match.group(1))


def comparable(text: str) -> str:
    return text.strip().lower().strip(".")


@pytest.mark.data
def test_no_name_is_missed_in_certificates_made_to_break_readers(data_dir: Path) -> None:
    read = missed = 0
    for _, der in pem_files(data_dir / "certificates" / "zlint"):
        view = read_certificate(der)
        read += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                peer = x509.load_der_x509_certificate(der)
                serial = peer.serial_number
                general = peer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
                continue
            except x509.InvalidVersion:
                continue
        assert view.serial == serial
        assert view.tbs == peer.tbs_certificate_bytes
        hosts = {*view.names, *view.ip_addresses}
        missed += sum(comparable(host) not in {"", *hosts} for host in general.get_values_for_type(x509.DNSName))
        missed += sum(str(ip) not in hosts for ip in general.get_values_for_type(x509.IPAddress))
        missed += sum(mail not in view.emails for mail in general.get_values_for_type(x509.RFC822Name))
        missed += sum(uri not in view.uris for uri in general.get_values_for_type(x509.UniformResourceIdentifier))
    assert read > 500
    assert missed == 0


@pytest.mark.data
def test_real_certificates_without_their_scts_are_what_cryptography_says(data_dir: Path) -> None:
    folder = data_dir / "certificates"
    online = [json.loads(path.read_bytes())["peer_certificate"] for path in (folder / "x509-limbo").glob("*.json")]
    ders = [base64.b64decode(pem.split("-----")[2]) for pem in online]
    ders += [der for _, der in pem_files(folder / "zlint")]
    compared = 0
    for der in ders:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = x509.load_der_x509_certificate(der).tbs_precertificate_bytes
            except (ValueError, x509.DuplicateExtension, x509.InvalidVersion):
                continue
        if not read_certificate(der).is_precertificate:  # one that has both is unlawful; the peer leaves the poison in
            assert tbs_without_scts(der) == expected
            compared += 1
    assert compared > 15


@pytest.mark.data
@pytest.mark.parametrize("tile", ["000", "001"])
def test_names_of_real_leaves_are_those_that_the_log_lists(data_dir: Path, tile: str) -> None:
    folder = data_dir / "certificates" / "sunlight" / "navigli2025h2" / "tile"
    entries = read_data_tile((folder / "data" / tile).read_bytes(), 256 * int(tile))
    listed = (folder / "names" / tile).read_bytes()
    lines = (gzip.decompress(listed) if listed[:2] == b"\x1f\x8b" else listed).splitlines()
    assert len(lines) == len(entries) == 256
    for logged, line in zip(entries, lines, strict=True):
        entry = logged.entry
        assert entry is not None
        view = read_tbs(entry.signed) if entry.entry_type is EntryType.PRECERT else read_certificate(entry.signed)
        assert view.faults == ()
        assert {comparable(host) for host in json.loads(line).get("DNS", [])} <= set(view.names)


@pytest.mark.parametrize("named", [b"evil.example:8443", b"https://evil.example:8443/x"])
def test_a_port_is_no_part_of_a_name(named: bytes) -> None:
    der = certificate(extensions=san(dns(named)), subject=name(b"192.0.2.7:8443"))
    view = read_certificate(der)
    assert (view.names, view.ip_addresses) == (("evil.example",), ("192.0.2.7",))
    assert read_certificate(certificate(subject=name(b"2001:db8::7"))).ip_addresses == ("2001:db8::7",)
