from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from db import lookup_queue as wishes
from db import lookup_timetable as timetable
from db.entities import ensure_entities
from db.lookup_queue import Priority, Wanted
from intel.entities import Kind, entity

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=10)


def ids_of(engine: Engine, *names: str) -> list[int]:
    with engine.begin() as connection:
        found = ensure_entities(connection, [entity(Kind.DOMAIN, name) for name in names])
    return [found[entity(Kind.DOMAIN, name).digest] for name in names]


def want(engine: Engine, ids: list[int], priority: Priority, *, due_at: datetime = NOW, reason: str = "") -> int:
    with engine.begin() as connection:
        return wishes.want(
            connection, ids, priority=priority, reason=reason or priority.name, reach="registrar", due_at=due_at
        )


def claim(engine: Engine, count: int = 10, *, now: datetime = NOW, ahead: float = 0) -> list[Wanted]:
    with engine.begin() as connection:
        horizon = now + timedelta(hours=ahead)
        return wishes.claim(connection, count, now=now, until=now + timedelta(minutes=10), horizon=horizon)


def names(claimed: list[Wanted]) -> list[str]:
    return [one.value for one in claimed]


def test_the_urgent_goes_first_and_then_what_was_due_first(engine: Engine) -> None:
    a, b, c, d = ids_of(engine, "a.example", "b.example", "c.example", "d.example")
    want(engine, [a], Priority.REFRESH, due_at=NOW - timedelta(days=9))
    want(engine, [b], Priority.WATCH, due_at=NOW - timedelta(days=1))
    want(engine, [c], Priority.WATCH, due_at=NOW - timedelta(days=2))
    want(engine, [d], Priority.INCIDENT)
    assert names(claim(engine)) == ["d.example", "c.example", "b.example", "a.example"]


def test_what_is_not_due_waits_unless_one_looks_ahead(engine: Engine) -> None:
    want(engine, ids_of(engine, "a.example"), Priority.WATCH, due_at=NOW + timedelta(hours=1))
    assert claim(engine) == []
    assert names(claim(engine, ahead=2)) == ["a.example"]


def test_looking_ahead_takes_neither_what_was_put_off_nor_what_was_just_answered(engine: Engine) -> None:
    want(engine, ids_of(engine, "a.example", "b.example"), Priority.WATCH, due_at=NOW + timedelta(hours=1))
    first, second = claim(engine, ahead=2)
    with engine.begin() as connection:
        wishes.again(connection, first, outcome="later", due_at=NOW + timedelta(hours=1), attempts=0)
        wishes.done(connection, second, outcome="registered", now=NOW, changed=False, every=0.04, reach="registrar")
    assert claim(engine, ahead=2) == []
    assert len(claim(engine, now=NOW + timedelta(hours=1))) == 2


def test_what_is_claimed_is_nobody_elses_until_its_time_is_up(engine: Engine) -> None:
    want(engine, ids_of(engine, "a.example"), Priority.WATCH)
    assert len(claim(engine)) == 1
    assert claim(engine) == []
    assert names(claim(engine, now=LEASE)) == ["a.example"]


def test_many_workers_never_claim_the_same(engine: Engine) -> None:
    ids = ids_of(engine, *(f"a{number}.example" for number in range(60)))
    want(engine, ids, Priority.WATCH)
    taken: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        while got := claim(engine, 3):
            with lock:
                taken.extend(one.entity_id for one in got)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(ids)


def test_a_more_urgent_wish_wins_and_none_puts_off_what_is_due(engine: Engine) -> None:
    ids = ids_of(engine, "a.example")
    assert want(engine, ids, Priority.WATCH, reason="watch") == 1
    assert want(engine, ids, Priority.REFRESH, due_at=NOW + timedelta(days=1), reason="later") == 0
    assert want(engine, ids, Priority.INCIDENT, reason="incident 7") == 1
    assert want(engine, ids, Priority.WATCH, reason="watch") == 0
    (one,) = claim(engine)
    assert (one.priority, one.reason) == (Priority.INCIDENT, "incident 7")


