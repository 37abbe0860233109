# ruff: noqa: RUF001  # letters that look like others are what is tested
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import intel.match.glyphs
from intel.match.glyphs import collapsed, folded, plain, printable, shown, stands_for


@pytest.mark.parametrize(
    ("label", "text", "ascii_text"),
    [
        ("example", "example", "example"),
        ("xn--mnchen-3ya", "münchen", "munchen"),
        ("xn--exmple-cua", "exämple", "example"),
        ("xn--80ak6aa92e", "аррӏе", "appie"),
        ("xn--e1awd7f", "пйки", None),
        ("xn--", "xn--", "xn--"),
        ("xn--\u00e9", "xn--\u00e9", None),
        ("xn--example-", "xn--example-", "xn--example-"),
        ("xn--99999999999", "xn--99999999999", "xn--99999999999"),
    ],
)
def test_labels_are_shown_and_made_plain(label: str, text: str, ascii_text: str | None) -> None:
    if ascii_text is not None:
        assert shown(label) == text
        assert plain(shown(label)) == ascii_text
    else:
        assert shown(label)


@pytest.mark.parametrize(
    ("mark", "target"),
    [
        *(("é", "e"), ("ñ", "n"), ("đ", "d"), ("ł", "l"), ("ø", "o"), ("ɢ", "g"), ("ı", "i"), ("æ", "ae"), ("œ", "oe")),
        *(("а", "a"), ("с", "c"), ("к", "k"), ("т", "t"), ("ь", "b"), ("ω", "w"), ("\u0301", ""), ("日", "日")),
    ],
)
def test_a_character_stands_for_what_it_looks_like(mark: str, target: str) -> None:
    assert stands_for(mark) == target


def test_the_table_names_letters_outside_ascii_once() -> None:
    lines = Path(intel.match.glyphs.__file__).with_name("confusables.txt").read_text("ascii").splitlines()
    rows = [row for line in lines if (row := line.partition("#")[0].split())]
    points = [point for _, *found in rows for point in found]
    assert len(points) == len(set(points)) > 300
    assert all(int(point, 16) > 0x7F for point in points)
    assert all(target.isalnum() and target == target.lower() and len(target) <= 2 for target, *_ in rows)


def test_what_looks_alike_folds_to_the_same() -> None:
    assert folded("paypa1") == folded("paypal") == folded("paypai")
    assert folded("g00gle") == folded("google")
    assert folded(collapsed("rnicrosoft")) == folded("microsoft")
    assert folded(collapsed("vvalmart")) == folded("walmart")
    assert folded("example") != folded("exampke")
    assert collapsed("plain") is not None
    unchanged = "without"
    assert collapsed(unchanged) is unchanged


def test_what_cannot_be_printed_is_replaced() -> None:
    assert printable("a\x00b\u202ec") == "a\ufffdb\ufffdc"
    assert printable("plain") == "plain"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=70), st.booleans())
def test_no_label_breaks_it(text: str, encoded: bool) -> None:
    label = ("xn--" + text) if encoded else text
    read = shown(label)
    assert read == label or read.isprintable()
    assert folded(collapsed(plain(read))) is not None
    read.encode("utf-8", "strict" if read != label else "replace")
