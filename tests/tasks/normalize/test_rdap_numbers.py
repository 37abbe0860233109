from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.registration import FieldState, Outcome
from intel.registration_numbers import Answered, AutnumRecord, EntityRecord, NameServerRecord, NetworkRecord
from intel.registration_words import read_words
from tasks.normalize.rdap_numbers import read_object

WORDS = read_words((Path(__file__).parents[3] / "configs" / "registration.yaml").read_bytes())
ADDRESS = entity(Kind.IP, "203.0.113.9")
HOLDER = {
    "objectClassName": "entity",
    "handle": "ORG-IH1-EXREG",
    "roles": ["registrant"],
    "vcardArray": ["vcard", [["fn", {}, "text", "Invented Hosting"], ["kind", {}, "text", "org"]]],
    "entities": [
        {
            "handle": "AI1-EXREG",
            "roles": ["Administrative", "technical"],
            "vcardArray": ["vcard", [["fn", {}, "text", "Ada Invented"], ["email", {}, "text", "ada@hosting.example"]]],
        }
    ],
}
NETWORK: dict[str, Any] = {
    "objectClassName": "ip network",
    "rdapConformance": ["rdap_level_0", "cidr0"],
    "handle": "203.0.113.0 - 203.0.113.255",
    "startAddress": "203.0.113.0",
    "endAddress": "203.0.113.255",
    "ipVersion": "v4",
    "name": "INVENTED-NET",
    "type": "ASSIGNED PA",
    "country": "GB",
    "parentHandle": "203.0.112.0 - 203.0.119.255",
    "cidr0_cidrs": [{"v4prefix": "203.0.113.0", "length": 24}],
    "arin_originas0_originautnums": [64500, "AS64501", None],
    "status": ["active"],
    "events": [{"eventAction": "last changed", "eventDate": "2026-02-01T00:00:00Z"}],
    "remarks": [{"title": "description", "description": ["Harbour hosting", "more"]}],
    "entities": [{"handle": "INVENTED-MNT", "roles": ["registrant"]}, HOLDER],
}
AUTNUM: dict[str, Any] = {
    "objectClassName": "autnum",
    "handle": "AS64500",
    "startAutnum": 64500,
    "endAutnum": 64510,
    "name": "INVENTED-AS",
    "country": "GB",
    "entities": [HOLDER],
}
NAME_SERVER: dict[str, Any] = {
    "objectClassName": "nameserver",
    "ldhName": "NS1.Hosting.Example.",
    "ipAddresses": {"v4": ["203.0.113.53", "x"], "v6": "2001:DB8::53"},
    "status": ["active"],
}
PERSON: dict[str, Any] = {
    **HOLDER,
    "networks": [{"startAddress": "203.0.113.0", "endAddress": "203.0.113.127"}, "x"],
    "autnums": [{"startAutnum": 64500}, {"startAutnum": "x"}],
    "publicIds": [{"type": "IANA Registrar ID", "identifier": "9999"}],
}


def read(value: Any, subject: Entity = ADDRESS, status: int = 200, **options: Any) -> Answered:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_object(body, status, WORDS, subject=subject, **options)


def test_a_network_is_read_whole() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    found = read(NETWORK, server="https://rdap.example", fetched_at=at)
    assert isinstance(found, NetworkRecord)
    assert (found.outcome, found.reason, found.asked) == (Outcome.REGISTERED, "an ip network record", "203.0.113.9")
    assert (found.first, found.last, found.networks) == ("203.0.113.0", "203.0.113.255", ("203.0.113.0/24",))
    assert (found.name.value, found.type.value, found.country.value) == ("INVENTED-NET", "ASSIGNED PA", "GB")
    assert found.parent.value == "203.0.112.0 - 203.0.119.255"
    assert found.origins == (64500, 64501)
    assert found.statuses == ("active",)
    assert found.updated.at == datetime(2026, 2, 1, tzinfo=UTC)
    assert found.description.value == "Harbour hosting"
    assert found.fetched_at == at
    # A maintainer's object is no holder where another says who it is.
    assert found.holder is not None
    assert (found.holder.organisation.value, found.holder.is_organisation) == ("Invented Hosting", True)
    assert found.holder.handle.value == "ORG-IH1-EXREG"
    assert found.holder.name.state is FieldState.ABSENT
    person = found.contacts[2]
    assert (person.roles, person.email.value) == (("administrative", "technical"), "ada@hosting.example")
    assert person.email.where == "/entities/1/entities/0/vcardArray/1/1/3"


