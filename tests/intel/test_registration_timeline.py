from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.facts import State
from intel.registration_differences import RECORD, Change, Difference, apply, differences
from intel.registration_timeline import Event, gaps, timeline
from intel.registration_versions import FIELDS, Chronicle, Said, Version, Voice
from tests.intel.registration_made import (
    BOOK,
    HIDDEN,
    RDAP,
    RDAP_REGISTRY,
    WHOIS,
    chronicle,
    day,
    said,
    version,
)

Fields = dict[str, Said | str | tuple[str, ...]]
BASE: Fields = {"created": "2026-03-02T09:00:00Z", "expires": "2027-03-02", "registrar": "iana:146"}


def between(before: Fields | None, after: Fields | None) -> list[tuple[str, str]]:
    found = differences(version(0, before), version(5, after), since=day(3), book=BOOK)
    return [(one.change.name, one.field) for one in found]


def events(*told: Chronicle) -> list[Event]:
    return list(timeline(told, BOOK))


@pytest.mark.parametrize(
    ("field", "before", "after", "change"),
    [
        ("registrant email", "ada@registrant.example", HIDDEN, "HIDDEN"),
        ("registrant email", "ada@registrant.example", Said(state=State.PLACEHOLDER), "HIDDEN"),
        ("registrant email", "ada@registrant.example", Said(state=State.PROXY, text="Proxy"), "HIDDEN"),
        ("registrant email", "ada@registrant.example", Said(), "HIDDEN"),
        ("registrant email", "ada@registrant.example", Said(state=State.UNPARSED), "ANEW"),
        ("registrant email", HIDDEN, "ada@registrant.example", "EXPOSED"),
        ("registrant email", Said(), "ada@registrant.example", "EXPOSED"),
        ("registrant email", "ada@registrant.example", "bob@registrant.example", "REGISTRANT"),
        ("registrant email", HIDDEN, Said(state=State.PROXY, text="Proxy"), "COVER"),
        ("registrant name", Said(state=State.PROXY, text="One"), Said(state=State.PROXY, text="Two"), "COVER"),
        ("registrar", "iana:146", "iana:69", "TRANSFERRED"),
        ("registrar", "iana:146", "GoDaddy.com, Inc.", "RENAMED"),
        ("registrar", "GoDaddy.com, LLC", "GoDaddy.com, Inc.", "RENAMED"),
        ("expires", "2027-03-02", "2028-03-02", "RENEWED"),
        ("expires", "2027-03-02", "2026-04-02", "SHORTENED"),
        ("created", "2026-03-02T09:00:00Z", "2026-03-02", "CORRECTED"),
        ("created", "2026-03-02T09:00:00Z", "2020-03-02", "CORRECTED"),
        ("created", "2020-03-02", "2026-03-04", "REGISTERED_AGAIN"),
        ("updated", "2026-03-02", "2026-03-04", "UPDATED"),
        ("name servers", ("ns1.a.example", "ns2.a.example"), ("ns1.b.example",), "MOVED"),
        ("status", (), ("server hold",), "STATUS_SET"),
        ("status", ("server hold",), (), "STATUS_CLEARED"),
        ("DNSSEC", "unsigned delegation", "signed delegation", "SIGNED"),
        ("DNSSEC", "signed delegation", "unsigned delegation", "UNSIGNED"),
        ("expires", "2027-03-02", Said(), "WITHDRAWN"),
        ("registrar", Said(), "iana:146", "STATED"),
    ],
)
def test_a_change_has_a_word(
    field: str, before: Said | str | tuple[str, ...], after: Said | str | tuple[str, ...], change: str
) -> None:
    one = {} if before == () else {field: before}
    other = {} if after == () else {field: after}
    assert between(one, other) == [(change, field)]


def test_another_wording_of_a_redaction_is_no_news() -> None:
    other = Said(state=State.REDACTED, text="Data protected")
    assert between({"registrant name": HIDDEN}, {"registrant name": other}) == []


def test_each_status_is_told_by_itself() -> None:
    assert between({"status": ("a", "b")}, {"status": ("b", "c")}) == [
        ("STATUS_CLEARED", "status"),
        ("STATUS_SET", "status"),
    ]


