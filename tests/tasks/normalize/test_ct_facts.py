from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.config.sources import Source
from intel.ct import EntryType, LoggedEntry, TimestampedEntry, logged_entry, write_leaf
from intel.ct_static import read_data_tile
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject, State
from intel.match.certificates import By, Hit
from intel.match.entries import FOUND_RAW
from intel.x509 import tbs_without_scts_sha256
from lab.certificates import Authority, Order, key_from_seed, spki_der
from lab.ct import CtLog, Protocol
from tasks.normalize.ct_chain import chain_fault
from tasks.normalize.ct_document import read_held_head, read_hits
from tasks.normalize.ct_facts import MAX_MATCHES, MAX_REJECTS, WRONG_CHAIN, Hits, facts, read, write

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
    return [logged_entry(at, log.entry(at).leaf_input, log.entry(at).extra_data) for at in range(log.size)]


def said(logged: LoggedEntry, *matches: Hit, **more: Any) -> dict[str, list[tuple[str, str, dict[str, str]]]]:
    found: dict[str, list[tuple[str, str, dict[str, str]]]] = {}
    for record in facts(logged, "lab-log", matches=matches, **more):
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
    joined = f"sha256:{tbs_without_scts_sha256(certificate).hex()}"
    assert stated.pop("same-as") == [
        (me, other, {}) for other in (joined, f"sha1:{hashlib.sha1(certificate).hexdigest()}")
    ]
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
    by_sha1 = f"sha1:{hashlib.sha1(final.entry.signed).hexdigest()}"
    assert said(final)["same-as"] == [(sha256(final.entry.signed), other, {}) for other in (joined, by_sha1)]
    assert said(final)["has-key"][0][1] == said(precert)["has-key"][0][1]


def test_a_forged_precertificate_costs_its_fingerprint_only() -> None:
    log = log_of(ORDER, final=False)
    leaf = log.entry(0).leaf_input
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


LOOKALIKE = Hit(by=By.LOOKALIKE, watched="evi1.example", named="evil.example", why="one letter replaced")
COVERED = Hit(by=By.WILDCARD, watched="sub.evil.example", named="*.evil.example")
RAW = Hit(by=By.SCOPE, watched="evil.example", named="www.evil.example", why=FOUND_RAW)


def one_entry(certificate: bytes | None = None) -> LoggedEntry:
    log = CtLog()
    log.append(certificate or AUTHORITY.issue(ORDER))
    return entries_of(log)[0]


def test_what_it_met_is_stated_where_no_other_fact_says_it() -> None:
    plain = Hit(by=By.SCOPE, watched="evil.example", named="evil.example")
    key = Hit(by=By.KEY, watched="ab" * 32, named="ab" * 32)
    serial = Hit(by=By.SERIAL, watched="ab/01", named="ab/01")
    stated = said(one_entry(), plain, key, LOOKALIKE, COVERED, serial)["matches"]
    assert [row[1:] for row in stated] == [
        ("lookalike:evi1.example", {"name": "evil.example", "why": "one letter replaced"}),
        ("sub.evil.example", {"name": "*.evil.example", "why": ""}),
        ("serial:ab/01", {"name": "ab/01", "why": ""}),
    ]
    kinds = {fact.object.kind for fact in matched(one_entry(), LOOKALIKE, COVERED) if fact.object is not None}
    assert kinds == {"pattern", "domain"}


def matched(logged: LoggedEntry, *matches: Hit) -> list[Fact]:
    records = facts(logged, "lab-log", matches=matches)
    return [one for one in records if isinstance(one, Fact) and one.predicate == "matches"]


def test_what_was_found_in_the_octets_is_stated_as_unparsed() -> None:
    for_pattern = msgspec.structs.replace(LOOKALIKE, why=f"one letter replaced; {FOUND_RAW}")
    for_wildcard = msgspec.structs.replace(COVERED, why=FOUND_RAW)
    no_name = msgspec.structs.replace(RAW, named="a_.b..evil.example")
    stated = matched(one_entry(), RAW, for_pattern, for_wildcard, no_name)
    assert {fact.state for fact in stated} == {State.UNPARSED}
    assert [fact.object.value for fact in stated if fact.object is not None] == [
        "www.evil.example",
        "lookalike:evi1.example",
        "sub.evil.example",
        "evil.example",
    ]


