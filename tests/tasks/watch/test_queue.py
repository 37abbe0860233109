from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db import finding_suppressions
from intel.config.watches import WatchedItem
from intel.entities import Kind, entity
from intel.errors import WarehouseError
from tasks.watch import queue, queue_suppress
from tasks.watch.queue import Tie, groups, points, union
from tasks.watch.review import explain, set_status
from tests.tasks.watch.world import Say, World

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _row(number: int, **values: Any) -> dict[str, Any]:
    return {
        "finding": number, "severity": 50, "lapse": False, "found_at": NOW, "evidence_at": None, "reliability": "B",
        "sources": 1, "title": f"finding {number}",
    } | values  # fmt: skip


def _id(world: World, subject: str, rule: str = "same-domain") -> int:
    [(found,)] = world.execute(
        "SELECT n.id FROM finding n JOIN entity e ON e.id = n.subject_id WHERE e.value = :subject AND n.rule = :rule",
        subject=subject,
        rule=rule,
    )
    return int(found)


def _status(world: World, finding: int) -> tuple[object, ...]:
    [row] = world.execute("SELECT status, status_reason FROM finding WHERE id = :id", id=finding)
    return row


def _events(world: World, finding: int) -> list[object]:
    rows = world.execute("SELECT status, who FROM finding_event WHERE finding_id = :id ORDER BY id", id=finding)
    return [tuple(row) for row in rows]


def _severity(world: World, finding: int) -> int:
    [(found,)] = world.execute("SELECT severity FROM finding WHERE id = :id", id=finding)
    return int(found)


def test_rank_counts_severity_lapse_newness_confidence_and_size() -> None:
    plain = points(_row(1), 1, NOW)
    assert points(_row(1, severity=60), 1, NOW) == plain + 10
    assert points(_row(1, lapse=True), 1, NOW) == plain + queue.LAPSE
    assert points(_row(1, found_at=NOW - queue.HALF_LIFE), 1, NOW) == plain - queue.NEWNESS / 2
    assert points(_row(1, found_at=NOW - timedelta(days=300), evidence_at=NOW), 1, NOW) == plain
    assert points(_row(1, reliability="A"), 1, NOW) == plain + 1
    assert points(_row(1, sources=2), 1, NOW) == plain + 1
    assert points(_row(1), 4, NOW) == plain + 2
    assert points(_row(1), 10**9, NOW) == plain + queue.SIZE


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)), max_size=40),
    st.lists(st.integers(0, 100), min_size=21, max_size=21),
    st.randoms(use_true_random=False),
)
def test_groups_and_ranks_do_not_depend_on_the_order(
    shared: list[tuple[int, int]], severities: list[int], order: random.Random
) -> None:
    rows = [_row(number, severity=severity) for number, severity in enumerate(severities)]
    ties: dict[int, set[Tie]] = {}
    for finding, value in shared:
        ties.setdefault(finding, set()).add(Tie(kind=Kind.IP, value=f"192.0.2.{value}"))
    first = groups(rows, ties, NOW)
    shuffled = list(rows)
    order.shuffle(shuffled)
    items = list(ties.items())
    order.shuffle(items)
    assert groups(shuffled, dict(items), NOW) == first
    assert sorted(one.id for group in first for one in group.findings) == list(range(21))
    together = [[finding for finding, held in shared if held == value] for value in range(9)]
    again = list(filter(None, together))
    order.shuffle(again)
    assert union(range(21), again) == union(range(21), filter(None, together))
    where = {one.id: number for number, group in enumerate(first) for one in group.findings}
    assert all(len({where[finding] for finding in members}) == 1 for members in again)


def test_many_groups_take_no_more_than_their_findings() -> None:
    began = time.perf_counter()
    found = groups(
        [_row(one) for one in range(20_000)],
        {one: [Tie(kind="domain", value=f"n{one // 2}.example")] for one in range(20_000)},
        NOW,
    )
    assert len(found) == 10_000
    assert time.perf_counter() - began < 2


