from __future__ import annotations

from typing import Any

import pytest
import yaml

from intel.settings import settings
from tests import factories
from tests.archives import entry, keep, sha

LONG = f"{'a' * 60}.{'b' * 60}.{'c' * 60}.example"


@pytest.fixture
def archived(lapsewatch: Any) -> Any:
    """An installation whose archive holds a few entries of two logs."""
    (lapsewatch.configs / "ct.yaml").write_text(yaml.safe_dump({"archive": {"enabled": True, "max_days": 400}}))
    entries = [
        entry(0, "heron.example", "www.heron.example", "*.heron.example", "mail.heron.example"),
        entry(1, LONG, key=sha("key")),
        entry(2, issuer="CN=" + "Very Long Issuer " * 8, addresses=("192.0.2.7",), timestamp=0),
    ]
    keep(lapsewatch.engine, settings().home, entries)
    keep(lapsewatch.engine, settings().home, [entry(7, "egret.test", log="other-log")])
    return lapsewatch


def test_what_is_found_fits_the_terminal_and_says_what_matters(archived: Any) -> None:
    said = archived("ct", "hunt", "--tree", "heron.example")
    assert "1 found, the newest first" in said.stdout
    assert "2026-03-01 12:00:00  lab-log 0  precertificate" in said.stdout
    assert "heron.example, www.heron.example, *.heron.example and 1 more" in " ".join(said.stdout.split())
    assert sha("leaf lab-log 0").hex() in said.stdout
    assert said.stderr == ""
    for words in (("--suffix", ".example"), ("--issuer", "very long"), ("--since", "1960-01-01")):
        assert archived("ct", "hunt", *words).widest <= 80


def test_json_has_all_of_it(archived: Any) -> None:
    said = archived("ct", "hunt", "--key", f"sha256:{sha('key').hex().upper()}", "--json").json
    assert said["searched"] == 4
    assert (said["more"], said["problems"], said["findings"]) == (False, [], None)
    (found,) = said["found"]
    assert found == {
        "time": "2026-03-01T12:00:01+00:00",
        "log": "lab-log",
        "index": 1,
        "names": [LONG],
        "addresses": [],
        "issuer": "CN=Lab Issuing 1,O=Lab Authority",
        "not_before": "2026-03-01T11:00:00+00:00",
        "not_after": "2026-05-30T12:00:00+00:00",
        "key": sha("key").hex(),
        "tbs": sha("tbs lab-log 1").hex(),
        "fingerprint": sha("certificate lab-log 1").hex(),
        "leaf_hash": sha("leaf lab-log 1").hex(),
    }


@pytest.mark.parametrize(
    ("words", "indexes"),
    [
        (["--name", "login.heron[.]example"], [0]),  # defanged, and met by the wildcard
        (["--tree", "test"], [7]),
        (["--regex", "^egret|^www"], [0, 7]),
        (["--certificate", sha("certificate other-log 7").hex()], [7]),
        (["--tbs", sha("tbs lab-log 0").hex()], [0]),
        (["--log", "other-log"], [7]),
        (["--log", "other-log", "--log", "lab-log", "--until", "2026-01-01"], [2]),
        (["--since", "2026-03-01T12:00:01", "--until", "2026-03-01T13:00:02+01:00"], [1]),
    ],
)
def test_each_way_of_asking(archived: Any, words: list[str], indexes: list[int]) -> None:
    assert sorted(one["index"] for one in archived("ct", "hunt", *words, "--json").json["found"]) == indexes


def test_a_limit_says_that_there_may_be_more(archived: Any) -> None:
    assert "there may be more" in archived("ct", "hunt", "--suffix", "e", "--limit", "1").stdout
    assert "nothing found" in archived("ct", "hunt", "--name", "no.example").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what for"),
        (["--watched", "--name", "a.example"], "--watched takes nothing else"),
        (["--key", "abc"], "--key takes a SHA-256"),
        (["--certificate", "zz" * 32], "--certificate takes a SHA-256"),
        (["--name", "no name"], "couldn't read a name"),
        (["--regex", "("], "couldn't hunt for a regular expression"),
        (["--since", "yesterday"], "--since takes a day or time"),
    ],
)
def test_a_wrong_question_is_wrong_use(archived: Any, words: list[str], said: str) -> None:
    assert said in " ".join(archived("ct", "hunt", *words, code=2).stderr.split())


def test_an_archive_that_is_off_says_how_it_is_switched_on(lapsewatch: Any) -> None:
    (lapsewatch.configs / "ct.yaml").write_text("archive: {enabled: false}\n")
    assert "the archive is switched off" in lapsewatch("ct", "hunt", "--name", "a.example", code=2).stderr
    assert "switched off in configs/ct.yaml" in " ".join(lapsewatch("ct", "archive").stdout.split())


def test_what_is_recorded_becomes_findings_of_the_watches(archived: Any) -> None:
    with archived.engine.begin() as connection:
        watch = factories.watch(connection, "heron", origin="command", rules=["*"])
        factories.watch_item(connection, watch, "heron.example", match="scope", kind="")
    said = archived("ct", "hunt", "--tree", "heron.example", "--record", "a tip of a partner's", "--json").json
    assert said["findings"] >= 1
    assert [rule for (rule,) in archived.rows("SELECT DISTINCT rule FROM finding")] == ["certificate-name"]


def test_what_is_watched_is_hunted_for_on_demand(archived: Any) -> None:
    with archived.engine.begin() as connection:
        watch = factories.watch(connection, "egret", origin="command", rules=["*"])
        factories.watch_item(connection, watch, "egret.test", match="scope", kind="")
    said = archived("ct", "hunt", "--watched", "--json").json
    assert said["hits"] > 0
    assert said["findings"] >= 1
    assert "0 entries searched" in archived("ct", "hunt", "--watched").stdout


def test_a_damaged_file_needs_a_look(archived: Any) -> None:
    for path in (settings().home / "archive" / "log=other-log").rglob("*.parquet"):
        path.write_bytes(b"PAR1")
    said = archived("ct", "hunt", "--suffix", "e", code=1)
    assert "2 found" in said.stdout
    assert "couldn't read entries 7 to 8 of other-log" in said.stderr


def test_the_archive_is_shown_for_each_log(archived: Any) -> None:
    said = archived("ct", "archive")
    assert said.widest <= 80
    assert "4 entries in" in said.stdout
    assert "what was logged in the last 400 days" in " ".join(said.stdout.split())
    held = archived("ct", "archive", "--json").json
    assert [(row["log"], row["entries"], row["segments"]) for row in held["logs"]] == [
        ("lab-log", 3, 1),
        ("other-log", 1, 1),
    ]
    assert held["logs"][0]["bytes_per_entry"] > 0
