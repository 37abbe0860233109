from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.registration import FieldState
from intel.registration_words import read_words
from tasks.normalize.rdap_entities import read_registrant
from tasks.normalize.rdap_redactions import FIELDS, declared, remarked

WORDS = read_words((Path(__file__).parents[3] / "configs" / "registration.yaml").read_bytes())
ENTITY = "$.entities[?(@.roles[0]=='registrant')]"
CARD = f"{ENTITY}.vcardArray[1]"
EVERY = set(FIELDS)


def record(*redacted: Any) -> dict[str, Any]:
    card = [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", "Ada Invented"],
        ["email", {}, "text", "ada@a.example"],
        ["adr", {"label": "1 Way\nTown\nFrance"}, "text", ["", "", "", "", "", "", ""]],
    ]
    return {
        "entities": [
            {"roles": ["registrar"]},
            {"roles": ["Registrant"], "handle": "ADA1", "vcardArray": ["vcard", card]},
        ],
        "redacted": list(redacted),
    }


@pytest.mark.parametrize("key", ["description", "type"])
@pytest.mark.parametrize(
    ("label", "fields"),
    [
        ("Registrant Name", {"name"}),
        ("registrant  name", {"name"}),
        ("Registrant's Name", {"name"}),
        ("Registrant Contact Full Name", {"name"}),
        ("Registrant Organization", {"organisation"}),
        ("Registrant Organisation Name", {"organisation"}),
        ("Registrant Email", {"email"}),
        ("Registrant E-mail Address", {"email"}),
        ("Registrant Phone", {"phone"}),
        ("Registrant Country", {"country"}),
        ("Registrant State/Province Country", {"country"}),
        ("Registry Registrant ID", {"handle"}),
        ("Registrant Handle", {"handle"}),
        ("Registrant", EVERY),
        ("Registrant Contact", EVERY),
        ("Registrant Phone Ext", set()),
        ("Registrant Fax", set()),
        ("Registrant Street", set()),
        ("Registrant Postal Code", set()),
        ("Registry Domain ID", set()),
        ("Tech Email", set()),
        ("Administrative Contact", set()),
        ("", set()),
    ],
)
def test_a_name_tells_the_field(key: str, label: str, fields: set[str]) -> None:
    assert set(declared(record({"name": {key: label}}), "registrant")) == fields


def test_other_roles_have_declarations_of_their_own() -> None:
    made = record({"name": {"type": "Tech Email"}}, {"name": {"description": "Administrative Contact"}})
    assert set(declared(made, "technical")) == {"email"}
    assert set(declared(made, "administrative")) == EVERY


def test_both_names_and_a_bare_name_count() -> None:
    both = {"name": {"description": "A personal thing", "type": "Registrant Phone"}}
    assert set(declared(record(both), "registrant")) == {"phone"}
    assert set(declared(record({"name": "Registrant Email"}), "registrant")) == {"email"}
    assert set(declared({"redacted": {"name": {"type": "Registrant Email"}}}, "registrant")) == {"email"}


@pytest.mark.parametrize("key", ["prePath", "postPath", "replacementPath"])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"{CARD}[?(@[0]=='fn')][3]", {"name"}),
        (f'{CARD}[?(@[0] == "email")]', {"email"}),
        (f"{CARD}[?(@[0]=='contact-uri')]", {"email"}),
        (f"{CARD}[?(@[0]=='org')][3]", {"organisation"}),
        (f"{CARD}[?(@[1].type=='voice')]", set()),
        (f"{CARD}[?(@[0]=='tel' && @[1].type=='fax')]", set()),
        (f"{CARD}[?(@[0]=='tel')]", {"phone"}),
        (f"{CARD}[?(@[0]=='adr')]", {"country"}),
        (f"{CARD}[?(@[0]=='adr')][3][6]", {"country"}),
        (f"{CARD}[?(@[0]=='adr')][3][2]", set()),
        (f"{ENTITY}.handle", {"handle"}),
        (f"{ENTITY}['handle']", {"handle"}),
        (ENTITY, EVERY),
        ("$.entities[?(@.roles contains 'registrant')]", EVERY),
        (f"{ENTITY}.vcardArray", EVERY - {"handle"}),
        (CARD, EVERY - {"handle"}),
        ("$.entities[1].handle", {"handle"}),
        ("$.entities[1]", EVERY),
        ("$.entities[0]", set()),
        ("$.entities[9].handle", set()),
        (f"{ENTITY}.jscard.emails", {"email"}),
        (f"{ENTITY}.jscard['name']", {"name"}),
        ("$.entities[?(@.roles[0]=='technical')].handle", set()),
        ("$.handle", set()),
        ("not a path at all", set()),
    ],
)
def test_a_path_tells_the_field(key: str, path: str, fields: set[str]) -> None:
    assert set(declared(record({"name": {"type": "x"}, key: path}), "registrant")) == fields