def test_findings_are_grouped_by_what_they_share_and_hubs_join_nothing(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), WatchedItem(domain="other.example"))
    world.watch("cdn", WatchedItem(domain="third.example"), WatchedItem(domain="fourth.example"))
    cdn = "104.16.1.1"  # a content network's
    world.load(say.listed("a.evil.example"), say.listed("b.evil.example"), say.listed("c.other.example"))
    world.load(say.resolves("x.third.example", cdn), say.resolves("x.fourth.example", cdn))
    world.load(*(say.registrant(f"{one}.example", "john@mail.example") for one in ("evil", "bought", "leased")))
    world.monitor()
    with world.engine.connect() as connection:
        made = queue.queue(connection, now=NOW)
        ids = queue.group_of(connection, _id(world, "a.evil.example"), now=NOW, statuses=("open",))
    subjects = [{one.row["subject"] for one in group.findings} for group in made]
    # The registrant's e-mail joins what stands under three domains.
    joined = next(one for one in subjects if "bought.example" in one)
    assert joined >= {"leased.example"}
    assert {"a.evil.example", "b.evil.example"} <= next(one for one in subjects if "a.evil.example" in one)
    assert {"c.other.example"} in subjects
    assert not any({"x.third.example", "x.fourth.example"} <= one for one in subjects)
    group = next(one for one in made if len(one.findings) == len(ids))
    assert group.title.startswith(f"{len(ids)} findings share ")
    assert set(ids) == {one.id for one in group.findings}


