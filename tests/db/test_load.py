"""The load against a real PostgreSQL: what is stated, ended, returned, merged, refused, and written only once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from db import load, load_sql, runs, staging
from db.engine import open_engine
from db.migrate import drift, pending
from db.rows import driver
from intel.entities import entity, literal
from intel.errors import BusyError, WarehouseError
from intel.facts import TLP, Fact, RawDocument, Reject
from tasks.load.load import load_batch

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = open_engine(database_url, pooled=True)
    yield made
    made.dispose()


def listed(name: str, **more: Any) -> Fact:
    return Fact(subject=entity("domain", name), predicate="listed", object=literal("label", "bad"), **more)


def ingest(
    engine: Engine,
    records: Sequence[Fact | Reject],
    *,
    source: str = "feed",
    at: datetime = DAY,
    snapshot: bool = False,
    taken_over: bool = False,
    **more: Any,
) -> load.Loaded:
    with engine.begin() as connection:
        source_id = runs.ensure_source(
            connection,
            name=source,
            title=source,
            reliability="B",
            tlp=int(TLP.GREEN),
            snapshot=snapshot,
            redistribution=True,
            commercial_use=True,
        )
        run_id = runs.begin(connection, source_id)
        document_id = runs.new_document(
            connection,
            source_id=source_id,
            run_id=run_id,
            location="x",
            sha256=b"",
            size=0,
            as_of=at,
            fetched_at=at,
        )
    document = RawDocument(document_id=document_id, location="x", body=b"", as_of=at)
    with engine.connect() as connection:
        with staging.Staging(driver(connection), run_id=run_id, source=source, tlp=1) as stage:
            stage.add(document, records)
        connection.commit()
    batch = load.Batch(
        source=source,
        source_id=source_id,
        run_id=run_id,
        snapshot=snapshot,
        documents=(document_id,),
        facts=stage.facts,
        as_of=at,
        **more,
    )
    if taken_over:
        with engine.begin() as connection:
            runs.begin(connection, source_id)
    return load_batch(engine, batch)


def rows(engine: Engine, sql: str, **values: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(sql), values))


def seen(engine: Engine, name: str) -> list[tuple[datetime | None, datetime | None]]:
    found = rows(
        engine,
        "SELECT lower(r), upper(r) FROM entity e JOIN link l ON l.subject_id = e.id, unnest(l.seen) r"
        " WHERE e.value = :name ORDER BY 1",
        name=name,
    )
    return [tuple(row) for row in found]


def counts(engine: Engine) -> dict[str, int]:
    tables = ("entity", "fact", "fact_history", "link", "reject", "batch")
    return {table: rows(engine, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def test_models_and_migrations_agree(engine: Engine) -> None:
    assert drift(engine) == []
    assert not pending(engine)


def test_every_table_and_column_has_a_comment(engine: Engine) -> None:
    bare = rows(
        engine,
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'"
        " AND NOT a.attisdropped AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)",
    )
    assert bare == []


def test_the_same_again_writes_nothing(engine: Engine) -> None:
    facts = [listed(f"n{number}.example", event_time=DAY) for number in range(50)]
    first = ingest(engine, facts)
    before = counts(engine)
    again = ingest(engine, facts)
    assert (first.facts_new, again.facts_new, again.batch_id) == (50, 0, None)
    assert counts(engine) == before


def test_two_sources_make_two_facts_and_one_link(engine: Engine) -> None:
    ingest(engine, [listed("a.example")], source="one")
    ingest(engine, [listed("a.example")], source="two", at=DAY + timedelta(days=3))
    assert counts(engine)["fact"] == 2
    assert rows(engine, "SELECT sources, facts FROM link") == [(2, 2)]
    points = seen(engine, "a.example")
    assert points == [(DAY, DAY), (DAY + timedelta(days=3), DAY + timedelta(days=3))]


def test_a_stream_adds_a_time_and_nothing_else(engine: Engine) -> None:
    ingest(engine, [listed("a.example", event_time=DAY)])
    later = ingest(engine, [listed("a.example", event_time=DAY + timedelta(hours=1))])
    assert later.facts_new == 0
    assert counts(engine)["fact"] == 1
    assert len(seen(engine, "a.example")) == 2


def test_a_snapshot_ends_what_it_lacks_and_takes_it_back(engine: Engine) -> None:
    keep = [listed(f"k{number}.example") for number in range(9)]
    ingest(engine, [*keep, listed("gone.example")], snapshot=True)
    ingest(engine, keep, snapshot=True, at=DAY + timedelta(days=1))
    third = ingest(engine, keep, snapshot=True, at=DAY + timedelta(days=2))
    assert third.batch_id is None
    assert seen(engine, "gone.example") == [(DAY, DAY)]
    assert seen(engine, "k0.example") == [(DAY, None)]
    ingest(engine, [*keep, listed("gone.example")], snapshot=True, at=DAY + timedelta(days=3))
    assert seen(engine, "gone.example") == [(DAY, DAY), (DAY + timedelta(days=3), None)]
    assert counts(engine)["fact"] == 10


def test_last_seen_is_the_snapshot_before_the_end(engine: Engine) -> None:
    keep = [listed(f"k{number}.example") for number in range(3)]
    ingest(engine, [*keep, listed("gone.example")], snapshot=True)
    ingest(engine, [*keep, listed("gone.example")], snapshot=True, at=DAY + timedelta(days=1))
    ingest(engine, keep, snapshot=True, at=DAY + timedelta(days=2))
    assert seen(engine, "gone.example") == [(DAY, DAY + timedelta(days=1))]


def test_an_end_that_a_stream_states_closes_the_link(engine: Engine) -> None:
    ingest(engine, [listed("a.example", event_time=DAY)])
    ended = ingest(engine, [listed("a.example", event_time=DAY + timedelta(days=5), ends=True)])
    assert ended.facts_ended == 1
    assert seen(engine, "a.example") == [(DAY, DAY + timedelta(days=5))]


def test_a_stream_ends_what_it_stated_under_another_reference(engine: Engine) -> None:
    end = DAY + timedelta(days=5)
    ingest(engine, [listed("a.example", event_time=DAY, reference="added")])
    ingest(engine, [listed("a.example", event_time=end, reference="removed", ends=True)])
    assert seen(engine, "a.example") == [(DAY, end)]
    ingest(engine, [listed("a.example", event_time=DAY + timedelta(days=1), reference="added")], source="other")
    assert seen(engine, "a.example") == [(DAY, end)]


@pytest.mark.parametrize(
    ("kept", "days", "problems", "words"),
    [(2, 1, (), "more than its"), (9, -1, (), "older than the last"), (9, 1, ("b.txt: gone",), "could not be had")],
)
def test_a_doubtful_snapshot_ends_nothing_and_is_an_alarm(
    engine: Engine, kept: int, days: int, problems: tuple[str, ...], words: str
) -> None:
    whole = [listed(f"k{number}.example") for number in range(10)]
    ingest(engine, whole, snapshot=True)
    doubtful = ingest(engine, whole[:kept], snapshot=True, at=DAY + timedelta(days=days), problems=problems)
    assert words in doubtful.alarm
    assert rows(engine, "SELECT count(*) FROM fact WHERE standing") == [(10,)]
    assert words in rows(engine, "SELECT error FROM run WHERE outcome = 'partial'")[0][0]


def test_the_strictest_marking_stays(engine: Engine) -> None:
    ingest(engine, [listed("a.example", tlp=int(TLP.AMBER))])
    ingest(engine, [listed("a.example", tlp=int(TLP.RED), event_time=DAY + timedelta(days=1))])
    ingest(engine, [listed("a.example", tlp=int(TLP.CLEAR), event_time=DAY + timedelta(days=2))])
    assert rows(engine, "SELECT tlp FROM fact") == [(int(TLP.RED),)]


@pytest.mark.parametrize("markings", [(TLP.CLEAR, TLP.RED), (TLP.RED, TLP.CLEAR)])
def test_the_strictest_marking_of_one_document_counts(engine: Engine, markings: tuple[TLP, TLP]) -> None:
    ingest(engine, [listed("a.example", tlp=int(marking)) for marking in markings])
    assert rows(engine, "SELECT tlp FROM fact") == [(int(TLP.RED),)]


def test_a_fact_said_to_be_personal_once_stays_so(engine: Engine) -> None:
    ingest(engine, [listed("a.example", personal=False)])
    ingest(engine, [listed("a.example", personal=True, event_time=DAY + timedelta(days=1))])
    assert rows(engine, "SELECT personal FROM fact") == [(True,)]


def test_a_snapshot_of_all_new_facts_ends_nothing(engine: Engine) -> None:
    ingest(engine, [listed(f"a{number}.example") for number in range(10)], snapshot=True)
    swapped = [listed(f"b{number}.example") for number in range(10)]
    done = ingest(engine, swapped, snapshot=True, at=DAY + timedelta(days=1))
    assert "10 of 10 facts that stood" in done.alarm
    assert done.facts_ended == 0


def test_loads_of_several_chunks_that_cross_are_both_loaded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks name the same entities in opposite orders, so that one load is ended as a deadlock and goes again."""
    monkeypatch.setattr(staging, "CHUNK", 20)
    names = [f"n{number}.example" for number in range(400)]
    with ThreadPoolExecutor(3) as pool:
        orders = (names, names[::-1], names[200:] + names[:200])
        done = [
            pool.submit(ingest, engine, [listed(name) for name in order], source=f"s{number}")
            for number, order in enumerate(orders)
        ]
        assert [one.result().facts_new for one in done] == [400, 400, 400]
    assert rows(engine, "SELECT DISTINCT sources, facts FROM link") == [(3, 3)]


