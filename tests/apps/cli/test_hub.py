from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from db.prevalence import Counted, replace
from intel.traits import Name, Trait, trait_digest

SERVERS = "ns1.dns.test ns2.dns.test"


@pytest.fixture
def counted(lapsewatch: Any) -> Any:
    """An installation with one reference population."""
    trait = Trait(Name.NAME_SERVERS.value, SERVERS)
    population = Counted(
        name="zone:example",
        title="names delegated in the zone example, by the source lab-zone",
        total=4_000_000,
        traits={trait.name: 4_000_000},
        as_of=datetime(2026, 11, 20, tzinfo=UTC),
    )
    with lapsewatch.engine.begin() as connection:
        replace(connection, population, [(trait.name, trait_digest(trait), 12)])
    return lapsewatch


def test_a_value_is_told_what_it_is_how_common_and_what_that_means(counted: Any) -> None:
    found = counted("hub", "104.16.1.1", "--json").json
    assert (found["links"], found["factor"], found["hubs"][0]["list"]) == (False, 0, "cloudflare")
    said = counted("hub", "104.16.1.1")
    assert "links nothing" in said.stdout
    assert "No reference population has it." in said.stdout
    assert said.widest <= 80
    said = counted("hub", "NS2.dns.test ns1.dns.test")
    assert "name-servers: 12 of 4000000 (3e-06) in zone:example, 2026-11-20" in " ".join(said.stdout.split())
    assert said.widest <= 80
    assert counted("hub", "show", f"name-server-set:{SERVERS}", "--json").json["prevalence"][0]["count"] == 12


def test_people_are_masked_and_forms_are_told_apart(counted: Any) -> None:
    assert counted("hub", "john.doe@gmail.com", "--json").json["value"] == "j***@gmail.com"
    assert "john.doe" not in counted("hub", "john.doe@gmail.com").stdout
    assert counted("hub", "AS13335", "--json").json["kinds"] == ["as"]
    assert counted("hub", "CN=R11,O=Let's Encrypt,C=US", "--json").json["hubs"][0]["hub"] == "free-ca"
    assert counted("hub", "aa" * 32, "--json").json["kinds"] == ["certificate", "public-key", "file"]
    assert counted("hub", "name-server:nothing at all", code=2)


def test_without_a_value_populations_and_lists_are_shown_with_their_days(counted: Any) -> None:
    found = counted("hub", "--json").json
    assert [one["name"] for one in found["populations"]] == ["zone:example"]
    assert found["lists"]["dates"]["cloudflare"] >= "2025-01-01"
    said = counted("hub")
    assert "zone:example: 4000000 things, 1 values, as of 2026-11-20" in said.stdout
    assert "pymispwarninglists" in said.stdout
    assert said.widest <= 80


def test_counts_are_taken_from_a_file_and_a_wrong_row_is_said(counted: Any, tmp_path: Path) -> None:
    path = tmp_path / "World counts.csv"
    path.write_text("trait,value,count,total\nemail,a@mail.test,3,1000\n")
    assert counted("hub", "import", str(path), "--json").json["population"] == "given:world-counts"
    path.write_text("trait,value,count,total\nemail,a@mail.test,3,1000\nemail,b@mail.test,x,1000\n")
    assert "line 3" in counted("hub", "import", str(path), "--name", "world-counts", code=1).stderr
    assert counted("hub", "import", str(path), "--name", "../x", code=2)
    assert counted("hub", "import", str(path), "--as-of", "then", code=2)
    assert counted("hub", "a@mail.test", "--json").json["prevalence"][0]["total"] == 1000
