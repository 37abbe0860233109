from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from intel.x509 import certificate_sha256, read_certificate
from lab.certificates import Authority, Order, key_from_seed, self_signed, spki_der


def make() -> list[bytes]:
    authority = Authority("Another Authority")
    order = Order(names=("a.example", "192.0.2.1"), key=key_from_seed("a"))
    return [
        authority.certificate,
        authority.issue(order),
        authority.precertificate(order),
        authority.final(order, [b"sct"]),
        self_signed(order),
    ]


def test_certificates_are_the_same_every_time() -> None:
    assert make() == make()
    assert len({certificate_sha256(der) for der in make()}) == 5


def test_certificates_do_not_change_from_release_to_release() -> None:
    assert spki_der(key_from_seed("a"))[-8:].hex() == "2883c04101c8ffd9"


def test_a_key_can_be_used_again() -> None:
    key = key_from_seed("reused")
    first = Authority("One").issue(Order(names=("first.example",), key=key))
    second = Authority("Two").issue(Order(names=("second.example",), key=key))
    assert read_certificate(first).spki_sha256 == read_certificate(second).spki_sha256
    assert read_certificate(first).serial != read_certificate(second).serial


@pytest.mark.parametrize("which", range(1, 4))
def test_the_authority_signed_what_it_issued(which: int) -> None:
    made = make()
    issuer, issued = x509.load_der_x509_certificate(made[0]), x509.load_der_x509_certificate(made[which])
    issued.verify_directly_issued_by(issuer)
    key = issuer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(issued.signature, issued.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))


def test_scts_can_be_read_by_others() -> None:
    from lab.ct import CtLog

    authority, log = Authority(), CtLog()
    order = Order(names=("a.example",), key=key_from_seed("a"))
    sct = log.append(authority.precertificate(order), issuer_key_hash=authority.key_hash)
    final = x509.load_der_x509_certificate(authority.final(order, [sct, sct]))
    listed = final.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    assert [one.timestamp for one in listed] == [datetime(2026, 1, 2)] * 2  # noqa: DTZ001 - the peer gives it so
    assert listed[0].signature == sct[-len(listed[0].signature) :]


def test_an_order_says_what_the_certificate_says() -> None:
    order = Order(
        names=("a.example",),
        key=key_from_seed("a"),
        serial=77,
        not_before=datetime(2026, 3, 1, tzinfo=UTC),
        valid_for=timedelta(days=7),
        common_name="common.example",
    )
    view = read_certificate(Authority().issue(order))
    assert (view.serial, view.subject) == (77, "CN=common.example")
    assert (view.not_before, view.not_after) == (order.not_before, datetime(2026, 3, 8, tzinfo=UTC))
    assert view.names == ("a.example", "common.example")
