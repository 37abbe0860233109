from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.x509_raw import MAX_RAW_NAMES, raw_names
from lab.certificates import Authority, Order, key_from_seed

FINAL = Authority().final(Order(names=("www.example.com", "*.example.org"), key=key_from_seed("raw")), [b"one"])


@pytest.mark.parametrize(
    ("octets", "names"),
    [
        (b"\x82\x0fWWW.Example.Com\xff", ("www.example.com",)),
        (b"no name, and no.name.", ("no.name",)),
        (b"\x00" + "www.example.com".encode("utf-16-be"), ("www.example.com",)),
        ("www.example.com".encode("utf-32-be"), ("www.example.com",)),
        (b"...", ()),
        (b"abc", ()),
        (b"a.b", ()),
        (b"", ()),
    ],
)
def test_runs_that_hold_a_dot_are_names(octets: bytes, names: tuple[str, ...]) -> None:
    assert raw_names(octets) == names


def test_what_frames_a_name_may_look_like_a_part_of_it() -> None:
    # Behind the name a SEQUENCE of 0x45 octets begins, and the length of the second name is the letter "A".
    assert "www.example.com" in raw_names(b"\x82\x0fwww.example.com0E0C")
    long = b"b" * 53 + b".example.com"
    assert len(long) == 0x41
    assert long.decode() in raw_names(b"\x82\x41" + long + b"0\x82")
    assert "www.example.com" in raw_names(b"\x1e\x1e" + "www.example.com".encode("utf-16-be") + b"\x000")


def test_the_names_of_a_certificate_are_among_those_of_its_octets() -> None:
    assert {"www.example.com", "*.example.org"} <= set(raw_names(FINAL))


def test_a_long_run_keeps_its_end() -> None:
    (name,) = raw_names(b"a." * 5000 + b"example.com")
    assert len(name) == 253
    assert name.endswith(".a.example.com")


def test_there_are_no_more_than_so_many() -> None:
    assert len(raw_names(b"".join(b"%d.example " % at for at in range(MAX_RAW_NAMES + 9)))) == MAX_RAW_NAMES


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"www.example.com", b"*.a.test"]), st.binary(max_size=80))
def test_a_framed_name_is_found_amid_any_octets(before: bytes, name: bytes, after: bytes) -> None:
    assert name.decode() in raw_names(before + bytes((0x82, len(name))) + name + after)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_give_names_in_lower_case_with_a_dot(octets: bytes) -> None:
    for name in raw_names(octets):
        assert name == name.lower()
        assert "." in name.strip(".")
        assert len(name) <= 253


def test_what_begins_behind_a_name_is_no_part_of_it() -> None:
    assert "www.evil.example" in raw_names(b"\x00www.evil.example0\x81")
    assert "www.evil.example" in raw_names(b"\x00www.evil.example1E0C\x06")
    assert "www.evil.xn--0a1" in raw_names(b"www.evil.xn--0a1")
    assert set(raw_names(b"www.evil.example0.test")) == {"www.evil.example0.test"}
