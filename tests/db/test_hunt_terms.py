from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.archive import clock
from db.hunt_terms import learn, terms
from intel.match.certificates import WatchSet
from tests import factories
from tests.archives import sha

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEY = f"sha256:{sha('key').hex()}"


@pytest.fixture
def watch(engine: Engine) -> Any:
    """Adds an item to the watch `heron`."""

    def add(value: str, **values: Any) -> int:
        with engine.begin() as connection:
            return factories.watch_item(connection, factories.watch(connection, "heron"), value, **values)

    return add


def new_since(engine: Engine, moment: Any) -> WatchSet | None:
    with engine.connect() as connection:
        return terms(connection, EPOCH).after(moment)


def now(engine: Engine) -> Any:
    with engine.connect() as connection:
        return clock(connection)


def test_what_is_watched_becomes_terms_by_when_they_were_seen(engine: Engine, watch: Any) -> None:
    before = now(engine)
    watch("heron.example", match="scope", kind="")
    watch(KEY, kind="public-key")
    learn(engine)
    between = now(engine)
    watch("lookalike:egret.example", kind="pattern")
    watch("192.0.2.0/28", match="network", kind="", network="192.0.2.0/28")
    learn(engine)
    last = WatchSet(lookalikes=frozenset({"egret.example"}), addresses=frozenset({"192.0.2.0/28"}))
    assert new_since(engine, between) == last
    assert new_since(engine, before) == WatchSet(
        scopes=frozenset({"heron.example"}),
        keys=frozenset({sha("key")}),
        lookalikes=last.lookalikes,
        addresses=last.addresses,
    )
    assert new_since(engine, now(engine)) is None


def test_looking_again_makes_nothing_new(engine: Engine, watch: Any) -> None:
    watch("heron.example", match="scope", kind="")
    learn(engine)
    before = now(engine)
    learn(engine)
    assert new_since(engine, before) is None


def test_what_is_watched_no_longer_is_no_term(engine: Engine, watch: Any) -> None:
    before = now(engine)
    watch("heron.example", match="scope", kind="")
    item = watch("egret.example", match="scope", kind="")
    learn(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM watch_item WHERE id = :id"), {"id": item})
    learn(engine)
    assert new_since(engine, before) == WatchSet(scopes=frozenset({"heron.example"}))


@pytest.mark.parametrize(
    "item",
    [
        {"value": "heron.example", "match": "scope", "kind": ""},
        {"value": KEY, "kind": "public-key"},
        {"value": "keyword:heron", "kind": "pattern"},
    ],
)
def test_what_goes_and_comes_back_between_two_looks_is_new_again(
    engine: Engine, watch: Any, item: dict[str, str]
) -> None:
    number = watch(**item)
    learned = sha("another key")
    watch(f"sha256:{learned.hex()}", kind="public-key")
    learn(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM watch_item WHERE id = :id"), {"id": number})
    gap = now(engine)  # a follower that loads the watches here lacks it
    watch(**item)
    learn(engine)
    again = new_since(engine, gap)
    assert again is not None
    assert again.scopes or again.keys or again.keywords
    # A key that the certificates of what came back have may have been missed as well.
    assert learned in again.keys


def test_the_terms_time_is_never_before_the_watch_was_seen(engine: Engine, watch: Any) -> None:
    watch("heron.example", match="scope", kind="")
    newest = learn(engine)
    with engine.connect() as connection:
        known = terms(connection, EPOCH)
        added = connection.execute(text("SELECT max(added_at) FROM watch_item")).scalar_one()
    assert newest is not None
    assert newest > added
    assert known.after(newest) is None
    assert known.after(newest - timedelta(microseconds=1)) is not None


def test_without_watches_there_are_no_terms(engine: Engine) -> None:
    assert learn(engine) is None


def test_subjects_and_serials_are_no_terms(engine: Engine, watch: Any) -> None:
    watch("subject:*heron*", kind="pattern")
    watch(f"serial:{sha('issuer').hex()}/0badcafe", kind="pattern")
    assert learn(engine) is None