def test_an_unreadable_entry_is_a_reject_and_says_what_was_found_in_it() -> None:
    signed = b"www.evil.example"
    leaves = {
        write_leaf(TimestampedEntry(timestamp=5, entry_type=EntryType.X509, signed=signed)): sha256(signed),
        b"\1\1www.evil.example": sha256(b"\1\1www.evil.example"),
    }
    for leaf, subject in leaves.items():
        reject, *stated = facts(logged_entry(3, leaf, b""), "lab-log", matches=(RAW,))
        assert isinstance(reject, Reject)
        assert [one.predicate for one in stated if isinstance(one, Fact)] == ["logged-in", "matches"]
        assert {one.subject.value for one in stated if isinstance(one, Fact)} == {subject}


def test_names_that_match_one_pattern_are_bounded_and_clean() -> None:
    many = [msgspec.structs.replace(LOOKALIKE, named=f"n{number}.evil.example") for number in range(MAX_MATCHES + 5)]
    assert len(matched(one_entry(), *many, COVERED)) == MAX_MATCHES + 1
    [odd] = matched(one_entry(), msgspec.structs.replace(LOOKALIKE, named="a\0\ud800" + "b" * 999, why="\n"))
    name, why = dict(odd.qualifiers).values()
    assert (name[:4], len(name), why) == ("a\ufffd\ufffdb", 300, "\ufffd")


OTHER = Authority("Other Authority")


def chained(order: Order, *chain: bytes, key_hash: bytes = b"", protocol: Protocol = "rfc6962") -> LoggedEntry:
    """The entry that a log of the protocol has of an order: a precertificate where `key_hash` is given."""
    log = CtLog(protocol=protocol)
    issued = AUTHORITY.precertificate(order) if key_hash else AUTHORITY.issue(order)
    log.append(issued, chain=chain, issuer_key_hash=key_hash)
    if protocol == "static":
        return read_data_tile(log.entry(0).tile_leaf, 0)[0]
    return entries_of(log)[0]


@pytest.mark.parametrize("key_hash", [b"", AUTHORITY.key_hash], ids=["certificate", "precertificate"])
@pytest.mark.parametrize("protocol", ["rfc6962", "static"])
def test_a_chain_that_is_not_the_certificates_is_told(key_hash: bytes, protocol: Protocol) -> None:
    at_hand = {hashlib.sha256(one).digest(): one for one in (AUTHORITY.certificate, OTHER.certificate)}
    for issuer, right in ((AUTHORITY, True), (OTHER, False)):
        logged = chained(ORDER, issuer.certificate, key_hash=key_hash, protocol=protocol)
        stated = said(logged, issuers=at_hand)
        assert stated["logged-in"][0][2].get("chain") == (None if right else WRONG_CHAIN)
        assert stated["names"]
        told = [one.reason for one in facts(logged, "lab-log", issuers=at_hand) if isinstance(one, Reject)]
        assert any(WRONG_CHAIN in reason for reason in told) is not right
    # What is not at hand contradicts nothing.
    missing = said(chained(ORDER, OTHER.certificate, key_hash=key_hash, protocol="static"))
    assert "chain" not in missing["logged-in"][0][2]
    assert "chain" not in said(chained(ORDER, key_hash=key_hash))["logged-in"][0][2]
    assert "chain" not in said(chained(ORDER, b"no certificate", key_hash=key_hash))["logged-in"][0][2]


def test_a_version_that_nobody_knows_contradicts_nothing() -> None:
    certificate = AUTHORITY.issue(ORDER)
    version = certificate.index(b"\xa0\x03\x02\x01\x02") + 4
    odd = certificate[:version] + b"\x05" + certificate[version + 1 :]
    for leaf, chain in ((odd, AUTHORITY.certificate), (certificate, odd)):
        log = CtLog()
        log.append(leaf, chain=[chain])
        stated = said(entries_of(log)[0])
        assert "chain" not in stated["logged-in"][0][2]
        assert stated["names"]


def test_who_issued_the_signer_of_a_precertificate_is_the_issuer() -> None:
    signer = signing_certificate(AUTHORITY)
    logged = chained(ORDER, signer, AUTHORITY.certificate, key_hash=AUTHORITY.key_hash)
    assert "chain" not in said(logged)["logged-in"][0][2]
    assert "chain" not in said(chained(ORDER, signer, key_hash=AUTHORITY.key_hash))["logged-in"][0][2]
    wrong = chained(ORDER, signer, OTHER.certificate, key_hash=AUTHORITY.key_hash)
    assert said(wrong)["logged-in"][0][2]["chain"] == WRONG_CHAIN


