from __future__ import annotations

import hashlib
import statistics
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from intel.x509 import read_certificate, read_tbs, tbs_without_scts
from lab.certificates_bulk import Made, authorities, made

SOME: list[Made] = list(made(0, 768))


def test_they_are_the_same_every_time_and_block_by_block() -> None:
    assert list(made(256, 300)) == SOME[256:300]
    assert next(made(0, 1, seed="other")) != SOME[0]
    with pytest.raises(ValueError, match="multiples"):
        next(made(1, 2))


def test_a_strict_library_reads_them_all() -> None:
    kinds = set()
    for one in SOME:
        certificate = x509.load_der_x509_certificate(one.precertificate or one.signed)
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert tuple(names.get_values_for_type(x509.DNSName)) == one.names
        kinds.add((type(key).__name__, bool(one.precertificate)))
        if not one.precertificate:
            scts = certificate.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
            assert len(scts) == 2
    assert len(kinds) == 4


def test_our_own_walk_finds_nothing_wrong_with_them() -> None:
    for one in SOME:
        view = read_certificate(one.precertificate or one.signed)
        assert view.faults == ()
        assert set(view.names) == set(one.names)
        if one.precertificate:
            assert tbs_without_scts(one.precertificate) == one.signed
            assert read_tbs(one.signed).names == view.names
        assert view.not_before is not None
        assert view.not_before < datetime.fromtimestamp(one.timestamp / 1000, UTC)


def test_names_are_reserved_ones_and_keys_and_serials_their_own() -> None:
    names = [name for one in SOME for name in one.names]
    assert all(name.endswith((".example", ".test")) for name in names)
    assert 1 < len(names) / len(SOME) < 2.5
    views = [read_certificate(one.precertificate or one.signed) for one in SOME]
    assert len({view.spki_sha256 for view in views}) == len({view.serial for view in views}) == len(SOME)


def test_they_are_as_long_as_real_ones() -> None:
    sizes = [len(one.signed) + len(one.precertificate) + 126 for one in SOME]  # the rest of an entry in a tile
    assert 1400 < statistics.mean(sizes) < 1750


def test_a_special_name_goes_into_that_one() -> None:
    changed = list(made(0, 256, special=lambda number: "watched.example" if number == 9 else ""))
    assert changed[9].names == ("watched.example", *SOME[9].names)
    assert changed[:9] == SOME[:9]


def test_authorities_come_with_their_chains() -> None:
    for issuer in authorities():
        own, root = (x509.load_der_x509_certificate(certificate) for certificate in issuer.chain)
        assert (own.issuer, root.issuer) == (root.subject, root.subject)
        assert own.subject.public_bytes() == issuer.name
        assert issuer.fingerprints[2:34] == hashlib.sha256(issuer.chain[0]).digest()
