from __future__ import annotations

import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.x509 import read_certificate
from intel.x509_fast import read_fast_certificate
from lab.certificates import Authority, Order, key_from_seed
from lab.fuzz.ber import BER_FORMS, mixed

NAMES = ("www.example.com", "*.example.org", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7")
FINAL = Authority().final(Order(names=NAMES, key=key_from_seed("server")), [b"one", b"two"])


@pytest.mark.parametrize("form", BER_FORMS)
def test_a_certificate_in_another_encoding_says_the_same(form: str) -> None:
    octets = BER_FORMS[form](FINAL)
    view, plain = read_certificate(octets), read_certificate(FINAL)
    for field in ("names", "ip_addresses", "subject", "issuer", "serial_hex", "not_before", "not_after"):
        assert getattr(view, field) == getattr(plain, field), field
    assert view.faults
    assert read_fast_certificate(octets, 0, len(octets)) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_a_certificate_in_any_mix_of_encodings_says_the_same(seed: int) -> None:
    view, plain = read_certificate(mixed(FINAL, random.Random(seed))), read_certificate(FINAL)
    assert (view.names, view.ip_addresses, view.subject) == (plain.names, plain.ip_addresses, plain.subject)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("form", BER_FORMS)
def test_openssl_reads_these_encodings_too(form: str) -> None:
    command = ("openssl", "x509", "-inform", "DER", "-noout", "-text")
    told = subprocess.run(command, input=BER_FORMS[form](FINAL), capture_output=True, check=True, timeout=20).stdout
    assert b"DNS:www.example.com, DNS:*.example.org, DNS:xn--bcher-kva.example, IP Address:192.0.2.7" in told


def test_an_indefinite_length_ends_at_its_own_end() -> None:
    octets = BER_FORMS["indefinite"](FINAL)
    assert read_certificate(octets + b"\x82\x0bafter.test\x00\x00").names == NAMES[:3]
