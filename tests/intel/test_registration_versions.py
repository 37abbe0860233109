from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.facts import State
from intel.registration_versions import (
    Look,
    Said,
    Statement,
    Voice,
    chronicles,
    field_of,
    read_date,
    status_of,
    values_of,
)

DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
RDAP = Voice(source="rdap", tier="registrar")


def stated(fact: int, at: int, value: str = "", *, field: str = "registrar", ended: bool = False) -> Statement:
    return Statement(
        fact=fact, voice=RDAP, field=field, at=DAY + timedelta(days=at), ended=ended, value=value,
        state=State.VALUE if value else State.REDACTED,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("clientTransferProhibited", "client transfer prohibited"),
        ("client transfer prohibited", "client transfer prohibited"),
        ("serverHold", "server hold"),
        ("ok", "active"),
        ("active", "active"),
        ("pendingDelete", "pending delete"),
        ("redemptionPeriod", "redemption period"),
        ("redemption period", "redemption period"),
        ("autoRenewPeriod", "auto renew period"),
        ("addPeriod", "add period"),
        ("pending", "pending"),
        ("clientHold (https://www.example.org/epp#clientHold)", "client hold"),
        ("address changed", "address changed"),
        ("Registered", "registered"),
        ("registered until expiry", "registered until expiry"),
    ],
)
def test_a_status_is_one_in_both_protocols(text: str, status: str) -> None:
    assert status_of(text) == status


@settings(max_examples=80)
@given(st.text(max_size=40))
def test_a_status_read_twice_is_the_same(text: str) -> None:
    assert status_of(status_of(text)) == status_of(text)


def test_a_date_means_as_much_as_it_says() -> None:
    assert read_date("2026-03-02") == (datetime(2026, 3, 2, tzinfo=UTC), "day")
    assert read_date("2026-03-02T09:00:00Z") == (DAY, "second")
    assert read_date("2026-03-02T10:00:00+01:00") == (DAY, "second")
    assert read_date("before 2001") == (None, "")
    assert read_date("0001-01-01T00:00:00+05:00") == (None, "")
    for text in ("9999-12-31", "0001-01-01", "9999-12-31T23:59:59Z"):
        never = Said(state=State.VALUE, values=(text,))
        assert never.at is not None
        assert never.until is not None
        assert never.until + timedelta(days=1) > never.at - timedelta(days=1)
    one = Said(state=State.VALUE, values=("2026-03-02",))
    assert (one.at, one.until) == (DAY - timedelta(hours=9), DAY + timedelta(hours=15))
    assert Said(state=State.UNPARSED, text="x").at is None
    assert Said(state=State.VALUE, values=("before 2001",)).until is None


@settings(max_examples=80)
@given(st.text(max_size=30))
def test_any_text_is_a_date_or_none(text: str) -> None:
    at, precision = read_date(text)
    assert (at is None) == (not precision)
    assert at is None or at.utcoffset() == timedelta(0)


def test_fields_of_facts() -> None:
    assert field_of("registered-by", {"role": "registrant", "field": "handle"}) == "registrant handle"
    assert field_of("registered-by", {"role": "technical", "field": "name"}) == ""
    assert field_of("registered-by", None) == "registrant name"
    assert field_of("has-status", {"of": "dnssec"}) == "DNSSEC"
    assert field_of("has-status", {}) == "status"
    assert field_of("uses-name-servers", {}) == "name servers"
    assert field_of("uses-mail-host", {}) == "mail host"
    assert field_of("uses-name-server", {}) == ""
    assert field_of("resolves-to", {}) == ""
    assert field_of("no such predicate", {}) == ""
    assert values_of("name servers", "ns2.a.example ns1.a.example") == ("ns1.a.example", "ns2.a.example")


def test_what_stands_is_what_was_stated_and_did_not_end() -> None:
    told = [
        stated(1, 0, "iana:1"),
        stated(2, 2, "iana:2"),
        stated(1, 2, ended=True),
        stated(3, 2, "active", field="status"),
    ]
    (chronicle,) = chronicles(told, {RDAP: [Look(at=DAY + timedelta(days=1), registered=True)]})
    assert [one.said("registrar").values for one in chronicle.versions] == [("iana:1",), ("iana:2",)]
    assert len(chronicle.looks) == 3
    assert chronicle.version_at(DAY + timedelta(days=1.5)) == chronicle.versions[0]
    assert chronicle.version_at(DAY - timedelta(days=1)) is None
    found = chronicle.look_at(DAY + timedelta(days=1.5))
    assert found is not None
    assert found.registered is True


def test_of_two_values_that_stand_the_later_is_what_a_record_says_and_statuses_are_many() -> None:
    told = [
        stated(1, 0, "iana:1"), stated(2, 2, "iana:2"), stated(3, 0, "ok", field="status"),
        stated(4, 2, "serverHold", field="status"),
    ]  # fmt: skip
    (chronicle,) = chronicles(told, {})
    assert chronicle.versions[-1].said("registrar").values == ("iana:2",)
    assert chronicle.versions[-1].said("status").values == ("active", "server hold")


def test_a_look_that_changed_nothing_is_no_version() -> None:
    looks = [Look(at=DAY + timedelta(days=at), registered=True) for at in range(5)]
    (chronicle,) = chronicles([stated(1, 0, "iana:1")], {RDAP: looks})
    assert (len(chronicle.versions), len(chronicle.looks)) == (1, 5)


times = st.integers(0, 6)
statements = st.builds(
    stated, st.integers(1, 6), times, st.sampled_from(["", "a", "b"]),
    field=st.sampled_from(["registrar", "status", "created"]), ended=st.booleans(),
)  # fmt: skip


@settings(max_examples=80)
@given(st.lists(statements, max_size=20))
def test_the_order_in_which_rows_come_does_not_matter(told: list[Statement]) -> None:
    unique = list({(one.fact, one.at, one.ended): one for one in told}.values())
    shuffled = sorted(unique, key=lambda one: hash((one.fact, one.at, one.ended)))
    assert chronicles(unique, {}) == chronicles(shuffled, {})
    for chronicle in chronicles(unique, {}):
        assert all(
            one.content != other.content for one, other in zip(chronicle.versions, chronicle.versions[1:], strict=False)
        )
