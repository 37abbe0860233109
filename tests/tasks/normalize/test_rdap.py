from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.registration import FieldState, Outcome
from intel.registration_words import read_words
from lab.registration import DAY_ONE, Record, Tier, rdap_document
from tasks.normalize.rdap import LARGEST_REPLY, read_rdap

if TYPE_CHECKING:
    from collections.abc import Callable

    from intel.registration import Registration

ROOT = Path(__file__).parents[3]
WORDS = read_words((ROOT / "configs" / "registration.yaml").read_bytes())
BASES: dict[Tier, str] = {"registry": "http://127.0.0.1:1", "registrar": "http://127.0.0.1:2"}


def document(**changes: Any) -> dict[str, Any]:
    return {**rdap_document("lapse.example", Record(), "registrar", BASES), **changes}


def read(value: Any, status: int = 200, **options: Any) -> Registration:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_rdap(body, status, WORDS, **options)


def with_card(*properties: Any) -> dict[str, Any]:
    made = document()
    made["entities"][1]["vcardArray"] = ["vcard", list(properties)]
    return made


def test_a_record_is_read_whole() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    found = read(document(), domain="lapse.example", server="http://127.0.0.1:2", fetched_at=at)
    assert found.outcome is Outcome.REGISTERED
    assert found.domain == "lapse.example"
    assert found.created.at == DAY_ONE
    assert found.created.where == "/events/0/eventDate"
    assert found.expires.precision == "second"
    assert found.registrar.value == "Example Registrar Ltd"
    assert found.registrar_iana_id.value == "9999"
    assert found.registrant.name.value == "Ada Invented"
    assert found.registrant.email.value == "ada@registrant.example"
    assert found.registrant.email.where == "/entities/1/vcardArray/1/5/3"
    assert found.registrant.phone.value == "+44.2079460123"
    assert found.registrant.country.value == "GB"
    assert found.name_servers == ("ns1.hosting.example", "ns2.hosting.example")
    assert found.dnssec is False
    assert found.fetched_at == at


def test_declared_redaction_is_redacted_and_not_absent() -> None:
    made = rdap_document("lapse.example", Record(privacy="declared"), "registrar", BASES)
    found = read(made).registrant
    assert found.name.state is FieldState.REDACTED
    assert found.email.where.startswith("/redacted/")
    assert found.country.state is FieldState.ABSENT


def test_a_value_declared_removed_that_stands_there_is_exposed() -> None:
    redacted = [{"name": {"description": "Registrant Name"}, "method": "removal"}]
    assert read(document(redacted=redacted)).registrant.name.value == "Ada Invented"


def test_a_replaced_value_is_not_the_registrants() -> None:
    path = "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='email')]"
    redacted = {"name": {"type": "x"}, "prePath": path, "method": "replacementValue"}
    found = read(document(redacted=redacted)).registrant
    assert found.email.state is FieldState.REDACTED
    assert found.email.value is None
    assert found.name.state is FieldState.VALUE


def test_a_remark_redacts_the_old_way() -> None:
    made = with_card(["version", {}, "text", "4.0"], ["fn", {}, "text", ""])
    made["entities"][1]["remarks"] = [{"title": "REDACTED FOR PRIVACY", "type": "object redacted due to authorization"}]
    assert read(made).registrant.name.state is FieldState.REDACTED


@pytest.mark.parametrize(
    "properties",
    [
        ([False, {}, "text", "4.0"],),
        (["version", {}, "text"],),
        ("x", 3, None),
    ],
)
def test_a_broken_card_is_unparsed(properties: Any) -> None:
    assert read(with_card(*properties)).registrant.name.state is FieldState.UNPARSED


def test_a_broken_property_costs_itself() -> None:
    made = with_card(["tel", False, 42, {"a": 1}], ["fn", None, "text", ["Ada", "Invented"]], ["email", {}, "text"])
    found = read(made).registrant
    assert found.name.value == "Ada Invented"
    assert found.phone.state is FieldState.ABSENT


def test_a_fax_is_not_a_phone() -> None:
    made = with_card(["tel", {"type": ["work", "fax"]}, "uri", "tel:+1.111222333"], ["tel", {}, "text", "+1.999888777"])
    assert read(made).registrant.phone.value == "+1.999888777"


def test_a_registrant_within_another_entity_is_found() -> None:
    made = document()
    registrant = made["entities"].pop()
    made["entities"][0]["entities"] = [registrant]
    found = read(made).registrant
    assert found.name.value == "Ada Invented"
    assert found.name.where.startswith("/entities/0/entities/0/")


