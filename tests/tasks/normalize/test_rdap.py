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
    assert found.email.where == "/redacted/2"
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


@pytest.mark.data
def test_real_replies_end_with_an_outcome(data_dir: Path) -> None:
    folder = data_dir / "registration" / "rdap"
    found = {
        path.name: read_rdap(path.read_bytes(), 200, WORDS) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    assert len(found) > 30
    registered = {name for name, one in found.items() if one.outcome is Outcome.REGISTERED}
    assert registered == {
        "domain-example.cz.json",
        "data_rdap_response_domain1.json",
        "data_rdap_response_domain2.json",
        "data_rdap_response_domain3.json",
    }
    assert not [name for name, one in found.items() if one.outcome is Outcome.NOT_FOUND]
    for name in registered:
        assert found[name].name_servers
        assert found[name].created.at
