from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, text

from db import documents, new_domains
from db.lookup_queue import Priority
from intel.config.newdomains import NewDomains
from intel.facts import Reject
from intel.new_domains import Arrival, Channel
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.load import new_domains as loading
from tasks.load.new_domain_work import Work, open_work
from tasks.load.new_domains import Arrived, load_arrivals
from tests import factories
from tests.tasks.normalize.test_domains import source

DAY = datetime(2026, 3, 1, tzinfo=UTC)
LATER = DAY + timedelta(days=1)
LISTS = source()


class ByLength:
    """Ranks long names before short ones."""

    threshold = 20.0

    def scores(self, names: Sequence[str]) -> list[float]:
        return [float(len(name)) for name in names]


@pytest.fixture
def watched(engine: Engine) -> Engine:
    with engine.begin() as connection:
        watch = factories.watch(connection, "heron", rules=["*"], origin="command")
        factories.watch_item(connection, watch, "evil.example", match="scope", kind="")
        factories.watch_item(connection, watch, "lookalike:sampleco.example", match="entity", kind="pattern")
    return engine


def rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def arrive(
    engine: Engine,
    names: Iterable[str | Arrival | Reject],
    *,
    at: datetime = DAY,
    channel: Channel = Channel.LIST,
    **more: Any,
) -> Arrived:
    records = [Arrival(name=one, seen_at=at) if isinstance(one, str) else one for one in names]
    entry = more.pop("entry", LISTS)
    with open_run(engine, entry) as run:
        return load_arrivals(engine, entry, run, channel, records, **more)


FACTS = """
SELECT s.value, f.predicate, o.value, h.event_time, h.ended FROM fact f
JOIN entity s ON s.id = f.subject_id JOIN entity o ON o.id = f.object_id JOIN fact_history h ON h.fact_id = f.id
ORDER BY 1, 2, 3, 4, 5
"""
SEEN = "SELECT name, channel, first_seen FROM seen_domain ORDER BY name, channel"


def test_a_name_is_seen_once_for_each_channel_and_first_by_its_earliest_sight(engine: Engine) -> None:
    assert arrive(engine, ["one.example", "two.example", "one.example"], at=LATER).new == 2
    assert arrive(engine, ["one.example"], at=DAY).new == 0
    assert arrive(engine, ["two.example"], at=LATER + timedelta(days=3)).new == 0
    assert arrive(engine, ["one.example"], at=LATER, channel=Channel.CT).new == 1
    assert rows(engine, SEEN) == [
        ("one.example", "ct", LATER),
        ("one.example", "list", DAY),
        ("two.example", "list", LATER),
    ]


def test_what_touches_a_watch_becomes_facts_and_nothing_else_does(watched: Engine) -> None:
    done = arrive(watched, ["quiet.example", "evil.example", "samp1eco.test"])
    assert (done.names, done.new, done.matched, done.facts_new) == (3, 3, 2, 2)
    assert rows(watched, FACTS) == [
        ("evil.example", "listed", "newly registered", DAY, False),
        ("samp1eco.test", "matches", "lookalike:sampleco.example", DAY, False),
    ]
    assert rows(watched, "SELECT qualifiers->>'why' FROM fact WHERE predicate = 'matches'") == [
        ("looks alike: 1 for l, at the 5th place",)
    ]
    # What was read is not kept here, so what matched is the document.
    assert rows(watched, "SELECT location, loaded FROM document") == [("list:lists", True)]


def test_the_same_again_writes_nothing(watched: Engine) -> None:
    arrive(watched, ["evil.example", "quiet.example"])
    before = rows(watched, "SELECT count(*) FROM fact_history"), rows(watched, SEEN)
    done = arrive(watched, ["evil.example", "quiet.example"])
    assert (done.new, done.facts_new, done.batches, done.wanted) == (0, 0, (), 0)
    assert (rows(watched, "SELECT count(*) FROM fact_history"), rows(watched, SEEN)) == before


