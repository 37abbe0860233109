from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.registration import FieldState, Outcome
from intel.registration_words import read_words
from tasks.normalize.whois import LIBRARY, LINES, read_whois
from tasks.normalize.whois_blocks import read_statements
from tasks.normalize.whois_clock import database_time
from tasks.normalize.whois_forms import decoded
from tasks.normalize.whois_hosts import hosts_in
from tasks.normalize.whois_lines import read_rows
from tasks.normalize.whois_worker import LibraryReading

WORDS = read_words((Path(__file__).parents[3] / "configs" / "registration.yaml").read_bytes())
RECORD = "Domain Name: lapse.example\nCreation Date: 2020-01-02T00:00:00Z\nName Server: ns1.a.example\n"


@pytest.mark.parametrize(
    ("text", "charset", "domain"),
    [
        ("[Registrant] 発明 エイダ\n", "utf-8", "lapse.jp"),
        ("[Registrant] 発明 エイダ\n", "iso2022_jp", "lapse.jp"),
        ("[Registrant] 発明 エイダ\n", "euc_jp", "lapse.jp"),
        ("[Registrant] 発明 エイダ\n", "cp932", "lapse.jp"),
        ("Registrant: Ада Изобретённая, улица\n", "koi8_r", "lapse.ru"),
        ("Registrant: 发明 艾达\n", "gb18030", "lapse.cn"),
        ("Registrant: 發明 艾達\n", "big5", "lapse.tw"),
        ("Registrant: 에이다 인벤트\n", "cp949", "lapse.kr"),
        ("Registrant: Ada Erfände\n", "latin-1", "lapse.example"),
        ("charset=windows-1251\nRegistrant: Ада\n", "cp1251", "lapse.example"),
    ],
)
def test_a_reply_is_read_in_the_letters_that_it_was_written_in(text: str, charset: str, domain: str) -> None:
    assert decoded(text.encode(charset), domain=domain) == text


def test_a_letter_cut_in_two_spoils_no_other() -> None:
    body = "Registrant: Ада Изобретённая\n".encode()
    assert decoded(body[:-2], domain="lapse.ru").startswith("Registrant: Ада Изобретённа")


@settings(max_examples=200)
@given(st.binary(max_size=400), st.sampled_from(["lapse.jp", "lapse.ru", "lapse.cn", "lapse.example", ""]))
def test_any_bytes_become_text(body: bytes, domain: str) -> None:
    assert isinstance(decoded(body, domain=domain, server="whois.example:43"), str)


@pytest.mark.parametrize(
    "text",
    [
        ">>> Last update of WHOIS database: 2026-03-04T05:06:07Z <<<",
        ">>> Last update of whois database: Wed Mar 4 05:06:07 UTC 2026 <<<",
        ">>> Last update of whois database: Wed, 04 Mar 2026 05:06:07 UTC <<<",
        "Last update of WHOIS database: 2026-03-04 05:06:07Z",
        "% Whois data last updated on: 2026-03-04T05:06:07+00:00",
        "Last updated on 2026-03-04T05:06:07Z",
        "Database last updated on 4-Mar-2026 05:06:07 UTC.",
    ],
)
def test_the_database_time_is_read(text: str) -> None:
    found = read_whois((RECORD + "\n" + text + "\n").encode(), WORDS, domain="lapse.example")
    assert found.as_of == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert found.updated.at is None


def test_an_answer_of_no_such_name_has_its_database_time_too() -> None:
    text = 'No match for "LAPSE.EXAMPLE".\n>>> Last update of WHOIS database: 2026-03-04T05:06:07Z <<<\n'
    found = read_whois(text.encode(), WORDS, domain="lapse.example")
    assert (found.outcome, found.as_of) == (Outcome.NOT_FOUND, datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["", ">>> Last update of WHOIS database: soon <<<", ">>> Last update of WHOIS database: 2026-03-04 <<<"]
)
def test_a_database_time_that_is_no_time_is_none(text: str) -> None:
    assert database_time(text) is None


