from __future__ import annotations

import base64
import hashlib
import json
import pickle
import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import EntryType, TimestampedEntry, read_entries, vector24, write_leaf
from intel.ct_answer import Answer, AnswerFormat, read_answer
from intel.ct_static import read_hash_tile
from intel.errors import ReadError
from intel.match.certificates import By, Hit, WatchSet
from intel.match.entries import FOUND_RAW, MAX_TIMESTAMP, Judged, judge
from intel.merkle import leaf_hash
from intel.x509 import tbs_without_scts, tbs_without_scts_sha256
from lab.certificates import Authority, Order, key_from_seed, spki_der
from lab.certificates_bulk import made
from lab.fuzz.oracle import judged_slowly, same_judgement
from tests.handmade import MALFORMED, certificate, dns, extension, oid, san

AUTHORITY = Authority()
KEY = key_from_seed("server")
KEY_HASH = hashlib.sha256(spki_der(KEY)).digest()
ORDER = Order(names=("www.example.com", "*.example.org", "192.0.2.7"), key=KEY)
PRECERTIFICATE = AUTHORITY.precertificate(ORDER)
FINAL = AUTHORITY.final(ORDER, [b"one", b"two"])
TBS = tbs_without_scts(FINAL)
EVERYTHING = WatchSet(
    scopes=frozenset({"example.com", "harbour.example"}),
    names=frozenset({"shop.example.org"}),
    addresses=frozenset({"192.0.2.0/24"}),
    keys=frozenset({KEY_HASH}),
    certificates=frozenset({hashlib.sha256(FINAL).digest(), hashlib.sha256(PRECERTIFICATE).digest()}),
    lookalikes=frozenset({"example.net"}),
    keywords=frozenset({"invoice"}),
)
FORMATS = pytest.mark.parametrize("form", list(AnswerFormat))

# What an entry is: its certificate or bare TBSCertificate, and its precertificate where it has one.
Logged = tuple[bytes, bytes]


def entry(index: int, logged: Logged, timestamp: int = 1_790_000_000_000) -> TimestampedEntry:
    signed, precertificate = logged
    return TimestampedEntry(
        timestamp=timestamp + index,
        entry_type=EntryType.PRECERT if precertificate else EntryType.X509,
        signed=signed,
        issuer_key_hash=AUTHORITY.key_hash if precertificate else b"",
        extensions=b"\x00\x00\x05" + index.to_bytes(5, "big"),
    )


def answer(form: AnswerFormat, logged: Sequence[Logged], begins: int = 512) -> Answer:
    entries = [entry(begins + at, one) for at, one in enumerate(logged)]
    whole = [vector24(precertificate) if precertificate else b"" for _, precertificate in logged]
    if form is AnswerFormat.TILE:
        body = b"".join(one.to_bytes() + own + b"\x00\x20" + bytes(32) for one, own in zip(entries, whole, strict=True))
    else:
        body = get_entries([(write_leaf(one), own + vector24(b"")) for one, own in zip(entries, whole, strict=True)])
    return Answer(format=form, begins=begins, first=begins, next=begins + len(logged), body=body)


def get_entries(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    encoded = [{"leaf_input": text(leaf), "extra_data": text(extra)} for leaf, extra in entries]
    return json.dumps({"entries": encoded}).encode()


def text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def by(judged: Judged) -> dict[int, set[tuple[str, str]]]:
    return {index: {(hit.by.value, hit.watched) for hit in hits} for index, hits in judged.hits}


BULK: list[Logged] = [(one.signed, one.precertificate) for one in made(0, 250)]
ENTRIES: list[Logged] = [*BULK, (TBS, PRECERTIFICATE), (FINAL, b""), (AUTHORITY.certificate, b"")]


@FORMATS
@pytest.mark.parametrize("archive", [True, False])
def test_it_says_what_records_one_after_another_say(form: AnswerFormat, archive: bool) -> None:
    asked = answer(form, ENTRIES)
    judged = judge(asked, EVERYTHING, archive=archive)
    same_judgement(judged, asked, EVERYTHING)
    assert (judged.first, judged.next) == (512, 512 + len(ENTRIES))
    assert judged.unreadable == judged.misplaced == []
    assert (judged.columns is not None) == archive
    met = by(judged)
    assert met[762] >= {("scope", "example.com"), ("wildcard", "shop.example.org"), ("network", "192.0.2.0/24")}
    assert ("key", KEY_HASH.hex()) in met[762] & met[763]
    assert 764 not in met


def test_both_formats_come_to_the_same() -> None:
    tile, entries = (judge(answer(form, ENTRIES), EVERYTHING, archive=True) for form in AnswerFormat)
    assert tile == entries


def test_the_columns_of_the_archive() -> None:
    judged = judge(answer(AnswerFormat.TILE, [(TBS, PRECERTIFICATE), (FINAL, b"")]), WatchSet(), archive=True)
    columns = judged.columns
    assert columns is not None
    assert columns.index == [512, 513]
    assert columns.timestamp == [1_790_000_000_512, 1_790_000_000_513]
    assert columns.tbs == [hashlib.sha256(TBS).digest()] * 2
    assert columns.fingerprint == [None, hashlib.sha256(FINAL).digest()]
    assert columns.key == [KEY_HASH] * 2
    assert columns.names == ["www.example.com\n*.example.org"] * 2
    assert columns.addresses == ["192.0.2.7"] * 2
    assert columns.issuer == ["CN=Lab Authority,O=Lab"] * 2
    assert columns.not_before == [1_767_225_600] * 2
    assert columns.not_after == [1_775_001_600] * 2
    assert b"".join(columns.leaf_hash) == judged.leaf_hashes


def test_what_was_judged_goes_to_another_process() -> None:
    judged = judge(answer(AnswerFormat.TILE, ENTRIES), EVERYTHING, archive=True)
    assert pickle.loads(pickle.dumps(judged)) == judged
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(judged), type=Judged) == judged


