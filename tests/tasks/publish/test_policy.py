from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from intel.config.publishing import read_publishing
from intel.errors import ConfigError
from intel.facts import TLP
from intel.settings import CHECKOUT

SHIPPED = yaml.safe_load((CHECKOUT / "configs" / "publishing.yaml").read_text())


def write(folder: Path, **changes: Any) -> Path:
    (folder / "publishing.yaml").write_text(yaml.safe_dump(SHIPPED | changes))
    return folder


def test_the_shipped_policy_holds_no_people_and_nothing_above_amber() -> None:
    policy = read_publishing(CHECKOUT / "configs")
    assert [(entry.alias, entry.ceiling, entry.people) for entry in policy.collections] == [
        ("community", TLP.GREEN, ()),
        ("partners", TLP.AMBER, ()),
    ]
    assert policy.watch_ceiling == TLP.GREEN


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"identity": "1769c10f-a825-1692-91f6-c9a4580a9fe3"}, "identity"),
        ({"collections": [SHIPPED["collections"][0] | {"id": "107"}]}, "id"),
        ({"collections": [SHIPPED["collections"][0] | {"tlp_ceiling": "TLP:MAUVE"}]}, "TLP 2.0"),
        ({"collections": [SHIPPED["collections"][0] | {"alias": "a/b"}]}, "alias"),
        ({"collections": [SHIPPED["collections"][0] | {"minimum_severity": 101}]}, "minimum_severity"),
        ({"collections": [SHIPPED["collections"][0] | {"people": ["phone"]}]}, "people"),
        ({"collections": [SHIPPED["collections"][0]] * 2}, "same id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_place(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_publishing(write(tmp_path, **changes))


def test_a_policy_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="create it"):
        read_publishing(tmp_path)
