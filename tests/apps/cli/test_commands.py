from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from db import incidents, runs
from lab.world import KNOWN_ADDRESS, KNOWN_DOMAIN, NEW_DOMAIN

if TYPE_CHECKING:
    from tests.apps.cli.conftest import Lapsewatch

# Commands that print something to read, as they are on a home that knows the world.
READING = (
    ("sources",),
    ("status",),
    ("findings",),
    ("findings", "--status", "all", "--lapses"),
    ("why", "1"),
    ("show", NEW_DOMAIN),
    ("show", KNOWN_DOMAIN),
    ("show", KNOWN_ADDRESS),
    ("registration", NEW_DOMAIN),
    ("registration", KNOWN_DOMAIN, "--all"),
    ("watch", "list"),
    ("partner", "list"),
    ("incident",),
    ("db", "check"),
    ("own", "harbour.example"),
    ("collect", "lab-phishing"),
    ("publish",),
    ("doctor",),
)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_what_is_printed_fits_eighty_columns(told: Lapsewatch, words: tuple[str, ...]) -> None:
    said = told(*words)
    assert said.stdout.strip()
    assert said.widest <= 80
    assert said.stderr == ""


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_json_is_json_and_nothing_else(told: Lapsewatch, words: tuple[str, ...]) -> None:
    said = told(*words, "--json")
    assert isinstance(said.json, (list, dict))
    assert said.stderr == ""


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_json_is_json_on_an_empty_home(lapsewatch: Lapsewatch, words: tuple[str, ...]) -> None:
    codes = {"why": 4, "show": 1, "registration": 1}
    said = lapsewatch(*words, "--json", code=codes.get(words[0], 0))
    if words[0] not in codes:
        assert isinstance(said.json, (list, dict))


def broken(command: Lapsewatch, **values: Any) -> None:
    """A source that cannot be had: its server knows no such document."""
    path = command.configs / "sources" / "lab.yaml"
    sources = yaml.safe_load(path.read_text("utf-8"))["sources"]
    entry = {**sources[0], "name": "lab-gone", "location": sources[0]["location"] + ".gone", **values}
    path.write_text(yaml.safe_dump({"sources": [*sources, entry]}), "utf-8")


def test_one_that_needs_a_look_ends_with_1(told: Lapsewatch) -> None:
    told("show", "nobody-named-this.example", code=1)
    broken(told)
    told("collect", "lab-gone", code=3)
    said = told("status", code=1)
    assert "lab-gone" in said.stdout
    assert "failed" in said.stdout
    assert "404" in said.stdout
    assert told("status", "--json", code=1).json["sources"][0]["source"]
    (told.configs / "organisation.yaml").write_text("nmae: wrong\n")
    assert "wrong" in told("doctor", code=1).stdout
    told.rows("DELETE FROM fact_history WHERE fact_id = (SELECT min(id) FROM fact)")
    assert "fact without history" in told("db", "check", code=1).stdout


WRONG = (
    ("collect", "no-such-source"),
    ("collect", "rdap"),
    ("ct", "resume", "lab-phishing"),
    ("ct", "resume", "no-such-source"),
    ("findings", "--status", "lost"),
    ("show", "not a thing"),
    ("registration", "not a domain"),
    ("own", "not a domain"),
    ("watch", "add", "nothing"),
    ("watch", "add", "odd", "two words"),
    ("watch", "remove", "never-added"),
    ("incident", "--report", "404"),
    ("why", "404"),
    ("dismiss", "404", "--reason", "x"),
    ("acknowledge", "404"),
    ("partner", "add", "somebody", "no-such-collection"),
    ("partner", "renew", "nobody"),
    ("partner", "revoke", "nobody"),
)


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_an_error_is_one_line_on_standard_error(lapsewatch: Lapsewatch, words: tuple[str, ...]) -> None:
    of_the_warehouse = {("incident", "--report"), ("why", "404"), ("dismiss", "404"), ("acknowledge", "404")}
    said = lapsewatch(*words, code=4 if words[:2] in of_the_warehouse else 2)
    assert said.stdout == ""
    assert said.stderr.startswith("couldn't ")
    assert said.stderr.count("\n") == 1


def test_a_lookup_is_not_collected(lapsewatch: Lapsewatch) -> None:
    assert "`lapsewatch incident IOC...` asks it" in lapsewatch("collect", "rdap", code=2).stderr


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("organisation.yaml", "domains: [harbour.example\n"),
        ("sources/lab.yaml", "sources: [{name: Not A Name}]\n"),
        ("publishing.yaml", "colections: []\n"),
        ("watches/odd.yaml", "name: odd\nitems: 7\n"),
    ],
)
def test_a_wrong_data_file_is_one_line_too(lapsewatch: Lapsewatch, file: str, text: str) -> None:
    (lapsewatch.configs / file).write_text(text)
    words = {"publishing.yaml": ("publish",), "watches/odd.yaml": ("watch", "sync"), "sources/lab.yaml": ("sources",)}
    said = lapsewatch(*words.get(file, ("own", "a.example")), code=2)
    assert file.rpartition("/")[2] in said.stderr
    assert said.stderr.count("\n") == 1


