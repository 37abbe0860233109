from __future__ import annotations

import itertools
import random

import pytest

from intel.config.watches import WatchedItem
from intel.facts import Fact, State
from tasks.watch.review import explain
from tests.tasks.watch.versions import Answers, record, registrant
from tests.tasks.watch.world import Say, World, day

NAME = "evil.example"
OPEN = {"email": "boss@mail.example", "name": "Ann Other", "phone": "+44 20 1234567"}
SHUT = {"email": "placeholder:https://rdap.example/contact", "name": "redacted:REDACTED", "phone": ""}
PROXIED = {"email": "proxy:x@privacy.example", "name": "proxy:Privacy Service", "phone": "proxy:+1.5555555555"}


@pytest.fixture
def answers() -> Answers:
    return Answers()


def titles(world: World, rule: str) -> list[str]:
    rows = world.execute(
        "SELECT title FROM finding WHERE rule = :rule AND status = 'open' ORDER BY event_time, id", rule=rule
    )
    return [str(row[0]) for row in rows]


def evidence(world: World, rule: str) -> set[tuple[object, ...]]:
    return set(
        world.execute(
            "SELECT ff.role, f.qualifiers->>'field', f.state FROM finding n"
            " JOIN finding_fact ff ON ff.finding_id = n.id JOIN fact f ON f.id = ff.fact_id"
            " WHERE n.rule = :rule AND n.status = 'open'",
            rule=rule,
        )
    )


@pytest.mark.parametrize("source", ["rdap", "whois"])
@pytest.mark.parametrize("tier", ["registry", "registrar"])
def test_a_registrant_that_was_exposed_and_then_hidden_is_one_lapse_with_both_versions(
    world: World, answers: Answers, source: str, tier: str
) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, **OPEN), source=source, tier=tier)
    answers.load(world)
    world.monitor()
    assert titles(world, "registrant-hidden") == []
    answers.say(2, record(NAME, **SHUT), source=source, tier=tier)
    answers.load(world)
    assert world.monitor() == 1
    [title] = titles(world, "registrant-hidden")
    assert title == (
        "the registrant of evil.example was exposed (e-mail, name, phone) from 2026-01-01 on, and was hidden by"
        " 2026-01-03"
    )
    assert evidence(world, "registrant-hidden") == {
        ("known", "email", "value"),
        ("known", "name", "value"),
        ("known", "phone", "value"),
        ("new", "email", "placeholder"),
        ("new", "name", "redacted"),
        ("new", "phone", "absent"),
    }
    assert world.execute("SELECT lapse, severity, event_time FROM finding WHERE rule = 'registrant-hidden'") == [
        (True, 85, day(2))
    ]
    answers.say(3, record(NAME, **SHUT), source=source, tier=tier)
    answers.load(world)
    assert world.monitor() == 0


def test_a_watch_that_comes_after_both_versions_finds_the_same(world: World, answers: Answers) -> None:
    answers.say(0, record(NAME, **OPEN))
    answers.say(2, record(NAME, **SHUT))
    answers.load(world)
    assert world.monitor() == 0
    world.watch("watch", WatchedItem(entity=NAME))
    world.monitor()
    assert len(titles(world, "registrant-hidden")) == 1


