from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, insert

from apps.cli import registration
from db.models import OwnershipEnd, SeenDomain
from intel.registration import Field, Outcome
from lab.world import FRIDAY, NEW_DOMAIN, WEDNESDAY
from tests import factories as make
from tests.registrations import DOMAIN, NOBODY, answer, date, day, not_found, record, silence, value

if TYPE_CHECKING:
    from lab.internet import Internet
    from tests.apps.cli.conftest import Lapsewatch


@pytest.fixture
def lapse(lapsewatch: Lapsewatch) -> Lapsewatch:
    """A registrant that was exposed for two days, over RDAP and WHOIS, with all that may stand beside it."""
    engine = lapsewatch.engine
    answer(engine, record(registrant=record().registrant, updated=date(day(0))), "registry", day(0))
    answer(engine, record(), "registrar", day(0))
    answer(engine, record("whois"), "registrar", day(0.1))
    hidden: dict[str, Any] = {"registrant": NOBODY, "updated": date(day(1.5)), "statuses": ("client hold",)}
    answer(engine, record(**hidden), "registrar", day(2))
    answer(engine, record("whois", **hidden), "registrar", day(2.1))
    silence(engine, "rdap", "registrar", Outcome.THROTTLED, day(3))
    beside(engine)
    return lapsewatch


def beside(engine: Engine) -> None:
    with engine.begin() as connection:
        number = make.entity(connection, "domain", DOMAIN)
        feed = make.source(connection, "pdns")
        mail = make.entity(connection, "domain", "mx.hosting.example")
        contact = make.entity(connection, "email", "hostmaster@registrant.example")
        make.fact(connection, number, source_id=feed, predicate="uses-mail-host", object_id=mail, event_time=day(-3))
        make.fact(connection, number, source_id=feed, predicate="has-soa-contact", object_id=contact, personal=True)
        connection.execute(insert(SeenDomain).values(name=DOMAIN, channel="ct", first_seen=day(-2), source_id=feed))
        connection.execute(insert(OwnershipEnd).values(entity_id=number, ended_at=day(9), reason="seized", fact_id=1))


def flat(text: str) -> str:
    return " ".join(text.split())


def test_it_fits_eighty_columns(lapse: Lapsewatch) -> None:
    for words in ((), ("--all",), ("--unmask", "incident 7")):
        said = lapse("registration", DOMAIN, *words)
        assert said.widest <= 80
        assert said.stderr == ""


def test_the_exposed_registrant_is_told_as_a_difference(lapse: Lapsewatch) -> None:
    said = flat(lapse("registration", DOMAIN).stdout)
    assert "2026-03-03 21:00 registrant hidden; status cleared; status set" in said
    assert "registrant email: a***@registrant.example -> redacted" in said
    # RDAP and WHOIS tell of the same change, which the record itself dates.
    assert "between 2026-03-02 11:24 and 2026-03-03 21:00, by the record's own dates" in said
    assert "says rdap registrar at rdap.registrar.example, 2026-03-04 09:00" in said
    assert "says whois registrar at whois.registrar.example, 2026-03-04 11:24" in said
    assert "status set: client hold" in said
    assert "registrar: Example Registrar Ltd (IANA 7001)" in said
    assert "seen in CT 2 days before it was created: re-registered?" in said
    assert "2026-02-27 09:00 mail host seen mx.hosting.example says pdns" in said
    assert "2026-03-02 09:00 UTC created, by its record" in said
    assert "mail host: mx.hosting.example" in said
    assert "SOA contact: h***@registrant.example" in said
    assert "throttled: rdap registrar" in said
    assert "seized" in said


def test_people_are_masked_unless_a_reason_is_written_down(lapse: Lapsewatch) -> None:
    for words in (("registration", DOMAIN, "--all"), ("registration", DOMAIN, "--json")):
        said = lapse(*words).stdout
        assert "ada@" not in said
        assert "Ada Invented" not in said
        assert "hostmaster@" not in said
        assert "7946" not in said
    assert lapse.rows("SELECT count(*) FROM disclosure") == [(0,)]
    said = lapse("registration", DOMAIN, "--unmask", "incident 7").stdout
    assert "ada@registrant.example" in said
    assert "Ada Invented" in lapse("registration", DOMAIN, "--json", "--unmask", "incident 8").stdout
    assert lapse.rows("SELECT reason FROM disclosure ORDER BY id") == [("incident 7",), ("incident 8",)]


def test_json_holds_all_of_it(lapse: Lapsewatch) -> None:
    found = lapse("registration", DOMAIN, "--json").json
    assert (found["domain"], found["registered"], found["disputed"]) == (DOMAIN, True, False)
    fields = {one["field"]: one for one in found["fields"]}
    assert fields["registrar"]["registrar"] == ["Example Registrar Ltd (IANA 7001)"]
    # The registry was not asked again since the registrar hid it: what it said stands beside.
    assert fields["registrant email"]["state"] == "redacted"
    assert {one["state"] for one in fields["registrant email"]["others"]} == {"redacted", "value"}
    assert fields["registrant name"]["facts"]
    assert {one["change"] for one in found["history"]} >= {"registrant hidden", "status set", "status cleared"}
    hidden = next(one for one in found["history"] if one["field"] == "registrant email")
    assert (hidden["after"], hidden["by"]) == ("2026-03-02T11:24:00+00:00", "2026-03-03T21:00:00+00:00")
    assert [one["outcome"] for one in found["silent"]] == ["throttled"]
    assert found["ownership_ends"][0]["reason"] == "seized"
    assert {one["channel"] for one in found["first_seen"]} == {"ct"}