def signing_certificate(authority: Authority) -> bytes:
    """A precertificate signing certificate (RFC 6962 3.1)."""
    key = key_from_seed("precertificate signer")
    usage = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.4")])
    builder = x509.CertificateBuilder(
        issuer_name=authority.name,
        subject_name=authority.name,
        public_key=key.public_key(),
        serial_number=7,
        not_valid_before=AT,
        not_valid_after=AT + timedelta(days=9),
    ).add_extension(usage, critical=True)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def rsa_authority() -> tuple[bytes, rsa.RSAPrivateKey]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RSA")])
    return issued_by(name, key, key.public_key(), padding.PKCS1v15()), key


def issued_by(name: x509.Name, key: Any, public_key: Any, scheme: Any = None) -> bytes:
    hashed = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=public_key,
        serial_number=9,
        not_valid_before=AT,
        not_valid_after=AT + timedelta(days=9),
    )
    return builder.sign(key, hashed, rsa_padding=scheme).public_bytes(Encoding.DER)


def test_signatures_of_all_kinds_are_checked() -> None:
    rsa_certificate, rsa_key = rsa_authority()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RSA")])
    ed_key = ed25519.Ed25519PrivateKey.generate()
    ed_certificate = issued_by(name, ed_key, ed_key.public_key())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    leaves = {
        "rsa": issued_by(name, rsa_key, KEY.public_key(), padding.PKCS1v15()),
        "pss": issued_by(name, rsa_key, KEY.public_key(), pss),
        "ed": issued_by(name, ed_key, KEY.public_key()),
        "ec": AUTHORITY.issue(ORDER),
    }
    issuers = {"rsa": rsa_certificate, "pss": rsa_certificate, "ed": ed_certificate, "ec": AUTHORITY.certificate}
    for of, leaf in leaves.items():
        for by, issuer in issuers.items():
            log = CtLog()
            log.append(leaf, chain=[issuer])
            assert bool(chain_fault(entries_of(log)[0], {})) is (issuers[of] != issuer), (of, by)


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
    # What earlier releases wrote says the same.
    old = msgspec.json.decode(body)
    assert set(old) == {"log", "first", "next", "sth", "consistency", "left_out", "entries"}
    assert set(old["entries"][0]) == {"index", "leaf_input", "extra_data"}


def test_the_document_keeps_what_entries_met_and_what_tiles_say_of_them() -> None:
    precert = chained(ORDER, OTHER.certificate, key_hash=AUTHORITY.key_hash, protocol="static")
    unreadable = logged_entry(4, b"\1\1www.evil.example", b"")
    hits = Hits(
        log="u",
        first=0,
        next=9,
        head=CtLog().tree_head(),
        entries=(precert, unreadable, one_entry()),
        matches=((LOOKALIKE, COVERED), (RAW,), ()),
        protocol="static",
        issuers=(OTHER.certificate,),
    )
    at_hand = {hashlib.sha256(OTHER.certificate).digest(): OTHER.certificate}
    directly = [
        record
        for logged, matches in zip(hits.entries, hits.matches, strict=True)
        for record in facts(logged, "lab-log", matches=matches, issuers=at_hand)
    ]
    assert list(read(document(write(hits)), SOURCE)) == directly
    assert any(isinstance(one, Reject) and WRONG_CHAIN in one.reason for one in directly)
    assert said(precert)["same-as"][0][0] == sha256(AUTHORITY.precertificate(ORDER))
    assert read_hits(write(hits)).entries[0].logged.issuers == precert.issuers
    held = read_held_head(write(hits))
    assert (held.log, held.head, held.protocol) == ("u", hits.head, "static")
    with pytest.raises(ReadError):
        read_held_head(b"[]")
    assert read_held_head(b'{"log": "u", "sth": {}}').head is None


def test_a_match_that_only_a_later_release_knows_costs_itself() -> None:
    hits = Hits(log="u", first=0, next=9, head=CtLog().tree_head(), entries=(one_entry(),), matches=((LOOKALIKE,),))
    later = write(hits).replace(b'"by":"lookalike"', b'"by":"telepathy"')
    assert later != write(hits)
    assert [one.matches for one in read_hits(later).entries] == [()]
    assert len(list(read(document(later), SOURCE))) == len(list(facts(one_entry(), "lab-log")))


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