@pytest.mark.parametrize(
    ("value", "status", "outcome"),
    [
        ({"errorCode": 404, "title": "Not Found"}, 404, Outcome.NOT_FOUND),
        (b"", 404, Outcome.NOT_FOUND),
        (b"<html><h1>404 Not Found</h1></html>", 404, Outcome.MALFORMED),
        ({"errorCode": 429, "title": "slower"}, 404, Outcome.THROTTLED),
        ({"errorCode": 404, "title": "Rate limit exceeded"}, 404, Outcome.THROTTLED),
        (b"", 429, Outcome.THROTTLED),
        (b"<html>You have exceeded the query limit</html>", 403, Outcome.THROTTLED),
        (b"<html>Your IP address has been blocked</html>", 200, Outcome.BLOCKED),
        (b"<html>Forbidden</html>", 403, Outcome.BLOCKED),
        ({"message": "wait"}, 422, Outcome.THROTTLED),
        (b"", 503, Outcome.THROTTLED),
        (b"", 504, Outcome.TIMEOUT),
        (b"", 501, Outcome.UNSUPPORTED),
        (b"", 500, Outcome.MALFORMED),
        (b"{", 200, Outcome.MALFORMED),
        (b"\xff\xfe", 200, Outcome.MALFORMED),
        (b"[" * 100_000, 200, Outcome.MALFORMED),
        ([], 200, Outcome.MALFORMED),
        ({"objectClassName": "nameserver", "ldhName": "a.example"}, 200, Outcome.MALFORMED),
        ({"objectClassName": "domain"}, 200, Outcome.MALFORMED),
        (b" " * (LARGEST_REPLY + 1), 200, Outcome.MALFORMED),
    ],
)
def test_status_and_body_together_make_the_outcome(value: Any, status: int, outcome: Outcome) -> None:
    assert read(value, status).outcome is outcome


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ({}, Outcome.NOT_FOUND),
        ({"errorCode": "404"}, Outcome.NOT_FOUND),
        ({"rdapConformance": ["rdap_level_0"]}, Outcome.NOT_FOUND),
        ({"message": "Domain not found."}, Outcome.NOT_FOUND),
        ({"message": "no Route matched with those values"}, Outcome.MALFORMED),
        ({"detail": "unknown path"}, Outcome.MALFORMED),
        ([], Outcome.MALFORMED),
        ("not found", Outcome.MALFORMED),
    ],
)
def test_a_404_counts_where_an_rdap_server_wrote_it(value: Any, outcome: Outcome) -> None:
    assert read(json.dumps(value).encode(), 404).outcome is outcome
    if value:
        assert read(json.dumps(value).encode()).outcome is not Outcome.REGISTERED


def test_the_results_of_a_search_are_no_record() -> None:
    found = read({"rdapConformance": ["rdap_level_0"], "domainSearchResults": [document()]})
    assert (found.outcome, found.reason) == (Outcome.MALFORMED, "the results of a search in place of a record")


@pytest.mark.parametrize("wrap", [lambda notice: notice, lambda notice: [notice]])
def test_a_quota_notice_in_a_hollow_record_is_throttling(wrap: Callable[[Any], Any]) -> None:
    notice = {"title": "Quota", "description": ["Number of allowed queries exceeded."]}
    hollow = {"objectClassName": "domain", "ldhName": "lapse.example", "notices": wrap(notice)}
    assert read(hollow).outcome is Outcome.THROTTLED
    assert read(document(notices=wrap(notice))).outcome is Outcome.REGISTERED


def test_a_record_of_another_name_is_no_answer() -> None:
    assert read(document(), domain="other.example").outcome is Outcome.MALFORMED


def test_oddities_cost_themselves() -> None:
    made = document(
        events={"eventAction": "Registration ", "eventDate": "2020-01-02"},
        status="active",
        nameservers=["NS1.odd.example.", {"ldhName": "a b"}, 7, None],
        secureDNS=[],
        entities={"roles": "registrar", "vcardArray": ["vcard", [["org", {}, "text", "Odd Registrar"]]]},
    )
    found = read(made)
    assert (found.created.at, found.created.precision) == (datetime(2020, 1, 2, tzinfo=UTC), "day")
    assert found.statuses == ("active",)
    assert found.name_servers == ("ns1.odd.example",)
    assert found.registrar.value == "Odd Registrar"
    assert found.dnssec is None


def test_the_servers_own_word_on_how_recent_it_is_is_read() -> None:
    stated = {"eventAction": "Last Update of RDAP Database", "eventDate": "2026-03-02T10:00:00+01:00"}
    assert read(document(events=[stated])).as_of == datetime(2026, 3, 2, 9, tzinfo=UTC)
    for silent in ("2026-03-02", "just now", 7, None):
        assert read(document(events=[{**stated, "eventDate": silent}])).as_of is None
    assert read(document(events=[])).as_of is None


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ("registration", "created"),
        ("REGISTRATION", "created"),
        ("Last_Changed", "updated"),
        ("last update", "updated"),
        ("Expiration ", "expires"),
        ("registrar expiration", "expires"),
    ],
)
def test_events_are_told_in_odd_words(action: str, field: str) -> None:
    found = read(document(events=[{"eventAction": action, "eventDate": "2026-03-02T10:00:00.123Z"}]))
    assert getattr(found, field).at == datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_the_registrys_expiry_comes_before_the_registrars() -> None:
    events = [
        {"eventAction": "registrar expiration", "eventDate": "2026-01-01T00:00:00Z"},
        {"eventAction": "expiration", "eventDate": "2027-01-01T00:00:00Z"},
    ]
    assert read(document(events=events)).expires.at == datetime(2027, 1, 1, tzinfo=UTC)