@pytest.mark.parametrize(
    ("line", "value", "state"),
    [
        ("Registry Registrant ID: C12345-EXAMPLE", "C12345-EXAMPLE", FieldState.VALUE),
        ("Registrant ID: mmr-2383", "mmr-2383", FieldState.VALUE),
        ("Registry Registrant ID: REDACTED FOR PRIVACY", None, FieldState.REDACTED),
        ("Registry Registrant ID: Not Available From Registry", None, FieldState.PLACEHOLDER),
        ("Registry Registrant ID:", None, FieldState.ABSENT),
        ("registrant: AIW1234567-REG", "AIW1234567-REG", FieldState.VALUE),
        ("holder-c: ai7-irnic", "ai7-irnic", FieldState.VALUE),
        ("owner-contact: P-AIX21", "P-AIX21", FieldState.VALUE),
    ],
)
def test_a_contacts_handle_is_read(line: str, value: str | None, state: FieldState) -> None:
    found = read_whois((RECORD + line + "\n").encode(), WORDS, domain="lapse.example")
    assert (found.registrant.handle.value, found.registrant.handle.state) == (value, state)
    assert found.registrant.name.state is FieldState.ABSENT


def test_where_both_read_the_same_it_is_the_librarys_with_our_place() -> None:
    text = RECORD + "Registrar: Example Registrar\n"
    found = read_whois(
        text.encode(),
        WORDS,
        domain="lapse.example",
        library=lambda *_: LibraryReading(status="ok", fields={"registrar": (("s", "Example Registrar"),)}),
    )
    start, _, end = found.registrar.where.partition("-")
    assert (found.registrar.reader, text[int(start) : int(end)]) == (LIBRARY, "Example Registrar")


def test_where_they_differ_ours_stands_for_it_knows_whose_it_is() -> None:
    text = RECORD + "Registrant Name: Ada Invented\nAdmin Name: Bob Invented\n"
    found = read_whois(
        text.encode(),
        WORDS,
        domain="lapse.example",
        library=lambda *_: LibraryReading(
            status="ok",
            fields={
                "registrant_name": (("s", "Bob Invented"),),
                "creation_date": (("t", "2019-12-31T00:00:00"),),
                "name_servers": (("s", "ns9.a.example"),),
            },
        ),
    )
    assert (found.registrant.name.value, found.registrant.name.reader) == ("Ada Invented", LINES)
    assert (found.created.at, found.created.reader) == (datetime(2020, 1, 2, tzinfo=UTC), LINES)
    assert (found.name_servers, found.name_servers_reader) == (("ns1.a.example",), LINES)


def test_a_key_with_nothing_behind_it_is_absent_whatever_the_library_took() -> None:
    text = RECORD + "Registrant Organization:\nRegistrant Street: 1 Example Road\nUpdated Date:\n"
    found = read_whois(
        text.encode(),
        WORDS,
        domain="lapse.example",
        library=lambda *_: LibraryReading(
            status="ok",
            fields={
                "registrant_organization": (("s", "1 Example Road"),),
                "updated_date": (("t", "2019-12-31T00:00:00"),),
            },
        ),
    )
    organisation = found.registrant.organisation
    assert (organisation.state, organisation.reader, bool(organisation.where)) == (FieldState.ABSENT, LINES, True)
    assert found.updated.at is None


def test_what_only_the_library_reads_is_its_own() -> None:
    found = read_whois(
        RECORD.encode(),
        WORDS,
        domain="lapse.example",
        library=lambda *_: LibraryReading(
            status="ok",
            fields={"registrant_name": (("s", "Ada Invented"),), "expiration_date": (("t", "2030-01-02T03:04:05"),)},
        ),
    )
    assert (found.registrant.name.value, found.registrant.name.reader) == ("Ada Invented", LIBRARY)
    assert (found.expires.at, found.expires.precision) == (datetime(2030, 1, 2, tzinfo=UTC), "day")


def test_the_library_makes_no_day_of_before() -> None:
    found = read_whois(
        (RECORD + "Expiry Date: before Aug-1996\n").encode(),
        WORDS,
        domain="lapse.example",
        library=lambda *_: LibraryReading(status="ok", fields={"expiration_date": (("t", "1996-08-01T00:00:00"),)}),
    )
    assert (found.expires.state, found.expires.text) == (FieldState.UNPARSED, "before Aug-1996")


