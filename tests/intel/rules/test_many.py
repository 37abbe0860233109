"""A subject with thousands of values is judged in a time that grows with their number, not with its square."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from intel.entities import Kind, entity
from intel.match.rules import match
from intel.rules import read_rule
from intel.rules.histories import Stated, Thing, gather

MANY = 4_000
START = datetime(2026, 1, 1, tzinfo=UTC)
DOMAIN = Thing(1, entity(Kind.DOMAIN, "many.example"))


@pytest.mark.parametrize(
    ("condition", "matches"), [({"changed": {"resolves-to": {}}}, MANY - 1), ({"hidden": "resolves-to"}, 1)]
)
def test_a_domain_on_thousands_of_addresses_takes_no_square_of_them(condition: object, matches: int) -> None:
    facts = [
        Stated(
            fact_id=number,
            subject=DOMAIN,
            predicate="resolves-to",
            object=Thing(number + 2, entity(Kind.IP, f"2001:db8::{number:x}")),
            state="value" if number % 2 == 0 or "changed" in str(condition) else "redacted",
            begin=START + timedelta(minutes=number),
        )
        for number in range(MANY)
    ]
    rule = read_rule({"name": "one", "when": [condition], "say": "{subject}"})
    began = time.process_time()
    found = match(rule, gather([DOMAIN], facts, as_of=START))
    assert len(found) == matches
    assert time.process_time() - began < 3
