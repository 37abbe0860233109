from __future__ import annotations

import time

import pytest
from sqlalchemy import Engine, text

from tests.flows import test_hunt
from tests.flows.test_hunt import labels

pytestmark = pytest.mark.flow
engine = test_hunt.engine


def test_rules_then_patterns_then_habits(prefect_server: object, engine: Engine) -> None:
    from flows.monitor import monitor_rules

    assert monitor_rules() == 0
    drawn = [("monitor habits", 1), ("monitor rules", 0), ("relearn patterns", 1)]
    until = time.monotonic() + 10
    while sorted(labels()) != drawn and time.monotonic() < until:
        time.sleep(0.2)  # the server draws what it has heard of
    assert sorted(labels()) == drawn
    with engine.connect() as connection:
        looked = connection.execute(text("SELECT count(*) FROM cursor WHERE name = 'alike:ends'")).scalar_one()
    assert looked == 1
