from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from db.entities import ensure_entities
from db.pivot import Reader, RushedError
from intel.entities import Kind, entity
from intel.errors import WarehouseError
from intel.evidence import Family, Level
from intel.facts import Predicate, State
from tasks.pivot.pivot import Budget, dry_run, evidence_between, pivot
from tests.pivots import Pivots, facts, later, linked

KEY = "sha256:" + "7a" * 32


def certificate(number: int) -> str:
    return f"sha256:{number:064x}"


def owned(pivots: Pivots, domain: str, *ends: tuple[float, str]) -> None:
    """What the monitor of registrations concludes: from those days on it is another's."""
    with pivots.engine.begin() as connection:
        number = ensure_entities(connection, [entity(Kind.DOMAIN, domain)])[entity(Kind.DOMAIN, domain).digest]
        for days, reason in ends:
            connection.execute(
                text("INSERT INTO ownership_end (entity_id, ended_at, reason, fact_id) VALUES (:id, :at, :reason, 1)"),
                {"id": number, "at": later(days), "reason": reason},
            )


def test_a_single_host_leads_nowhere_and_a_rare_set_does(pivots: Pivots) -> None:
    pivots.say(facts("one.test", host="ns1.quiet.example", servers="ns1.quiet.example ns2.quiet.example"))
    pivots.say(facts("same-set.test", servers="ns1.quiet.example ns2.quiet.example"))
    pivots.say(facts("same-host.test", host="ns1.quiet.example", servers="ns1.quiet.example ns9.quiet.example"))
    led = pivots.led("one.test")
    assert "same-set.test" in led
    assert not {"same-host.test", "ns1.quiet.example"} & set(led)
    assert led["same-set.test"].families == (Family.NAMING,)
    assert led["same-set.test"].weighed.level == Level.CLUSTER
    assert [step.predicate for step in led["same-set.test"].path] == ["uses-name-servers"] * 2


def test_a_key_in_two_certificates_is_two_steps_from_name_to_name(pivots: Pivots) -> None:
    for number, name in enumerate(("keyed.test", "www.other-keyed.test")):
        pivots.say([
            linked(Kind.CERTIFICATE, certificate(number), Predicate.NAMES, Kind.DOMAIN, name),
            linked(Kind.CERTIFICATE, certificate(number), Predicate.HAS_KEY, Kind.PUBLIC_KEY, KEY),
        ])  # fmt: skip
    pivots.say(facts("other-keyed.test", address="192.0.2.9"))
    led = pivots.led("keyed.test")
    assert {KEY, certificate(1), "www.other-keyed.test", "other-keyed.test"} <= set(led)
    assert led["www.other-keyed.test"].depth == led["other-keyed.test"].depth == 2
    assert led[KEY].bits > led["www.other-keyed.test"].bits > led["other-keyed.test"].bits * 0.99
    with pivots.engine.connect() as connection:
        between = evidence_between(connection, pivots.id("keyed.test"), pivots.id("www.other-keyed.test"))
    assert set(between.families) == {Family.CERTIFICATE}
    assert between.bits > 5
    assert [one.evidence.what for one in between.pieces] == [KEY]  # certificate, key, certificate: one connection


def test_two_families_one_hard_to_forge_speak_of_an_actor_and_the_best_comes_first(pivots: Pivots) -> None:
    shared: dict[str, Any] = {"email": "ops@quiet-mail.example", "address": "192.0.2.40"}
    pivots.say(facts("lead.test", **shared))
    pivots.say(facts("both.test", **shared))
    pivots.say(facts("address-only.test", address="192.0.2.40"))
    for name in ("lead.test", "both.test"):
        pivots.say([linked(Kind.CERTIFICATE, certificate(77), Predicate.NAMES, Kind.DOMAIN, name)])
    found = pivots.whole("lead.test").neighbours
    assert [one.bits for one in found] == sorted((one.bits for one in found), reverse=True)
    assert found[0].entity.value == "both.test"
    assert set(found[0].families) == {Family.REGISTRANT, Family.HOSTING, Family.CERTIFICATE}
    assert found[0].weighed.level == Level.ACTOR
    assert found[-1].entity.value == "address-only.test"
    # People's data is masked in the evidence, whatever shows the entity.
    assert {piece.evidence.what for piece in found[0].weighed.pieces} >= {"o***@quiet-mail.example", "192.0.2.40"}
    with pivots.engine.connect() as connection:
        assert evidence_between(connection, pivots.id("lead.test"), pivots.id("both.test")).level == Level.ACTOR


