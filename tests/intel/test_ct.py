from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import (
    DigitallySigned,
    EntryType,
    LoggedEntry,
    SignedTreeHead,
    TimestampedEntry,
    at_milliseconds,
    checked_precertificate,
    log_id,
    logged_entry,
    read_consistency,
    read_digitally_signed,
    read_entries,
    read_entry_and_proof,
    read_extra_data,
    read_leaf,
    read_signed_tree_head,
    tree_head_message,
    vector24,
    write_leaf,
)
from intel.errors import ReadError, VerificationError
from intel.merkle import leaf_hash
from intel.x509 import read_tbs
from lab.certificates import Authority, Order, key_from_seed, sign, spki_der
from lab.ct import CtLog

AUTHORITY = Authority()
ORDER = Order(names=("www.example.com",), key=key_from_seed("server"))
PRECERTIFICATE = AUTHORITY.precertificate(ORDER)


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def head_json(head: SignedTreeHead, **changed: Any) -> bytes:
    fields = {
        "tree_size": head.tree_size,
        "timestamp": head.timestamp,
        "sha256_root_hash": encoded(head.root_hash),
        "tree_head_signature": encoded(head.signature.to_bytes()),
    }
    return json.dumps({**fields, **changed}).encode()


def a_log() -> CtLog:
    log = CtLog()
    log.append(AUTHORITY.issue(ORDER))
    return log


entries = st.builds(
    TimestampedEntry,
    timestamp=st.integers(0, 2**64 - 1),
    entry_type=st.just(EntryType.X509),
    signed=st.binary(max_size=300),
    extensions=st.binary(max_size=40),
) | st.builds(
    TimestampedEntry,
    timestamp=st.integers(0, 2**64 - 1),
    entry_type=st.just(EntryType.PRECERT),
    signed=st.binary(max_size=300),
    issuer_key_hash=st.binary(min_size=32, max_size=32),
    extensions=st.binary(max_size=40),
)


@settings(max_examples=100)
@given(entries)
def test_a_leaf_is_read_as_it_was_written(entry: TimestampedEntry) -> None:
    assert read_leaf(write_leaf(entry)) == entry


@settings(max_examples=100)
@given(entries, st.integers(0, 100), st.binary(max_size=4))
def test_a_leaf_that_is_cut_or_longer_is_refused(entry: TimestampedEntry, cut: int, more: bytes) -> None:
    leaf = write_leaf(entry)
    with pytest.raises(ReadError):
        read_leaf(leaf[: -1 - cut] if not more else leaf + more)


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (read_leaf, read_signed_tree_head, read_digitally_signed, read_consistency):
        with contextlib.suppress(ReadError):
            read(data)
    with contextlib.suppress(ReadError):
        read_entries(data, 0)
    with contextlib.suppress(ReadError):
        read_entry_and_proof(data, 0)
    kept = logged_entry(0, b"\0\0" + data, data)
    with contextlib.suppress(ReadError):
        read_extra_data(kept)
    with contextlib.suppress(ReadError):
        checked_precertificate(kept)


def test_the_octets_of_a_leaf() -> None:
    entry = TimestampedEntry(timestamp=1, entry_type=EntryType.PRECERT, signed=b"abc", issuer_key_hash=b"h" * 32)
    leaf = b"\0\0" + b"\0" * 7 + b"\1" + b"\0\1" + b"h" * 32 + b"\0\0\3abc" + b"\0\0"
    assert write_leaf(entry) == leaf
    assert entry.logged_at == datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    kept = logged_entry(7, leaf, b"")
    assert kept.leaf_hash == leaf_hash(leaf) == hashlib.sha256(b"\0" + leaf).digest()


def test_the_octets_that_a_tree_head_signs() -> None:
    assert tree_head_message(2, 3, b"r" * 32) == b"\0\1" + b"\0" * 7 + b"\2" + b"\0" * 7 + b"\3" + b"r" * 32


def test_a_tree_head_is_read_and_verified() -> None:
    log = a_log()
    head = read_signed_tree_head(head_json(log.tree_head()))
    assert head == log.tree_head()
    assert head.signed_at == datetime(2026, 1, 2, tzinfo=UTC)
    head.verify(log.key_der)
    assert log_id(log.key_der) == hashlib.sha256(log.key_der).digest()


