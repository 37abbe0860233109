from __future__ import annotations

import random

import pytest

from intel.match.hits import By
from lab.bench import newdomains
from lab.bench._newdomains_data import Data

WORDS = ["amber", "bison", "cedar", "delta", "ember", "flint", "grove", "heron", "ivory", "jolly"]


def invented() -> Data:
    """Three days of two hundred names, five of which look like what is listed."""
    draw = random.Random(4)
    listed = {f"secure-login-{number}.test" for number in range(300)}
    key = {f"secure-login-{number}.test" for number in range(1_000, 1_005)}
    names = [f"{draw.choice(WORDS)}{draw.choice(WORDS)}{number}.test" for number in range(595)] + sorted(key)
    draw.shuffle(names)
    days = tuple(tuple(names[at : at + 200]) for at in (0, 200, 400))
    return Data(
        days=days, key=frozenset(key), listed=dict.fromkeys(listed, 0.01), actors=frozenset(sorted(listed)[:50])
    )


def test_each_day_is_ranked_by_a_model_that_has_not_seen_it() -> None:
    data = invented()
    scores = newdomains.rank(data)
    assert len(scores) == 600
    judged = newdomains.judged(scores, data.key)
    assert judged.auc > 0.99
    assert judged.found == (5, 5, 5)


def test_a_ranking_is_judged_by_where_the_key_stands() -> None:
    scores = {f"n{number}.test": float(-number) for number in range(1, 2_001)}
    judged = newdomains.judged(scores, frozenset({"n1.test", "n150.test", "n1500.test"}))
    assert judged.found == (1, 2, 3)
    assert judged.auc == pytest.approx(1 - (0 + 148 + 1_497) / (3 * 1_997), abs=1e-4)
    assert newdomains.judged(dict.fromkeys(scores, 0.0), frozenset(list(scores)[:500])).auc == pytest.approx(
        0.5, abs=0.05
    )


def test_the_watch_set_has_as_many_items_as_asked_for() -> None:
    watch = newdomains.watch_set(invented(), 200)
    assert len(watch.subtrees) + len(watch.lookalikes) + len(watch.keywords) == 200
    assert len(watch.subtrees) == 50
    assert watch.lookalikes <= watch.subtrees
    rate, matched = newdomains._rate(watch, invented())
    assert rate > 0
    assert By.LOOKALIKE.value in matched
