from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ConfigError
from intel.registration import Field, FieldState, Outcome
from intel.registration_words import (
    Phrases,
    email_field,
    first_said,
    folded,
    handle_field,
    name_field,
    phone_field,
    read_words,
    refusal,
    said,
)

CONFIG = Path(__file__).parents[2] / "configs" / "registration.yaml"
WORDS = read_words(CONFIG.read_bytes())


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("Ada Invented", FieldState.VALUE),
        ("  Ada \t Invented ", FieldState.VALUE),
        ("REDACTED FOR PRIVACY", FieldState.REDACTED),
        ("Data Protected, not disclosed", FieldState.REDACTED),
        ("Redacted | EU Data Subject", FieldState.REDACTED),
        ("Domains By Proxy, LLC", FieldState.PROXY),
        ("Privacy service provided by Withheld for Privacy ehf", FieldState.PROXY),
        ("N/A", FieldState.PLACEHOLDER),
        ("-", FieldState.PLACEHOLDER),
        ("(none)", FieldState.PLACEHOLDER),
        ("https://registrar.example/whois", FieldState.PLACEHOLDER),
        ("", FieldState.ABSENT),
        (None, FieldState.ABSENT),
        ("x" * 5000, FieldState.UNPARSED),
    ],
)
def test_names_have_their_state(text: str | None, state: FieldState) -> None:
    assert name_field(text, WORDS, where="", reader="t").state is state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("ada@registrant.example", FieldState.VALUE),
        ("mailto:ada@registrant.example", FieldState.VALUE),
        ("Please query the RDDS service of the Registrar of Record", FieldState.PLACEHOLDER),
        ("http://whois.registrar.example/?page=whoisform&domain=a.example", FieldState.PLACEHOLDER),
        ("someone@gdpr-masked.com", FieldState.PLACEHOLDER),
        ("a1b2@proxy.example", FieldState.PROXY),
        ("a1b2@mail.proxy.example", FieldState.PROXY),
        ("a1b2@notproxy.example", FieldState.VALUE),
        ("Redacted for privacy", FieldState.REDACTED),
        ("ada at registrant", FieldState.PLACEHOLDER),
        ("Ada ada@registrant.example (office)", FieldState.UNPARSED),
    ],
)
def test_emails_have_their_state(text: str | None, state: FieldState) -> None:
    assert email_field(text, WORDS, where="", reader="t").state is state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("tel:+44.2079460123", FieldState.VALUE),
        ("+1.0000000000", FieldState.PLACEHOLDER),
        ("redacted for privacy", FieldState.REDACTED),
    ],
)
def test_phones_have_their_state(text: str, state: FieldState) -> None:
    assert phone_field(text, WORDS, where="", reader="t").state is state


def test_a_field_without_value_keeps_its_text_aside() -> None:
    field = name_field("Domains By Proxy, LLC", WORDS, where="0-21", reader="t")
    assert field.value is None
    assert field.text == "Domains By Proxy, LLC"


def test_a_value_without_the_state_cannot_be_made() -> None:
    with pytest.raises(AssertionError):
        Field(value="x", state=FieldState.REDACTED)


def refused(body: str) -> Outcome | None:
    found = refusal(body, WORDS)
    return found and found[0]


def test_a_refusal_outranks_what_else_the_reply_says() -> None:
    assert refused("%% Too many requests...\n%% No entries found") is Outcome.THROTTLED
    assert refused("-3: IP address blocked") is Outcome.BLOCKED


def test_vague_words_in_terms_of_use_are_no_refusal() -> None:
    terms = "Domain not found.\n" + "By asking you agree that too many queries may be limited. " * 20
    assert refusal(terms, WORDS) is None
    assert refused("Too many queries") is Outcome.THROTTLED


def test_the_asked_name_counts_in_a_phrase() -> None:
    assert said("u.example is free", WORDS.not_found, domain="u.example")
    assert not said("other.example is free", WORDS.not_found, domain="u.example")
    assert not said("everything is free", WORDS.not_found)


def test_a_short_line_may_end_with_what_is_meant() -> None:
    assert said("The name one.two.example is not registered.\n", WORDS.not_found)
    assert not said("x" * 100 + " is not registered at", Phrases(ends=("is not registered",)))
    assert not said("x" * 100 + " is not registered", Phrases(ends=("is not registered",)))


def test_what_stands_first_is_found_first() -> None:
    phrases = Phrases(phrases=("later", "sooner"), lines=("first",), ends=("at last",))
    assert first_said("  % First \nsooner and later", phrases) == (0, "first")
    assert first_said("then\nsooner and later", phrases) == (5, "sooner")
    assert first_said("one\n\ntwo  at last", phrases) == (4, "at last")
    assert first_said("nothing", phrases) is None


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("C12345-EXAMPLE", FieldState.VALUE),
        ("7", FieldState.VALUE),
        ("000-000", FieldState.PLACEHOLDER),
        ("N/A", FieldState.PLACEHOLDER),
        ("REDACTED FOR PRIVACY", FieldState.REDACTED),
        ("", FieldState.ABSENT),
    ],
)
def test_handles_have_their_state(text: str, state: FieldState) -> None:
    assert handle_field(text, WORDS, where="", reader="t").state is state


def test_the_shipped_words_are_folded_and_stand_once() -> None:
    document = msgspec.yaml.decode(CONFIG.read_bytes())
    document.pop("queries")
    lists = [one for one in document.values() if isinstance(one, list)]
    lists += [one for group in document.values() if isinstance(group, dict) for one in group.values()]
    for words in lists:
        assert len(words) == len(set(words))
        assert all(word == folded(word) for word in words)


@pytest.mark.parametrize("data", [b"redacted: 3", b"unknown_key: []", b": :", b"\xff"])
def test_wrong_words_are_a_config_error(data: bytes) -> None:
    with pytest.raises(ConfigError):
        read_words(data)


def test_a_query_form_without_the_domain_is_a_config_error() -> None:
    document = msgspec.yaml.decode(CONFIG.read_bytes())
    document["queries"]["whois.example"] = "domain"
    with pytest.raises(ConfigError, match="query form"):
        read_words(msgspec.yaml.encode(document))


@settings(max_examples=150)
@given(st.text(max_size=2000))
def test_any_text_becomes_a_field(text: str) -> None:
    for make in (name_field, email_field, phone_field, handle_field):
        field = make(text, WORDS, where="", reader="t")
        assert (field.value is not None) == (field.state is FieldState.VALUE)
