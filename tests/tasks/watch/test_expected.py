from __future__ import annotations

import random

import pytest

from intel.config.organisation import Organisation
from intel.config.watches import WatchedItem, WatchFile
from intel.entities import Kind, entity, guess
from intel.errors import ConfigError
from intel.facts import Fact
from tasks.watch.describe import FLOOR
from tasks.watch.items import Changed, sync_files
from tests.tasks.watch.world import Say, World, day

OWN, TBS, KEY = 20, 50, 9
US = Organisation(domains=("harbour.example",), expected_certificates=(f"{OWN:064x}",))


def us(world: World, organisation: Organisation = US, *files: WatchFile) -> Changed:
    with world.engine.begin() as connection:
        return sync_files(connection, files, organisation)


def said(world: World) -> dict[int, tuple[int, list[str]]]:
    """Each open finding's certificate, with what it is worth and what is noted of it."""
    rows = world.execute(
        "SELECT e.value, n.severity, n.annotations FROM finding n JOIN entity e ON e.id = n.subject_id"
        " WHERE n.status = 'open' AND n.rule = 'certificate-name'"
    )
    return {
        int(str(value).removeprefix("sha256:"), 16): (severity, [one["why"] for one in notes])  # type: ignore[misc,attr-defined]  # rows are JSON
        for value, severity, notes in rows
    }


EXPECTED = (FLOOR, ["expected: a certificate of our own"])
RENEWAL = (FLOOR, ["expected: the renewal of a certificate of our own, with its key and for its domains"])
UNEXPECTED: tuple[int, list[str]] = (60, [])


def test_our_own_certificates_are_expected_and_others_for_our_domains_are_not(world: World, say: type[Say]) -> None:
    us(world)
    world.load(
        *say.certificate(OWN, "harbour.example", "www.harbour.example", key=KEY),
        *say.certificate(21, "harbour.example", "mail.harbour.example", key=KEY),  # the same key, the same domain
        *say.certificate(22, "harbour.example", "quay.example", key=KEY),  # another domain besides
        *say.certificate(23, "harbour.example", key=8),  # another key
        *say.certificate(24, "other.example", key=KEY),
    )
    world.monitor()
    assert said(world) == {OWN: EXPECTED, 21: RENEWAL, 22: UNEXPECTED, 23: UNEXPECTED}
    assert {row[0] for row in world.execute("SELECT DISTINCT rule FROM finding")} == {"certificate-name"}
    assert world.monitor() == 0


@pytest.mark.parametrize(
    "listed", [f"{OWN:064x}", f"SHA256:{TBS:064X}", f"{KEY:064x}"], ids=["certificate", "tbs", "key"]
)
def test_what_is_expected_is_known_by_certificate_tbs_and_key(world: World, say: type[Say], listed: str) -> None:
    us(world, Organisation(domains=("harbour.example",), expected_certificates=(listed,)))
    world.load(*say.certificate(TBS, "harbour.example", key=KEY), say.same(OWN, TBS))
    world.load(*say.certificate(21, "harbour.example", key=7))
    world.monitor()
    found = said(world)
    assert (found[TBS][0], found[21]) == (FLOOR, UNEXPECTED)
    assert found[TBS][1][0].startswith("expected: a certificate")


def test_what_becomes_expected_is_lowered_and_what_is_no_longer_is_raised(world: World, say: type[Say]) -> None:
    us(world, Organisation(domains=("harbour.example",), expected_certificates=(f"{77:064x}",)))
    world.load(*say.certificate(21, "harbour.example", key=KEY))
    world.load(*say.certificate(OWN, "harbour.example", key=KEY))
    world.monitor()
    assert said(world) == {OWN: UNEXPECTED, 21: UNEXPECTED}
    us(world)
    world.monitor()
    assert said(world) == {OWN: EXPECTED, 21: RENEWAL}
    us(world, Organisation(domains=("harbour.example",), expected_certificates=(f"{21:064x}",)))
    world.monitor()
    assert said(world) == {OWN: RENEWAL, 21: EXPECTED}
    us(world, Organisation(domains=("harbour.example",), expected_certificates=(f"{77:064x}",)))
    world.monitor()
    assert said(world) == {OWN: UNEXPECTED, 21: UNEXPECTED}


def test_our_own_are_expected_in_every_watch_and_a_watchs_own_in_it_alone(world: World, say: type[Say]) -> None:
    us(world)
    world.watch("partner", WatchedItem(domain="harbour.example"), expected=[f"{8:064x}"])
    world.watch("other", WatchedItem(domain="harbour.example"))
    world.load(*say.certificate(OWN, "harbour.example", key=KEY), *say.certificate(23, "harbour.example", key=8))
    world.monitor()
    rows = world.execute(
        "SELECT w.name, e.value, n.severity FROM finding n JOIN watch w ON w.id = n.watch_id"
        " JOIN entity e ON e.id = n.subject_id WHERE n.rule = 'certificate-name'"
    )
    found = {(watch, int(str(value).removeprefix("sha256:"), 16)): severity for watch, value, severity in rows}
    assert found == {
        ("organisation", OWN): FLOOR, ("partner", OWN): FLOOR, ("other", OWN): FLOOR,
        ("organisation", 23): 60, ("partner", 23): FLOOR, ("other", 23): 60,
    }  # fmt: skip
    world.watch("partner", WatchedItem(domain="harbour.example"))
    world.monitor()
    assert world.execute("SELECT DISTINCT severity FROM finding WHERE severity = 60 ORDER BY 1") == [(60,)]
    assert world.execute(
        "SELECT count(*) FROM finding n JOIN watch w ON w.id = n.watch_id WHERE w.name = 'partner' AND n.severity = 60"
    ) == [(1,)]


