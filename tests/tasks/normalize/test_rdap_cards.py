from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.normalize.rdap_cards import Card

FN = ["fn", {}, "text", "Ada Invented"]
VERSION = ["version", {}, "text", "4.0"]


def jcard(*properties: Any) -> Card:
    return Card({"vcardArray": ["vcard", list(properties)]}, "/entities/0")


@pytest.mark.parametrize(
    ("card", "where"),
    [
        (["vcard", [VERSION, FN]], "/1/1/3"),
        (["vCard", [VERSION, FN]], "/1/1/3"),
        ([VERSION, FN], "/1/3"),
        (["vcard", VERSION, FN], "/2/3"),
        ([["vcard", [VERSION, FN]]], "/0/1/1/3"),
        (["vcard", [[VERSION, FN]]], "/1/0/1/3"),
        (["vcard", {"fn": "Ada Invented"}], "/1/fn"),
        ({"fn": "Ada Invented"}, "/fn"),
        (json.dumps(["vcard", [VERSION, FN]]), "/1/1/3"),
        (["vcard", [["FN", None, None, ["Ada", "Invented"]]]], "/1/0/3"),
        (["vcard", [["fn", [], "text", "", "Ada Invented"]]], "/1/0/3"),
        (["vcard", [["fn", {}, "text", ""], FN]], "/1/1/3"),
        (["vcard", [["n", {}, "text", ["Invented", "Ada", "", "", ""]]]], "/1/0/3"),
    ],
)
def test_a_name_is_found_in_any_shape_of_a_card(card: Any, where: str) -> None:
    found = Card({"vcardArray": card}, "/entities/0")
    assert found.name() == ("Ada Invented", f"/entities/0/vcardArray{where}")
    assert not found.broken


@pytest.mark.parametrize(
    ("card", "broken"),
    [
        (None, False),
        ([], False),
        ({}, False),
        ("", False),
        (["vcard"], False),
        (["vcard", []], False),
        (["vcard", None], False),
        (["vcard", False], True),
        (["vcard", [[False, {}, "text", "4.0"]]], True),
        (["vcard", [["version", {}, "text"]]], True),
        ("BEGIN:VCARD", True),
        (7, True),
        (["nothing", "here"], True),
        ([[[[[[[FN]]]]]]], True),
    ],
)
def test_an_empty_card_says_nothing_and_a_broken_one_is_broken(card: Any, broken: bool) -> None:
    found = Card({} if card is None else {"vcardArray": card}, "")
    assert found.broken is broken
    assert found.name() == (None, "")


def test_a_form_stands_for_an_address_where_there_is_none() -> None:
    uri = ["contact-uri", {}, "uri", "https://registrar.example/contact"]
    assert jcard(uri).email()[0] == "https://registrar.example/contact"
    assert jcard(uri, ["email", {}, "text", "ada@a.example"]).email()[0] == "ada@a.example"


def test_a_phone_is_no_fax_and_has_no_extension() -> None:
    card = jcard(
        ["tel", {"type": ["work", "Fax"]}, "uri", "tel:+1.111222333"],
        ["tel", {"type": "voice"}, "uri", "tel:+1.999888777;ext=12"],
    )
    assert card.phone() == ("tel:+1.999888777", "/entities/0/vcardArray/1/1/3")
    assert jcard(["tel", {}, "integer", 49123456789]).phone()[0] == "49123456789"


@pytest.mark.parametrize(
    ("parameters", "parts", "country"),
    [
        ({"cc": "GB"}, ["", "", "", "", "", "", "Elsewhere"], ("GB", "1/cc")),
        ({}, ["", "", ["1 Way", "Floor 2"], "Town", "", "", "Gb"], ("Gb", "3/6")),
        ({"label": "1 Way\nTown\nUnited Kingdom"}, ["", "", "", "", "", "", ""], ("United Kingdom", "1/label")),
        ({"label": "1 Way\\nTown\\nFrance"}, [], ("France", "1/label")),
        ({"label": "1 Way\nTown 12345"}, [], (None, "")),
        ({"label": "Just one line"}, [], (None, "")),
        ({}, "1 Way, Town", (None, "")),
    ],
)
def test_a_country_is_a_code_a_part_or_the_end_of_the_full_address(parameters: Any, parts: Any, country: Any) -> None:
    text, where = jcard(["adr", parameters, "text", parts]).country()
    assert text == country[0]
    assert where.removeprefix("/entities/0/vcardArray/1/0/") == country[1]


def test_an_organisations_units_are_joined() -> None:
    card = jcard(["org", {}, "text", ["Invented Widgets", ["Harbour", "Ships"]]], ["kind", {}, "text", "Org"])
    assert (card.organisation()[0], card.kind) == ("Invented Widgets Harbour Ships", "org")


JSCARD: dict[str, Any] = {
    "@type": "Card",
    "version": "1.0",
    "kind": "individual",
    "name": {"full": "Ada Invented"},
    "organizations": {"org": {"name": "Invented Widgets"}},
    "emails": {"e1": {"address": "ada@a.example"}},
    "phones": {
        "fax": {"features": {"fax": True}, "number": "tel:+44.111"},
        "voice": {"features": {"voice": True}, "number": "tel:+44.2079460123;ext=1"},
    },
    "addresses": {"a1": {"countryCode": "GB"}},
}


def test_a_jscontact_card_is_read() -> None:
    card = Card({"jscard": JSCARD}, "/entities/1")
    assert card.name() == ("Ada Invented", "/entities/1/jscard/name/full")
    assert card.organisation() == ("Invented Widgets", "/entities/1/jscard/organizations/org/name")
    assert card.email() == ("ada@a.example", "/entities/1/jscard/emails/e1/address")
    assert card.phone() == ("tel:+44.2079460123", "/entities/1/jscard/phones/voice/number")
    assert card.country() == ("GB", "/entities/1/jscard/addresses/a1/countryCode")
    assert (card.kind, card.broken) == ("individual", False)


@pytest.mark.parametrize(
    ("changes", "way", "text"),
    [
        ({"name": {"components": [{"kind": "given", "value": "Ada"}, {"value": "I"}]}}, "name", "Ada I"),
        ({"name": "Ada"}, "name", "Ada"),
        ({"name": None, "fullName": "Ada"}, "name", "Ada"),
        ({"emails": [{"email": "b@a.example"}]}, "email", "b@a.example"),
        ({"organizations": [{"name": "W"}]}, "organisation", "W"),
        ({"addresses": {"a": {"components": [{"kind": "country", "value": "France"}]}}}, "country", "France"),
    ],
)  # fmt: skip
def test_the_drafts_of_jscontact_are_read_too(changes: Any, way: str, text: str) -> None:
    assert getattr(Card({"jscard": {**JSCARD, **changes}}, ""), way)()[0] == text


def test_the_jcard_speaks_first_and_jscontact_where_it_is_silent() -> None:
    card = Card({"jscard": JSCARD, "vcardArray": ["vcard", [["fn", {}, "text", "Other"]]]}, "")
    assert card.name()[0] == "Other"
    assert card.email()[0] == "ada@a.example"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["fn", "adr", "tel", "vcard"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["cc", "label", "fn", "x"]), inner),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON, JSON)
def test_any_card_says_something_or_nothing(card: Any, other: Any) -> None:
    names = ("name", "organizations", "emails", "phones", "addresses")
    made = Card({"vcardArray": card, "jscard": dict.fromkeys(names, other)}, "")
    for way in (made.name, made.organisation, made.email, made.phone, made.country):
        text, where = way()
        assert bool(text) == bool(where)