def test_an_answer_is_due_again_after_its_time_and_only_where_it_is_watched(engine: Engine) -> None:
    a, b = ids_of(engine, "a.example", "b.example")
    with engine.begin() as connection:
        assert timetable.follow_watches(connection, [a], every=1, reach="registrar", now=NOW) == (1, 0)
    want(engine, [b], Priority.INCIDENT)
    claimed = {one.value: one for one in claim(engine)}
    with engine.begin() as connection:
        for name, every in (("a.example", 2.0), ("b.example", None)):
            wishes.done(
                connection,
                claimed[name],
                outcome="registered",
                now=NOW,
                changed=name == "a.example",
                every=every,
                reach="registrar",
            )
    with engine.connect() as connection:
        rows = {
            row.entity_id: row
            for row in connection.execute(text("SELECT entity_id, due_at, priority, changed_at, outcome FROM lookup"))
        }
    assert rows[a].due_at == NOW + timedelta(days=2)
    assert (rows[a].priority, rows[a].changed_at) == (Priority.REFRESH, NOW)
    assert (rows[b].due_at, rows[b].changed_at, rows[b].outcome) == (None, None, "registered")


def test_what_is_watched_no_longer_leaves_the_timetable(engine: Engine) -> None:
    a, b = ids_of(engine, "a.example", "b.example")
    with engine.begin() as connection:
        assert timetable.follow_watches(connection, [a, b], every=1, reach="registrar", now=NOW) == (2, 0)
        assert timetable.follow_watches(connection, [a, b], every=1, reach="registrar", now=NOW) == (0, 0)
    want(engine, [a], Priority.INCIDENT)
    with engine.begin() as connection:
        assert timetable.follow_watches(connection, [], every=1, reach="registrar", now=NOW) == (0, 2)
    assert names(claim(engine)) == ["a.example"]  # the incident still wants it


def test_what_said_nothing_waits_longer_each_time() -> None:
    minutes = [wishes.pause(number).total_seconds() / 60 for number in range(1, 12)]
    assert minutes[:4] == [10, 20, 40, 80]
    assert minutes[-1] == 24 * 60


def test_waiting_is_counted_by_priority(engine: Engine) -> None:
    a, b, c = ids_of(engine, "a.example", "b.example", "c.example")
    want(engine, [a], Priority.INCIDENT)
    want(engine, [b], Priority.WATCH)
    want(engine, [c], Priority.WATCH, due_at=NOW + timedelta(hours=1))
    with engine.connect() as connection:
        rows = wishes.waiting(connection, now=NOW)
    assert [(row["priority"], row["due"], row["later"]) for row in rows] == [(0, 1, 0), (3, 1, 1)]


def test_the_claim_reads_only_what_is_due(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO entity (digest, kind, value) SELECT gen_random_uuid(), 'domain', n || '.example'"
            " FROM generate_series(1, 20000) n"
        )
        connection.exec_driver_sql(
            "INSERT INTO lookup (entity_id, priority, due_at, reason, reach)"
            " SELECT id, 4, timestamptz '2026-03-05' + id * interval '1 minute', 'watch', 'registrar' FROM entity"
        )
        connection.exec_driver_sql("ANALYZE lookup; ANALYZE entity")
        values = {"count": 8, "now": NOW, "until": LEASE, "horizon": NOW, "began": NOW}
        plan = "\n".join(connection.execute(text(f"EXPLAIN {wishes.CLAIM}"), values).scalars())
        assert "ix_lookup_due" in plan
        assert "Seq Scan on lookup" not in plan, plan
        plan = "\n".join(connection.execute(text(f"EXPLAIN {wishes.NEXT}"), {"now": NOW}).scalars())
        assert "ix_lookup_due" in plan
        these = {"ids": [1, 2], "now": NOW, "until": LEASE}
        plan = "\n".join(connection.execute(text(f"EXPLAIN {wishes.CLAIM_THESE}"), these).scalars())
        assert "pk_lookup" in plan
        plan = "\n".join(connection.execute(text(f"EXPLAIN {timetable.WATCHED}")).scalars())
        assert "ix_link_object_id" in plan or "Seq Scan on watch" in plan