@FORMATS
def test_a_watched_certificate_is_met_in_each_of_its_forms(form: AnswerFormat) -> None:
    final, joined = hashlib.sha256(FINAL).digest(), tbs_without_scts_sha256(FINAL)
    asked = answer(form, [(TBS, PRECERTIFICATE), (FINAL, b"")])
    for watched, indexes in ((joined, [512, 513]), (final, [513]), (hashlib.sha256(PRECERTIFICATE).digest(), [512])):
        judged = judge(asked, WatchSet(certificates=frozenset({watched})), archive=False)
        assert by(judged) == {index: {("certificate", watched.hex())} for index in indexes}


@FORMATS
def test_a_precertificate_that_is_not_the_leafs_is_not_met(form: AnswerFormat) -> None:
    stranger = AUTHORITY.precertificate(Order(names=("other.example",), key=KEY))
    watch = WatchSet(certificates=frozenset({hashlib.sha256(stranger).digest()}))
    asked = answer(form, [(TBS, stranger), (TBS, b"\x30\x03"), (tbs_without_scts(stranger), stranger)])
    assert list(by(judge(asked, watch, archive=False))) == [514]


def test_what_is_beside_a_leaf_may_be_anything() -> None:
    leaves = [(write_leaf(entry(at, (TBS, PRECERTIFICATE))), b"") for at in range(5)]
    body = json.loads(get_entries(leaves))
    for raw, extra in zip(body["entries"], ["", "A", "////", "not base64", "\u00e4\u00e4\u00e4\u00e4"], strict=True):
        raw["extra_data"] = extra
    asked = Answer(format=AnswerFormat.ENTRIES, begins=0, first=0, next=5, body=json.dumps(body).encode())
    same_judgement(judge(asked, EVERYTHING, archive=True), asked, EVERYTHING)
    assert all(logged.extra_data in {b"", b"\xff\xff\xff"} for logged in read_answer(asked))


@FORMATS
def test_only_the_wanted_entries_of_an_answer_are_judged(form: AnswerFormat) -> None:
    asked = answer(form, ENTRIES[240:])
    part = msgspec.structs.replace(asked, first=520, next=523)
    judged = judge(part, EVERYTHING, archive=True)
    same_judgement(judged, part, EVERYTHING)
    assert (judged.first, judged.next) == (520, 523)
    assert [index for index, _ in judged.hits if index < 520] == []
    beyond = msgspec.structs.replace(asked, first=524, next=900)
    assert (judge(beyond, EVERYTHING, archive=False).next, len(read_answer(beyond))) == (525, 1)


def test_an_entry_in_another_place_is_told() -> None:
    asked = msgspec.structs.replace(answer(AnswerFormat.TILE, ENTRIES[:3]), begins=511, first=511, next=514)
    judged = judge(asked, EVERYTHING, archive=False)
    assert judged.misplaced == [511, 512, 513]
    padded = TimestampedEntry(
        timestamp=1, entry_type=EntryType.X509, signed=FINAL, extensions=b"\x07\x00\x01a\x00\x00\x05" + bytes(5)
    )
    further = Answer(format=AnswerFormat.TILE, begins=0, first=0, next=1, body=padded.to_bytes() + b"\x00\x00")
    assert judge(further, EVERYTHING, archive=False).misplaced == []