def test_a_name_below_a_domain_is_registered_with_it(lapse: Lapsewatch) -> None:
    assert lapse("registration", f"www.{DOMAIN}", "--json").json["domain"] == DOMAIN


def test_a_domain_that_nobody_named(lapsewatch: Lapsewatch) -> None:
    said = lapsewatch("registration", "nobody.example", code=1)
    assert "--ask` looks it up" in flat(said.stdout)
    assert lapsewatch("registration", "nobody.example", "--json", code=1).json == {
        "domain": "nobody.example", "known": False,
    }  # fmt: skip
    assert lapsewatch("registration", "not a domain", code=2).stderr.startswith("couldn't ")
    assert lapsewatch("registration", "203.0.113.7", code=2).stderr.count("\n") == 1


def test_a_domain_of_which_only_failures_are_known(lapsewatch: Lapsewatch) -> None:
    silence(lapsewatch.engine, "rdap", "registry", Outcome.TIMEOUT, day(0))
    said = lapsewatch("registration", DOMAIN).stdout
    assert "no look-up has told anything of it" in said
    assert "timeout: rdap registry" in said


def test_a_domain_that_came_and_went(lapsewatch: Lapsewatch) -> None:
    engine = lapsewatch.engine
    answer(engine, record(), "registry", day(0))
    answer(engine, not_found(), "registry", day(60))
    assert "not registered, as of" in lapsewatch("registration", DOMAIN).stdout
    answer(engine, record(created=date(day(70)), expires=date(day(435))), "registry", day(80))
    said = flat(lapsewatch("registration", DOMAIN).stdout)
    assert "2026-05-01 09:00 deleted" in said
    assert "nothing known (60 days) nobody asked" in said
    assert "2026-05-11 09:00 re-registered" in said


def test_who_was_not_asked_is_no_witness(lapsewatch: Lapsewatch) -> None:
    engine = lapsewatch.engine
    answer(engine, record(), "registrar", day(0))
    answer(engine, record(), "registry", day(0))
    # What the registry says ends what the registrar said: that one was not asked again.
    answer(engine, not_found(), "registry", day(20))
    history = lapsewatch("registration", DOMAIN, "--json").json["history"]
    (deleted,) = [one for one in history if one["change"] == "deleted"]
    assert [one["tier"] for one in deleted["witnesses"]] == ["registry"]
    answer(engine, record(registrant=NOBODY), "registrar", day(21))
    history = lapsewatch("registration", DOMAIN, "--json").json["history"]
    assert "no longer known to its registrar" not in {one["change"] for one in history}


def test_a_registrar_renamed_is_no_transfer(lapsewatch: Lapsewatch) -> None:
    engine = lapsewatch.engine
    for at, name in ((0, "GoDaddy.com, LLC"), (1, "GoDaddy.com, Inc.")):
        answer(engine, record("whois", registrar=value(name), registrar_iana_id=Field()), "registry", day(at))
    said = lapsewatch("registration", DOMAIN).stdout
    assert "registrar renamed" in said
    assert "transferred" not in said


def test_what_is_older_than_the_newest_entries_is_shown_when_asked_for(
    lapsewatch: Lapsewatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "_NEWEST", 2)
    for at in range(5):
        answer(lapsewatch.engine, record(statuses=(f"status {at}",)), "registry", day(at / 10))
    said = lapsewatch("registration", DOMAIN).stdout
    assert "the newest 2 entries are shown; --all shows 2 more" in flat(said)
    assert "status set: status 1\n" not in said
    assert "status set: status 1\n" in lapsewatch("registration", DOMAIN, "--all").stdout


def test_a_servers_words_act_on_no_terminal(lapsewatch: Lapsewatch) -> None:
    answer(lapsewatch.engine, record(statuses=("bold \x1b[1m", "x" * 300)), "registry", day(0))
    said = lapsewatch("registration", DOMAIN, "--all")
    assert "\x1b" not in said.stdout
    assert said.widest <= 80


def test_it_asks_when_told_to_and_shows_what_changed(lapsewatch: Lapsewatch, net: Internet) -> None:
    net.move(WEDNESDAY)
    said = lapsewatch("registration", f"www.{NEW_DOMAIN}", "--ask")
    assert "registered, as of 2026-03-04" in said.stdout
    assert "registrant email: o***@heron-mail.example" in said.stdout
    net.move(FRIDAY)
    found = lapsewatch("registration", NEW_DOMAIN, "--ask", "--json").json
    assert {one["domain"] for one in found["asked"]} == {NEW_DOMAIN}
    hidden = {one["field"]: one for one in found["history"] if one["change"] == "registrant hidden"}
    assert {"registrant name", "registrant email"} <= set(hidden)
    assert hidden["registrant email"]["after"] >= "2026-03-04"
    assert hidden["registrant email"]["by"] <= "2026-03-07"
    assert lapsewatch("registration", NEW_DOMAIN).widest <= 80
