from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from apps.cli.main import app
from lab.world import KNOWN_DOMAIN, NEW_DOMAIN

if TYPE_CHECKING:
    from tests.apps.cli.conftest import Lapsewatch

PASTED = f"Hello, this came in today: hxxps://login[.]{NEW_DOMAIN.replace('.', '[.]')}/x, from ada@example.com\n"


@pytest.mark.slow
def test_a_newcomer_gets_a_report_from_one_command(told: Lapsewatch, tmp_path: Path) -> None:
    pasted, page = tmp_path / "mail.txt", tmp_path / "report.html"
    pasted.write_text(PASTED)
    said = told("incident", f"@{pasted}", "--here", "--html", str(page), "--markdown")
    assert said.stdout.startswith("# Incident 1: incident with 1 indicator\n")
    assert "incident 1 stored" in said.stderr
    assert f"It leads to `{KNOWN_DOMAIN}` (domain): " in said.stdout
    assert "ada@" not in said.stdout
    assert [row.text for row in told.rows("SELECT text FROM incident_item")] == [
        f"hxxps://login[.]{NEW_DOMAIN.replace('.', '[.]')}/x"
    ]
    html = page.read_text("utf-8")
    assert html.startswith("<!doctype html>")
    assert KNOWN_DOMAIN in html
    again = tmp_path / "again.html"
    shown = told("incident", "show", "1", "--html", str(again))
    assert (shown.stdout, again.read_text("utf-8")) == ("", html)
    assert told("incident", "show", "1").stdout == said.stdout
    as_json = told("incident", "show", "1", "--json").json
    assert KNOWN_DOMAIN in {lead["lead"] for lead in as_json["leads"]}
    assert as_json["status"] == "reported"
    assert "ops@" not in str(as_json["leads"])


def test_indicators_are_read_from_a_pipe_and_added_to_an_incident(lapsewatch: Lapsewatch) -> None:
    piped = CliRunner().invoke(app, ["incident", "-"], input="evil.example\nworse[.]example\n")
    assert piped.exit_code == 4  # Prefect is not running; what was given is kept
    assert "with --here" in " ".join(piped.stderr.split())
    lapsewatch("incident", "203.0.113[.]9", "--to", "1", code=4)
    assert [row.text for row in lapsewatch.rows("SELECT text FROM incident_item ORDER BY id")] == [
        "evil.example",
        "worse[.]example",
        "203.0.113[.]9",
    ]
    assert lapsewatch.rows("SELECT count(*) FROM incident") == [(1,)]
    lapsewatch("incident", "ada@mail.example", "Ada Invented!", "--to", "1", code=4)
    items = lapsewatch("incident", "show", "1", "--json").json["items"]
    assert [(one["text"], one["value"]) for one in items[1:]] == [
        ("worse[.]example", "worse.example"),
        ("203.0.113[.]9", "203.0.113.9"),
        ("a***@mail.example", "a***@mail.example"),
        ("A***", ""),
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("incident", "show"), 2),
        (("incident", "show", "x"), 2),
        (("incident", "show", "404"), 4),
        (("incident", "@no-such-file"), 2),
        (("incident", "evil.example", "--to", "404"), 4),
    ],
    ids=str,
)
def test_wrong_use_is_one_line(lapsewatch: Lapsewatch, words: tuple[str, ...], code: int) -> None:
    said = lapsewatch(*words, code=code)
    assert said.stdout == ""
    assert said.stderr.startswith("couldn't ")
    assert said.stderr.count("\n") == 1
