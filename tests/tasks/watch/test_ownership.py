from __future__ import annotations

import pytest

from intel.config.watches import WatchedItem
from intel.entities import Kind, entity
from tests.tasks.watch.test_versions import NAME, OPEN, PROXIED, SHUT, titles
from tests.tasks.watch.versions import Answers, record, registrant
from tests.tasks.watch.world import Say, World, day

SEIZED = {"email": "domains@microsoft.com", "organisation": "Microsoft Corporation"}
SINKHOLE = "ns1.sinkhole.shadowserver.org ns2.sinkhole.shadowserver.org"


@pytest.fixture
def answers() -> Answers:
    return Answers()


def ends(world: World) -> list[tuple[object, ...]]:
    return world.execute(
        "SELECT e.value, o.reason, to_char(o.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM ownership_end o"
        " JOIN entity e ON e.id = o.entity_id ORDER BY o.ended_at, o.reason, e.value"
    )


def severity(world: World, rule: str, subject: str) -> tuple[int, list[str]]:
    [(worth, said)] = world.execute(
        "SELECT n.severity, n.annotations FROM finding n JOIN entity e ON e.id = n.subject_id"
        " WHERE n.rule = :rule AND e.value = :subject AND n.status = 'open'",
        rule=rule,
        subject=subject,
    )
    return worth, [one["why"] for one in said if one["hub"] == "ended"]  # type: ignore[attr-defined]  # JSON


def roles(world: World, rule: str) -> list[tuple[object, ...]]:
    return world.execute(
        "SELECT ff.role, f.predicate, o.value FROM finding n JOIN finding_fact ff ON ff.finding_id = n.id"
        " JOIN fact f ON f.id = ff.fact_id LEFT JOIN entity o ON o.id = f.object_id"
        " WHERE n.rule = :rule AND n.status = 'open' ORDER BY ff.role",
        rule=rule,
    )


def test_a_registration_after_another_ends_an_ownership_with_both_versions_as_evidence(
    world: World, answers: Answers
) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, created="2024-03-03"), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == []
    answers.say(9, record(NAME, created="2026-01-08"), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == [(NAME, "re-registered", "2026-01-08")]
    assert titles(world, "re-registered") == [
        "evil.example was registered anew on 2026-01-08: it is no longer whose it was"
    ]
    assert roles(world, "re-registered") == [("known", "created", "2024-03-03"), ("new", "created", "2026-01-08")]
    assert world.execute("SELECT lapse FROM finding WHERE rule = 're-registered'") == [(False,)]
    assert world.monitor() == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"created": "2025-11-01"}, {"created": "2025-11-02"}, id="another time zone"),
        pytest.param({"created": "2025-11-01"}, {"created": "2025-11-01", "expires": "2027-11-01"}, id="renewed"),
        pytest.param({"created": "2025-11-09"}, {"created": "2025-11-01"}, id="earlier"),
        pytest.param({"created": ""}, {"created": "2025-11-01"}, id="the first creation stated"),
        pytest.param({"created": "2025-11-01"}, {"created": "soon"}, id="no date"),
    ],
)
def test_what_is_no_new_registration_ends_nothing(
    world: World, answers: Answers, before: dict[str, str], after: dict[str, str]
) -> None:
    answers.say(0, record(NAME, **before), tier="registry")
    answers.say(9, record(NAME, **after), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == []


def test_a_registrar_that_counts_from_the_transfer_ends_nothing(world: World, answers: Answers) -> None:
    answers.say(0, record(NAME, created="2024-03-03"))
    answers.say(9, record(NAME, created="2026-01-08", registrar="iana:1000"))
    answers.load(world)
    world.monitor()
    assert ends(world) == []


def test_two_servers_that_disagree_end_nothing(world: World, answers: Answers) -> None:
    for on in (0, 5, 9):
        answers.say(on, record(NAME, created="2024-03-03"), tier="registry")
        answers.say(on + 0.1, record(NAME, created="2025-01-08"), tier="registry", source="whois")
    answers.load(world)
    world.monitor()
    assert ends(world) == []


def test_a_creation_after_the_end_that_was_stated_is_a_new_registration(world: World, answers: Answers) -> None:
    answers.say(0, record(NAME, created="", expires="2026-01-03"), tier="registry")
    answers.say(9, record(NAME, created="2026-01-08", expires="2027-01-08"), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == [(NAME, "re-registered", "2026-01-08")]


@pytest.mark.parametrize("status", ["redemption period", "pendingDelete", "pendingDelete (https://icann.org/epp)"])
def test_a_domain_that_awaits_deletion_has_expired(world: World, answers: Answers, status: str) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME), tier="registry")
    answers.say(3, record(NAME, status=(status,)), tier="registry")
    answers.say(4, record(NAME, status=(status,)), tier="registry")
    answers.lose(5, NAME)
    answers.load(world)
    world.monitor()
    assert ends(world) == [(NAME, "expired", "2026-01-04")]
    assert titles(world, "expired") == ["evil.example expired by 2026-01-04: it awaits deletion"]
    assert roles(world, "expired") == [("known", "has-status", "active"), ("new", "has-status", status)]


