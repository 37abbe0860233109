from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.config.sources import Source
from intel.ct import EntryType, LoggedEntry, TimestampedEntry, logged_entry, write_leaf
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject
from intel.x509 import tbs_without_scts_sha256
from lab.certificates import Authority, Order, key_from_seed, spki_der
from lab.ct import CtLog
from tasks.normalize.ct_facts import MAX_REJECTS, Hits, facts, read, write

AUTHORITY = Authority()
KEY = key_from_seed("grey heron's server")
AT = datetime(2026, 1, 2, tzinfo=UTC)
NAMES = ("evil.example", "*.evil.example", "192.0.2.7", "localhost", "a*b.evil.example")
ORDER = Order(names=NAMES, key=KEY)
SOURCE = Source.model_validate(
    {
        "name": "lab-log",
        "title": "Lab log",
        "transport": "ct",
        "format": "ct",
        "location": "http://log.example/",
        "semantics": "stream",
        "cadence": "continuous",
        "reliability": "A",
        "tlp": "TLP:CLEAR",
        "licence": {"name": "public", "commercial_use": True, "redistribution": True},
        "enabled": True,
    }
)


def log_of(*orders: Order, final: bool = True) -> CtLog:
    log = CtLog()
    for order in orders:
        sct = log.append(AUTHORITY.precertificate(order), issuer_key_hash=AUTHORITY.key_hash)
        if final:
            log.append(AUTHORITY.final(order, [sct]), chain=[AUTHORITY.certificate])
    return log


def entries_of(log: CtLog) -> list[LoggedEntry]:
    return [logged_entry(at, *log._entries[at]) for at in range(log.size)]


def said(logged: LoggedEntry) -> dict[str, list[tuple[str, str, dict[str, str]]]]:
    found: dict[str, list[tuple[str, str, dict[str, str]]]] = {}
    for record in facts(logged, "lab-log"):
        if isinstance(record, Fact):
            assert record.object is not None
            assert record.locator == f"lab-log {logged.index}"
            assert record.event_time == AT
            row = (record.subject.value, record.object.value, dict(record.qualifiers))
            found.setdefault(record.predicate, []).append(row)
    return found


def sha256(octets: bytes) -> str:
    return f"sha256:{hashlib.sha256(octets).hexdigest()}"


def test_what_a_certificate_states() -> None:
    certificate = AUTHORITY.issue(ORDER)
    log = CtLog()
    log.append(certificate)
    logged = entries_of(log)[0]
    stated = said(logged)
    me = sha256(certificate)
    assert stated.pop("names") == [
        (me, "evil.example", {}),
        (me, "evil.example", {"wildcard": "yes"}),
        (me, "192.0.2.7", {}),
    ]
    assert stated.pop("has-key") == [(me, sha256(spki_der(KEY)), {})]
    assert stated.pop("logged-in") == [(me, "lab-log", {"index": "0", "leaf-hash": logged.leaf_hash.hex()})]
    assert stated.pop("valid-from") == [(me, "2026-01-01T00:00:00+00:00", {})]
    assert stated.pop("valid-until") == [(me, "2026-04-01T00:00:00+00:00", {})]
    assert [row[:2] for row in stated.pop("issued-by")] == [(me, "CN=Lab Authority,O=Lab")]
    assert stated == {}
    rejects = [record for record in facts(logged, "lab-log") if isinstance(record, Reject)]
    assert [reject.excerpt for reject in rejects] == ["localhost", "a*b.evil.example"]


def test_a_precertificate_and_its_final_certificate_meet() -> None:
    log = log_of(ORDER)
    precert, final = entries_of(log)
    joined = f"sha256:{tbs_without_scts_sha256(AUTHORITY.precertificate(ORDER)).hex()}"
    assert said(precert)["names"][0][0] == joined
    assert said(precert)["same-as"] == [(sha256(AUTHORITY.precertificate(ORDER)), joined, {})]
    assert final.entry is not None
    assert said(final)["names"][0][0] == sha256(final.entry.signed)
    assert said(final)["same-as"] == [(sha256(final.entry.signed), joined, {})]
    assert said(final)["has-key"][0][1] == said(precert)["has-key"][0][1]