def test_a_leaf_that_cannot_be_read_is_searched_for_names() -> None:
    leaves = [
        b"\x01\x00" + FINAL,
        b"\x00\x00" + bytes(8) + b"\x00\x07login.example.com",
        b"",
        write_leaf(entry(3, (FINAL, b""))),
    ]
    asked = Answer(
        format=AnswerFormat.ENTRIES, begins=0, first=0, next=4, body=get_entries([(leaf, b"") for leaf in leaves])
    )
    judged = judge(asked, WatchSet(scopes=frozenset({"example.com"})), archive=True)
    assert judged.unreadable == [0, 1, 2]
    assert judged.leaf_hashes == b"".join(map(leaf_hash, leaves))
    assert by(judged)[0] >= {("scope", "example.com")}
    assert dict(judged.hits)[1] == (Hit(by=By.SCOPE, watched="example.com", named="login.example.com", why=FOUND_RAW),)
    assert judged.columns is not None
    assert judged.columns.index == [3]


@FORMATS
def test_a_certificate_that_cannot_be_read_is_searched_for_names(form: AnswerFormat) -> None:
    wide = "login.example.com".encode("utf-16-be")
    bodies = [
        b"no certificate, but Login.Example.COM",
        b"\x30\x00",
        b"\x30\x82\x01" + wide,
        b"\x0c\x11login.example.com0E0C",
    ]
    asked = answer(form, [(body, b"") for body in bodies] + [(body, b"\x00") for body in bodies])
    judged = judge(asked, WatchSet(scopes=frozenset({"example.com"})), archive=True)
    assert judged.unreadable == list(range(512, 520))
    assert list(by(judged)) == [512, 514, 515, 516, 518, 519]
    assert all(hit.why == FOUND_RAW and hit.named == "login.example.com" for _, hits in judged.hits for hit in hits)
    assert judged.columns is not None
    assert judged.columns.names == [""] * 8
    assert judged.columns.key == [None] * 8
    assert judged.keys == bytes(32 * 8)
    assert judged.columns.tbs == [hashlib.sha256(body).digest() for body in bodies] * 2


def test_a_lookalike_in_raw_octets_says_both_why_and_where() -> None:
    judged = judge(
        answer(AnswerFormat.TILE, [(b"\x0c\x0fwww.examp1e.net!", b"")]),
        WatchSet(lookalikes=frozenset({"example.net"})),
        archive=False,
    )
    ((_, (hit,)),) = judged.hits
    assert hit.why.endswith(f"; {FOUND_RAW}")
    assert len(hit.why) > len(FOUND_RAW) + 2


def test_a_faulty_certificate_is_searched_for_what_its_parts_do_not_say() -> None:
    # The list of names is cut before the second one, which stands there all the same.
    hidden = certificate(
        extensions=extension(oid("551d11"), b"\x30\x13" + dns(b"www.example.com\xff") + dns(b"hidden.example.com"))
    )
    judged = judge(
        answer(AnswerFormat.TILE, [(hidden, b"")]), WatchSet(subtrees=frozenset({"hidden.example.com"})), archive=False
    )
    ((_, (hit,)),) = judged.hits
    assert (hit.by, hit.why) == (By.SUBTREE, FOUND_RAW)
    assert judged.unreadable == []


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_certificate_is_hit_by_its_name(case: str) -> None:
    asked = answer(AnswerFormat.TILE, [(MALFORMED[case], b"")])
    judged = judge(asked, EVERYTHING, archive=True)
    same_judgement(judged, asked, EVERYTHING)
    assert ("scope", "example.com") in by(judged)[512]


def test_a_watched_name_is_met_whichever_octet_around_it_is_wrong() -> None:
    issued = AUTHORITY.issue(Order(names=("pad.test", "www.evil.example"), key=key_from_seed("x")))
    identifier, name = issued.index(b"\x06\x03\x55\x1d\x11"), issued.index(b"www.evil.example")
    # Another identifier makes it a sound extension of another kind, and another kind of name is no name.
    said = {*range(identifier + 2, identifier + 5), *range(name, name + len("www.evil.example"))}
    flipped = [
        issued[:at] + bytes((octet,)) + issued[at + 1 :]
        for at in range(len(issued))
        for octet in {0, 0x83, *(issued[at] ^ bit for bit in (1, 2, 4, 8, 16, 128))}
        if at not in said and (at, octet) != (name - 2, 0x86)  # an URI
    ]
    entries = [TimestampedEntry(timestamp=5, entry_type=EntryType.X509, signed=one) for one in flipped]
    asked = Answer(
        format=AnswerFormat.ENTRIES,
        begins=0,
        first=0,
        next=len(entries),
        body=get_entries([(write_leaf(one), b"") for one in entries]),
    )
    met = {at for at, _ in judge(asked, WatchSet(scopes=frozenset({"evil.example"})), archive=False).hits}
    assert [flipped[at].hex(" ") for at in range(len(flipped)) if at not in met] == []