@pytest.mark.parametrize(
    ("changes", "networks"),
    [
        ({"cidr0_cidrs": None}, ("203.0.113.0/24",)),
        ({"cidr0_cidrs": {"v4prefix": "203.0.113.0", "length": 25}}, ("203.0.113.0/25",)),
        ({"cidr0_cidrs": [{"v4prefix": "198.51.100.0", "length": 24}]}, ("203.0.113.0/24",)),
        ({"cidr0_cidrs": [{"v4prefix": "203.0.113.0", "length": "24"}, "x"]}, ("203.0.113.0/24",)),
        ({"cidr0_cidrs": [{"v6prefix": "2001:db8::", "length": 32}]}, ("203.0.113.0/24",)),
        ({"cidr0_cidrs": [], "endAddress": "203.0.113.191"}, ("203.0.113.0/25", "203.0.113.128/26")),
        ({"startAddress": None, "endAddress": None, "cidr0_cidrs": None}, ("203.0.113.0/24",)),
        ({"startAddress": None, "handle": "203.0.113.0/24", "cidr0_cidrs": None}, ("203.0.113.0/24",)),
        ({"startAddress": "203.0.113.0/24", "endAddress": "203.0.113.255/32"}, ("203.0.113.0/24",)),
    ],
)
def test_a_range_is_told_in_many_ways(changes: Any, networks: tuple[str, ...]) -> None:
    found = read({**NETWORK, **changes})
    assert isinstance(found, NetworkRecord)
    assert (found.outcome, found.networks) == (Outcome.REGISTERED, networks)


@pytest.mark.parametrize(
    "changes",
    [
        {"startAddress": "198.51.100.0", "endAddress": "198.51.100.255"},
        {"startAddress": "203.0.113.10"},
        {"startAddress": "2001:db8::", "endAddress": "2001:db8::ffff"},
        {"startAddress": "203.0.113.255", "endAddress": "203.0.113.0", "handle": "x"},
        {"startAddress": None, "handle": None},
        {"startAddress": 7, "endAddress": [], "handle": "NET-1"},
    ],
)
def test_a_network_that_does_not_hold_the_address_is_no_answer(changes: Any) -> None:
    found = read({**NETWORK, **changes})
    assert (found.outcome, found.reason) == (Outcome.MALFORMED, "a reply about another network")