def test_a_number_in_a_path_holds_in_the_answer_as_it_came() -> None:
    path = "$.entities[1].vcardArray[1][2][3]"
    assert set(declared(record({"postPath": path}), "registrant")) == {"email"}
    assert set(declared(record({"prePath": path}), "registrant")) == set()
    assert set(declared(record({"postPath": "$.entities[1].vcardArray[1][99]"}), "registrant")) == set()


def test_a_path_in_another_language_is_not_read() -> None:
    item = {"prePath": f"{CARD}[?(@[0]=='fn')]", "pathLang": "jmespath", "name": {"type": "Registrant Email"}}
    assert set(declared(record(item), "registrant")) == {"email"}


@pytest.mark.parametrize(
    ("method", "state", "text"),
    [
        ("removal", FieldState.VALUE, ""),
        ("emptyValue", FieldState.VALUE, ""),
        ("partialValue", FieldState.REDACTED, "ada@a.example"),
        ("replacementValue", FieldState.REDACTED, "ada@a.example"),
        ("REPLACEMENTVALUE ", FieldState.REDACTED, "ada@a.example"),
        ("unheard of", FieldState.VALUE, ""),
        (None, FieldState.VALUE, ""),
    ],
)
def test_the_method_says_what_a_text_that_stands_there_is(method: Any, state: FieldState, text: str) -> None:
    found = read_registrant(record({"name": {"type": "Registrant Email"}, "method": method}), WORDS).email
    assert (found.state, found.text) == (state, text)


@pytest.mark.parametrize("method", ["removal", "emptyValue", "partialValue", "replacementValue"])
def test_what_is_not_there_is_redacted_by_any_method(method: str) -> None:
    found = read_registrant(record({"name": {"type": "Registrant Phone"}, "method": method}), WORDS).phone
    assert (found.state, found.value, found.where) == (FieldState.REDACTED, None, "/redacted/0")


def test_a_country_in_the_full_address_is_exposed_though_declared_removed() -> None:
    found = read_registrant(record({"name": {"type": "Registrant Country"}, "method": "removal"}), WORDS).country
    assert (found.value, found.where) == ("France", "/entities/1/vcardArray/1/3/1/label")


def test_a_form_in_the_place_of_an_address_is_a_redacted_address() -> None:
    made = record(
        {"name": {"type": "Registrant Email"}, "method": "replacementValue", "prePath": f"{CARD}[?(@[0]=='email')]"}
    )
    made["entities"][1]["vcardArray"][1][2] = ["contact-uri", {}, "uri", "https://registrar.example/form"]
    found = read_registrant(made, WORDS).email
    assert (found.state, found.text) == (FieldState.REDACTED, "https://registrar.example/form")


def test_a_registrant_that_was_removed_whole_is_redacted() -> None:
    found = read_registrant({"redacted": [{"name": {"type": "Registrant"}, "prePath": ENTITY}]}, WORDS)
    assert {getattr(found, name).state for name in FIELDS} == {FieldState.REDACTED}


@pytest.mark.parametrize(
    ("remarks", "fields"),
    [
        ([{"title": "REDACTED FOR PRIVACY", "type": "object redacted due to authorization"}], EVERY),
        ({"title": "REDACTED FOR PRIVACY"}, EVERY),
        ([{"title": "Data policy", "type": "object truncated due to authorization"}], EVERY),
        ([{"title": ["REDACTED", "FOR PRIVACY"]}], EVERY),
        ([{"title": "EMAIL REDACTED FOR PRIVACY"}], {"email"}),
        ([{"title": "Terms"}, "x", 7], set()),
        (None, set()),
    ],
)
def test_remarks_redact_the_old_way(remarks: Any, fields: set[str]) -> None:
    assert set(remarked({"remarks": remarks}, "/entities/0", WORDS)) == fields


ITEM = st.dictionaries(
    st.sampled_from(["name", "prePath", "postPath", "replacementPath", "method", "pathLang"]),
    st.text(max_size=40)
    | st.sampled_from([ENTITY, CARD, "$.entities[1].vcardArray[1][2]", "[" * 200, "entities[" + "[0]" * 80])
    | st.dictionaries(st.sampled_from(["type", "description"]), st.text(max_size=20) | st.none())
    | st.lists(st.integers(), max_size=2),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ITEM | st.none(), max_size=4), st.sampled_from(["registrant", "technical", ""]))
def test_any_declaration_is_read_or_left(redacted: Any, role: str) -> None:
    assert set(declared(record(*redacted), role)) <= EVERY
