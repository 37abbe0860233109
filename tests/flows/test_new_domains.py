from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from tests.flows import test_hunt
from tests.flows.test_hunt import labels

pytestmark = pytest.mark.flow
engine = test_hunt.engine


def test_names_of_certificates_are_taken_in_and_judged(prefect_server: object, engine: Engine) -> None:
    from flows.new_domains import new_domains

    assert new_domains() == 2
    assert sorted(labels()) == [("certificate names", 0), ("hunt first sights", 0), ("monitor registrations", 2)]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM seen_domain ORDER BY 1")).scalars().all() == [
            "evil.example",
            "quiet.example",
        ]
    assert new_domains() == 0
    assert sorted(labels()) == [("certificate names", 0), ("hunt first sights", 0)]