def test_a_tree_head_of_another_key_or_other_contents_is_refused() -> None:
    log = a_log()
    head = log.tree_head()
    for key in (spki_der(key_from_seed("another log")), b"", b"\x30\x00"):
        with pytest.raises(VerificationError):
            head.verify(key)
    for changed in ({"tree_size": 2}, {"timestamp": 1}, {"root_hash": b"x" * 32}):
        with pytest.raises(VerificationError):
            msgspec.structs.replace(head, **changed).verify(log.key_der)
    rsa_claimed = DigitallySigned(hash_algorithm=4, signature_algorithm=1, signature=head.signature.signature)
    with pytest.raises(VerificationError):
        msgspec.structs.replace(head, signature=rsa_claimed).verify(log.key_der)


def test_a_tree_head_by_rsa_is_verified() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    message = tree_head_message(1, 2, b"r" * 32)
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    signed = DigitallySigned(hash_algorithm=4, signature_algorithm=1, signature=signature)
    head = SignedTreeHead(tree_size=2, timestamp=1, root_hash=b"r" * 32, signature=signed)
    head.verify(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize(
    "changed",
    [
        {"tree_size": -1},
        {"tree_size": "7"},
        {"tree_size": 2**64},
        {"tree_size": 1.5},
        {"timestamp": 2**63},
        {"timestamp": -1},
        {"sha256_root_hash": "AAAA"},
        {"sha256_root_hash": "not base64!"},
        {"tree_head_signature": "BAMABQ=="},
        {"tree_head_signature": ""},
    ],
)
def test_a_malformed_tree_head_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ReadError):
        read_signed_tree_head(head_json(a_log().tree_head(), **changed))


def test_a_time_beyond_the_calendar_is_refused() -> None:
    assert at_milliseconds(253_402_300_799_999).year == 9999
    with pytest.raises(ReadError):
        at_milliseconds(253_402_300_800_000)


def test_an_unreadable_leaf_costs_only_itself() -> None:
    good = write_leaf(TimestampedEntry(timestamp=1, entry_type=EntryType.X509, signed=b"abc"))
    answer = {"entries": [{"leaf_input": encoded(leaf), "extra_data": "AAAA"} for leaf in (good, b"\0\0junk", good)]}
    first, broken, last = read_entries(json.dumps(answer).encode(), 10)
    assert (first.index, broken.index, last.index) == (10, 11, 12)
    assert first.entry is not None
    assert broken.entry is None
    assert broken.fault
    assert broken.leaf_hash == leaf_hash(b"\0\0junk")
    with pytest.raises(ReadError):
        read_extra_data(broken)


def logged_precertificate(extra_data: bytes) -> LoggedEntry:
    log = CtLog()
    log.append(PRECERTIFICATE, issuer_key_hash=AUTHORITY.key_hash)
    return logged_entry(0, log._entries[0].leaf_input, extra_data)


def test_a_precertificate_is_checked_against_its_leaf() -> None:
    chain = vector24(vector24(AUTHORITY.certificate))
    logged = logged_precertificate(vector24(PRECERTIFICATE) + chain)
    assert read_extra_data(logged) == (PRECERTIFICATE, (AUTHORITY.certificate,))
    assert checked_precertificate(logged) == PRECERTIFICATE
    assert logged.entry is not None
    assert read_tbs(logged.entry.signed).names == ("www.example.com",)

    other = AUTHORITY.precertificate(Order(names=("www.example.net",), key=ORDER.key))
    with pytest.raises(VerificationError):
        checked_precertificate(logged_precertificate(vector24(other) + chain))


@pytest.mark.parametrize(
    "extra_data",
    [b"", b"\0\0", vector24(PRECERTIFICATE), vector24(PRECERTIFICATE) + b"\0\0\0\0", b"\0\0\0" + vector24(b"\0\0\5a")],
)
def test_a_malformed_chain_is_refused(extra_data: bytes) -> None:
    with pytest.raises(ReadError):
        read_extra_data(logged_precertificate(extra_data))


def test_a_chain_without_end_is_refused() -> None:
    with pytest.raises(ReadError):
        read_extra_data(logged_precertificate(vector24(b"") + vector24(vector24(b"") * 1000)))


def test_the_signed_certificate_timestamp_of_the_lab_log_verifies() -> None:
    log = CtLog()
    sct = log.append(PRECERTIFICATE, issuer_key_hash=AUTHORITY.key_hash)
    entry = read_leaf(log._entries[0].leaf_input)
    assert sct[:33] == b"\0" + log_id(log.key_der)
    signed = read_digitally_signed(sct[43:])
    signed.verify(b"\0\0" + entry.to_bytes(), log.key_der, "an SCT")
    assert signed.signature == sign(log.key, b"\0\0" + entry.to_bytes())