def test_a_domain_that_is_restored_never_left(world: World, answers: Answers, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME), tier="registry")
    answers.say(3, record(NAME, status=("redemption period",)), tier="registry")
    answers.load(world)
    world.load(say.listed(f"x.{NAME}", on=4))
    world.monitor()
    assert severity(world, "same-domain", f"x.{NAME}") == (
        20,
        ["no longer the actor's since 2026-01-04: its registration expired"],
    )
    answers.say(5, record(NAME), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == []
    assert titles(world, "expired") == []
    assert severity(world, "same-domain", f"x.{NAME}") == (60, [])


def test_a_registrar_that_copies_a_status_does_not_outvote_its_registry(world: World, answers: Answers) -> None:
    for on, status in ((0, "active"), (3, "redemption period"), (5, "active")):
        answers.say(on, record(NAME, status=(status,)), tier="registry")
        answers.say(on + 0.1, record(NAME, status=(status,)))
    answers.load(world)
    world.monitor()
    assert ends(world) == []


def test_a_domain_that_its_registry_no_longer_knows_has_expired(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME), tier="registry")
    answers.say(0.1, record(NAME, **OPEN))
    answers.lose(5, NAME)
    answers.load(world)
    world.monitor()
    assert ends(world) == [(NAME, "expired", "2026-01-06")]
    assert titles(world, "registrant-hidden") == []


