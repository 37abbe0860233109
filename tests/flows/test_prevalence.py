from __future__ import annotations

import time

import pytest
from sqlalchemy import Engine

from tests.flows import test_hunt
from tests.flows.test_hunt import labels

pytestmark = pytest.mark.flow
engine = test_hunt.engine


def test_populations_are_counted_side_by_side_and_one_that_fails_spares_the_others(
    prefect_server: object, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.prevalence import prevalence
    from tasks.pivot import prevalence_zones

    def broken(*_: object) -> None:
        raise ValueError("the disk is gone")

    monkeypatch.setattr(prevalence_zones, "count_zones", broken)
    with pytest.raises(ValueError, match="the disk is gone"):
        prevalence()
    # Prefect's server writes task runs down after they ended.
    for _ in range(100):
        if len(labels()) == 6:
            break
        time.sleep(0.2)
    assert sorted(labels()) == [
        ("choose a sample", 1),
        ("count certificates", 0),
        ("count new domains", 0),
        ("count the sample", 0),
        ("count zones", 0),
        ("newer lists", 0),
    ]