def test_a_network_of_the_sixth_version_holds_a_network() -> None:
    six = {**NETWORK, "startAddress": "2001:db8::", "endAddress": "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}
    found = read(
        {**six, "cidr0_cidrs": [{"v6prefix": "2001:db8::", "length": 32}]}, entity(Kind.NETWORK, "2001:db8:1::/48")
    )
    assert isinstance(found, NetworkRecord)
    assert found.networks == ("2001:db8::/32",)


def test_each_registry_names_the_announcing_systems_in_its_own_way() -> None:
    bare = {**NETWORK, "arin_originas0_originautnums": None}
    for changes in ({"nicbr_autnum": 64502}, {"lacnic_originAutnum": ["AS64502"]}, {"nicbr_autnum": "64502"}):
        found = read({**bare, **changes})
        assert isinstance(found, NetworkRecord)
        assert found.origins == (64502,)


def test_the_network_of_all_addresses_holds_nothing() -> None:
    root = {**NETWORK, "startAddress": "0.0.0.0", "endAddress": "255.255.255.255", "cidr0_cidrs": None}
    assert read(root).outcome is Outcome.NOT_FOUND


def test_an_as_is_read() -> None:
    found = read(AUTNUM, entity(Kind.AS, "AS64505"))
    assert isinstance(found, AutnumRecord)
    assert (found.first, found.last, found.name.value) == (64500, 64510, "INVENTED-AS")
    assert found.holder is not None
    assert found.holder.organisation.value == "Invented Hosting"
    assert read(AUTNUM, entity(Kind.AS, "AS64499")).outcome is Outcome.MALFORMED
    bare = {name: value for name, value in AUTNUM.items() if "Autnum" not in name}
    assert read(bare, entity(Kind.AS, "AS64500")).outcome is Outcome.REGISTERED
    assert read({**bare, "handle": "x"}, entity(Kind.AS, "AS64500")).outcome is Outcome.MALFORMED


def test_a_name_server_is_read() -> None:
    found = read(NAME_SERVER, entity(Kind.NAME_SERVER, "ns1.hosting.example"))
    assert isinstance(found, NameServerRecord)
    assert (found.name, found.addresses) == ("ns1.hosting.example", ("2001:db8::53", "203.0.113.53"))
    assert read(NAME_SERVER, entity(Kind.NAME_SERVER, "ns2.hosting.example")).outcome is Outcome.MALFORMED


def test_a_contact_is_read_by_its_handle() -> None:
    for asked in ("ORG-IH1-EXREG", "org-ih1-exreg@registry.example"):
        found = read(PERSON, entity(Kind.HANDLE, asked))
        assert isinstance(found, EntityRecord)
        assert found.contact is not None
        assert found.contact.organisation.value == "Invented Hosting"
        assert (found.iana_id.value, found.networks, found.systems) == ("9999", ("203.0.113.0/25",), (64500,))
    other = read(PERSON, entity(Kind.HANDLE, "OTHER-EXREG"))
    assert (other.outcome, other.reason) == (Outcome.MALFORMED, "a reply about another handle")


def test_a_withheld_holder_is_withheld() -> None:
    redacted = [{"name": {"type": "Registrant Name"}, "method": "emptyValue"}]
    person = {"roles": ["registrant"], "vcardArray": ["vcard", [["fn", {}, "text", ""]]]}
    found = read({**NETWORK, "entities": [person], "redacted": redacted}).holder
    assert found is not None
    assert found.name.state is FieldState.REDACTED


@pytest.mark.parametrize(
    ("value", "status", "outcome"),
    [
        ({"errorCode": 404, "title": "Not Found"}, 404, Outcome.NOT_FOUND),
        (b"", 404, Outcome.NOT_FOUND),
        (b"<html>404</html>", 404, Outcome.MALFORMED),
        (b"<html>You have exceeded the query limit</html>", 403, Outcome.THROTTLED),
        (b"", 429, Outcome.THROTTLED),
        (b"", 500, Outcome.MALFORMED),
        (b"{", 200, Outcome.MALFORMED),
        ({"objectClassName": "domain", "ldhName": "a.example"}, 200, Outcome.MALFORMED),
        ({"objectClassName": "ip network", "notices": {"title": "Query rate limit exceeded"}}, 200, Outcome.THROTTLED),
        (b" " * (1 << 21), 200, Outcome.MALFORMED),
    ],
)  # fmt: skip
def test_status_and_body_together_make_the_outcome(value: Any, status: int, outcome: Outcome) -> None:
    assert read(value, status=status).outcome is outcome


def test_a_kind_that_rdap_does_not_know_is_refused() -> None:
    with pytest.raises(ReadError):
        read(NETWORK, entity(Kind.URL, "https://a.example/"))


SUBJECTS = {
    Kind.IP: (ADDRESS, NETWORK),
    Kind.AS: (entity(Kind.AS, "AS64500"), AUTNUM),
    Kind.NAME_SERVER: (entity(Kind.NAME_SERVER, "ns1.hosting.example"), NAME_SERVER),
    Kind.HANDLE: (entity(Kind.HANDLE, "ORG-IH1-EXREG"), PERSON),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["203.0.113.0", "::", "a - b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SUBJECTS)), st.data())
def test_any_json_in_a_record_ends_with_an_outcome(kind: Any, data: st.DataObject) -> None:
    subject, whole = SUBJECTS[kind]
    keys = st.sampled_from(sorted({*whole, "redacted", "notices", "arin_originas0_originautnums"}))
    changes = data.draw(st.dictionaries(keys, JSON, max_size=4))
    assert read({**whole, **changes}, subject).outcome in Outcome


@settings(max_examples=80)
@given(st.binary(max_size=300), st.integers(min_value=-1, max_value=700))
def test_any_bytes_end_with_an_outcome(body: bytes, status: int) -> None:
    assert read(body, status=status).outcome in Outcome
