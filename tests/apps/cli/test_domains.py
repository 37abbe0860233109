from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from intel.match.name_model import NameModel
from intel.new_domains import Arrival, Channel
from tasks.collect.session import open_run
from tasks.load.new_domain_work import open_work
from tasks.load.new_domains import load_arrivals
from tests import factories
from tests.tasks.normalize.test_domains import source

NOW = datetime.now(UTC).replace(microsecond=0)
MODEL = NameModel(made_at=NOW, listed=1, ordinary=1, bias=-1.0, threshold=5.0, weights={"word login": 2.0})


@pytest.fixture
def arrived(lapsewatch: Any) -> Any:
    """An installation to which a list has brought four names, two of which touch a watch."""
    with lapsewatch.engine.begin() as connection:
        watch = factories.watch(connection, "heron", rules=["*"], origin="command")
        factories.watch_item(connection, watch, "evil.example", match="scope", kind="")
        factories.watch_item(connection, watch, "lookalike:sampleco.example", match="entity", kind="pattern")
    names = ("quiet.example", "evil.example", "samp1eco.test", "my-login-page.test")
    with open_run(lapsewatch.engine, source()) as run:
        work = open_work(lapsewatch.engine, MODEL)
        load_arrivals(
            lapsewatch.engine, source(), run, Channel.LIST, [Arrival(name=one, seen_at=NOW) for one in names], work=work
        )
    return lapsewatch


def test_what_touches_a_watch_is_shown_with_the_reason(arrived: Any) -> None:
    found = {row["name"]: row["why"] for row in arrived("domains", "--json").json}
    assert found == {
        "evil.example": "watched itself",
        "samp1eco.test": "lookalike:sampleco.example: looks alike: 1 for l, at the 5th place",
    }
    said = arrived("domains")
    assert "samp1eco.test" in said.stdout
    assert said.widest <= 80
    assert "none since 2999-01-01" in arrived("domains", "--since", "2999-01-01").stdout


def test_the_highest_ranked_come_first(arrived: Any) -> None:
    names = [row["name"] for row in arrived("domains", "--ranked", "--limit", "2", "--json").json]
    assert names == ["my-login-page.test", "evil.example"]


def test_of_one_domain_each_channel_is_shown_and_what_does_not_fit(arrived: Any) -> None:
    earlier = NOW - timedelta(days=30)
    with open_run(arrived.engine, source()) as run:
        load_arrivals(arrived.engine, source(), run, Channel.ZONE, [Arrival(name="quiet.example", seen_at=earlier)])
    found = arrived("domains", "www.quiet.example", "--json").json
    assert [row["channel"] for row in found["seen"]] == ["zone", "list"]
    assert found["notes"] == ["seen in a list of new domains 30 days later than in a zone"]
    # The other command says the same of the same.
    assert arrived("registration", "quiet.example", "--json").json["disagreements"] == found["notes"]
    assert "note: seen in a list of new domains 30 days" in arrived("domains", "quiet.example").stdout
    assert "no channel has shown other.example" in arrived("domains", "other.example").stdout


def test_wrong_words_are_said_to_be_wrong(arrived: Any) -> None:
    assert arrived("domains", "no name at all", code=2)
    assert arrived("domains", "--since", "yesterday", code=2)
