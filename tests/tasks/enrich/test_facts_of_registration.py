from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.entities import Kind
from intel.facts import State
from intel.registration import DateField, Field, Outcome, Registrant, Registration
from tasks.enrich.facts_of_registration import ends, facts_of

DAY = DateField(at=datetime(2026, 3, 1, tzinfo=UTC), precision="day", state=State.VALUE, where="/events/0")


def value(text: str) -> Field:
    return Field(value=text, state=State.VALUE)


def record(**values: object) -> Registration:
    return Registration(domain="evil.example", outcome=Outcome.REGISTERED, protocol="rdap", **values)  # type: ignore[arg-type] # the test's own words


def told(registration: Registration, tier: str = "registrar") -> list[tuple[str, str, str | None]]:
    return [
        (fact.predicate, fact.state, None if fact.object is None else fact.object.value)
        for fact in facts_of(registration, tier)  # type: ignore[arg-type] # one of the two
    ]


def test_a_date_keeps_its_precision() -> None:
    (fact,) = [one for one in facts_of(record(created=DAY), "registry") if one.predicate == "created"]
    assert fact.object is not None
    assert (fact.object.kind, fact.object.value) == (Kind.TIME, "2026-03-01")
    assert dict(fact.qualifiers) == {"precision": "day", "tier": "registry"}
    assert fact.locator == "/events/0"


def test_a_registrar_is_its_number_and_its_name_an_alias() -> None:
    found = told(record(registrar=value("Example Registrar Ltd"), registrar_iana_id=value("0009999")), "registry")
    assert found == [("registered-through", "value", "iana:9999"), ("alias", "value", "Example Registrar Ltd")]
    assert told(record(registrar=value("Nameless Ltd")), "registry") == [
        ("registered-through", "value", "Nameless Ltd"),
    ]


def test_a_relayed_email_hides_no_other_field() -> None:
    registrant = Registrant(email=Field(state=State.PROXY, text="x@proxy.example"), phone=value("+1 202 555 0100"))
    facts = [one for one in facts_of(record(registrant=registrant), "registrar") if one.predicate == "registered-by"]
    shown = {dict(one.qualifiers)["field"]: (one.state, one.object, one.personal) for one in facts}
    assert shown["phone"][1] is not None
    assert (shown["phone"][1].value, shown["phone"][2]) == ("+12025550100", True)


def test_a_proxys_wording_is_text_and_no_registrant() -> None:
    registrant = Registrant(
        name=Field(state=State.PROXY, text="Whois Privacy Service"),
        email=Field(state=State.REDACTED, text="REDACTED FOR PRIVACY"),
        phone=value("+1 202 555 0100"),
        organisation=Field(state=State.UNPARSED, text="somebody's data"),
    )
    facts = [one for one in facts_of(record(registrant=registrant), "registrar") if one.predicate == "registered-by"]
    shown = {dict(one.qualifiers)["field"]: (one.state, one.object, one.personal) for one in facts}
    assert shown["name"][0] == "proxy"
    assert shown["name"][1] is not None
    assert shown["name"][1].kind == Kind.TEXT
    assert not shown["name"][2]
    # The number of a contact that is a service is the service's.
    assert shown["phone"] == ("proxy", None, False)
    assert shown["organisation"][:2] == ("unparsed", None)
    assert all(dict(one.qualifiers)["role"] == "registrant" for one in facts)


def test_a_registry_that_keeps_no_contacts_says_nothing_of_them() -> None:
    assert told(record(), "registry") == []
    assert told(record(), "registrar") == [("registered-by", "absent", None)] * 5


def handles(text: str, server: str) -> list[str]:
    return [
        fact.object.value
        for fact in facts_of(record(registrant=Registrant(handle=value(text)), server=server), "registrar")
        if fact.object is not None and fact.object.kind == Kind.HANDLE
    ]