def test_both_tiers_and_sources_of_one_day_make_one_finding(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    for number, (source, tier) in enumerate(itertools.product(["rdap", "whois"], ["registry", "registrar"])):
        answers.say(0 + number / 100, record(NAME, email="boss@mail.example"), source=source, tier=tier)
        answers.say(2 + number / 100, record(NAME, **SHUT), source=source, tier=tier)
    answers.load(world)
    world.monitor()
    assert len(titles(world, "registrant-hidden")) == 1


@pytest.mark.parametrize("later", [0.02, 9])
@pytest.mark.parametrize(("rule", "before", "after"), [("hidden", OPEN, SHUT), ("exposed", SHUT, OPEN)])
def test_what_two_servers_tell_on_different_days_is_one_finding_of_the_first(  # noqa: PLR0917 - fixtures and a table
    world: World, answers: Answers, rule: str, before: dict[str, str], after: dict[str, str], later: float
) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, **before))
    answers.say(0.1, record(NAME, **before), source="whois")
    answers.say(2.49, record(NAME, **after))
    answers.say(2.49 + later, record(NAME, **after), source="whois")
    # The first of the two comes last: what the second was taken for is withdrawn.
    first = answers.told.pop(2)
    answers.load(world)
    world.monitor()
    answers.told = [first]
    answers.load(world)
    world.monitor()
    [title] = titles(world, f"registrant-{rule}")
    assert "2026-01-03" in title
    rows = world.execute(
        "SELECT ff.role, count(*)::int FROM finding_fact ff JOIN finding n ON n.id = ff.finding_id"
        " WHERE n.rule = :rule AND n.status = 'open' GROUP BY 1 ORDER BY 1",
        rule=f"registrant-{rule}",
    )
    assert rows == [("known", 2 * len(OPEN)), ("new", 2 * len(OPEN))]


def test_a_second_exposure_is_told_from_its_own_beginning(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    for number, fields in enumerate([OPEN, SHUT, OPEN, OPEN, SHUT]):
        answers.say(number, record(NAME, **fields))
    answers.load(world)
    world.monitor()
    assert [title.partition(") ")[2] for title in titles(world, "registrant-hidden")] == [
        "from 2026-01-01 on, and was hidden by 2026-01-02",
        "from 2026-01-03 on, and was hidden by 2026-01-05",
    ]


@pytest.mark.parametrize(("before", "after"), [(OPEN, SHUT), (SHUT, OPEN)])
def test_a_version_that_another_reader_reads_again_is_no_transition(
    world: World, answers: Answers, before: dict[str, str], after: dict[str, str]
) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, **before))
    answers.say(2, record(NAME, **before))
    answers.say(2, record(NAME, servers="ns1.other.example", **after))
    answers.load(world)
    world.monitor()
    assert {rule for _, rule, _ in world.found()} & {
        "registrant-hidden",
        "registrant-exposed",
        "name-servers-moved",
    } == set()


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([("rdap", "registrar", OPEN), ("rdap", "registry", SHUT)], id="only the reach differed"),
        pytest.param([("rdap", "registrar", OPEN), ("whois", "registrar", SHUT)], id="only the protocol differed"),
        pytest.param([("rdap", "registrar", PROXIED), ("rdap", "registrar", SHUT)], id="hidden both times"),
        pytest.param([("rdap", "registrar", OPEN), ("rdap", "registrar", OPEN)], id="shown both times"),
        pytest.param([("rdap", "registrar", OPEN), ("rdap", "registry", {})], id="a silent registry"),
        pytest.param([("rdap", "registrar", SHUT)], id="the first answer ever hides"),
        pytest.param([("rdap", "registrar", OPEN)], id="the first answer ever shows"),
        pytest.param(
            [("rdap", "registrar", OPEN), ("rdap", "registrar", OPEN | {"email": "other@mail.example"})],
            id="another value",
        ),
        pytest.param(
            [("rdap", "registrar", OPEN), ("rdap", "registrar", OPEN | {"phone": ""})], id="a field goes, others stay"
        ),
        pytest.param(
            [("rdap", "registrar", OPEN | {"phone": ""}), ("rdap", "registrar", OPEN)], id="a field is added to others"
        ),
        pytest.param(
            [("rdap", "registrar", OPEN), ("rdap", "registrar", OPEN | {"email": "unparsed:x at y"})],
            id="a field cannot be read",
        ),
    ],
)
def test_what_is_no_transition_is_no_lapse(
    world: World, answers: Answers, history: list[tuple[str, str, dict[str, str]]]
) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    for number, (source, tier, fields) in enumerate(history):
        answers.say(number, record(NAME, **fields), source=source, tier=tier)
    answers.load(world)
    world.monitor()
    assert titles(world, "registrant-hidden") == titles(world, "registrant-exposed") == []


def test_another_domain_of_the_same_source_is_another_history(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, **OPEN))
    answers.say(2, record("good.example", **SHUT))
    answers.load(world)
    world.monitor()
    assert titles(world, "registrant-hidden") == []


