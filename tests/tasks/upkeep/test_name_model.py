from __future__ import annotations

import importlib
import random
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.engine import open_engine
from db.new_domains import listed_names
from intel.config.newdomains import Ranking
from intel.errors import ConfigError
from intel.match.name_model import features
from intel.new_domains import Arrival, Channel
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.load.name_ranking import open_ranker
from tasks.load.new_domains import load_arrivals
from tasks.upkeep.name_model import fit, frequent, learn
from tests import factories
from tests.tasks.normalize.test_domains import source

NOW = datetime.now(UTC)
WORDS = ["amber", "bison", "cedar", "delta", "ember", "flint", "grove", "heron", "ivory", "jolly"]


@pytest.fixture
def engine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(tmp_path))
    settings.cache_clear()
    made = open_engine(database_url)
    yield made
    made.dispose()
    settings.cache_clear()


def bad(count: int, seed: int = 1) -> list[str]:
    choose = random.Random(seed)
    return [f"secure-login-{choose.randrange(10**6)}.test" for _ in range(count)]


def even(names: list[str]) -> dict[str, float]:
    return dict.fromkeys(names, 0.01)


def good(count: int, seed: int = 2) -> list[str]:
    choose = random.Random(seed)
    return [f"{choose.choice(WORDS)}{choose.choice(WORDS)}{choose.randrange(99)}.test" for _ in range(count)]


def test_a_model_tells_what_it_was_shown_apart_and_says_why() -> None:
    model = fit(even(bad(200)), good(400), Ranking())
    low = max(model.scores(good(50, seed=8)))
    assert min(model.scores(bad(50, seed=9))) > low
    assert {part.feature for part in model.why("secure-login-4711.test")} & {"hyphens 2", "word login", "word secure"}
    # So small a share of the ordinary names lies above the threshold.
    assert sum(score > model.threshold for score in model.scores(good(400))) <= 4


def test_only_suffixes_that_new_domains_have_are_learnt_from() -> None:
    model = fit(
        even([*bad(100), *(name.replace(".test", ".example") for name in bad(100, seed=3))]), good(200), Ranking()
    )
    assert model.listed == len(set(bad(100)))
    with pytest.raises(ConfigError, match="suffix"):
        fit(even(["one.example"]), good(100), Ranking())


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(ConfigError, match="extra `ranking`"):
        fit(even(bad(10)), good(10), Ranking())


def test_learning_from_the_warehouse(engine: Engine, tmp_path: Path) -> None:
    assert "too few names" in learn(engine).why_not
    assert open_ranker(engine) is None
    (tmp_path / "newdomains.yaml").write_text("ranking: {least_examples: 20}\n")
    with engine.begin() as connection:
        source_id = factories.source(connection)
        label = factories.entity(connection, "label", "phishing")
        for name in bad(40):
            subject = factories.entity(connection, "domain", name)
            factories.fact(connection, subject, source_id=source_id, object_id=label)
    listed = bad(1)[0]
    with open_run(engine, source()) as run:
        arrivals = [Arrival(name=name, seen_at=NOW) for name in (*good(60), listed)]
        load_arrivals(engine, source(), run, Channel.LIST, arrivals)
    learnt = learn(engine)
    # What a source lists is no ordinary name, although a list of new domains shows it too.
    assert (learnt.why_not, learnt.listed, learnt.ordinary) == ("", 40, len(set(good(60))))
    model = open_ranker(engine)
    assert model is not None
    assert model.scores(["secure-login-1.test"])[0] > model.scores(["heroncedar1.test"])[0]
    with engine.connect() as connection:
        assert connection.execute(
            text("SELECT outcome FROM run r JOIN source s ON s.id = r.source_id AND s.name = 'name-model'")
        ).scalars().all() == ["ok"]
    (tmp_path / "newdomains.yaml").write_text("ranking: {enabled: false}\n")
    assert open_ranker(engine) is None
    assert "switched off" in learn(engine).why_not


def test_a_source_counts_as_much_as_any_other_however_many_names_it_has(engine: Engine) -> None:
    with engine.begin() as connection:
        label = factories.entity(connection, "label", "phishing")
        for number, name in enumerate(bad(30)):
            subject = factories.entity(connection, "domain", f"www.{name}")
            factories.fact(connection, subject, source_id=factories.source(connection, "large"), object_id=label)
            if number < 10:
                factories.fact(connection, subject, source_id=factories.source(connection, "small"), object_id=label)
        found = listed_names(connection, 1_000, label="newly registered", least=5)
        assert sorted(set(found.values())) == pytest.approx([1 / 30, 1 / 30 + 1 / 10])
        assert found[bad(1)[0]] == pytest.approx(1 / 30 + 1 / 10)
        assert len(listed_names(connection, 7, label="newly registered", least=5)) == 7
        assert listed_names(connection, 7, label="phishing", least=5) == {}


def test_long_names_that_nobody_chose_crowd_out_nothing_and_take_no_memory() -> None:
    chance = random.Random(20261124)
    noise = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=60)) for _ in range(600)]
    names = [name for number, long in enumerate(noise) for name in (f"{long}.test", f"login{number}.test")]
    tracemalloc.start()
    found = frequent(names, most=20_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {"suffix .test", "^logi", "login"} <= set(found)
    assert peak < 6e6
    assert found == sorted(found)


def test_features_are_counted_exactly_where_there_is_room() -> None:
    names = ["login.test", "mylogin.test", "a-login.test", "other.test"]
    of_each = [set(features(name)) for name in names]
    wanted = {one for some in of_each for one in some if sum(one in each for each in of_each) >= 3}
    assert frequent(names) == sorted(wanted)