def test_rejects_are_kept_with_place_and_reason(engine: Engine) -> None:
    ingest(engine, [Reject(locator="7", reason="no name", excerpt="a\tb\\\0" + "x" * 500), listed("a.example")])
    ((locator, reason, excerpt),) = rows(engine, "SELECT locator, reason, excerpt FROM reject")
    assert (locator, reason, len(excerpt)) == ("7", "no name", 200)
    assert excerpt.startswith("a\tb\\\ufffd")


def test_missing_staged_rows_are_refused(engine: Engine) -> None:
    ingest(engine, [listed("a.example")], last=False)
    with pytest.raises(WarehouseError, match="are there"), engine.begin() as connection:
        load.load(connection, load.Batch(source="feed", source_id=1, run_id=1, facts=1))


def test_a_run_that_was_closed_by_another_process_writes_nothing(engine: Engine) -> None:
    with pytest.raises(WarehouseError, match="another process has taken over"):
        ingest(engine, [listed("a.example")], taken_over=True)
    assert counts(engine)["fact"] == 0


def test_a_source_is_collected_by_one_process_at_a_time(engine: Engine) -> None:
    with runs.exclusive(engine, "source:a"):
        with pytest.raises(BusyError), runs.exclusive(engine, "source:a"):
            pass
        with runs.exclusive(engine, "source:b"):
            pass
    with runs.exclusive(engine, "source:a"):
        pass