def test_a_hidden_registrant_that_a_transfer_exposes_is_a_lapse(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, **SHUT))
    answers.say(4, record(NAME, registrar="iana:1000", **OPEN))
    answers.load(world)
    world.monitor()
    [title] = titles(world, "registrant-exposed")
    assert title == (
        "the registrant of evil.example was hidden, and is exposed (e-mail, name, phone) since 2026-01-05, with a"
        " transfer to another registrar"
    )
    assert ("known", "email", "placeholder") in evidence(world, "registrant-exposed")
    assert ("new", "email", "value") in evidence(world, "registrant-exposed")


def test_a_renewal_that_another_tier_states_is_told(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME), tier="registry")
    answers.say(0.01, record(NAME, **PROXIED))
    answers.say(4, record(NAME, expires="2027-11-01"), tier="registry")
    answers.say(4.01, record(NAME, **OPEN))
    answers.load(world)
    world.monitor()
    [title] = titles(world, "registrant-exposed")
    assert title.endswith("since 2026-01-05, with a renewal")


def test_exposed_hidden_and_exposed_again_are_three_days_of_news(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    for number, fields in enumerate([OPEN, SHUT, OPEN, SHUT, SHUT, SHUT]):
        answers.say(number, record(NAME, **fields))
    answers.load(world)
    world.monitor()
    assert len(titles(world, "registrant-hidden")) == 2
    assert len(titles(world, "registrant-exposed")) == 1


def test_a_followed_actors_domain_counts_from_the_day_after_its_claim(
    world: World, answers: Answers, say: type[Say]
) -> None:
    world.watch("watch", actor="lab:one", follow_actor=True)
    answers.say(0, record(NAME, **OPEN))
    answers.say(2, record(NAME, **SHUT))
    answers.say(4, record(NAME, **OPEN))
    answers.say(6, record(NAME, **SHUT))
    answers.load(world)
    world.load(say.claim(NAME, "lab:one", on=3))
    world.monitor()
    assert len(titles(world, "registrant-hidden")) == 1
    world.load(say.claim(NAME, "lab:one", on=1), source="second")
    world.monitor()
    assert len(titles(world, "registrant-hidden")) == 2


def test_a_title_says_all_fields_however_they_came(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, registrant(NAME, email="boss@mail.example"))
    answers.say(2, registrant(NAME, email="redacted:x"))
    answers.load(world)
    world.monitor()
    answers.say(0.5, registrant(NAME, name="Ann Other"), source="whois")
    answers.say(2.1, registrant(NAME, name="redacted:x"), source="whois")
    answers.load(world)
    world.monitor()
    [title] = titles(world, "registrant-hidden")
    assert "(e-mail, name) from 2026-01-01 on" in title


def test_both_versions_are_explained_with_field_tier_state_and_times(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, email="boss@mail.example"))
    answers.say(2, record(NAME, email="redacted:REDACTED"))
    answers.load(world)
    world.monitor()
    [(number,)] = world.execute("SELECT id FROM finding WHERE rule = 'registrant-hidden'")
    with world.engine.connect() as connection:
        told = explain(connection, int(str(number)))
    [known], [new] = told.known, told.new
    assert (known.object, known.detail) == ("b***@mail.example", "email, at the registrar")
    assert (known.first_seen, known.ended, known.location) == (day(0), day(2), "https://rdap.example/list")
    assert (new.object, new.detail) == ("REDACTED", "email, at the registrar, redacted")
    assert (new.first_seen, new.ended) == (day(2), None)
    assert "boss" not in repr(told)