def test_a_servers_order_of_day_and_month_is_known_shown_or_announced() -> None:
    def created(body: str, domain: str = "lapse.example", server: str = "") -> datetime | None:
        text = f"Domain Name: {domain}\nName Server: ns1.a.example\n{body}\n"
        return read_whois(text.encode(), WORDS, domain=domain, server=server).created.at

    assert created("Created: 03/04/2015") is None
    assert created("Created: 03/04/2015", domain="lapse.hk") == datetime(2015, 4, 3, tzinfo=UTC)
    assert created("Created: 03/04/2015", server="whois.nic.im") == datetime(2015, 4, 3, tzinfo=UTC)
    assert created("Created: 03/04/2015", domain="lapse.tk") == datetime(2015, 3, 4, tzinfo=UTC)
    assert created("Created: 03/04/2015\nExpires: 25/04/2025") == datetime(2015, 4, 3, tzinfo=UTC)
    assert created("Creation Date (dd/mm/yyyy): 03/04/2015") == datetime(2015, 4, 3, tzinfo=UTC)


def test_a_word_alone_on_a_line_of_prose_begins_no_section() -> None:
    text = (
        RECORD + "\nFor more, ask the\nregistrar\nor the\nRegistrant.\nNobody is liable for this\nowner\nof a name.\n"
    )
    found = read_whois(text.encode(), WORDS, domain="lapse.example")
    assert (found.registrar.state, found.registrant.name.state) == (FieldState.ABSENT, FieldState.ABSENT)


def test_half_a_line_at_the_end_of_a_cut_reply_is_not_read() -> None:
    found = read_whois((RECORD + "Name Server: ns2.a.exam").encode(), WORDS, domain="lapse.example", cut="time")
    assert found.name_servers == ("ns1.a.example",)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("NS1.A.EXAMPLE. 192.0.2.1 2001:db8::1", ("ns1.a.example",)),
        ("ns1.a.example, ns2.a.example", ("ns1.a.example", "ns2.a.example")),
        ("lapse.example\tNS\tns1.a.example.", ("ns1.a.example",)),
        ("ns1.a.example [OK]", ("ns1.a.example",)),
        ("ns1.a.example (192.0.2.1)", ("ns1.a.example",)),
        ("192.0.2.1", ()),
        ("none", ()),
    ],
)
def test_hosts_are_found_in_a_line(text: str, hosts: tuple[str, ...]) -> None:
    assert hosts_in(text) == hosts


PIECES = [
    *(
        "Registrant:",
        "Registrant",
        "  Name: x",
        "[Created on] 1",
        "Name Server: a.example",
        "\t",
        ":",
        "Expires: 1/2/03",
    ),
    *(
        "contact: X",
        "nic-hdl: X",
        "holder-c: X",
        "% Registrant:",
        "",
        "   deep",
        "Record created on 1-Jan-99",
        "x AT y.test",
    ),
    *(
        "Organisation:",
        "a [Registrant]",
        "** Registrant:",
        "Contact Type: registrant",
        "descr: y",
        "\uff1a",
        "Domain: a",
    ),
]


@settings(max_examples=150, deadline=2000)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=30), max_size=40).map("\n".join))
def test_any_lines_are_read_and_each_value_is_where_it_says(text: str) -> None:
    for said in read_statements(read_rows(text)):
        start, _, end = said.where.partition("-")
        assert said.value in text[int(start) : int(end)]
    assert read_whois(text.encode(), WORDS, domain="lapse.example").outcome in Outcome


UNITS = [
    *(
        "too many",
        "Last update of database",
        "[a",
        "(a:",
        "x@",
        "ns. ",
        "1/2/",
        "\x1b$B",
        "\uff1a ",
        "a: (",
        "\n ",
        "%\n",
    ),
    *(
        "Owner:\n",
        "contact: a\n",
        "Record created on ",
        "Name Servers:\n",
        "> NS ",
        "holder-c: a\n\nnic-hdl: a\n\n",
        "é",
    ),
]


@pytest.mark.parametrize("unit", UNITS)
def test_no_reply_costs_half_a_second(unit: str) -> None:
    body = (unit * (256 * 1024 // len(unit)))[: 256 * 1024].encode()
    started = time.process_time()
    read_whois(body, WORDS, domain="lapse.example")
    assert time.process_time() - started < 0.5