def test_a_forged_precertificate_costs_its_fingerprint_only() -> None:
    log = log_of(ORDER, final=False)
    leaf, _ = log._entries[0]
    other = AUTHORITY.precertificate(Order(names=("other.example",), key=KEY))
    forged = logged_entry(0, leaf, len(other).to_bytes(3, "big") + other + b"\0\0\0")
    stated = said(forged)
    assert "same-as" not in stated
    assert stated["names"][0][1] == "evil.example"
    assert any("not the leaf's" in record.reason for record in facts(forged, "lab-log") if isinstance(record, Reject))


def test_refused_names_of_one_certificate_are_bounded() -> None:
    names = ("evil.example", *(f"x{number}*.evil.example" for number in range(MAX_REJECTS + 50)))
    log = CtLog()
    log.append(AUTHORITY.issue(Order(names=names, key=KEY)))
    rejects = [record for record in facts(entries_of(log)[0], "lab-log") if isinstance(record, Reject)]
    assert len(rejects) == MAX_REJECTS + 1
    assert "50 more" in rejects[-1].reason


def test_an_unreadable_entry_is_one_reject() -> None:
    for leaf in (b"\1\1", b"", write_leaf(TimestampedEntry(timestamp=0, entry_type=EntryType.X509, signed=b"no"))):
        assert [type(record) for record in facts(logged_entry(3, leaf, b""), "lab-log")] == [Reject]


def test_a_time_beyond_all_calendars_takes_the_documents() -> None:
    certificate = AUTHORITY.issue(ORDER)
    entry = TimestampedEntry(timestamp=2**63, entry_type=EntryType.X509, signed=certificate)
    stated = [record for record in facts(logged_entry(0, write_leaf(entry), b""), "l") if isinstance(record, Fact)]
    assert stated
    assert all(fact.event_time is None for fact in stated)


def document(body: bytes) -> RawDocument:
    return RawDocument(document_id=1, location="", body=body, as_of=AT + timedelta(days=1))


def test_the_document_of_hits_says_the_same_again() -> None:
    log = log_of(ORDER, Order(names=("b.example",), key=KEY))
    entries = entries_of(log)
    hits = Hits(log="u", first=0, next=9, head=log.tree_head(), entries=(entries[0], entries[3]), left_out=7)
    body = write(hits)
    assert body == write(hits)
    again = list(read(document(body), SOURCE))
    directly = [record for logged in hits.entries for record in facts(logged, "lab-log")]
    assert again[:-1] == directly
    assert isinstance(again[-1], Reject)
    assert "7 more" in again[-1].reason


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 1))
def test_no_octets_break_the_reading(signed: bytes, kind: int) -> None:
    entry = TimestampedEntry(timestamp=5, entry_type=EntryType(kind), signed=signed, issuer_key_hash=b"i" * 32 * kind)
    logged = logged_entry(0, write_leaf(entry), signed)
    assert list(facts(logged, "lab-log"))


BASE = AUTHORITY.issue(ORDER)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(BASE) - 1), st.integers(1, 255))
def test_no_flipped_octet_breaks_the_reading(at: int, mask: int) -> None:
    signed = BASE[:at] + bytes((BASE[at] ^ mask,)) + BASE[at + 1 :]
    entry = TimestampedEntry(timestamp=5, entry_type=EntryType.X509, signed=signed)
    assert list(facts(logged_entry(0, write_leaf(entry), b"\0\0\0"), "lab-log"))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"log": 1}', b'{"log":"u","entries":[{"index":1}]}', b"\xff"])
def test_what_is_no_document_of_hits(body: bytes) -> None:
    with pytest.raises(ReadError):
        list(read(document(body), SOURCE))
