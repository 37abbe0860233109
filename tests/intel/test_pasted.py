from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.pasted import indicators_in

MAIL = """\
# what came in on Monday
evil.example
Hello Ada, see hxxps://login[.]evil[.]example/x?a=1, and 203.0.113.7. Also (198.51.100.9), version 1.2.3 of report.pdf,
e.g. this, i.e. that. The invoice.zip and run.sh came from www.bad.example:443 and 203.0.113.9:8443.
To: ada@example.com, victim@example.org
file: see below
44d88612fea8a8f36de82e1278abb02f;shop.example;203.0.113.0/24
actor:feed:Heron
[2001:db8::1] 2001:db8::2 end. CVE-2026-12345 too, and [evil2[.]example]
nonsense!
evil.example
"""


def test_a_pasted_text_gives_its_indicators_and_no_words() -> None:
    assert indicators_in(MAIL) == (
        "evil.example",
        "hxxps://login[.]evil[.]example/x?a=1",
        "203.0.113.7",
        "198.51.100.9",
        "www.bad.example:443",
        "203.0.113.9:8443",
        "44d88612fea8a8f36de82e1278abb02f",
        "shop.example",
        "203.0.113.0/24",
        "actor:feed:Heron",
        "2001:db8::1",
        "2001:db8::2",
        "CVE-2026-12345",
        "evil2[.]example",
        "nonsense!",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It was http://evil.example/x.", "http://evil.example/x"),
        ("It came (see hxxp://evil[.]example/x), they say", "hxxp://evil[.]example/x"),
        ("See http://evil.example/a_(b) there", "http://evil.example/a_(b)"),
        ("(evil[.]example)", "evil[.]example"),
        ("[evil.example]", "evil.example"),
        ("(no-name-at-all)", "(no-name-at-all)"),
    ],
)
def test_a_sentence_ends_and_a_bracket_closes_outside_of_an_indicator(text: str, found: str) -> None:
    assert indicators_in(text) == (found,)


def test_nothing_of_a_list_is_lost() -> None:
    listed = "report.pdf\n\n  invoice.zip  \nada@example.com\nnot-a-thing\n"
    assert indicators_in(listed) == ("report.pdf", "invoice.zip", "ada@example.com", "not-a-thing")


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    found = indicators_in(text)
    assert len(found) == len(set(found))
    assert all(one.strip() for one in found)


def test_a_long_text_takes_its_time_and_no_more() -> None:
    began = time.monotonic()
    indicators_in("a[.]" * 200_000 + "\n" + "(" * 100_000 + " x\n" + "evil[.]example " * 2_000)
    assert time.monotonic() - began < 3
