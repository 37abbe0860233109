from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import SignedTreeHead, read_digitally_signed
from intel.ct_archived import Archived
from intel.errors import ReadError
from intel.facts import Fact, Predicate, RawDocument, Reject
from intel.match.certificates import By, Hit
from tasks.normalize.ct_archived import MEDIA_TYPE, Found, facts, read, read_found, write
from tasks.normalize.ct_document import read_held_head
from tests.archives import NOON, entry, sha

HEAD = SignedTreeHead(
    tree_size=9,
    timestamp=1_772_366_400_000,
    root_hash=sha("root"),
    signature=read_digitally_signed(b"\x04\x03\x00\x00"),
)
HIT = Hit(by=By.KEYWORD, watched="heron", named="heron.example", why="holds the word heron")


def found(*entries: Archived, matches: tuple[Hit, ...] = (), **values: Any) -> Found:
    row: dict[str, Any] = {"log": "https://log.example/", "protocol": "static", "head": HEAD} | values
    return Found(entries=entries, matches=(matches,) * len(entries), **row)


def said(one: Archived, matches: tuple[Hit, ...] = ()) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
    made = [fact for fact in facts(one, matches) if isinstance(fact, Fact)]
    assert {fact.event_time for fact in made} == {one.logged_at}
    assert {fact.locator for fact in made} == {f"{one.log} {one.index}"}
    return [(str(fact.predicate), fact.object.value if fact.object else "", fact.qualifiers) for fact in made]


def test_a_certificate_states_what_the_archive_has_of_it() -> None:
    one = entry(5, "*.heron.example", "heron.example", addresses=("192.0.2.7",))
    assert said(one) == [
        ("logged-in", "lab-log", (("index", "5"), ("leaf-hash", sha("leaf lab-log 5").hex()))),
        ("has-key", f"sha256:{sha('key lab-log 5').hex()}", ()),
        ("issued-by", "CN=Lab Issuing 1,O=Lab Authority", ()),
        ("valid-from", "2026-03-01T11:00:00+00:00", ()),
        ("valid-until", "2026-05-30T12:00:00+00:00", ()),
        ("same-as", f"sha256:{sha('tbs lab-log 5').hex()}", ()),
        ("names", "heron.example", (("wildcard", "yes"),)),
        ("names", "heron.example", ()),
        ("names", "192.0.2.7", ()),
    ]
    assert {fact.subject.value for fact in facts(one) if isinstance(fact, Fact)} == {
        f"sha256:{sha('certificate lab-log 5').hex()}"
    }


def test_a_precertificate_is_known_by_its_contents() -> None:
    one = entry(4, "heron.example")
    assert {fact.subject.value for fact in facts(one) if isinstance(fact, Fact)} == {
        f"sha256:{sha('tbs lab-log 4').hex()}"
    }
    assert Predicate.SAME_AS not in {predicate for predicate, _, _ in said(one)}


def test_what_is_not_known_is_not_stated() -> None:
    bare = entry(4, key=None, issuer="", not_before=None, not_after=None)
    assert [predicate for predicate, _, _ in said(bare)] == ["logged-in"]


def test_what_it_met_is_stated_and_a_wrong_name_costs_itself() -> None:
    one = entry(4, "not a name", "heron.example")
    made = list(facts(one, (HIT,)))
    assert [fact.excerpt for fact in made if isinstance(fact, Reject)] == ["not a name"]
    assert ("matches", "keyword:heron", (("name", "heron.example"), ("why", "holds the word heron"))) in said(
        one, (HIT,)
    )


def test_a_time_beyond_the_calendar_is_none() -> None:
    for timestamp in (2**63 - 1, 253_402_300_799_999):
        assert entry(4, timestamp=timestamp).logged_at is None


def test_the_document_states_the_same_again() -> None:
    entries = (entry(4, "heron.example"), entry(5, "egret.example", addresses=("2001:db8::1",)), entry(6, key=None))
    body = write(found(*entries, matches=(HIT,)))
    assert write(found(*entries, matches=(HIT,))) == body
    expected = [fact for one in entries for fact in facts(one, (HIT,))]
    assert list(read_found(body, "lab-log")) == expected
    document = RawDocument(document_id=1, location="", body=body, media_type=MEDIA_TYPE, as_of=NOON)
    source = type("Source", (), {"name": "lab-log"})()
    assert list(read(document, source)) == expected


def test_the_document_says_where_its_entries_stand_as_one_of_hits_does() -> None:
    held = read_held_head(write(found(entry(4, "heron.example"), reason="a tip")))
    assert (held.log, held.protocol, held.head) == ("https://log.example/", "static", HEAD)
    assert read_held_head(write(found(entry(4), head=None))).head is None


def test_a_match_that_only_a_later_release_knows_costs_itself() -> None:
    body = write(found(entry(4, "heron.example"), matches=(HIT,))).replace(b'"keyword"', b'"kinship"')
    assert "matches" not in {fact.predicate for fact in read_found(body, "lab-log") if isinstance(fact, Fact)}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"archived": [{"index": 1}]}', b'{"archived": 7}', b"\xff"])
def test_what_is_no_document_is_refused(body: bytes) -> None:
    with pytest.raises(ReadError, match="the document is left out"):
        list(read_found(body, "lab-log"))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400))
def test_no_octets_break_the_reading(octets: bytes, at: int) -> None:
    body = bytearray(write(found(entry(4, "heron.example"), matches=(HIT,))))
    body[at : at + len(octets)] = octets
    try:
        for one in read_found(bytes(body), "lab-log"):
            assert isinstance(one, Fact | Reject)
    except ReadError:
        pass


def test_digests_of_a_form_are_all_that_it_goes_by() -> None:
    assert entry(4).digests == (sha("tbs lab-log 4"),)
    assert entry(5).digests == (sha("certificate lab-log 5"), sha("tbs lab-log 5"))
    assert msgspec.structs.replace(entry(5), fingerprint=None).digest == sha("tbs lab-log 5")
