"""The page about rules: its examples are rules as they are read, and it names what there is."""

from __future__ import annotations

import re

import yaml

from intel.config.read import check
from intel.config.watches import WatchFile
from intel.rules import read_rule, write_rule
from intel.settings import CHECKOUT

PAGE = CHECKOUT / "docs" / "rules.md"


def test_the_examples_of_the_page_are_rules() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        file = check(PAGE, WatchFile, yaml.safe_load(example))
        assert file.built_in == ("*",)
        assert len(file.own) >= 4
        for rule in file.own:
            assert read_rule(write_rule(rule)) == rule