def test_name_servers_that_are_left_for_others_are_told(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME), tier="registry")
    answers.say(2, record(NAME, servers="ns1.other.example ns2.other.example"), tier="registry")
    answers.load(world)
    world.monitor()
    assert titles(world, "name-servers-moved") == [
        "evil.example left its name servers for ns1.other.example ns2.other.example"
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_the_order_in_which_versions_and_watches_come_does_not_matter(
    world: World, answers: Answers, seed: int
) -> None:
    from tests.tasks.watch.test_order import _clear

    chooser = random.Random(seed)
    names = [NAME, "bad.example", "other.example"]
    for on in range(8):
        for name in chooser.sample(names, 2):
            fields = chooser.choice([OPEN, SHUT, PROXIED, OPEN | {"phone": ""}, {}])
            created = chooser.choice(["2025-11-01", "2025-11-01", "2026-01-04"])
            server = chooser.choice(["dns.example", "dns.example", "microsoftinternetsafety.net"])
            status = chooser.choice([("active",), ("redemption period",)])
            facts = record(name, created=created, servers=f"ns1.{server}", status=status, **fields)
            source, tier = chooser.choice(["rdap", "whois"]), chooser.choice(["registry", "registrar"])
            answers.say(on, facts, source=source, tier=tier)
        if chooser.random() < 0.3:
            answers.lose(on + 0.5, chooser.choice(names))
    told = answers.told

    def found(order: list[int], watched_at: int, pieces: int) -> tuple[set[object], set[object]]:
        _clear(world)
        world.execute("TRUNCATE ownership_end")
        for number, index in enumerate(order):
            if number == watched_at:
                world.watch("one", WatchedItem(domain=NAME), WatchedItem(domain="bad.example", since="2026-01-03"))
            one = told[index]
            # A version may come in pieces as well: what is found is the same once all is there.
            facts = chooser.sample(one.facts, len(one.facts))
            size = max(1, len(facts) // pieces + 1)
            for start in range(0, len(facts), size):
                world.load_all(facts[start : start + size], source=one.source, as_of=one.at)
                if chooser.random() < 0.3:
                    world.monitor()
        world.monitor()
        ends = world.execute(
            "SELECT e.value, o.ended_at, o.reason, f.key FROM ownership_end o JOIN entity e ON e.id = o.entity_id"
            " JOIN fact f ON f.id = o.fact_id"
        )
        titles = world.execute("SELECT rule, title, novelty FROM finding WHERE status <> 'withdrawn'")
        return world.everything() | set(titles), set(ends)

    plain = list(range(len(told)))
    once = found(plain, 0, 1)
    assert len(once[1]) > 1
    assert found(plain[::-1], len(plain) // 2, 1) == once
    assert found(chooser.sample(plain, len(plain)), len(plain) - 1, 2) == once


def test_the_same_again_adds_nothing(world: World, answers: Answers) -> None:
    world.watch("watch", WatchedItem(domain=NAME))
    answers.say(0, record(NAME, **OPEN))
    answers.say(2, record(NAME, created="2026-01-02", **SHUT))
    again = list(answers.told)
    answers.load(world)
    world.monitor()
    before = world.everything()
    answers.told = again
    answers.load(world)
    assert world.monitor() == 0
    assert world.everything() == before


def test_what_readers_of_registration_say_is_understood(world: World) -> None:
    from intel.registration import Field, Outcome, Registrant, Registration
    from tasks.enrich.facts_of_registration import ends, facts_of

    def answer(outcome: Outcome, email: Field) -> tuple[Fact, ...]:
        registrant = Registrant(email=email, handle=Field(value="AO1-TEST", state=State.VALUE))
        said = Registration(
            domain=NAME, outcome=outcome, protocol="rdap", server="https://rdap.example/", registrant=registrant
        )
        return facts_of(said, "registrar")

    world.watch("watch", WatchedItem(domain=NAME))
    shown = answer(Outcome.REGISTERED, Field(value="boss@mail.example", state=State.VALUE))
    hidden = answer(Outcome.REGISTERED, Field(state=State.REDACTED, text="REDACTED"))
    assert answer(Outcome.THROTTLED, Field()) == ()
    world.load_all(shown, source="rdap", as_of=day(0))
    world.load_all([*hidden, *ends(shown, hidden, source="rdap")], source="rdap", as_of=day(2))
    world.monitor()
    [title] = titles(world, "registrant-hidden")
    assert "(e-mail) from 2026-01-01 on, and was hidden by 2026-01-03" in title