def test_chunks_of_one_run_merge_into_the_same_links(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "CHUNK", 2)
    facts = [
        listed("a.example", reference=f"r{number}", event_time=DAY + timedelta(days=number)) for number in range(5)
    ]
    ingest(engine, facts)
    assert rows(engine, "SELECT facts, sources FROM link") == [(5, 1)]
    assert len(seen(engine, "a.example")) == 5
    assert rows(engine, "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'") == [(0,)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 6)), max_size=12), st.integers(1, 4))
def test_any_split_into_runs_gives_the_same_links(
    engine: Engine, said: list[tuple[int, bool, int]], parts: int
) -> None:
    """Stream facts and their ends, in any number of runs: links equal those rebuilt from all facts at once."""
    facts = [
        listed(f"h{number}.example", ends=ends, event_time=DAY + timedelta(days=day), reference=str(number % 2))
        for number, ends, day in said
    ]
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE fact, fact_history, link, entity CASCADE"))
    for part in range(parts):
        ingest(engine, facts[part::parts])
    view = "SELECT subject_id, predicate, object_id, seen::text, sources, facts FROM link ORDER BY 1, 2, 3"
    before = rows(engine, view)
    with engine.begin() as connection:
        load.rebuild_links(connection)
    assert rows(engine, view) == before


Said = tuple[int, frozenset[int], int]
_SNAPSHOTS = st.lists(
    st.tuples(st.integers(0, 5), st.frozensets(st.integers(0, 3), max_size=4), st.integers(-2, 1)), max_size=8
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_SNAPSHOTS)
def test_snapshots_give_the_spans_of_a_plain_model(engine: Engine, snapshots: list[Said]) -> None:
    """Any order of snapshots, with gaps, returns, older ones and facts that carry a time of their own."""
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE fact, fact_history, link, entity, cursor CASCADE"))
    for day, names, own in snapshots:
        facts = [
            listed(f"h{name}.example", event_time=DAY + timedelta(days=day + own) if name == 0 else None)
            for name in sorted(names)
        ]
        ingest(engine, facts, snapshot=True, at=DAY + timedelta(days=day), max_shrink=1.0)
    expected = model(snapshots)
    assert {name: seen(engine, f"h{name}.example") for name in expected} == expected
    assert counts(engine)["link"] == len(expected)


