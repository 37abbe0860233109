from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import OversizedError
from intel.registration import FieldState, Outcome
from intel.registration_words import read_words
from lab.bench._whois_corpus import DATES, cases
from lab.bench.whois import Ours, Tally, count, false_available
from lab.registration import DAY_ONE, NOT_FOUND_FORMS, THROTTLED_FORM, Record, whois_text
from tasks.normalize.whois import LARGEST_REPLY, LIBRARY, LINES, read_whois
from tasks.normalize.whois_worker import LibraryReading, WhoisWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intel.registration import Registration

ROOT = Path(__file__).parents[3]
WORDS = read_words((ROOT / "configs" / "registration.yaml").read_bytes())


@pytest.fixture(scope="module")
def worker() -> Iterator[WhoisWorker]:
    with WhoisWorker() as made:
        yield made


def read(text: str | bytes, *, domain: str = "lapse.example", library: Any = None) -> Registration:
    body = text if isinstance(text, bytes) else text.encode()
    return read_whois(body, WORDS, domain=domain, library=library)


@pytest.mark.parametrize("with_library", [True, False])
def test_a_generic_reply_is_read_by_either_reader(worker: WhoisWorker, with_library: bool) -> None:
    text = whois_text("lapse.example", Record(), "registrar", "")
    found = read(text, library=worker.read if with_library else None)
    reader = LIBRARY if with_library else LINES
    assert found.outcome is Outcome.REGISTERED
    assert (found.created.at, found.created.precision, found.created.reader) == (DAY_ONE, "second", reader)
    assert found.expires.reader in (LIBRARY, LINES)
    assert (found.registrar.value, found.registrar.reader) == ("Example Registrar Ltd", reader)
    assert found.registrant.name.value == "Ada Invented"
    # The library binds no e-mail to the registrant here: our own reader fills what it is silent on.
    assert (found.registrant.email.value, found.registrant.email.reader) == ("ada@registrant.example", LINES)
    start, _, end = found.registrant.email.where.partition("-")
    assert text[int(start) : int(end)] == "ada@registrant.example"
    assert found.name_servers == ("ns1.hosting.example", "ns2.hosting.example")
    assert found.name_servers_reader == reader
    assert found.statuses == ("client transfer prohibited",)
    assert found.dnssec is False


@pytest.mark.parametrize(
    ("privacy", "state"),
    [
        ("exposed", FieldState.VALUE),
        ("placeholder", FieldState.REDACTED),
        ("declared", FieldState.REDACTED),
        ("proxy", FieldState.PROXY),
    ],
)
def test_privacy_is_a_state(worker: WhoisWorker, privacy: Any, state: FieldState) -> None:
    found = read(whois_text("lapse.example", Record(privacy=privacy), "registrar", ""), library=worker.read)
    assert found.registrant.name.state is state


@pytest.mark.parametrize("form", NOT_FOUND_FORMS)
def test_every_form_of_not_found_is_recognised(form: str) -> None:
    text = form.format(domain="nobody.example", upper="NOBODY.EXAMPLE")
    assert read(text, domain="nobody.example").outcome is Outcome.NOT_FOUND


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (THROTTLED_FORM, Outcome.THROTTLED),
        ("WHOIS LIMIT EXCEEDED - SEE WWW.REGISTRY.EXAMPLE FOR DETAILS\n", Outcome.THROTTLED),
        ("Error for a.example. The WHOIS query quota for 192.0.2.1 has been exceeded", Outcome.THROTTLED),
        ("-3: IP address blocked", Outcome.BLOCKED),
        ("Access denied. No match for a.example", Outcome.BLOCKED),
        ("Reserved by Registry", Outcome.UNSUPPORTED),
        ("", Outcome.MALFORMED),
        (" \r\n", Outcome.MALFORMED),
        ("lorem ipsum", Outcome.MALFORMED),
        (b"\xff\x00\xfe", Outcome.MALFORMED),
    ],
)
def test_the_outcome_is_in_the_words(text: str | bytes, outcome: Outcome) -> None:
    assert read(text).outcome is outcome


def test_the_library_is_not_believed_about_absence() -> None:
    def absent(domain: str, text: str) -> LibraryReading:
        return LibraryReading(status="not_found")

    assert read(whois_text("lapse.example", Record(), "registry", ""), library=absent).outcome is Outcome.REGISTERED
    assert read("lorem ipsum", library=absent).outcome is Outcome.MALFORMED


def test_the_library_may_know_a_format_that_we_do_not() -> None:
    fields = {
        "creation_date": (("t", "2020-01-02T00:00:00"),),
        "name_servers": (("s", "ns1.a.example\nns2.a.example"),),
    }
    found = read("unheard of", library=lambda *_: LibraryReading(status="ok", fields=fields))
    assert found.outcome is Outcome.REGISTERED
    assert (found.created.at, found.created.precision) == (datetime(2020, 1, 2, tzinfo=UTC), "day")
    assert found.name_servers == ("ns1.a.example", "ns2.a.example")