def test_what_is_outside_and_cannot_be_reached_ends_with_3(lapsewatch: Lapsewatch) -> None:
    broken(lapsewatch)
    said = lapsewatch("collect", "lab-gone", "--json", code=3)
    assert said.stdout == ""
    assert said.stderr.count("\n") == 1
    assert lapsewatch.rows("SELECT outcome FROM run") == [("failed",)]


def test_a_database_that_is_not_there_ends_with_4(lapsewatch: Lapsewatch, monkeypatch: pytest.MonkeyPatch) -> None:
    from intel.settings import settings

    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", "postgresql://somebody:hidden@127.0.0.1:9/nowhere")
    settings.cache_clear()
    said = lapsewatch("findings", code=4)
    assert said.stderr.count("\n") == 1
    assert "hidden" not in said.stderr
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", "hidden and no URL")
    settings.cache_clear()
    said = lapsewatch("findings", code=2)
    assert "hidden" not in said.stderr


def test_a_process_of_its_own_says_the_same(told: Lapsewatch) -> None:
    program = [sys.executable, "-c", "from apps.cli.main import app; app()"]
    good = subprocess.run([*program, "findings", "--json"], capture_output=True, text=True, timeout=60, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)
    bad = subprocess.run([*program, "collect", "nowhere"], capture_output=True, text=True, timeout=60, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.count("\n") == 1
    assert "Traceback" not in bad.stderr


def test_collecting_over_http(lapsewatch: Lapsewatch) -> None:
    for source in ("lab-phishing", "lab-misp", "lab-taxii"):
        first = lapsewatch("collect", source, "--json").json
        assert first["source"] == source
        assert first["new facts"] > 0
        assert lapsewatch("collect", source, "--json").json["new facts"] == 0
    log = lapsewatch("collect", "lab-ct", "--json").json
    assert log["entries read"] > 0
    outcomes = lapsewatch.rows("SELECT s.name, r.outcome FROM run r JOIN source s ON s.id = r.source_id ORDER BY r.id")
    assert [tuple(row) for row in outcomes[:2]] == [("lab-phishing", "ok"), ("lab-phishing", "unchanged")]
    assert {row["health"] for row in lapsewatch("status", "--json").json["sources"]} == {"well"}


def test_a_stopped_log_goes_on_when_a_person_says_so(told: Lapsewatch) -> None:
    halted = {"reason": "two heads that contradict", "at": "2026-03-04T09:00:00+00:00", "run": 1, "documents": []}
    with told.engine.begin() as connection:
        runs.write_cursor(connection, "ct:lab-ct", {"halted": halted}, None)
    said = told("collect", "lab-ct", code=1)
    assert "until a person lets it go on" in said.stderr
    assert "goes on with its next run" in told("ct", "resume", "lab-ct").stdout
    assert "was not stopped" in told("ct", "resume", "lab-ct").stdout
    told("collect", "lab-ct")


def test_peoples_data_is_masked_unless_a_reason_is_written_down(told: Lapsewatch) -> None:
    for words in (("show", NEW_DOMAIN), ("show", NEW_DOMAIN, "--json")):
        said = told(*words)
        assert "o***@heron-mail.example" in said.stdout
        assert "ops@" not in said.stdout
        assert "Invented Operator" not in said.stdout
    assert told.rows("SELECT count(*) FROM disclosure") == [(0,)]
    said = told("show", NEW_DOMAIN, "--reveal", "incident 7, asked by the registrar")
    assert "ops@heron-mail.example" in said.stdout
    assert "Invented Operator" in said.stdout
    ((who, reason, value),) = told.rows(
        "SELECT d.who, d.reason, e.value FROM disclosure d JOIN entity e ON e.id = d.entity_id"
    )
    assert who
    assert (reason, value) == ("incident 7, asked by the registrar", NEW_DOMAIN)


def test_an_address_of_a_person_that_stands_on_the_same_domain_is_masked(told: Lapsewatch) -> None:
    said = told("show", "heron-mail.example", code=1)
    told.rows(
        "INSERT INTO entity (digest, kind, value, scope) VALUES"
        " ('00000000-0000-0000-0000-000000000001', 'email', :mail, :scope)",
        mail=f"pilot@{NEW_DOMAIN}",
        scope=NEW_DOMAIN,
    )
    said = told("show", NEW_DOMAIN)
    assert f"p***@{NEW_DOMAIN}" in said.stdout
    assert "pilot@" not in said.stdout
    assert "pilot@" not in told("show", NEW_DOMAIN, "--json").stdout


def test_why_says_who_says_so_where_and_since_when(told: Lapsewatch) -> None:
    for row in told("findings", "--json").json:
        said = told("why", str(row["finding"]))
        explained = told("why", str(row["finding"]), "--json").json
        assert row["title"].split()[0] in said.stdout
        for fact in (*explained["new"], *explained["known"]):
            assert f"says {fact['source']} ({fact['reliability']})" in said.stdout
            assert fact["subject"] in said.stdout.replace("\n", "")


def test_what_a_person_says_of_a_finding_is_kept(told: Lapsewatch) -> None:
    number = str(told("findings", "--json").json[0]["finding"])

    def status() -> str:
        return str(told("why", number, "--json").json["status"])

    assert f"finding {number} is acknowledged" in told("acknowledge", number).stdout
    assert status() == "acknowledged"
    told("confirm", number, "--reason", "seen on our mail relay")
    assert status() == "confirmed"
    told("dismiss", number, "--reason", "our own test")
    assert status() == "dismissed"
    assert number in {str(row["finding"]) for row in told("findings", "--status", "dismissed", "--json").json}
    told("reopen", number)
    assert status() == "open"
    assert told("dismiss", number, "--reason", " ", code=4).stderr.count("\n") == 1
    told("dismiss", number, code=2)


def test_watches(lapsewatch: Lapsewatch) -> None:
    lapsewatch("watch", "sync")
    assert "0 findings" in lapsewatch("watch", "add", "quay", "quay.example", "203.0.113.7", "--reason", "r").stdout
    lapsewatch("watch", "add", "net", "--network", "203.0.113.0/24", "--key", "11" * 32, "--certificate", "22" * 32)
    listed = {row["watch"]: row for row in lapsewatch("watch", "list", "--json").json}
    assert set(listed) == {"grey-heron", "net", "organisation", "quay"}
    assert (listed["quay"]["items"], listed["net"]["items"]) == (2, 3)
    lapsewatch("watch", "remove", "quay")
    assert "quay" not in {row["watch"] for row in lapsewatch("watch", "list", "--json").json if row["active"]}


def test_partners_and_publishing(told: Lapsewatch) -> None:
    key = told("partner", "add", "port-cert", "community").stdout.splitlines()[-1]
    renewed = told("partner", "renew", "port-cert").stdout.splitlines()[-1]
    assert len(key) > 20
    assert renewed != key
    assert told("partner", "list", "--json").json[0]["active"] is True
    assert key not in told("partner", "list", "--json").stdout
    told("partner", "revoke", "port-cert")
    assert told("partner", "list", "--json").json[0]["active"] is False
    first = {row["collection"]: row for row in told("publish", "--json").json}
    assert first["community"]["objects"] > 0
    assert {row["objects"] for row in told("publish", "--json").json} == {0}


def test_an_incident_is_kept_when_prefect_is_not_running(lapsewatch: Lapsewatch) -> None:
    said = lapsewatch("incident", "quay.example", "--title", "phishing", code=4)
    stored, why_not = said.stderr.splitlines()
    assert stored == "incident 1 stored"
    assert "is `lapsewatch up` running?" in why_not
    assert [row["title"] for row in lapsewatch("incident", "--json").json] == ["phishing"]
    assert "it has none yet" in lapsewatch("incident", "--report", "1", code=2).stderr
    with lapsewatch.engine.begin() as connection:
        incidents.write_report(connection, 1, "# Incident 1\n", at=datetime(2026, 3, 4, tzinfo=UTC))
    assert lapsewatch("incident", "--report", "1").stdout.strip() == "# Incident 1"
    assert lapsewatch("incident", "--report", "1", "--json").json["report"] == "# Incident 1\n"


def test_the_warehouse_itself(told: Lapsewatch) -> None:
    assert told("db", "upgrade").stdout == "up to date\n"
    before = told.rows("SELECT * FROM link ORDER BY 1, 2, 3")
    assert f"{len(before):,} links" in told("db", "rebuild-links").stdout
    assert told.rows("SELECT * FROM link ORDER BY 1, 2, 3") == before
    assert "password" in told("db", "url").stdout
    assert told("db", "stop").stdout == "it was not running\n"


def test_an_empty_database_is_made_ready_by_whatever_comes_first(
    lapsewatch: Lapsewatch, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from intel.settings import settings

    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", empty_database_url)
    settings.cache_clear()
    assert "lapsewatch db upgrade" in lapsewatch("db", "check", code=4).stderr
    assert "brings it up to date" in " ".join(lapsewatch("doctor").stdout.split())
    assert "there is none" in lapsewatch("why", "1", code=4).stderr
    assert lapsewatch("db", "upgrade").stdout == "up to date\n"
    lapsewatch("db", "check")


def test_env_is_what_a_shell_evaluates(lapsewatch: Lapsewatch) -> None:
    lines = lapsewatch("env").stdout.splitlines()
    assert all(line.startswith("export ") and "=" in line for line in lines)
    assert any(line.startswith("export PREFECT_API_URL=") for line in lines)


def test_without_words_it_says_what_there_is(lapsewatch: Lapsewatch) -> None:
    said = lapsewatch("--help").stdout
    assert {"findings", "why", "collect", "incident", "ct"} <= set(said.split())