def test_a_registry_that_forgets_for_a_moment_ends_nothing(world: World, answers: Answers) -> None:
    answers.say(0, record(NAME), tier="registry")
    answers.lose(5, NAME)
    answers.say(6, record(NAME), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == []


def test_a_registrar_that_says_less_ends_no_ownership(world: World, answers: Answers) -> None:
    answers.say(0, record(NAME), tier="registry")
    answers.say(0.1, record(NAME, **OPEN))
    answers.say(5, [*registrant(NAME, email="redacted:x")])
    answers.load(world)
    world.monitor()
    assert ends(world) == []


def test_lost_and_taken_again_by_another_are_two_ends(world: World, answers: Answers) -> None:
    answers.say(0, record(NAME), tier="registry")
    answers.lose(5, NAME)
    answers.say(9, record(NAME, created="2026-01-08"), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == [(NAME, "expired", "2026-01-06"), (NAME, "re-registered", "2026-01-08")]


def test_a_seizure_ends_an_ownership_and_ties_nothing_together(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    for number, name in enumerate((NAME, "bad.example", "worse.example")):
        answers.say(0, record(name, email=f"{number}@mail.example"))
        answers.say(4, record(name, **SEIZED))
    answers.load(world)
    world.monitor()
    assert {(name, reason) for name, reason, _ in ends(world)} == {
        (name, "seized") for name in (NAME, "bad.example", "worse.example")
    }
    assert {rule for _, rule, _ in world.found()} & {"shared-registrant", "registrant-exposed"} == set()
    [title] = titles(world, "seized")
    assert title.startswith("evil.example was seized by 2026-01-05: Microsoft's Digital Crimes Unit")
    assert [row[0] for row in roles(world, "seized")] == ["known", "new"]


def test_whom_a_seizure_names_is_neither_exposed_nor_hidden_by_the_actor(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, **SHUT | {"organisation": "redacted:REDACTED"}))
    answers.say(4, record(NAME, **SEIZED))
    answers.say(6, record(NAME, **SHUT | {"organisation": "redacted:REDACTED"}))
    answers.load(world)
    world.monitor()
    assert ends(world) == [(NAME, "seized", "2026-01-05")]
    assert titles(world, "registrant-exposed") == titles(world, "registrant-hidden") == []


def test_a_domain_that_is_taken_again_after_a_new_registration_has_ended_again(
    world: World, answers: Answers, say: type[Say]
) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME), tier="registry")
    answers.say(4, record(NAME, servers=SINKHOLE), tier="registry")
    answers.say(5, record(NAME, servers=SINKHOLE), tier="registry")
    answers.say(9, record(NAME, created="2026-01-08"), tier="registry")
    answers.say(12, record(NAME, created="2026-01-08", servers=SINKHOLE), tier="registry")
    answers.say(13, record(NAME, created="2026-01-08", servers=SINKHOLE), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == [
        (NAME, "sinkholed", "2026-01-05"),
        (NAME, "re-registered", "2026-01-08"),
        (NAME, "sinkholed", "2026-01-13"),
    ]
    assert len(titles(world, "sinkholed")) == 2


@pytest.mark.parametrize("late", [False, True])
def test_what_was_taken_and_registered_anew_ties_its_new_registrant(world: World, answers: Answers, late: bool) -> None:
    world.watch("watch", WatchedItem(domain="watched.example"))
    answers.say(0, record("watched.example", email="boss@mail.example"))
    answers.say(0, record(NAME), tier="registry")
    answers.say(4, record(NAME, servers=SINKHOLE), tier="registry")
    answers.say(9, record(NAME, created="2026-01-08"), tier="registry")
    answers.say(9.1, record(NAME, created="2026-01-08", email="boss@mail.example"))
    if late:
        anew = answers.told.pop(3)
        answers.load(world)
        world.monitor()
        assert ("watch", "shared-registrant", NAME) not in world.found()
        answers.told = [anew]
    answers.load(world)
    world.monitor()
    assert ("watch", "shared-registrant", NAME) in world.found()


@pytest.mark.parametrize(
    "servers", ["ns001.microsoftinternetsafety.net ns002.microsoftinternetsafety.net", "ns1.fbi.seized.gov"]
)
def test_name_servers_of_a_seizure_end_an_ownership(world: World, answers: Answers, servers: str) -> None:
    answers.say(0, record(NAME), tier="registry")
    answers.say(4, record(NAME, servers=servers), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == [(NAME, "seized", "2026-01-05")]


def test_what_leads_to_a_sinkhole_is_no_longer_the_actors(world: World, answers: Answers, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain=NAME), WatchedItem(network="198.51.100.7"))
    world.load(say.resolves(f"www.{NAME}", "198.51.100.7", on=1), say.listed(f"old.{NAME}", on=2))
    answers.say(0, record(NAME), tier="registry")
    answers.say(4, record(NAME, servers=SINKHOLE), tier="registry")
    answers.load(world)
    world.load(say.resolves(f"www.{NAME}", "192.0.2.9", on=6), say.listed(f"new.{NAME}", on=6))
    world.monitor()
    assert ends(world) == [(NAME, "sinkholed", "2026-01-05")]
    said = ["no longer the actor's since 2026-01-05: it was sinkholed"]
    assert severity(world, "same-domain", f"old.{NAME}") == (60, [])
    assert severity(world, "same-domain", f"new.{NAME}") == (20, said)
    rows = world.execute(
        "SELECT n.event_time, n.severity FROM finding n JOIN entity e ON e.id = n.subject_id"
        " WHERE n.rule = 'new-resolution' AND e.value = 'www.evil.example' ORDER BY 1"
    )
    assert rows == [(day(1), 50), (day(6), 10)]


def test_an_address_of_a_listed_sinkhole_counts_unless_others_share_it(world: World, say: type[Say]) -> None:
    from tasks.watch.takers import takers

    networks = {one.value for one in takers().takers if one.match == "address"}
    assert "104.21.27.14/32" not in networks, "a content network's address"
    address = min(value for value in networks if value.endswith("/32")).removesuffix("/32")
    world.load(say.resolves(NAME, address, on=3), say.resolves("good.example", "104.21.27.14", on=3))
    world.monitor()
    assert ends(world) == [(NAME, "sinkholed", "2026-01-04")]


def test_an_end_that_comes_late_lowers_what_was_found(world: World, answers: Answers, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    world.load(say.listed(f"https://www.{NAME}/gate", on=8))
    world.monitor()
    assert severity(world, "same-domain", f"https://www.{NAME}/gate") == (60, [])
    answers.say(0, record(NAME), tier="registry")
    answers.say(4, record(NAME, servers=SINKHOLE), tier="registry")
    answers.load(world)
    world.monitor()
    assert severity(world, "same-domain", f"https://www.{NAME}/gate") == (
        20,
        ["no longer the actor's since 2026-01-05: it was sinkholed"],
    )


@pytest.mark.parametrize("late", [False, True])
def test_a_certificate_for_a_name_that_was_lost_is_no_longer_the_actors(
    world: World, answers: Answers, say: type[Say], late: bool
) -> None:
    world.watch("watch", WatchedItem(domain=f"www.{NAME}"))
    facts = [*say.certificate(1, f"www.{NAME}", on=1), *say.certificate(2, f"www.{NAME}", on=8)]
    answers.say(0, record(NAME), tier="registry")
    answers.say(4, record(NAME, servers=SINKHOLE), tier="registry")
    if late:
        world.load(*facts)
        world.monitor()
    answers.load(world)
    world.monitor()
    if not late:
        world.load(*facts)
        world.monitor()
    assert severity(world, "certificate-name", entity(Kind.CERTIFICATE, f"{1:064x}").value) == (60, [])
    assert severity(world, "certificate-name", entity(Kind.CERTIFICATE, f"{2:064x}").value) == (
        20,
        ["no longer the actor's since 2026-01-05: it was sinkholed"],
    )


def test_what_an_actor_took_after_it_expired_is_the_actors(world: World, answers: Answers, say: type[Say]) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    answers.say(0, record(NAME, created="2020-01-01"), tier="registry")
    answers.say(3, record(NAME, created="2026-01-03"), tier="registry")
    answers.load(world)
    world.load(say.claim(NAME, "lab:one", on=4), say.listed(f"x.{NAME}", on=6))
    world.monitor()
    assert ends(world) == [(NAME, "re-registered", "2026-01-03")]
    assert severity(world, "same-domain", f"x.{NAME}") == (60, [])


def test_what_an_actor_took_after_it_was_sinkholed_is_the_actors(
    world: World, answers: Answers, say: type[Say]
) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    world.load(say.resolves(NAME, "192.0.2.1", on=0))
    world.load(say.name_server(NAME, "ns1.sinkhole.shadowserver.org", on=1))
    world.load(say.claim(NAME, "lab:one", on=8), say.listed(f"x.{NAME}", on=12))
    world.monitor()
    assert severity(world, "same-domain", f"x.{NAME}")[0] == 20
    answers.say(14, record(NAME, created="2026-01-06"), tier="registry")
    answers.load(world)
    world.monitor()
    assert ends(world) == [(NAME, "sinkholed", "2026-01-02"), (NAME, "re-registered", "2026-01-06")]
    assert severity(world, "same-domain", f"x.{NAME}") == (60, [])


def test_the_registrant_of_the_next_owner_ties_nobody_to_the_actor(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, created="2024-03-03", email="boss@mail.example"), tier="registry")
    answers.say(1, record("second.example", email="boss@mail.example"), tier="registry")
    answers.say(1, record("third.example", email="buyer@mail.example"), tier="registry")
    answers.say(9, record(NAME, created="2026-01-08", email="buyer@mail.example"), tier="registry")
    answers.load(world)
    world.monitor()
    found = {subject for _, rule, subject in world.found() if rule == "shared-registrant"}
    assert found == {"second.example"}


def test_an_end_that_comes_late_unties_what_rested_on_the_next_owner(
    world: World, answers: Answers, say: type[Say]
) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    world.load(
        say.registrant(NAME, "buyer@mail.example", on=9),
        say.registrant("third.example", "buyer@mail.example", on=1),
        say.registrant(NAME, "boss@mail.example", on=1),
        say.registrant("second.example", "boss@mail.example", on=9),
    )
    world.monitor()
    assert {subject for _, rule, subject in world.found() if rule == "shared-registrant"} == {
        "second.example",
        "third.example",
    }
    answers.say(0, record(NAME), tier="registry")
    answers.say(5, record(NAME, servers=SINKHOLE), tier="registry")
    answers.load(world)
    world.monitor()
    assert {subject for _, rule, subject in world.found() if rule == "shared-registrant"} == {"second.example"}
    assert ("watch", "shared-registrant", "third.example") in world.found(status="withdrawn")


def test_values_that_ended_still_link_and_every_field_does(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    shown = OPEN | {"organisation": "Other Ltd", "handle": "AO1-TEST@registry.example"}
    answers.say(0, record(NAME, **shown))
    answers.say(2, record(NAME, **SHUT))
    for field, value in shown.items():
        answers.say(5, record(f"by-{field}.example", **{field: value}))
        answers.say(6, record(f"by-{field}.example", **PROXIED))
    answers.say(5, record("hidden.example", **SHUT))
    answers.say(5, record("proxied.example", **PROXIED))
    answers.load(world)
    world.monitor()
    assert {subject for _, rule, subject in world.found() if rule == "shared-registrant"} == {
        f"by-{field}.example" for field in shown
    }


def test_a_privacy_service_that_a_feed_states_as_a_value_is_worth_little(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    world.load(
        say.registrant(NAME, "Domains By Proxy, LLC", kind=Kind.REGISTRANT),
        say.registrant("second.example", "Domains By Proxy, LLC", kind=Kind.REGISTRANT),
        say.registrant("third.example", "REDACTED FOR PRIVACY", kind=Kind.REGISTRANT),
        say.registrant(NAME, "REDACTED FOR PRIVACY", kind=Kind.REGISTRANT),
    )
    world.monitor()
    rows = world.execute("SELECT severity, annotations FROM finding WHERE rule = 'shared-registrant'")
    assert [(worth, said[0]["about"]) for worth, said in rows] == [(15, "registrant")] * 2  # type: ignore[index]  # JSON