def test_new_evidence_reopens_what_was_closed_and_a_restatement_does_not(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    names = ("a.evil.example", "b.evil.example", "c.evil.example", "d.evil.example")
    world.load_all([say.listed(name) for name in names])
    world.monitor()
    dismissed, acknowledged, confirmed, left = (_id(world, name) for name in names)
    with world.engine.begin() as connection:
        set_status(connection, dismissed, "dismissed", "ours", who="ann")
        set_status(connection, acknowledged, "acknowledged", who="ann")
        set_status(connection, confirmed, "confirmed", who="ann")
        assert set_status(connection, confirmed, "confirmed", who="ann") == 0
    world.load_all([say.listed(name, on=3) for name in names])
    assert world.monitor() == 0
    assert [_status(world, one)[0] for one in (dismissed, acknowledged, confirmed, left)] == [
        "dismissed", "acknowledged", "confirmed", "open",
    ]  # fmt: skip
    world.load_all([say.listed(name) for name in names], source="second")
    assert world.monitor() == 0
    assert _status(world, dismissed) == ("open", "new evidence from second")
    assert _events(world, dismissed) == [("dismissed", "ann"), ("reopened", "")]
    assert _events(world, acknowledged) == [("acknowledged", "ann"), ("reopened", "")]
    assert _events(world, confirmed) == [("confirmed", "ann"), ("confirmed", "")]
    assert _status(world, confirmed)[0] == "confirmed"
    assert _events(world, left) == []
    gained = world.execute("SELECT id FROM finding WHERE evidence_at IS NOT NULL ORDER BY id")
    assert {row[0] for row in gained} == {dismissed, acknowledged}
    with world.engine.connect() as connection:
        told = explain(connection, dismissed)
    assert [one.status for one in told.history] == ["dismissed", "reopened"]
    assert told.history[1].reason == "was dismissed; new evidence from second"


def test_several_are_changed_together_or_not_at_all(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(say.listed("a.evil.example"), say.listed("b.evil.example"))
    world.monitor()
    both = [_id(world, "a.evil.example"), _id(world, "b.evil.example")]
    with world.engine.begin() as connection:
        with pytest.raises(WarehouseError, match="999"):
            set_status(connection, [*both, 999], "confirmed")
        with pytest.raises(WarehouseError, match="no reason"):
            set_status(connection, both, "dismissed", " ")
        assert world.found() == {("watch", "same-domain", f"{one}.evil.example") for one in "ab"}
        assert set_status(connection, both, "dismissed", "ours") == 2


def test_a_dismissal_teaches_and_drops_nothing(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(network="203.0.113.7/32"))
    world.watch("second", WatchedItem(network="203.0.113.7/32"))
    world.load(*(say.resolves(f"{one}.shop.example", "203.0.113.7") for one in "ab"))
    world.load(say.resolves("www.stranger.example", "203.0.113.7"))
    world.monitor()

    def worth(watch: str) -> dict[str, tuple[int, str]]:
        rows = world.execute(
            "SELECT e.value, n.severity, n.annotations::text FROM finding n JOIN entity e ON e.id = n.subject_id"
            " JOIN watch w ON w.id = n.watch_id WHERE n.rule = 'new-resolution' AND w.name = :watch",
            watch=watch,
        )
        return {str(value): (int(severity), str(said)) for value, severity, said in rows}

    before = worth("watch")
    [(first,)] = world.execute(
        "SELECT n.id FROM finding n JOIN entity e ON e.id = n.subject_id JOIN watch w ON w.id = n.watch_id"
        " WHERE e.value = 'a.shop.example' AND n.rule = 'new-resolution' AND w.name = 'watch'"
    )
    with world.engine.begin() as connection:
        taught = queue_suppress.teach(connection, int(first), "our own shop")
        set_status(connection, int(first), "dismissed", "our own shop", who="ann")
    assert (taught.on, taught.lowered) == ("domain shop.example", 1)
    world.load(say.resolves("c.shop.example", "203.0.113.7"))
    assert world.monitor() > 0
    after = worth("watch")
    assert after["b.shop.example"][0] == before["b.shop.example"][0] - queue_suppress.TAKES
    assert after["c.shop.example"][0] == after["b.shop.example"][0]
    assert "our own shop" in after["c.shop.example"][1]
    assert "by ann" in after["c.shop.example"][1]
    assert after["www.stranger.example"] == before["www.stranger.example"]
    assert worth("second")["b.shop.example"] == before["b.shop.example"]
    with world.engine.begin() as connection:
        again = queue_suppress.teach(connection, int(first), "our own shop", holds_for="everything")
        assert [one["lowers"] for one in finding_suppressions.listed(connection)] == [5, 2]
    assert worth("second")["b.shop.example"][0] == before["b.shop.example"][0] - queue_suppress.TAKES
    with world.engine.begin() as connection:
        assert queue_suppress.forget(connection, again.id) == 5
        assert queue_suppress.forget(connection, taught.id) == 2
        with pytest.raises(WarehouseError):
            queue_suppress.forget(connection, taught.id)
        assert finding_suppressions.listed(connection) == []
    assert worth("watch")["b.shop.example"] == before["b.shop.example"]
    assert worth("second")["b.shop.example"] == before["b.shop.example"]


def test_what_is_stored_meanwhile_is_lowered_too(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(say.listed("a.evil.example"))
    world.monitor()
    first = _id(world, "a.evil.example")
    world.load(say.listed("b.evil.example"), say.listed("b.evil.example"))
    given = entity(Kind.DOMAIN, "evil.example")
    judging = threading.Thread(target=world.monitor)
    with world.engine.begin() as connection:
        queue_suppress.teach(connection, first, "ours", on=given)
        judging.start()
        # The monitor waits for what is being taught.
        for _ in range(200):
            [(waits,)] = world.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            if waits:
                break
            time.sleep(0.02)
        assert waits
    judging.join(30)
    assert _severity(world, _id(world, "b.evil.example")) == _severity(world, first) - queue_suppress.TAKES


def test_a_dismissal_does_not_blind_the_watch(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load(say.listed("evil.example"), say.registrant("evil.example", "john@mail.example"))
    world.load(say.registrant("b.example", "john@mail.example"), source="whois")
    world.load(say.listed("a.evil.example"))
    world.monitor()
    with world.engine.begin() as connection:
        on = queue_suppress.teach(connection, _id(world, "a.evil.example"), "seen").on
        assert on == "domain a.evil.example"
        on = queue_suppress.teach(connection, _id(world, "b.example", "shared-registrant"), "reseller").on
        assert on == "domain b.example"
        given = entity(Kind.EMAIL, "john@mail.example")
        taught = queue_suppress.teach(connection, _id(world, "b.example", "shared-registrant"), "reseller", on=given)
    assert taught.on == "email j***@mail.example"
    assert world.monitor() == 0


def test_a_scorecard_says_what_became_of_what_was_raised(world: World, say: type[Say]) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    world.load_all([say.listed(f"{one}.evil.example") for one in "abcd"])
    world.monitor()
    with world.engine.begin() as connection:
        for one in "ab":
            set_status(connection, _id(world, f"{one}.evil.example"), "confirmed", who="ann")
        set_status(connection, _id(world, "c.evil.example"), "dismissed", "ours", who="ann")
        set_status(connection, _id(world, "d.evil.example"), "acknowledged", who="ann")
        [card] = finding_suppressions.scorecard(connection)
        [ruled] = finding_suppressions.scorecard(connection, watch="watch", by_rule=True)
    assert {name: card[name] for name in ("raised", "open", "acknowledged", "confirmed", "dismissed", "withdrawn")} == {
        "raised": 4, "open": 0, "acknowledged": 1, "confirmed": 2, "dismissed": 1, "withdrawn": 0,
    }  # fmt: skip
    assert card["precision"] == pytest.approx(2 / 3)
    assert 0 <= card["seconds_to_decision"] < 60
    assert (ruled["rule"], ruled["raised"]) == ("same-domain", 4)