def test_what_others_had_at_another_time_weighs_less(pivots: Pivots) -> None:
    pivots.say(facts("then.test", address="192.0.2.50"))
    pivots.say(facts("at-once.test", address="192.0.2.50", days=3))
    pivots.say(facts("a-year-on.test", address="192.0.2.50", days=365))
    pivots.say(
        facts("then.test", email="a@then-mail.example") + facts("years-on.test", days=900, email="a@then-mail.example")
    )
    led = pivots.led("then.test", bits=0.05)
    assert led["at-once.test"].overlap is not None
    assert led["at-once.test"].overlap > 0
    assert led["a-year-on.test"].overlap == 0
    assert led["a-year-on.test"].bits < led["at-once.test"].bits / 4
    # A mailbox that was his stays his: that it was years apart takes nothing.
    assert led["years-on.test"].bits > led["at-once.test"].bits
    before = pivots.whole("then.test", as_of=later(30)).neighbours
    assert not {"a-year-on.test", "years-on.test"} & {one.entity.value for one in before}


def test_a_seizure_ends_ownership(pivots: Pivots) -> None:
    pivots.say(facts("taken.test", email="ops@before.example") + facts("next.test", email="ops@before.example"))
    pivots.say(facts("taken.test", days=60, servers="ns1.court.example ns2.court.example", email="x@court.example"))
    pivots.say(facts("also-taken.test", days=80, servers="ns1.court.example ns2.court.example"))
    owned(pivots, "taken.test", (50, "seized"))
    found = pivots.whole("taken.test")
    led = {one.entity.value: one for one in found.neighbours}
    assert "next.test" in led
    assert not {"also-taken.test", "ns1.court.example ns2.court.example", "x@court.example"} & set(led)
    assert [(one.entity.value, one.reason) for one in found.ended] == [("taken.test", "seized")]
    assert pivots.led("next.test")["taken.test"].ended.startswith("seized 2026-04-21")
    assert "taken.test" not in pivots.led("also-taken.test")


def test_who_registers_a_name_anew_shares_nothing_with_who_had_it(pivots: Pivots) -> None:
    pivots.say(facts("anew.test", email="first@owner.example") + facts("firsts.test", email="first@owner.example"))
    pivots.say(facts("anew.test", days=400, email="second@owner.example"))
    pivots.say(facts("seconds.test", days=410, email="second@owner.example"))
    owned(pivots, "anew.test", (300, "expired"), (390, "re-registered"))
    assert set(pivots.led("firsts.test", depth=4)) & {"anew.test", "seconds.test"} == {"anew.test"}
    assert set(pivots.led("seconds.test", depth=4)) & {"anew.test", "firsts.test"} == {"anew.test"}
    assert "firsts.test" in pivots.led("anew.test")
    assert "seconds.test" in pivots.led("anew.test", as_of=later(500))


def test_the_taking_partys_own_values_lead_nowhere(pivots: Pivots) -> None:
    pivots.say(
        facts("court-1.test", email="domains@microsoft.com") + facts("court-2.test", email="domains@microsoft.com")
    )
    found = pivots.whole("court-1.test")
    assert found.neighbours == ()
    assert [(one.reason, one.predicate) for one in found.unexpanded] == [("hub", "registered-by")]
    assert found.unexpanded[0].why.startswith("seizure")


