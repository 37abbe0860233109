from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from intel.entities import masked
from tasks.assess import wording as say
from tasks.enrich.records import Count, Thing

HOSTILE = st.text(st.characters(codec="utf-8"), max_size=200)


def test_people_are_masked_wherever_they_stand() -> None:
    assert say.show(Thing(kind="email", value="ops@heron-mail.example", personal=True)) == "`o***@heron-mail.example`"
    assert say.show(Thing(kind="registrant", value="Ada Invented", personal=True)) == "`A***`"
    assert say.show(Thing(kind="text", value="Ada Invented", personal=True)) == "`A***`"
    assert say.code("https://ada@host.example/?to=ada@registrant.example") == (
        "`https://a***@host.example/?to=a***@registrant.example`"
    )


@given(st.emails())
def test_no_address_is_shown_whole(address: str) -> None:
    local = address.rpartition("@")[0]
    shown = say.code(f"write to {address} now")
    tail = re.split(r"[\s@<>\"'`/:;,()\[\]|=&?]", local)[-1]
    assert len(tail) < 2 or f"{tail}@" not in shown


@given(HOSTILE)
def test_nothing_from_outside_acts(text: str) -> None:
    cell = say.code(text)
    assert cell.count("`") == 2
    assert "|" not in cell
    assert "\n" not in cell
    assert len(cell) <= say.LONGEST + 2
    assert not re.search(r"(?<!\\)[<\[|*_#]", say.prose(text).replace("\\\\", ""))


@given(HOSTILE)
def test_a_command_is_one_line_of_quoted_words(text: str) -> None:
    line = say.command("lapsewatch", "show", text)
    assert line.count("`") == 2
    assert "\n" not in line


def test_times_and_totals_are_plain() -> None:
    at = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
    assert say.span(at, None) == "since 2026-03-04 09:30"
    assert say.span(at, at) == "2026-03-04 09:30"
    assert say.span(None, None) == "times unknown"
    assert say.span(at.replace(hour=0, minute=0), at) == "2026-03-04 to 2026-03-04 09:30"
    assert say.of(3, Count(about=1, total=3)) == ""
    assert say.of(3, Count(about=1, total=9, capped=True)) == "3 of at least 9 shown, the most recent first."


def test_a_fact_about_people_is_masked_whatever_its_kind() -> None:
    assert masked("text", "Ada Invented") == "Ada Invented"
    assert masked("text", "Ada Invented", personal=True) == "A***"
    assert masked("email", "ada@mail.example", personal=True) == "a***@mail.example"
    assert masked("registrant", "Ada Invented") == "A***"