def model(snapshots: list[Said]) -> dict[int, list[tuple[datetime, datetime | None]]]:
    """The spans of each name, from plain lists: nothing of the project's."""
    spans: dict[int, list[list[Any]]] = {}
    ends: dict[int, datetime] = {}
    last: datetime | None = None
    for day, names, own in snapshots:
        at = DAY + timedelta(days=day)
        for name in names:
            first = min(at, at + timedelta(days=own)) if name == 0 else at
            if last is not None and at < last:
                if name not in spans:
                    spans[name] = [[first, at]]
                    ends[name] = at
            elif name not in spans:
                spans[name] = [[first, None]]
            elif spans[name][-1][1] is not None:
                spans[name].append([max(at, ends[name] + timedelta(microseconds=1)), None])
        if last is not None and at < last:
            continue
        for name, known in spans.items():
            if known[-1][1] is None and name not in names:
                known[-1][1] = max(known[-1][0], last)
                ends[name] = max(at, known[-1][0])
        last = at
    return {name: joined(known) for name, known in spans.items()}


def joined(spans: list[list[Any]]) -> list[tuple[datetime, datetime | None]]:
    done: list[list[Any]] = []
    for start, end in sorted(spans, key=lambda span: span[0]):
        if done and (done[-1][1] is None or start <= done[-1][1]):
            done[-1][1] = None if end is None or done[-1][1] is None else max(done[-1][1], end)
        else:
            done.append([start, end])
    return [(start, end) for start, end in done]


STATEMENTS = {
    "INSERT_ENTITIES": "uq_entity_digest",
    "RESOLVE_ENTITIES": "uq_entity_digest",
    "INSERT_FACTS": "uq_fact_key",
    "RESOLVE_FACTS": "uq_fact_key",
    "COUNT_STANDING": "ix_fact_standing",
    "COUNT_MISSING": "ix_fact_standing",
    "LOCK_LINKS": "pk_link",
    "MERGE_LINKS": "ix_fact_subject_id_predicate_object_id",
}


@pytest.mark.parametrize(("statement", "index"), STATEMENTS.items())
def test_named_statements_use_their_index(engine: Engine, statement: str, index: str) -> None:
    ingest(
        engine, [listed(f"n{number}.example", reference="r") for number in range(20_000)], source="other", snapshot=True
    )
    ingest(engine, [listed(f"n{number}.example", reference="r") for number in range(50)], snapshot=True)
    with engine.begin() as connection:
        for table in ("entity", "fact", "fact_history", "link"):
            connection.exec_driver_sql(f"ANALYZE {table}")
        connection.exec_driver_sql(load_sql.TEMPORARY)
        connection.exec_driver_sql(
            "CREATE TABLE staging.e AS SELECT digest, kind, value, scope, address FROM entity LIMIT 50"
        )
        connection.exec_driver_sql(
            "CREATE TABLE staging.f AS SELECT f.key, s.digest AS subject, f.predicate, o.digest AS object, f.state,"
            " f.qualifiers, f.reference, f.tlp, f.confidence, f.personal, now() AS event_time, false AS ends,"
            " f.document_id, f.locator FROM fact f JOIN entity s ON s.id = f.subject_id JOIN entity o ON o.id ="
            " f.object_id LIMIT 50"
        )
        connection.exec_driver_sql("INSERT INTO load_link SELECT subject_id, predicate, object_id FROM fact LIMIT 50")
        for table in ("staging.e", "staging.f", "load_link", "load_entity"):
            connection.exec_driver_sql(f"ANALYZE {table}")
        sql = getattr(load_sql, statement).format(entity="e", fact="f").replace(":as_of", "CAST(:as_of AS timestamptz)")
        values = {"source_id": 2, "batch_id": 1, "snapshot": True, "older": False, "as_of": DAY}
        used = {name: value for name, value in values.items() if f":{name}" in sql}
        plan = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {sql}"), used))
        connection.rollback()
    assert index in plan, plan
