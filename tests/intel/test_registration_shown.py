from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.facts import State
from intel.registration_shown import in_words, shown
from intel.registration_versions import FIELDS, Said
from tests.intel.registration_made import BOOK, said


def test_people_are_masked() -> None:
    assert shown("registrant email", "ada@registrant.example", personal=True, reveal=False) == "a***@registrant.example"
    assert shown("SOA contact", "ada@registrant.example", personal=False, reveal=False) == "a***@registrant.example"
    assert shown("registrant name", "Ada Invented", personal=False, reveal=False) == "A***"
    assert shown("registrar", "iana:1", personal=False, reveal=False) == "iana:1"
    assert shown("registrar", "Ada Invented", personal=True, reveal=False) == "A***"
    assert shown("registrant name", "Ada Invented", personal=True, reveal=True) == "Ada Invented"


@pytest.mark.parametrize(
    ("field", "told", "words"),
    [
        ("registrar", said("iana:146"), "GoDaddy.com, LLC (IANA 146)"),
        ("created", said("2026-03-02"), "2026-03-02"),
        ("created", said("2026-03-02T09:00:00Z"), "2026-03-02 09:00 UTC"),
        ("created", said("before 2001"), "before 2001"),
        ("name servers", said("ns1.a.example", "ns2.a.example"), "ns1.a.example, ns2.a.example"),
        ("registrant name", Said(state=State.PROXY, text="Some Proxy"), "a privacy proxy (Some Proxy)"),
        ("registrant name", Said(state=State.UNPARSED, text="Ada Invented"), "something unreadable"),
        ("registrant name", Said(), "nothing"),
        ("status", said("bold \x1b[1m"), "bold  [1m"),
    ],
)
def test_a_field_in_words(field: str, told: Said, words: str) -> None:
    assert in_words(field, told, BOOK) == words


@settings(max_examples=80)
@given(st.sampled_from(FIELDS), st.sampled_from(list(State)), st.text(max_size=200))
def test_any_text_is_one_printable_line(field: str, state: State, text: str) -> None:
    told = said(text) if state is State.VALUE else Said(state=state, text=text)
    assert in_words(field, told, BOOK).isprintable()
