from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Connection, Engine, text

from db import prevalence
from db.prevalence import Counted
from intel.evidence import Prevalence
from intel.traits import Trait, trait_digest

AT = datetime(2026, 11, 20, tzinfo=UTC)


def _digest(value: str, name: str = "suffix") -> bytes:
    return trait_digest(Trait(name, value))


def _counted(name: str, total: int, traits: dict[str, int] | None = None, *, partial: bool = False) -> Counted:
    known = {"suffix": total} if traits is None else traits
    return Counted(name=name, title=f"things of {name}", total=total, traits=known, as_of=AT, partial=partial)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as opened:
        yield opened


def _values(connection: Connection, name: str) -> dict[bytes, int]:
    rows = connection.execute(text("SELECT digest, count FROM prevalence WHERE population = :name"), {"name": name})
    return {row["digest"].bytes: row["count"] for row in rows.mappings()}


def test_without_any_population_nothing_is_known(connection: Connection) -> None:
    assert prevalence.prevalence(connection, [("suffix", _digest("shop"))]) == {}
    assert prevalence.prevalence(connection, []) == {}
    assert prevalence.everywhere(connection, [_digest("shop")]) == []
    assert prevalence.populations(connection) == []


def test_the_largest_population_that_counts_a_trait_answers_and_what_it_lacks_is_rare(connection: Connection) -> None:
    shop, rare, key = _digest("shop"), _digest("rare"), _digest("aa" * 32, "key")
    prevalence.replace(connection, _counted("small", 100), [("suffix", shop, 50), ("suffix", rare, 3)])
    prevalence.replace(connection, _counted("large", 10_000), [("suffix", shop, 700)])
    # It is the larger one, and knows the suffix of few.
    prevalence.replace(connection, _counted("other", 90_000, {"suffix": 10, "hour": 80_000}), [("suffix", shop, 10)])
    found = prevalence.prevalence(connection, [("suffix", shop), ("suffix", rare), ("key", key), ("suffix", shop)])
    assert found == {
        ("suffix", shop): Prevalence(count=700, total=10_000, population="large", as_of=date(2026, 11, 20)),
        ("suffix", rare): Prevalence(count=0, total=10_000, population="large", as_of=date(2026, 11, 20)),
    }


def test_chosen_values_count_where_they_are_named_and_say_nothing_of_others(connection: Connection) -> None:
    shop, rare = _digest("shop"), _digest("rare")
    prevalence.replace(connection, _counted("zone", 1_000), [("suffix", rare, 2)])
    prevalence.replace(connection, _counted("given", 10**9, partial=True), [("suffix", shop, 5 * 10**7)])
    found = prevalence.prevalence(connection, [("suffix", shop), ("suffix", rare)])
    assert [(one.population, one.count) for one in found.values()] == [("given", 5 * 10**7), ("zone", 2)]


def test_a_population_takes_the_place_of_its_old_figures_in_one_transaction(engine: Engine) -> None:
    old, new, kept = _digest("old"), _digest("new"), _digest("kept")
    with engine.begin() as connection:
        assert prevalence.replace(connection, _counted("zone", 10), [("suffix", old, 4), ("suffix", kept, 5)]) == 2

    def broken() -> Iterator[tuple[str, bytes, int]]:
        yield "suffix", new, 7
        raise ValueError("the file ends here")

    with pytest.raises(ValueError, match="ends here"), engine.begin() as connection:
        prevalence.replace(connection, _counted("zone", 20), broken())
    with engine.connect() as connection:
        assert _values(connection, "zone") == {old: 4, kept: 5}
        unchanged = connection.execute(text("SELECT xmin FROM prevalence WHERE count = 5")).scalar_one()
    with engine.begin() as connection:
        assert prevalence.replace(connection, _counted("zone", 20), [("suffix", new, 7), ("suffix", kept, 5)]) == 2
    with engine.connect() as connection:
        assert _values(connection, "zone") == {new: 7, kept: 5}
        assert connection.execute(text("SELECT xmin FROM prevalence WHERE count = 5")).scalar_one() == unchanged
        [row] = prevalence.populations(connection)
        assert (row["total"], row["values"], row["traits"]) == (20, 2, {"suffix": 20})
    with engine.begin() as connection:
        assert prevalence.forget(connection, "zone")
        assert not prevalence.forget(connection, "zone")
        assert _values(connection, "zone") == {}


def test_two_that_count_the_same_population_wait_for_each_other(engine: Engine) -> None:
    faults: list[BaseException] = []

    def count(number: int) -> None:
        try:
            with engine.begin() as connection:
                rows = [("suffix", _digest(f"{number} {value}"), number) for value in range(200)]
                prevalence.replace(connection, _counted("zone", number), rows)
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's own thread
            faults.append(error)

    threads = [threading.Thread(target=count, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with engine.connect() as connection:
        [row] = prevalence.populations(connection)
        assert set(_values(connection, "zone").values()) == {row["total"]}


def test_questions_use_their_indexes(connection: Connection) -> None:
    prevalence.replace(connection, _counted("zone", 10**6), [])
    connection.execute(
        text("""INSERT INTO prevalence (population, trait, digest, count)
            SELECT 'zone', 'suffix', md5(n::text)::uuid, 2 FROM generate_series(1, 20000) n""")
    )
    connection.execute(text("ANALYZE prevalence"))
    connection.execute(text("ANALYZE population"))
    asked = {"traits": ["suffix"] * 50, "digests": [f"{number:032x}" for number in range(50)]}
    for statement in (prevalence.PREVALENCE, prevalence.EVERYWHERE):
        plan = "\n".join(connection.execute(text(f"EXPLAIN {statement}"), asked).scalars())
        # A server that can skip within an index (PostgreSQL 18) may take the primary key's in its place.
        assert "ix_prevalence_digest" in plan or "pk_prevalence" in plan
        assert "Seq Scan on prevalence" not in plan
