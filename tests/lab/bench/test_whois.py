from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from intel.errors import ConfigError
from lab.bench import whois
from lab.bench._whois_corpus import FIELDS, cases, kept_aside, same

REPLY = """Domain Name: LAPSE.EXAMPLE
Registrar: Example Registrar
Creation Date: {created}
Updated Date: 2021-01-02T00:00:00Z
Registry Expiry Date: 01/02/2030
Registrant Name: Ada Invented
Registrant Organization: Invented Ltd
Registrant Email: ada@registrant.example
Name Server: NS1.HOSTING.EXAMPLE
"""
GOLDEN = {
    "domain": {
        "domain": "lapse.example",
        "punycode": "lapse.example",
        "name_servers": ["ns1.hosting.example"],
        "created_date": "13/02/2020",
        "created_date_in_time": "2020-02-13T00:00:00Z",
        "updated_date": "2021-01-02T00:00:00Z",
        "updated_date_in_time": "2021-01-02T00:00:00Z",
        # The other date shows that the day is first: this one was guessed.
        "expiration_date": "01/02/2030",
        "expiration_date_in_time": "2030-01-02T00:00:00Z",
    },
    "registrar": {"name": "Example Registrar"},
    "registrant": {"name": "Ada Invented", "organization": "Invented Ltd", "email": "ada@registrant.example"},
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "registration" / "whois"
    registered, missing = root / "likexian" / "noterror", root / "likexian" / "notfound"
    weppos = root / "weppos" / "whois.registry.example" / "example"
    for folder in (registered, missing, weppos):
        folder.mkdir(parents=True)
    (registered / "example_lapse.example").write_text(REPLY.format(created="13/02/2020"))
    (registered / "example_lapse.example.json").write_text(json.dumps(GOLDEN))
    (missing / "example_free.example").write_text('No match for "FREE.EXAMPLE".\n')
    (weppos / "status_available.txt").write_text("NOT FOUND\n")
    (weppos / "response_throttled.txt").write_text("WHOIS LIMIT EXCEEDED\nNOT FOUND\n")
    (weppos / "status_registered.txt").write_text("Domain Name: google.example\nCreated: 2020-01-01\n")
    monkeypatch.setenv("LAPSEWATCH_DATA", str(tmp_path))
    return root


def test_the_halves_are_told_by_the_digest_of_the_servers_name() -> None:
    for name in ("example", "whois.registry.example", "test"):
        assert kept_aside(name) == (int(hashlib.sha256(name.encode()).hexdigest()[0], 16) >= 8)


def test_texts_are_compared_by_their_words() -> None:
    assert same("  Example  REGISTRAR Ltd.") == same("Example Registrar Ltd (https://registrar.example/a)")


def test_cases_know_what_is_known_of_them(data: Path) -> None:
    found = {case.path.name: case for case in cases(data)}
    case = found["example_lapse.example"]
    assert (case.server, case.domain, case.expected, case.mended) == ("example", "lapse.example", "registered", 1)
    assert (case.golden["created"], case.golden["expires"]) == ("2020-02-13", "2030-02-01")
    assert set(case.golden) == set(FIELDS)
    assert found["status_registered.txt"].domain == "google.example"
    assert {name: one.expected for name, one in found.items()} == {
        "example_lapse.example": "registered",
        "example_free.example": "available",
        "status_available.txt": "available",
        "response_throttled.txt": "throttled",
        "status_registered.txt": "registered",
    }


def test_three_readers_read_the_same_replies(data: Path) -> None:
    pytest.importorskip("asyncwhois")
    figures = whois.run().figures
    for name in FIELDS:
        assert set(figures[name]) == set(whois.READERS)
        assert figures[name]["ours"] == 1
    assert figures["replies"] == 5
    assert (figures["throttled_recognised"], figures["available_recognised"], figures["false_available"]) == (1, 1, 0)
    assert set(figures["kept_aside"]) >= {*FIELDS, "throttled_recognised", "false_available"}


def test_without_data_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPSEWATCH_DATA", str(tmp_path))
    with pytest.raises(ConfigError, match="no data"):
        whois.run()