def test_another_owners_registrant_exposes_nothing_of_the_one_before() -> None:
    before: Fields = {**BASE, "registrant name": HIDDEN}
    after: Fields = {
        "created": "2026-06-01",
        "expires": "2027-06-01",
        "registrar": "iana:69",
        "registrant name": "Bob Invented",
    }
    assert {field: change for change, field in between(before, after)} == {
        "created": "REGISTERED_AGAIN",
        "expires": "ANEW",
        "registrar": "ANEW",
        "registrant name": "ANEW",
    }


def test_a_deletion_is_one_difference_and_a_new_registration_tells_all() -> None:
    assert between(BASE, None) == [("DELETED", RECORD)]
    assert between(None, BASE) == [
        ("REGISTERED_AGAIN", RECORD), ("STATED", "created"), ("STATED", "expires"), ("STATED", "registrar"),
    ]  # fmt: skip


def only(found: Sequence[Difference], field: str) -> Difference:
    (one,) = [one for one in found if one.field == field]
    return one


def test_the_interval_is_between_the_last_look_and_this_one() -> None:
    one = only(
        differences(version(0, BASE), version(5, {**BASE, "registrar": "iana:69"}), since=day(3), book=BOOK),
        "registrar",
    )
    assert (one.since, one.until, one.dated, one.at) == (day(3), day(5), False, day(5))


def test_the_records_own_update_narrows_it() -> None:
    def interval(updated: str) -> tuple[object, object, bool]:
        after: Fields = {**BASE, "registrar": "iana:69", "updated": updated}
        found = differences(version(0, BASE), version(5, after), since=day(3), book=BOOK)
        one = only(found, "registrar")
        return one.since, one.until, one.dated

    assert interval("2026-03-06T09:00:00Z") == (day(3), day(4), True)
    assert interval("2026-03-05") == (day(3), day(3.625), True)
    # An update before the last look, or after this one, says nothing of the change.
    assert interval("2026-03-03T09:00:00Z") == (day(3), day(5), False)
    assert interval("2026-03-09T09:00:00Z") == (day(3), day(5), False)


def test_an_update_that_was_known_before_narrows_nothing() -> None:
    before: Fields = {**BASE, "updated": "2026-03-06T09:00:00Z"}
    after: Fields = {**before, "registrar": "iana:69"}
    (one,) = differences(version(0, before), version(5, after), since=day(3), book=BOOK)
    assert (one.until, one.dated) == (day(5), False)


def test_a_new_registration_is_dated_by_its_creation() -> None:
    after: Fields = {"created": "2026-03-05T12:00:00Z", "expires": "2027-03-05"}
    found = differences(version(0, None), version(5, after), since=day(2), book=BOOK)
    one = only(found, RECORD)
    assert (one.since, one.until, one.dated) == (day(3.125), day(3.125), True)


def test_what_several_voices_tell_is_one_event_with_all_as_witnesses() -> None:
    hidden: Fields = {**BASE, "registrant email": HIDDEN}
    open_: Fields = {**BASE, "registrant email": said("ada@registrant.example")}
    rdap = chronicle(RDAP, [version(0, open_), version(4, hidden)], more=[1])
    whois = chronicle(WHOIS, [version(0, open_), version(3, {**hidden, "registrant email": Said()})], more=[2])
    (one,) = events(rdap, whois)
    assert one.change is Change.HIDDEN
    assert {told.voice for told in one.witnesses} == {RDAP, WHOIS}
    # Between WHOIS's last look that still told it, and the first that did not.
    assert (one.since, one.until, one.at) == (day(2), day(3), day(3))


def test_changes_that_cannot_be_the_same_stay_two() -> None:
    moved: Fields = {**BASE, "registrar": "iana:69"}
    early = chronicle(RDAP, [version(0, BASE), version(1, moved)])
    late = chronicle(WHOIS, [version(2, BASE), version(4, moved)])
    assert [len(one.witnesses) for one in events(early, late)] == [1, 1]


def test_a_renamed_registrar_is_no_transfer() -> None:
    told = chronicle(RDAP, [version(0, BASE), version(1, {**BASE, "registrar": "GoDaddy.com, Inc."})])
    assert [one.change for one in events(told)] == [Change.RENAMED]