def test_one_report_that_feeds_copy_counts_once(pivots: Pivots) -> None:
    shared: dict[str, Any] = {"email": "e@reported.example", "address": "192.0.2.60"}
    for name in ("told.test", "told-too.test"):
        for feed in ("first", "copy"):
            pivots.say(facts(name, reference="https://report.example/1", **shared), source=feed)
    for name in ("seen.test", "seen-too.test"):
        pivots.say(facts(name, email="e@seen.example", reference="https://report.example/2"))
        pivots.say(facts(name, address="192.0.2.61", reference=f"https://report.example/{name}"))
    told, seen = pivots.led("told.test")["told-too.test"], pivots.led("seen.test")["seen-too.test"]
    assert len(told.families) == 1
    assert set(seen.families) == {Family.REGISTRANT, Family.HOSTING}
    with pivots.engine.connect() as connection:
        for name, bits in (("told", told.bits), ("seen", seen.bits)):
            between = evidence_between(connection, pivots.id(f"{name}.test"), pivots.id(f"{name}-too.test"))
            assert between.bits == pytest.approx(bits)


def test_claims_stand_beside_and_speak_only_against(pivots: Pivots) -> None:
    for name, actor in (("heron-1", "apt_heron"), ("heron-2", "apt_heron"), ("crane-1", "apt_crane")):
        pivots.say(facts(f"{name}.test", address="192.0.2.70", actor=f"maltrail:{actor}"))
    pivots.say(facts("unclaimed.test", address="192.0.2.70"))
    led = pivots.led("heron-1.test")
    assert led["heron-2.test"].bits == led["unclaimed.test"].bits
    assert led["heron-2.test"].claims == ("maltrail:apt_heron, by feed",)
    assert led["crane-1.test"].bits < led["heron-2.test"].bits
    assert not [one for one in led.values() if one.entity.kind == Kind.ACTOR]


def test_a_resellers_mailbox_gives_way(pivots: Pivots) -> None:
    for number, name in enumerate(("Ada Invented", "Bo Imagined")):
        pivots.say(
            facts(f"sold-{number}.test", email="sales@reseller.example", registrant=name, phone=f"+1555010{number}999")
        )
    pivots.say(
        facts("sold-again.test", email="sales@reseller.example", registrant="Ada Invented", phone="+15550100999")
    )
    led = pivots.led("sold-0.test")
    assert "sold-again.test" in led
    assert "sold-1.test" not in led


def test_what_is_no_value_and_what_is_the_hosters_is_no_link(pivots: Pivots) -> None:
    for name in ("hosted-1.test", "hosted-2.test"):
        technical = {"qualifiers": (("role", "technical"),)}
        pivots.say([
            linked(Kind.DOMAIN, name, Predicate.REGISTERED_BY, Kind.EMAIL, "noc@hoster.example", **technical),
            linked(Kind.DOMAIN, name, Predicate.RESOLVES_TO, Kind.IP, "192.0.2.80", state=State.UNPARSED),
            linked(Kind.DOMAIN, name, Predicate.REGISTERED_BY, Kind.TEXT, "REDACTED", state=State.REDACTED),
        ])  # fmt: skip
    assert pivots.whole("hosted-1.test").neighbours == ()