def test_a_value_that_is_the_next_lines_key_is_not_taken() -> None:
    fields = {"registrant_name": (("s", "Registrant Street: 1 Invented Road"),)}
    text = "Domain Name: a.example\nCreation Date: 2020-01-02\nRegistrant Name:\nRegistrant Street: 1 Invented Road\n"
    found = read(text, library=lambda *_: LibraryReading(status="ok", fields=fields))
    assert found.registrant.name.state is FieldState.ABSENT


def test_a_day_that_may_be_a_month_is_not_guessed_by_the_library_either(worker: WhoisWorker) -> None:
    found = read("Domain Name: a.example\nCreation Date: 04/06/2003\nName Server: ns1.a.example\n", library=worker.read)
    assert (found.created.state, found.created.text) == (FieldState.UNPARSED, "04/06/2003")


def test_a_handle_is_not_a_name(worker: WhoisWorker) -> None:
    text = "domain: a.example\nregistrant: AIW1234567-REG\nnserver: ns1.a.example\n"
    assert read(text, library=worker.read).registrant.name.state is FieldState.ABSENT


def test_blocks_and_brackets_are_read() -> None:
    block = (
        "Domain name:\n    a.example\n\nRegistrant:\n    Name: Ada Invented\n    Email: ada@registrant.example\n\n"
        "Registrar:\n    Example Registrar\n\nName servers:\n    ns1.a.example 192.0.2.1\n    ns2.a.example\n\n"
        "[Created on]       2020/01/02\nexpires........: 25.12.2030\n"
    )
    found = read(block, domain="a.example")
    assert found.registrar.value == "Example Registrar"
    assert found.registrant.name.value == "Ada Invented"
    assert found.registrant.email.value == "ada@registrant.example"
    assert found.name_servers == ("ns1.a.example", "ns2.a.example")
    assert found.created.at == datetime(2020, 1, 2, tzinfo=UTC)
    assert found.expires.at == datetime(2030, 12, 25, tzinfo=UTC)


def test_terms_of_use_do_not_undo_a_record() -> None:
    text = (
        whois_text("lapse.example", Record(), "registry", "") + "Excess: too many requests and access denied follow.\n"
    )
    assert read(text).outcome is Outcome.REGISTERED


def test_a_reply_cut_before_it_said_anything_is_a_timeout() -> None:
    assert read_whois(b"% Registry of examp", WORDS, domain="a.example", cut="time").outcome is Outcome.TIMEOUT
    assert read_whois(b"", WORDS, domain="a.example", cut="time").outcome is Outcome.TIMEOUT
    assert read_whois(b"NOT FOUND\n", WORDS, domain="a.example", cut="time").outcome is Outcome.NOT_FOUND


def test_an_oversized_reply_is_refused() -> None:
    with pytest.raises(OversizedError):
        read(b"a" * (LARGEST_REPLY + 1))


@settings(max_examples=150, deadline=2000)
@given(
    st.binary(max_size=2000)
    | st.lists(st.sampled_from(["Registrant:", "  Name: x", "[Created on]", "Name Server: ", "\t", ":", "Expires: 1"]))
    .map("\n".join)
    .map(str.encode)
)
def test_any_bytes_end_with_an_outcome(body: bytes) -> None:
    assert read(body).outcome in Outcome


@pytest.mark.parametrize("unit", [b"a", b" ", b":", b"[", b"Name Server: a\n", b"\n ", b"a.", b"Registrant:\n a\n"])
def test_long_repetition_stays_in_time(unit: bytes) -> None:
    started = time.monotonic()
    read(unit * (250_000 // len(unit)))
    assert time.monotonic() - started < 2


@pytest.mark.data
@pytest.mark.slow
def test_real_replies_are_read_as_the_benchmark_has_it(data_dir: Path) -> None:
    with WhoisWorker() as worker:
        ours = Ours(worker)
        tally = Tally()
        for case in cases(data_dir / "registration" / "whois"):
            count(tally, case, ours(case))
    expected: Counter[str] = Counter()
    for (wanted, _), number in tally.outcomes.items():
        expected[wanted] += number
    assert tally.outcomes["throttled", "throttled"] == expected["throttled"] >= 10
    assert tally.outcomes["blocked", "throttled"] + tally.outcomes["blocked", "blocked"] == expected["blocked"] >= 1
    assert not false_available(tally)
    assert not tally.outcomes["available", "registered"]
    assert tally.outcomes["available", "available"] >= 0.97 * expected["available"]
    assert tally.outcomes["registered", "registered"] >= 0.98 * expected["registered"]
    assert tally.share(DATES) >= 0.98
    assert tally.share(("name_servers", "registrar")) >= 0.98
    assert tally.share(("organisation", "name", "email")) >= 0.9
    assert tally.slowest < 0.5
