from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from tests.apps.cli.conftest import Lapsewatch

README = Path(__file__).resolve().parents[3] / "README.md"


def first_ten_minutes() -> list[list[str]]:
    """The commands of that chapter, as a shell would read them."""
    chapter = README.read_text("utf-8").partition("## The first ten minutes")[2].partition("\n## ")[0]
    block = re.findall(r"```\n(.*?)```", chapter, flags=re.DOTALL)[0]
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines() if line.startswith("lapsewatch ")]


def test_the_first_ten_minutes_are_as_the_readme_says(told: Lapsewatch) -> None:
    commands = first_ten_minutes()
    assert [words[0] for words in commands] == ["own", "watch", "findings", "why", "dismiss"]
    own, watch, findings, why, dismiss = commands
    assert "harbour.example" in told(*own).stdout
    assert "harbour.example" in yaml.safe_load((told.configs / "organisation.yaml").read_text("utf-8"))["domains"]
    looked_back = told(*watch).stdout
    found = re.fullmatch(r"watching heron: (\d+) findings in what is known already\n", looked_back)
    assert found is not None
    assert int(found[1]) > 0
    listed = told(*findings).stdout
    assert "lapse: " in listed
    assert "watch heron" in listed
    said = told(*why).stdout
    for part in ("watch ", "new", "says lab-", "since 2026-03-0", "document "):
        assert part in said, part
    assert told(*dismiss).stdout.startswith("finding 1 is dismissed\nlearnt: ")
    row = told("why", "1", "--json").json
    assert (row["status"], row["status_reason"]) == ("dismissed", "our own penetration test")


def test_the_other_commands_of_the_readme_are_there(told: Lapsewatch) -> None:
    text = README.read_text("utf-8")
    named = {words.split()[0] for words in re.findall(r"`lapsewatch ([a-z][^`]*)`", text)}
    for word in sorted(named):
        told(word, "--help")