@pytest.mark.parametrize(
    ("text", "server", "handle"),
    [
        ("C77", "https://rdap.registry.example/v1/", "C77@registry.example"),
        ("C77", "whois.registry.example", "C77@registry.example"),
        ("C77", "WHOIS.Registry.Example:4343", "C77@registry.example"),
        ("C77", "127.0.0.1:4343", "C77@127.0.0.1"),
        ("C77", "http://[2001:db8::1]:8080", "C77@2001:db8::1"),
        ("C77", "", "C77"),
        ("C77-EPPID", "whois.registry.example", "C77-EPPID@registry.example"),
        ("ab12-ripe", "whois.registry.example", "AB12-RIPE"),
    ],
)
def test_a_handle_is_of_its_server_unless_it_bears_a_tag(text: str, server: str, handle: str) -> None:
    assert handles(text, server) == [handle]


def test_a_handle_is_personal() -> None:
    facts = facts_of(record(registrant=Registrant(handle=value("C77")), server="whois.registry.example"), "registry")
    (fact,) = [one for one in facts if dict(one.qualifiers).get("field") == "handle"]
    assert fact.personal
    assert dict(fact.qualifiers) == {"role": "registrant", "field": "handle", "tier": "registry"}


def test_whether_the_delegation_is_signed_is_a_status_of_its_own_kind() -> None:
    for signed, label in ((True, "signed delegation"), (False, "unsigned delegation")):
        (fact,) = facts_of(record(dnssec=signed), "registry")
        assert fact.object is not None
        assert (fact.predicate, fact.object.value) == ("has-status", label)
        assert dict(fact.qualifiers) == {"of": "dnssec", "tier": "registry"}


def test_where_a_field_stood_and_who_read_it() -> None:
    field = Field(value="Ada Invented", state=State.VALUE, where="10-22", reader="python-whois")
    whois = Registration(
        domain="evil.example", outcome=Outcome.REGISTERED, protocol="whois", registrant=Registrant(name=field),
        registrar=Field(value="Nameless Ltd", state=State.VALUE, reader="lines"),
        name_servers=("ns1.example.net",), name_servers_reader="lines",
    )  # fmt: skip
    told = {
        f"{one.predicate} {dict(one.qualifiers).get('field', '')}": one.locator for one in facts_of(whois, "registry")
    }
    assert told["registered-by name"] == "10-22 by python-whois"
    assert told["registered-through "] == "by lines"
    assert told["uses-name-servers "] == "by lines"
    assert told["registered-by email"] == ""
    rdap = facts_of(record(registrant=Registrant(name=field)), "registry")
    assert "10-22" in {one.locator for one in rdap}


def test_an_unreadable_value_is_unparsed_and_not_kept() -> None:
    registrant = Registrant(email=value("not an address"))
    assert told(record(registrant=registrant))[0] == ("registered-by", "unparsed", None)


def test_other_outcomes_state_nothing() -> None:
    for outcome in Outcome:
        if outcome is not Outcome.REGISTERED:
            assert facts_of(Registration(domain="evil.example", outcome=outcome, protocol="whois"), "registry") == ()


def test_only_what_is_no_longer_stated_ends() -> None:
    first = facts_of(record(created=DAY, statuses=("ok",), name_servers=("ns1.example.net",)), "registry")
    second = facts_of(record(created=DAY, statuses=("client hold",), name_servers=("ns1.example.net",)), "registry")
    ended = ends(first, second, source="rdap")
    assert [(one.predicate, one.object.value if one.object else "", one.ends) for one in ended] == [
        ("has-status", "ok", True)
    ]


texts = st.one_of(st.none(), st.text(min_size=1, max_size=40))


@settings(max_examples=60)
@given(texts, texts, texts, st.sampled_from(["registry", "registrar"]), st.lists(st.text(max_size=20), max_size=4))
def test_no_record_is_refused(
    name: str | None, email: str | None, number: str | None, tier: str, servers: list[str]
) -> None:
    def made(text: str | None) -> Field:
        return Field() if text is None else value(text)

    registration = record(
        registrar=made(name), registrar_iana_id=made(number), name_servers=tuple(servers), server=name or "",
        registrant=Registrant(name=made(name), email=made(email), handle=made(email)),
    )  # fmt: skip
    facts = facts_of(registration, tier)  # type: ignore[arg-type] # one of the two
    assert ends(facts, facts, source="rdap") == ()
    assert all((one.object is not None) >= (one.state == State.VALUE) for one in facts)
