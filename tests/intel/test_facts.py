from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intel.config.publishing import read_publishing
from intel.errors import ConfigError
from intel.facts import TLP
from intel.settings import CHECKOUT


@pytest.mark.parametrize("text", ["tlp:amber+strict", "AMBER+STRICT", " Tlp: amber_strict "])
def test_a_marking_is_read_however_it_is_written(text: str) -> None:
    assert TLP.parse(text) is TLP.AMBER_STRICT
    assert TLP.parse("WHITE") is TLP.CLEAR


@given(st.text(max_size=80))
def test_another_word_is_a_value_error(text: str) -> None:
    try:
        assert TLP.parse(TLP.parse(text).label) in TLP
    except ValueError:
        assert text.strip().upper() not in TLP.__members__


def test_a_wrong_marking_in_a_file_is_said_with_its_place(tmp_path: Path) -> None:
    whole = (CHECKOUT / "configs" / "publishing.yaml").read_text()
    (tmp_path / "publishing.yaml").write_text(whole + "\nwatches_tlp: purple\n")
    with pytest.raises(ConfigError, match=r"watches_tlp: .*'purple' is not a TLP 2.0 label"):
        read_publishing(tmp_path)