@pytest.mark.parametrize("seed", range(3))
def test_a_renewal_is_expected_whichever_is_seen_first(world: World, say: type[Say], seed: int) -> None:
    told = [
        *say.certificate(TBS, "harbour.example", "www.harbour.example", key=KEY),
        say.same(OWN, TBS),
        *say.certificate(60, "www.harbour.example", key=KEY),
        say.same(30, 60),
        *say.certificate(22, "harbour.example", key=8),
    ]
    chooser = random.Random(seed)
    chooser.shuffle(told)
    begin = chooser.randrange(len(told))
    for number, fact in enumerate(told):
        if number == begin:
            us(world)
        world.load(fact, source="log")
        world.monitor()
    assert said(world) == {TBS: EXPECTED, 60: RENEWAL, 22: UNEXPECTED}


def test_a_chain_that_is_not_the_certificates_is_noted(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(*say.certificate(1, "evil.example"), say.logged(1, 3))
    world.monitor()
    assert said(world) == {1: UNEXPECTED}
    world.load(say.logged(1, 9, log="other-log", chain="the log's chain is not this certificate's"), source="other-log")
    world.monitor()
    assert said(world) == {1: (60, ["the log's chain is not this certificate's"])}


def test_what_lists_say_stays_beside_what_is_noted(world: World, say: type[Say]) -> None:
    from db.watching_match import HUB

    us(world)
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(
        *say.certificate(5_000, "www.evil.example", key=7),
        *(fact for number in range(1, HUB + 5) for fact in say.certificate(number, f"d{number}.example", key=7)),
    )
    world.monitor()
    [(reused,)] = world.execute("SELECT max(n.id) FROM finding n WHERE rule = 'reused-key' AND severity = 40")
    [(subject,)] = world.execute(
        "SELECT e.value FROM finding n JOIN entity e ON e.id = n.subject_id WHERE n.id = :n", n=reused
    )
    world.watch("watch", WatchedItem(domain="evil.example"), expected=[str(subject)])
    world.monitor()
    [(severity, notes)] = world.execute("SELECT severity, annotations FROM finding WHERE id = :n", n=reused)
    assert (severity, [one["hub"] for one in notes]) == (0, ["shared", "expected"])  # type: ignore[attr-defined]  # JSON


def test_our_names_are_a_watch_of_their_own(world: World) -> None:
    organisation = Organisation(domains=("harbour.example", "shop.quay.example"), brands=("Example Corp", "ab", "ACME"))
    changed = us(world, organisation, WatchFile(name="one", items=(WatchedItem(domain="evil.example"),)))
    assert (changed.watches, changed.removed, len(changed.left_out)) == (2, 0, 1)
    assert changed.left_out[0].startswith("ab: ")
    ours = "SELECT match, kind, value FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.name = 'organisation'"
    assert set(world.execute(ours)) == {
        ("entity", "pattern", f"lookalike:{one}") for one in ("harbour.example", "quay.example", "examplecorp", "acme")
    }
    us(world, organisation.model_copy(update={"expected_certificates": ("AB" * 32,)}))
    assert {row for row in world.execute(ours) if row[1] != "pattern"} == {
        ("ours", "", "sha256:" + "ab" * 32),
        ("scope", "", "harbour.example"),
        ("entity", "domain", "shop.quay.example"),
        ("subtree", "", "shop.quay.example"),
    }


def test_without_an_organisation_its_watch_stays_and_with_an_empty_one_it_goes(world: World) -> None:
    us(world)
    with world.engine.begin() as connection:
        assert sync_files(connection, []) == Changed(watches=0, removed=0)
    assert world.execute("SELECT active FROM watch") == [(True,)]
    assert us(world, Organisation()).removed == 1
    with pytest.raises(ConfigError, match="another name"):
        us(world, Organisation(), WatchFile(name="organisation"))


def test_what_cannot_be_expected_is_refused(world: World) -> None:
    for value in ("ab" * 20, "nonsense"):
        with pytest.raises(ConfigError, match="expected"):
            world.watch("watch", WatchedItem(domain="evil.example"), expected=[value])


def test_a_lookalike_of_ours_is_found_and_an_actors_rules_do_not_judge_us(world: World, say: type[Say]) -> None:
    us(world)
    world.load(
        say.matches(1, "lookalike:harbour.example", "examp1e.com", "one letter replaced: l by 1"),
        say.listed("www.harbour.example"),
        *say.certificate(OWN, "harbour.example", "partner.example", key=KEY),
        *say.certificate(31, "partner.example", key=KEY),
        Fact(
            subject=guess("198.51.100.7:443"),
            predicate="presents",
            object=entity(Kind.CERTIFICATE, f"{OWN:064x}"),
            event_time=day(0),
        ),
    )
    world.monitor()
    rules = {(rule, value[-2:]) for _, rule, value in world.found()}
    assert rules == {("lookalike-name", "01"), ("certificate-name", f"{OWN:02x}")}
