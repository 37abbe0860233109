from __future__ import annotations

from typing import Any

import msgspec
import pytest

from intel.patterns.records import Pattern
from intel.traits import Trait
from tests import factories


@pytest.fixture
def proposed(lapsewatch: Any) -> Any:
    """An installation with two patterns of a watch: one counted and rare, one that nobody counted."""
    from db import pattern_rows

    rare = Pattern(
        traits=(Trait("mail-provider", "odd.example"), Trait("registrar", "iana:4242")),
        known=6,
        support=5,
        per_million=12.5,
        basis="900 invented strangers",
        bits=9.0,
        examples=("river.example", "stone.example"),
    )
    unknown = msgspec.structs.replace(
        rare, traits=(Trait("email", "ann@odd.example"),), per_million=None, basis="", support=2
    )
    with lapsewatch.engine.begin() as connection:
        watch = factories.watch(connection, "heron", rules=["*"], origin="command")
        pattern_rows.put(connection, watch, [rare, unknown])
    return lapsewatch


def test_patterns_are_listed_with_what_they_rest_on(proposed: Any) -> None:
    said = proposed("pattern", "list")
    assert "at most about 12.5 of a million" in said.stdout
    assert "unknown, as nobody counted" in said.stdout
    assert "ann@" not in said.stdout
    assert "a***@odd.example" in said.stdout
    assert said.widest <= 80
    rows = proposed("pattern", "list", "--json", "--status", "proposed").json
    assert [(row["support"], row["per_million"]) for row in rows] == [(5, 12.5), (2, None)]


def test_a_pattern_is_decided_on(proposed: Any) -> None:
    rare, unknown = (row["id"] for row in proposed("pattern", "list", "--json").json)
    assert "unknown" in proposed("pattern", "accept", str(unknown), "--reason", "hm", code=2).stderr
    accepted = proposed("pattern", "accept", str(rare), "--reason", "right", "--json").json[0]
    assert (accepted["status"], accepted["reason"]) == ("accepted", "right")
    assert accepted["rule"] is not None
    by_hand = ("pattern", "edit", str(unknown), "--reason", "by hand")
    assert "unknown" in proposed(*by_hand, "--drop", "email", "--add", "suffix=test", code=2).stderr
    assert "unknown" in proposed(*by_hand, code=2).stderr
    assert len(proposed("pattern", "list", "--json").json) == 2
    refused = proposed("pattern", "refuse", str(rare), "--reason", "wrong").stdout
    assert "refused by" in refused
    assert "wrong" in refused
    assert "it is refused" in proposed("pattern", "accept", str(rare), "--reason", "after all", code=2).stderr


def test_what_is_not_there_is_said(proposed: Any) -> None:
    assert "no pattern 999" in proposed("pattern", "show", "999", code=1).stdout
    proposed("pattern", "propose", "nobody", code=2)
    proposed("pattern", "edit", "1", "--reason", "x", "--add", "nonsense", code=2)