def test_times_beyond_the_calendar_can_be_stored() -> None:
    late = TimestampedEntry(timestamp=(1 << 64) - 1, entry_type=EntryType.X509, signed=FINAL)
    asked = Answer(format=AnswerFormat.TILE, begins=0, first=0, next=1, body=late.to_bytes() + b"\x00\x00")
    columns = judge(asked, EVERYTHING, archive=True).columns
    assert columns is not None
    assert columns.timestamp == [MAX_TIMESTAMP]


def test_names_with_control_characters_stay_out_of_the_archive() -> None:
    odd = certificate(
        extensions=san(dns(b"a\nb.example"), dns(b"c\x7f.example"), dns("ö.example".encode()), dns(b"good.example"))
    )
    columns = judge(answer(AnswerFormat.TILE, [(odd, b"")]), WatchSet(), archive=True).columns
    assert columns is not None
    assert "\nb.example" not in columns.names[0]
    assert columns.names[0].split("\n")[-2:] == ["good.example", "www.example.com"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"entries":[{}]}', b'{"entries":[{"leaf_input":"?"}]}', b'{"x":' + b"[" * 100_000, b"\xff"],
)
def test_an_answer_that_cannot_be_read_is_refused(body: bytes) -> None:
    asked = Answer(format=AnswerFormat.ENTRIES, begins=0, first=0, next=1, body=body)
    for read in (read_answer, lambda one: judge(one, EVERYTHING, archive=False)):
        with pytest.raises(ReadError):
            read(asked)


def test_a_tile_whose_frame_breaks_is_refused_even_behind_the_wanted_entries() -> None:
    whole = answer(AnswerFormat.TILE, ENTRIES[:4])
    broken = msgspec.structs.replace(whole, body=whole.body[:-1], next=513)
    for read in (read_answer, lambda one: judge(one, EVERYTHING, archive=False)):
        with pytest.raises(ReadError):
            read(broken)


def test_an_answer_without_entries_is_empty() -> None:
    for asked in (
        Answer(format=AnswerFormat.ENTRIES, begins=3, first=3, next=9, body=b'{"entries":[]}'),
        Answer(format=AnswerFormat.TILE, begins=3, first=3, next=9, body=b""),
    ):
        judged = judge(asked, EVERYTHING, archive=True)
        assert (judged.first, judged.next, judged.leaf_hashes, judged.keys) == (3, 3, b"", b"")


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(list(AnswerFormat)), st.integers(0, 1 << 32))
def test_it_agrees_on_altered_answers(form: AnswerFormat, seed: int) -> None:
    chance = random.Random(seed)
    logged = [(alter(signed, chance), alter(own, chance)) for signed, own in chance.sample(ENTRIES, 4)]
    asked = answer(form, logged)
    if chance.random() < 0.3:
        asked = msgspec.structs.replace(asked, body=alter(asked.body, chance))
    try:
        slow = judged_slowly(asked, EVERYTHING)
    except ReadError:
        slow = None
    if slow is None:
        with pytest.raises(ReadError):
            judge(asked, EVERYTHING, archive=True)
    else:
        same_judgement(judge(asked, EVERYTHING, archive=True), asked, EVERYTHING)


def alter(octets: bytes, chance: random.Random) -> bytes:
    altered = bytearray(octets)
    for _ in range(chance.randrange(3) if octets else 0):
        at = chance.randrange(len(altered))
        altered[at : at + chance.randrange(2)] = chance.randbytes(chance.randrange(2))
    return bytes(altered)


def test_read_entries_still_makes_records() -> None:
    asked = answer(AnswerFormat.ENTRIES, ENTRIES[:2])
    first = read_entries(asked.body, 512)[0]
    assert (first.index, first.entry) == (512, entry(512, ENTRIES[0]))


# Real data.


@pytest.mark.data
def test_leaf_hashes_of_real_tiles_are_the_published_ones(data_dir: Path) -> None:
    tiles = data_dir / "certificates" / "sunlight" / "navigli2025h2" / "tile"
    for number in range(2):
        asked = Answer(
            format=AnswerFormat.TILE,
            begins=256 * number,
            first=256 * number,
            next=256 * number + 256,
            body=(tiles / "data" / f"{number:03}").read_bytes(),
        )
        judged = judge(asked, EVERYTHING, archive=True)
        assert judged.leaf_hashes == b"".join(read_hash_tile((tiles / "0" / f"{number:03}").read_bytes()))
        assert judged.unreadable == judged.misplaced == []
        same_judgement(judged, asked, EVERYTHING)
        for logged in read_answer(asked):
            assert logged.entry is not None
            # The precertificate of each is the leaf's: its fingerprint counts.
            own = WatchSet(certificates=frozenset({hashlib.sha256(logged.precertificate).digest()}))
            part = msgspec.structs.replace(asked, first=logged.index, next=logged.index + 1)
            if logged.index % 16 == 0:
                assert len(judge(part, own, archive=False).hits) == 1
