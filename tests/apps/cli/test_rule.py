from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from intel.config.watches import WatchedItem
from intel.rules import read_rule
from lab import rule_histories as made
from tasks.watch import items, own_rules

if TYPE_CHECKING:
    from tests.apps.cli.conftest import Lapsewatch

RULE = {
    "name": "lures",
    "when": [{"registrar": "Example Registrar"}, {"not": {"registered-by": "someone@example.net"}}],
    "say": "{subject} goes through {found}",
}


def test_rules_are_checked_tried_listed_and_shown(lapsewatch: Lapsewatch, tmp_path: Path) -> None:
    file = tmp_path / "lures.yaml"
    file.write_text(yaml.safe_dump(RULE))
    assert "1 rules, all of them right" in lapsewatch("rule", "check", str(file)).stdout
    assert "no rules" in lapsewatch("rule", "list").stdout
    made.load_all(lapsewatch.engine, made.histories(made.subjects(40, 3), 3))
    tried = lapsewatch("rule", "dry-run", str(file), "--examples", "2")
    assert tried.widest <= 80
    [told] = lapsewatch("rule", "dry-run", str(file), "--examples", "2", "--json").json
    assert told["rule"] == "lures"
    assert told["findings"] == sum(told["by_month"].values()) > 2
    assert told["known_good"] == 0
    assert len(told["examples"]) == 2
    assert told["examples"][0]["title"].endswith("goes through Example Registrar")
    [known_good] = lapsewatch("rule", "dry-run", str(file), "--known-good", "--json").json
    assert not known_good["examples"]
    assert lapsewatch.rows("SELECT count(*) FROM finding") == [(0,)]

    with lapsewatch.engine.begin() as connection:
        items.add_watch(connection, "mine", [WatchedItem(domain="known.example")])
        own_rules.add_rule(connection, "mine", read_rule(RULE), "command")
    own_rules.monitor(lapsewatch.engine)
    [listed] = lapsewatch("rule", "list", "--json").json
    assert (listed["watch"], listed["rule"], listed["history"]) == ("mine", "lures", "judged")
    assert listed["findings"] == told["findings"]
    assert lapsewatch("rule", "list").widest <= 80
    [watch] = [one for one in lapsewatch("watch", "list", "--json").json if one["watch"] == "mine"]
    assert watch["own rules"] == 1
    shown = lapsewatch("rule", "show", "mine/lures").stdout
    assert "s***@example.net" in shown
    assert "someone" not in shown
    assert lapsewatch("rule", "dry-run", "lures", "--json").json[0]["findings"] == told["findings"]


def test_what_is_wrong_is_said_in_a_line(lapsewatch: Lapsewatch, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump({**RULE, "over": "a while"}))
    assert "rule lures: over: 'a while' is no time" in " ".join(
        lapsewatch("rule", "check", str(file), code=2).stderr.split()
    )
    file.write_text(yaml.safe_dump({"name": "mine", "rules": ["exact", RULE, {**RULE, "name": "exact"}]}))
    assert "a built-in rule is called so" in lapsewatch("rule", "check", str(file), code=2).stderr
    assert "no watch has one" in lapsewatch("rule", "show", "none", code=2).stderr