def test_slices_are_committed_one_by_one_and_the_cursor_with_the_last(
    watched: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SLICE", 2)
    seen_cursors = []

    def names() -> Iterable[Arrival]:
        for name in ("a.example", "b.example", "c.example", "evil.example", "d.example"):
            seen_cursors.append(rows(watched, "SELECT count(*) FROM cursor WHERE name = 'source:lists'")[0][0])
            yield Arrival(name=name, seen_at=DAY)

    with open_run(watched, LISTS) as run:
        done = load_arrivals(watched, LISTS, run, Channel.LIST, names(), cursor={"day": "2026-03-01"})
    assert (done.names, done.new, done.matched) == (5, 5, 1)
    assert seen_cursors == [0] * 5
    assert rows(watched, "SELECT value FROM cursor WHERE name = 'source:lists'") == [({"day": "2026-03-01"},)]
    assert rows(watched, "SELECT outcome FROM run") == [("ok",)]


def test_a_load_that_fails_leaves_whole_slices_and_is_done_again(
    watched: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SLICE", 2)

    def broken() -> Iterable[Arrival]:
        for name in ("a.example", "evil.example", "c.example", "d.example"):
            yield Arrival(name=name, seen_at=DAY)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError), open_run(watched, LISTS) as run:
        load_arrivals(watched, LISTS, run, Channel.LIST, broken(), cursor={"day": "x"})
    assert [name for name, _, _ in rows(watched, SEEN)] == ["a.example", "evil.example"]
    assert rows(watched, "SELECT count(*) FROM cursor WHERE name = 'source:lists'") == [(0,)]
    assert rows(watched, "SELECT outcome FROM run") == [("failed",)]
    done = arrive(watched, ["a.example", "evil.example", "c.example", "d.example"])
    assert (done.new, done.facts_new) == (2, 0)


def test_what_touches_a_watch_is_looked_up_once_and_within_the_days_number(watched: Engine) -> None:
    with watched.connect() as connection:
        watch = open_work(watched).matcher
        del connection
    work = Work(matcher=watch, config=NewDomains(matched_per_day=2))
    names = ["evil.example", "samp1eco.test", "sampleco-login.test"]
    assert arrive(watched, names, work=work).wanted == 2
    assert arrive(watched, names, at=LATER, work=work).wanted == 0
    wishes = rows(
        watched, "SELECT e.value, l.priority, l.reason, l.reach FROM lookup l JOIN entity e ON e.id = l.entity_id"
    )
    assert sorted(wishes) == [
        ("evil.example", Priority.NEW_DOMAIN, "new domain", "registrar"),
        ("samp1eco.test", Priority.NEW_DOMAIN, "new domain", "registrar"),
    ]


def test_the_highest_ranked_are_looked_up_within_the_days_number_and_keep_their_scores(watched: Engine) -> None:
    work = Work(matcher=open_work(watched).matcher, ranker=ByLength(), config=NewDomains(ranked_per_day=2))
    names = ["short.example", "a-long-name-indeed.example", "a-longer-name-indeed.example", "quite-a-long-one.example"]
    assert arrive(watched, names, work=work).wanted == 2
    wishes = rows(
        watched, "SELECT e.value, l.reason, l.reach FROM lookup l JOIN entity e ON e.id = l.entity_id ORDER BY 1"
    )
    assert wishes == [
        ("a-long-name-indeed.example", "new domain, ranked", "registry"),
        ("a-longer-name-indeed.example", "new domain, ranked", "registry"),
    ]
    assert arrive(watched, ["another-rather-long-one.example"], work=work).wanted == 0
    with watched.connect() as connection:
        found = new_domains.ranked(connection, DAY, 2)
    assert [(one["name"], one["score"], one["channels"]) for one in found] == [
        ("another-rather-long-one.example", 31.0, ["list"]),
        ("a-longer-name-indeed.example", 28.0, ["list"]),
    ]


def test_what_may_not_leave_the_machine_is_not_looked_up(watched: Engine) -> None:
    assert arrive(watched, ["evil.example"], entry=source(tlp="TLP:AMBER+STRICT")).wanted == 0
    assert arrive(watched, ["samp1eco.test"], entry=source(tlp="TLP:AMBER")).wanted == 1


def test_name_servers_of_what_touches_a_watch_are_stated_and_end_when_they_change(watched: Engine) -> None:
    def move(change: Any, at: datetime, *servers: str) -> None:
        one = Arrival(name="evil.example", seen_at=at, change=change, name_servers=servers)
        arrive(watched, [one], channel=Channel.ZONE)

    move("added", DAY, "ns1.host.test", "ns2.host.test")
    move("name-servers", LATER, "ns1.host.test", "ns1.other.test")
    move("removed", LATER + timedelta(days=1), "ns1.host.test", "ns1.other.test")
    found = rows(watched, FACTS.replace("ORDER", "WHERE f.predicate LIKE 'uses%' ORDER"))
    end = LATER + timedelta(days=1)
    assert [row[1:] for row in found] == [
        ("uses-name-server", "ns1.host.test", DAY, False),
        ("uses-name-server", "ns1.host.test", LATER, False),
        ("uses-name-server", "ns1.host.test", end, True),
        ("uses-name-server", "ns1.other.test", LATER, False),
        ("uses-name-server", "ns1.other.test", end, True),
        ("uses-name-server", "ns2.host.test", DAY, False),
        ("uses-name-server", "ns2.host.test", LATER, True),
        ("uses-name-servers", "ns1.host.test ns1.other.test", LATER, False),
        ("uses-name-servers", "ns1.host.test ns1.other.test", end, True),
        ("uses-name-servers", "ns1.host.test ns2.host.test", DAY, False),
        ("uses-name-servers", "ns1.host.test ns2.host.test", LATER, True),
    ]
    # Only what was added is new.
    assert rows(watched, SEEN) == [("evil.example", "zone", DAY)]


def test_a_strangers_domain_on_a_watched_name_server_is_met(watched: Engine) -> None:
    one = Arrival(name="stranger.test", seen_at=DAY, name_servers=("ns1.evil.example", "ns2.host.test"))
    assert arrive(watched, [one], channel=Channel.ZONE).matched == 1
    assert [row[:3] for row in rows(watched, FACTS)] == [
        ("stranger.test", "uses-name-server", "ns1.evil.example"),
        ("stranger.test", "uses-name-server", "ns2.host.test"),
        ("stranger.test", "uses-name-servers", "ns1.evil.example ns2.host.test"),
    ]


def test_only_names_that_another_channel_has_shown_are_kept_where_that_is_asked(engine: Engine) -> None:
    arrive(engine, ["known.example"])
    done = arrive(engine, ["known.example", "unknown.example"], channel=Channel.CT, only_known=True)
    assert done.new == 1
    assert [row[:2] for row in rows(engine, SEEN)] == [("known.example", "ct"), ("known.example", "list")]


def test_rejects_are_kept_with_the_document(watched: Engine) -> None:
    done = arrive(watched, ["one.example", Reject(locator="line 2", reason="couldn't read a name", excerpt="?")])
    assert (done.names, done.rejects) == (1, 1)
    assert rows(watched, "SELECT locator, excerpt FROM reject") == [("line 2", "?")]


def test_nothing_at_all_closes_the_run_and_moves_the_cursor(engine: Engine) -> None:
    assert arrive(engine, [], cursor={"day": "2026-03-02"}).names == 0
    assert rows(engine, "SELECT value FROM cursor WHERE name = 'source:lists'") == [({"day": "2026-03-02"},)]


def test_old_first_sights_go(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.upkeep.new_domains import prune_seen

    monkeypatch.setattr(new_domains, "_PRUNED", 2)
    (settings().configs / "newdomains.yaml").write_text("keep_days: 10\n")
    now = datetime.now(UTC)
    arrive(engine, [f"old{number}.example" for number in range(5)], at=now - timedelta(days=11))
    arrive(engine, ["young.example"], at=now - timedelta(days=9))
    assert prune_seen(engine) == 5
    assert [row[0] for row in rows(engine, SEEN)] == ["young.example"]


def test_a_fact_points_to_its_line_in_the_document_that_is_kept(watched: Engine) -> None:
    arrive(watched, ["quiet.example", "still.example", "evil.example", "none.example", "samp1eco.test"])
    statement = (
        "SELECT e.value, f.locator, d.sha256 FROM fact f JOIN entity e ON e.id = f.subject_id"
        " JOIN document d ON d.id = f.document_id ORDER BY 1"
    )
    found = rows(watched, statement)
    body = documents.get(settings().document_store, bytes(found[0][2]))
    assert [(name, locator) for name, locator, _ in found] == [("evil.example", "line 1"), ("samp1eco.test", "line 2")]
    assert [msgspec.json.decode(line)["name"] for line in body.splitlines()] == ["evil.example", "samp1eco.test"]


def test_what_touches_a_watch_is_looked_up_though_its_sight_is_not_kept(watched: Engine) -> None:
    for _ in range(2):
        done = arrive(watched, ["samp1eco.test", "quiet.example"], channel=Channel.CT, only_known=True)
    assert (done.matched, done.new, done.wanted) == (1, 0, 0)
    assert rows(watched, SEEN) == []
    assert rows(watched, "SELECT e.value FROM lookup l JOIN entity e ON e.id = l.entity_id") == [("samp1eco.test",)]
    assert rows(watched, "SELECT value->>'matched' FROM cursor WHERE name = 'new-domains:asked'") == [("1",)]


def test_loads_at_once_take_no_more_than_the_day_allows(watched: Engine) -> None:
    work = Work(matcher=open_work(watched).matcher, config=NewDomains(matched_per_day=5))

    def one(number: int) -> int:
        names = [f"sampleco-{number}-{which}.test" for which in range(3)]
        return arrive(watched, names, work=work, entry=source(name=f"lists-{number}")).wanted

    with ThreadPoolExecutor(4) as at_once:
        assert sum(at_once.map(one, range(4))) == 5
    assert rows(watched, "SELECT count(*) FROM lookup") == [(5,)]


@pytest.mark.parametrize("change", ["name-servers", "removed"])
def test_a_domain_that_leaves_a_watched_name_server_is_no_longer_said_to_use_it(watched: Engine, change: Any) -> None:
    first = Arrival(name="stranger.test", seen_at=DAY, name_servers=("ns.evil.example",))
    arrive(watched, [first], channel=Channel.ZONE)
    left = Arrival(name="stranger.test", seen_at=LATER, change=change, name_servers=("ns.other.test",))
    done = arrive(watched, [left, msgspec.structs.replace(left, name="quiet.test")], channel=Channel.ZONE)
    assert (done.matched, done.wanted) == (0, 0)
    ended = [row for row in rows(watched, FACTS) if row[4]]
    assert [(subject, said) for subject, _, said, _, _ in ended] == [("stranger.test", "ns.evil.example")] * 2
    assert "quiet.test" not in {row[0] for row in rows(watched, FACTS)}