def test_a_count_in_a_population_says_how_rare_it_is(pivots: Pivots) -> None:
    pivots.say(facts("counted.test", address="192.0.2.90") + facts("counted-too.test", address="192.0.2.90"))
    alone = pivots.led("counted.test")["counted-too.test"].bits
    with pivots.engine.begin() as connection:
        connection.execute(text(
            "INSERT INTO population (name, title, total, traits, as_of, counted_at)"
            " VALUES ('zone:example', 'A zone', 1000, '{\"address\": 1000}', now(), now())"
        ))  # fmt: skip
        connection.execute(
            text(
                "INSERT INTO prevalence (population, trait, digest, count)"
                " VALUES ('zone:example', 'address', :digest, 60)"
            ),
            {"digest": entity(Kind.IP, "192.0.2.90").digest.hex()},
        )
    found = pivots.led("counted.test", bits=0.5)["counted-too.test"]
    assert 0.5 < found.bits < 2 < alone
    prevalence = found.weighed.pieces[0].evidence.prevalence
    assert prevalence is not None
    assert (prevalence.count, prevalence.total) == (60, 1000)
    # What a small population lacks is no commoner for it.
    pivots.say(facts("lacking.test", address="192.0.2.91") + facts("lacking-too.test", address="192.0.2.91"))
    assert pivots.led("lacking.test")["lacking-too.test"].bits == pytest.approx(alone)


def test_the_dry_run_counts_what_the_pivot_then_reads(pivots: Pivots) -> None:
    pivots.say([fact for number in range(12) for fact in facts(f"n{number}.wide.test", address="192.0.2.100")])
    pivots.say([fact for number in range(4) for fact in facts(f"n{number}.few.test", address="192.0.2.101")])
    pivots.say(facts("start.test", address="192.0.2.100") + facts("start.test", address="192.0.2.101"))
    number = pivots.id("start.test")
    with pivots.engine.connect() as connection:
        budget = Budget(width=10)
        counts = dry_run(connection, [number], budget)
        found = pivot(connection, [number], budget)
    assert [(one.predicate, one.count, one.more) for one in counts if one.step == 1] == [("resolves-to", 2, False)]
    shares = {one.value: (one.count, one.more, one.hub) for one in counts if one.step == 2}
    assert shares == {"192.0.2.101": (5, False, ""), "192.0.2.100": (10, True, "wide")}
    assert found.counted == counts
    met = {one.entity.value for one in found.neighbours if one.depth == 2}
    assert met >= {f"n{number}.few.test" for number in range(4)}
    assert not [one for one in met if "wide" in one]
    assert ("192.0.2.100", "hub") in {(one.entity.value, one.reason) for one in found.unexpanded}


def test_a_budget_is_kept_and_said(pivots: Pivots) -> None:
    names = [f"chain-{number}.test" for number in range(6)]
    for number, (one, other) in enumerate(pairwise(names)):
        pivots.say(facts(one, email=f"p{number}@chain.example") + facts(other, email=f"p{number}@chain.example"))
    deep = pivots.led(names[0], depth=6)
    assert [name for name in names if name in deep] == names[1:4]
    assert [deep[name].depth for name in names[1:4]] == [2, 4, 6]
    assert deep[names[1]].bits > deep[names[2]].bits > deep[names[3]].bits  # further off is worth less
    assert set(names) & set(pivots.led(names[0], depth=2)) == {names[1]}
    assert names[2] not in pivots.led(names[0], depth=6, bits=deep[names[2]].bits + 0.1)
    small = pivots.whole(names[0], depth=6, nodes=3)
    assert small.stopped == "budget"
    assert names[1] in {one.entity.value for one in small.neighbours}


def test_a_deadline_is_kept_and_the_transaction_goes_on(pivots: Pivots) -> None:
    pivots.say(facts("hurried.test", email="p@hurried.example"))
    number = pivots.id("hurried.test")
    with pivots.engine.connect() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '41s'"))
        late = pivot(connection, [number], Budget(seconds=0.000001))
        assert (late.stopped, late.neighbours) == ("time", ())
        reader = Reader(connection, lambda: 0.05)
        with pytest.raises(RushedError):
            reader.rows("SELECT pg_sleep(5)")
        reader.close()
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "41s"
        # What else goes wrong is told as it is, not as what comes of it.
        broken = Reader(connection, lambda: 5)
        with pytest.raises(DataError):
            broken.rows("SELECT 1 / 0")
        broken.close()
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "41s"
        assert pivot(connection, [number]).neighbours
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "41s"


