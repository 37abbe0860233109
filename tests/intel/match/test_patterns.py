from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ReadError
from intel.match.hits import PATTERNS, By
from intel.match.patterns import pattern

ISSUER = "0f" * 32


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (By.LOOKALIKE, " Example.COM. ", "example.com"),
        (By.LOOKALIKE, "example.co.uk", "example.co.uk"),
        (By.LOOKALIKE, "münchen.example", "xn--mnchen-3ya.example"),
        (By.LOOKALIKE, "qz.example", "qz.example"),
        (By.LOOKALIKE, "ACME", "acme"),
        (By.LOOKALIKE, "München", "xn--mnchen-3ya"),
        (By.LOOKALIKE, "sample-bank", "sample-bank"),
        (By.LOOKALIKE, "github.io", "github.io"),
        (By.KEYWORD, " SampleCo ", "sampleco"),
        (By.KEYWORD, "-login.", "-login."),
        (By.KEYWORD, "münchen", "münchen"),
        (By.KEYWORD, "mu\u0308nchen", "münchen"),
        (By.ISSUER, "*O=Sample Trust**", "*o=sample trust*"),
        (By.SUBJECT, "CN=*.host.example,O=??", "cn=*.host.example,o=??"),
        (By.SERIAL, f"{ISSUER.upper()}/00:AB:CD", f"{ISSUER}/abcd"),
        (By.SERIAL, f"{ISSUER}/0", f"{ISSUER}/00"),
        (By.SERIAL, f"{ISSUER}/-1", f"{ISSUER}/-01"),
        (By.SERIAL, f"{ISSUER}/123", f"{ISSUER}/0123"),
    ],
)
def test_a_pattern_has_one_form(kind: By, text: str, value: str) -> None:
    assert pattern(kind, text) == value
    assert pattern(kind, value) == value


@pytest.mark.parametrize(
    ("kind", "text", "cause"),
    [
        (By.LOOKALIKE, "www.example.com", "stands below example.com"),
        (By.LOOKALIKE, "ab", "fewer than 3 letters"),
        (By.LOOKALIKE, "co.uk", "public suffix"),
        (By.LOOKALIKE, "com.br", "public suffix"),
        (By.LOOKALIKE, "exa mple", "neither a domain nor a label"),
        (By.LOOKALIKE, "*.example.com", "couldn't read a name"),
        (By.LOOKALIKE, "", "neither a domain nor a label"),
        (By.KEYWORD, "ab", "fewer than 3 letters"),
        (By.KEYWORD, "a-.-b", "fewer than 3 letters"),
        (By.KEYWORD, "www", "large part of all names"),
        (By.KEYWORD, ".com", "large part of all names"),
        (By.KEYWORD, "sample co", "characters that no name has"),
        (By.KEYWORD, "x" * 64, "more than 63"),
        (By.ISSUER, "*", "4 letters in a row"),
        (By.ISSUER, "*C=US*", "4 letters in a row"),
        (By.ISSUER, "*cn=abc*o=def*", "4 letters in a row"),
        (By.SUBJECT, "*.com", "4 letters in a row"),
        (By.SUBJECT, "sam?ple\x00", "control characters"),
        (By.SUBJECT, "sample" * 50, "more than 256"),
        (By.SERIAL, "abcd", "not the SHA-256"),
        (By.SERIAL, f"{ISSUER}/xyz", "not the SHA-256"),
        (By.NAME, "example.com", "none of the kind name"),
    ],
)
def test_what_is_none_or_too_broad_is_refused(kind: By, text: str, cause: str) -> None:
    with pytest.raises(ReadError, match="couldn't read a ") as refused:
        pattern(kind, text)
    assert cause in str(refused.value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(PATTERNS)), st.text(max_size=80))
def test_a_pattern_is_refused_or_keeps_its_form(kind: By, text: str) -> None:
    try:
        value = pattern(kind, text)
    except ReadError:
        return
    assert pattern(kind, value) == value
    assert value.isprintable()
