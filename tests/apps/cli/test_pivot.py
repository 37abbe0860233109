from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from intel.entities import Kind
from intel.facts import Predicate
from tests.pivots import DAY, Pivots, facts, linked


@pytest.fixture
def known(lapsewatch: Any) -> Any:
    """An installation that knows of two domains with much in common, one with a mailbox, and a wide address."""
    pivots = Pivots(lapsewatch.engine)
    for name in ("quay.test", "wharf.test"):
        pivots.say(facts(name, email="ada@harbour-mail.example", address="192.0.2.7"))
        pivots.say([linked(Kind.CERTIFICATE, f"sha256:{'c3' * 32}", Predicate.NAMES, Kind.DOMAIN, name)])
    pivots.say(facts("wharf.test", actor="maltrail:apt_heron"))
    pivots.say([fact for number in range(6) for fact in facts(f"n{number}.test", address="192.0.2.8")])
    pivots.say(facts("quay.test", address="192.0.2.8") + facts("late.test", days=90, email="ada@harbour-mail.example"))
    return lapsewatch


def test_the_neighbourhood_is_shown_with_counts_evidence_and_what_was_not_followed(known: Any) -> None:
    said = known("pivot", "quay[.]test", "--width", "5")
    assert said.widest <= 80
    shown = " ".join(said.stdout.split())
    for words in (
        "domain quay.test",
        "what there is to follow",
        "domain wharf.test certificate, hosting, registrant, actor level",
        "claimed: maltrail:apt_heron, by feed; it counts for nothing here",
        "not followed ip 192.0.2.8 (resolves-to) wide: more than 5 here have it",
        "a***@harbour-mail.example",
        "links read in",
    ):
        assert words in shown, said.stdout
    assert "ada@" not in said.stdout
    assert shown.index("domain wharf.test") < shown.index("domain late.test")

    # JSON says the same.
    found = known("pivot", "quay.test", "--width", "5", "--json").json
    first = found["neighbours"][0]
    assert (first["value"], first["level"], first["depth"]) == ("wharf.test", "actor", 2)
    assert first["bits"] == pytest.approx(sum(first["families"].values()), abs=0.05)
    assert {piece["family"] for piece in first["evidence"]} == {"registrant", "certificate", "hosting"}
    assert "ada@" not in str(found)
    assert {one["reason"] for one in found["not_followed"]} == {"hub"}
    earlier = known("pivot", "quay.test", "--json", "--as-of", f"{DAY + timedelta(days=30):%Y-%m-%d}").json
    assert "late.test" in {one["value"] for one in found["neighbours"]}
    assert "late.test" not in {one["value"] for one in earlier["neighbours"]}
    assert known("pivot", "quay.test", "--bits", "99", "--json").json["neighbours"] == []


def test_a_dry_run_counts_and_expands_nothing(known: Any) -> None:
    counted = known("pivot", "quay.test", "--dry-run", "--width", "5", "--json").json["counted"]
    shared = {one["value"]: (one["count"], one["more"], one["hub"]) for one in counted if one["step"] == 2}
    assert shared["192.0.2.8"] == (5, True, "wide")
    assert shared["a***@harbour-mail.example"] == (3, False, "")
    said = known("pivot", "quay.test", "--dry-run")
    assert "wharf.test" not in said.stdout
    assert said.widest <= 80

    # People are shown for a reason that is written down.
    assert "ada@harbour-mail.example" in known("pivot", "quay.test", "--reveal", "case 7").stdout
    assert [row.reason for row in known.rows("SELECT reason FROM disclosure")] == ["case 7"]

    # The unknown and the wrong are said to be so.
    assert "nobody has named nowhere.test yet" in known("pivot", "nowhere.test", code=1).stdout
    assert known("pivot", "nowhere.test", "--json", code=1).json["known"] is False
    assert "couldn't read --as-of" in known("pivot", "quay.test", "--as-of", "soon", code=2).stderr
    assert known("pivot", "no name at all", code=2)