def test_nothing_is_like_itself_or_like_what_nobody_knows(pivots: Pivots) -> None:
    number = pivots.id("alone.test")
    with pivots.engine.connect() as connection:
        for left, right in ((number, number), (number, 10**12)):
            with pytest.raises(WarehouseError):
                evidence_between(connection, left, right)
        assert pivot(connection, [10**12]).neighbours == ()


def test_the_life_in_which_it_was_listed_is_meant(pivots: Pivots) -> None:
    listed = linked(
        Kind.DOMAIN, "lived.test", Predicate.LISTED, Kind.LABEL, "c2", event_time=later(0) + timedelta(days=200)
    )
    pivots.say([*facts("lived.test", email="old@life.example"), *facts("olds.test", email="old@life.example"), listed])
    pivots.say(
        facts("lived.test", days=190, email="new@life.example") + facts("news.test", days=190, email="new@life.example")
    )
    owned(pivots, "lived.test", (100, "expired"), (150, "re-registered"))
    assert set(pivots.led("lived.test")) & {"olds.test", "news.test"} == {"news.test"}


def test_what_came_later_is_not_seen_as_of_a_day(pivots: Pivots) -> None:
    pivots.say(facts("by-then.test", email="a@by-then.example", registrant="Ada Invented", phone="+442079460777"))
    pivots.say(facts("with-it.test", email="a@by-then.example"))
    early = pivots.led("by-then.test", as_of=later(30))["with-it.test"].bits
    pivots.say(
        facts("by-then.test", days=90, servers="ns1.sinkhole.shadowserver.org", actor="maltrail:apt_heron")
        + facts("with-it.test", days=100, actor="maltrail:apt_crane")
        + facts("with-it.test", days=40, registrant="Bo Imagined", phone="+442079460778")
    )
    assert "with-it.test" not in pivots.led("by-then.test")  # each has a registrant of its own by now
    owned(pivots, "by-then.test", (90, "sinkholed"))
    found = pivots.whole("by-then.test", as_of=later(30))
    led = {one.entity.value: one for one in found.neighbours}["with-it.test"]
    assert led.bits == pytest.approx(early)
    assert (found.ended, found.unexpanded, led.claims, led.ended) == ((), (), (), "")


def test_a_certificate_under_two_hashes_counts_once(pivots: Pivots) -> None:
    forms = (f"sha256:{'e1' * 32}", f"sha1:{'e2' * 20}", f"md5:{'e3' * 16}")
    for called, shared in (("form", forms), ("plain", [certificate(9)])):
        for name in (f"{called}-1.test", f"{called}-2.test"):
            pivots.say([linked(Kind.DOMAIN, name, Predicate.PRESENTS, Kind.CERTIFICATE, one) for one in shared])
    pivots.say([linked(Kind.CERTIFICATE, forms[0], Predicate.SAME_AS, Kind.CERTIFICATE, one) for one in forms[1:]])
    once = pivots.led("plain-1.test")["plain-2.test"].bits
    assert pivots.led("form-1.test")["form-2.test"].bits == pytest.approx(once)
    with pivots.engine.connect() as connection:
        between = evidence_between(connection, pivots.id("form-1.test"), pivots.id("form-2.test"))
    assert between.bits == pytest.approx(once)


def test_more_starts_than_a_pivot_meets_things_still_lead(pivots: Pivots) -> None:
    names = [f"many-{number}.test" for number in range(30)]
    pivots.say([fact for name in names for fact in facts(name, host=f"ns.{name}")])
    pivots.say(facts(names[0], email="m@many.example") + facts("of-many.test", email="m@many.example"))
    ids = [pivots.id(name) for name in names]
    with pivots.engine.connect() as connection:
        found = pivot(connection, ids, Budget(nodes=10))
    assert found.stopped == ""
    assert "of-many.test" in {one.entity.value for one in found.neighbours}
