from __future__ import annotations

from pathlib import Path

import pytest

from intel.config.lookups import Ceilings, Lookups, Reach, read_lookups, split_server
from intel.config.sources import read_sources
from intel.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"


def wrong(folder: Path, text: str) -> str:
    (folder / "lookups.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_lookups(folder)
    return str(caught.value)


def test_what_is_shipped_is_the_default_and_never_reaches_the_actor() -> None:
    shipped = read_lookups(CONFIGS)
    # Servers that state a pace of their own are named in the file alone.
    assert shipped.manners.servers
    manners = shipped.manners.model_copy(update={"servers": {}})
    assert shipped.model_copy(update={"manners": manners}) == Lookups()
    assert shipped.reach == Ceilings(
        incident=Reach.REGISTRAR, finding=Reach.REGISTRAR, watch=Reach.REGISTRAR, feed=Reach.REGISTRY
    )


def test_a_missing_file_is_the_default(tmp_path: Path) -> None:
    assert read_lookups(tmp_path) == Lookups()


def test_reach_is_read_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "lookups.yaml").write_text("reach: {feed: local, finding: third party}\n")
    found = read_lookups(tmp_path).reach
    assert (found.feed, found.finding, found.finding.label) == (Reach.LOCAL, Reach.THIRD_PARTY, "third party")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    assert "`active: true`" in wrong(tmp_path, "reach: {incident: actor}")
    assert "is no reach" in wrong(tmp_path, "reach: {incident: everybody}")
    assert "is not" in wrong(tmp_path, "whois_servers: {example: 'a:b:c d'}")
    assert "budget" in wrong(tmp_path, "budget: -1")
    assert "no_such" in wrong(tmp_path, "no_such: 1")


def test_the_longest_suffix_wins() -> None:
    found = Lookups(
        rdap_servers={"example": "https://one.example", ".CO.example.": "https://two.example"},
        whois_servers={"example": "whois.one.example:4343"},
    )
    assert found.rdap_server("evil.co.example") == "https://two.example"
    assert found.rdap_server("evil.example") == "https://one.example"
    assert found.rdap_server("evil.test") is None
    assert found.whois_server("evil.co.example") == "whois.one.example:4343"


def test_a_server_is_a_host_and_a_port() -> None:
    assert split_server("whois.nic.example") == ("whois.nic.example", 43)
    assert split_server("127.0.0.1:4343") == ("127.0.0.1", 4343)
    for text in ("whois.nic.example:0", "whois.nic.example:99999", "no host", ""):
        with pytest.raises(ValueError, match="is not"):
            split_server(text)


def test_the_sources_of_answers_are_entered() -> None:
    found = read_sources(CONFIGS)
    for name in ("rdap", "whois", "rdap-servers"):
        assert (found[name].transport, found[name].format, found[name].cadence) == ("lookup", "lookup", "manual")
        assert not found[name].snapshot
    assert not found["rdap"].row()["redistribution"]