def test_the_handle_of_the_contact_is_read() -> None:
    made = document()
    made["entities"][1]["handle"] = " C123-EXREG "
    assert read(made).registrant.handle.value == "C123-EXREG"
    assert read(made).registrant.handle.where == "/entities/1/handle"
    made["entities"][1]["handle"] = "REDACTED FOR PRIVACY"
    assert read(made).registrant.handle.state is FieldState.REDACTED
    made["entities"][1]["handle"] = 4711
    assert read(made).registrant.handle.value == "4711"
    made["entities"][1]["handle"] = ["x"]
    assert read(made).registrant.handle.state is FieldState.ABSENT


def test_a_contact_known_by_its_handle_alone_is_no_silence() -> None:
    made = document(entities=[{"roles": ["registrant"], "handle": "C1"}])
    assert read(made).registrant.handle.value == "C1"
    assert read(made).registrant.name.state is FieldState.ABSENT


def test_an_organisations_card_names_the_organisation() -> None:
    made = with_card(["fn", {}, "text", "Invented Widgets"], ["kind", {}, "text", "org"])
    found = read(made).registrant
    assert (found.organisation.value, found.name.state) == ("Invented Widgets", FieldState.ABSENT)


def test_of_several_registrants_the_one_who_says_who_it_is_counts() -> None:
    made = document()
    made["entities"].insert(0, {"roles": ["registrant"], "handle": "MNT-1"})
    assert read(made).registrant.name.value == "Ada Invented"


@pytest.mark.parametrize(
    ("secure", "signed"),
    [
        ({"delegationSigned": True}, True),
        ({"delegationSigned": "False"}, False),
        ({"delegationSigned": 1, "dsData": [{"keyTag": 1}]}, True),
        ({"delegationSigned": None}, None),
        ({"maxSigLife": 1}, None),
        ("signed", None),
    ],
)
def test_a_delegation_is_signed_or_not_or_unsaid(secure: Any, signed: bool | None) -> None:
    assert read(document(secureDNS=secure)).dnssec is signed


def test_statuses_are_in_the_words_of_rdap() -> None:
    found = read(document(status=["clientHold", "Server  Transfer Prohibited", "active", "", 7]))
    assert found.statuses == ("active", "client hold", "server transfer prohibited")


@pytest.mark.parametrize(
    "servers",
    [
        {"ldhName": "ns1.odd.example"},
        {"0": {"ldhName": "ns1.odd.example"}},
        "ns1.odd.example",
        ["ns1.odd.example "],
        [{"unicodeName": "NS1.odd.example."}],
    ],
)
def test_name_servers_stand_in_many_shapes(servers: Any) -> None:
    assert read(document(nameservers=servers)).name_servers == ("ns1.odd.example",)


def test_a_name_may_be_told_in_unicode_alone() -> None:
    made = document(unicodeName="straße-mail.example")
    del made["ldhName"]
    assert read(made).domain == "xn--strae-mail-83a.example"


@pytest.mark.parametrize("kind", ["Domain", " DOMAIN ", None])
def test_the_class_may_be_odd_or_missing(kind: Any) -> None:
    assert read(document(objectClassName=kind)).outcome is Outcome.REGISTERED


def test_a_byte_order_mark_is_left_out() -> None:
    assert read(b"\xef\xbb\xbf" + json.dumps(document()).encode()).outcome is Outcome.REGISTERED


def test_a_registrar_without_a_card_is_passed_over_for_one_with() -> None:
    made = document()
    made["entities"].insert(0, {"roles": ["Registrar"], "publicIds": {"type": "IANA Registrar ID", "identifier": 0}})
    made["entities"].append({"roles": ["sponsor"], "entities": [{"roles": ["registrar"]}]})
    assert read(made).registrar.value in {None, "Example Registrar Ltd"}
    del made["entities"][0]["publicIds"]
    assert read(made).registrar.value == "Example Registrar Ltd"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(sorted({*document(), "redacted", "notices", "remarks"}))


@settings(max_examples=120)
@given(st.binary(max_size=400), st.integers(min_value=-1, max_value=700))
def test_any_bytes_end_with_an_outcome(body: bytes, status: int) -> None:
    assert read_rdap(body, status, WORDS).outcome in Outcome


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=4), JSON, JSON)
def test_any_json_in_a_record_ends_with_an_outcome(changes: Any, card: Any, role: Any) -> None:
    made = document(**changes)
    made.setdefault("entities", [])
    if isinstance(made["entities"], list):
        made["entities"].append({"roles": ["registrant", role], "vcardArray": ["vcard", card], "remarks": card})
    assert read(made).outcome in Outcome
