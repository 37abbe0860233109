from __future__ import annotations

import json

import pytest

from apps.cli.output import print_json


def test_json_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "evil\x1b]0;x\x07\x9b31m\x7f é"
    print_json({"title": hostile})
    said = capsys.readouterr().out
    assert json.loads(said) == {"title": hostile}
    assert [mark for mark in said if (ord(mark) < 0x20 and mark != "\n") or 0x7F <= ord(mark) <= 0x9F] == []
    assert "é" in said