def test_an_expiry_that_passed_is_told_once() -> None:
    first: Fields = {"expires": "2026-03-03"}
    told = chronicle(
        RDAP,
        [
            version(0, first),
            version(4, {**first, "status": ("auto renew period",)}),
            version(9, {"expires": "2027-03-03"}),
        ],
        more=[3, 5],
    )
    found = events(told)
    assert [(one.change, one.until) for one in found] == [
        (Change.EXPIRED, day(1.625)),
        (Change.STATUS_SET, day(4)),
        (Change.RENEWED, day(9)),
        (Change.STATUS_CLEARED, day(9)),
    ]
    assert (
        events(chronicle(RDAP, [version(0, first), version(1, {"expires": "2027-03-03"})]))[0].change is Change.RENEWED
    )


def test_a_registrar_that_a_domain_has_left_does_not_delete_it() -> None:
    assert [one.change for one in events(chronicle(RDAP, [version(0, BASE), version(1, None)]))] == [Change.DROPPED]
    both = events(
        chronicle(RDAP_REGISTRY, [version(0, BASE), version(1, None)]),
        chronicle(RDAP, [version(0, BASE), version(1, None)]),
    )
    assert [(one.change, len(one.witnesses)) for one in both] == [(Change.DELETED, 2)]


def test_periods_in_which_nothing_was_known() -> None:
    told = chronicle(RDAP, [version(0, {"created": "2025-03-02"})], more=[5, 60])
    found = gaps([told], day(200))
    assert [(one.before_first, one.open, one.days) for one in found] == [
        (True, False, 365), (False, False, 55), (False, True, 140),
    ]  # fmt: skip
    assert gaps([told, chronicle(WHOIS, [version(30, BASE)])], day(70))[1:] == ()
    assert gaps([], day(0)) == ()


def test_a_record_that_changes_with_every_look_costs_no_more_for_its_length() -> None:
    def flapping(voice: Voice, first: float) -> Chronicle:
        servers = [f"ns{at % 2}.a.example" for at in range(5000)]
        return chronicle(
            voice,
            [version(first + at, {"name servers": one, "expires": "2046-01-01"}) for at, one in enumerate(servers)],
        )

    told = [flapping(RDAP, 0), flapping(WHOIS, 0.5)]
    began = time.process_time()
    found = timeline(told, BOOK)
    # 0.5 s here; every version against every look and every event was 14 s.
    assert time.process_time() - began < 4
    assert sum(one.change is Change.MOVED for one in found) == 4999
    assert {len(one.witnesses) for one in found if one.change is Change.MOVED} == {2}


texts = st.sampled_from(["2026-03-02", "2026-03-02T10:00:00Z", "2027-01-01", "iana:146", "GoDaddy.com, Inc.", "x y"])
sayings = st.one_of(
    st.builds(lambda some: said(*some), st.sets(texts, min_size=1, max_size=3)),
    st.builds(
        lambda state, text: Said(state=state, text=text), st.sampled_from([s for s in State if s != "value"]), texts
    ),
)
recordings = st.one_of(st.none(), st.dictionaries(st.sampled_from(FIELDS), sayings, max_size=8))


def plain(one: Version) -> tuple[object, ...]:
    return one.content


@settings(max_examples=200)
@given(st.lists(recordings, min_size=2, max_size=5))
def test_applying_the_differences_to_the_first_version_gives_the_last(recorded: list[dict[str, Said] | None]) -> None:
    versions = [
        version(at, fields and dict(fields) if fields is not None else None) for at, fields in enumerate(recorded)
    ]
    here = versions[0]
    for before, after in itertools.pairwise(versions):
        here = apply(here, differences(before, after, since=before.at, book=BOOK))
    assert plain(here) == plain(versions[-1])


@settings(max_examples=60)
@given(st.lists(recordings, min_size=1, max_size=5), st.lists(recordings, min_size=1, max_size=5))
def test_every_event_happened_in_an_interval(
    one: list[dict[str, Said] | None], other: list[dict[str, Said] | None]
) -> None:
    told = [
        chronicle(voice, [version(at, None if fields is None else dict(fields)) for at, fields in enumerate(some)])
        for voice, some in ((RDAP, one), (WHOIS, other))
    ]
    for event in timeline(told, BOOK):
        assert event.since is None or event.since <= event.until
        assert event.witnesses
        assert len({told.voice for told in event.witnesses}) == len(event.witnesses)
