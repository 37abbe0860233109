from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from intel.config.organisation import read_organisation
from intel.config.sources import Format, Options, Source, Term, read_network, read_sources
from intel.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SOURCES = read_sources(CONFIGS)
PULLED = sorted(name for name, source in SOURCES.items() if source.transport != "lookup")


@pytest.mark.parametrize("name", PULLED)
def test_keyed_restricted_and_unstated_sources_start_switched_off(name: str) -> None:
    source = SOURCES[name]
    free = source.licence.commercial_use is True and source.licence.redistribution is True
    assert free or not source.enabled
    assert not (source.secret and source.enabled)
    assert free or source.licence.url or "none stated" in source.licence.name


@pytest.mark.parametrize("name", PULLED)
def test_every_entry_says_how_to_read_it(name: str) -> None:
    source = SOURCES[name]
    if source.format in (Format.CSV, Format.JSON):
        assert source.options.mapping is not None
        assert source.options.mapping.statements
    if source.transport == "folder":
        assert not Path(source.location).is_absolute()
    else:
        assert source.location.startswith("https://")
    assert bool(source.secret) == bool(source.secret_header)
    assert not source.active


def test_the_well_known_feeds_are_entered() -> None:
    assert {
        *("urlhaus", "threatfox", "feodo-tracker", "sslbl", "malwarebazaar", "openphish", "phishtank", "tweetfeed"),
        *("maltrail-all", "spamhaus-drop", "spamhaus-drop-v6", "spamhaus-asn-drop", "et-compromised", "cins"),
        *("blocklist-de", "tor-exits", "digitalside-misp", "circl-osint", "botvrij", "attack-taxii", "attack-bundle"),
        *("misp-galaxy-threat-actors", "otx", "c2-tracker", "citizen-lab", "amnesty-nso-2021", "eset", "unit42"),
        *("volexity", "infoblox", "binary-defense", "threatview-c2", "phishunt"),
    } <= set(SOURCES)


def test_nothing_private_may_be_reached_and_nobody_is_named() -> None:
    assert read_network(CONFIGS).allow == ()
    assert read_organisation(CONFIGS).domains == ()


def test_kinds_and_predicates_are_checked() -> None:
    with pytest.raises(ValidationError):
        Term(kind="no-such-kind")
    with pytest.raises(ValidationError):
        Term(kinds={"host": "no-such-kind"})
    entry = SOURCES["sslbl"].model_dump()
    entry["options"]["mapping"]["statements"][0]["predicate"] = "is-listed"
    with pytest.raises(ValidationError):
        Source.model_validate(entry)


@pytest.mark.parametrize("transport", ["misp", "taxii", "ct", "lookup"])
def test_what_comes_in_slices_is_no_snapshot(transport: str) -> None:
    entry = SOURCES["sslbl"].model_dump() | {"transport": transport, "semantics": "snapshot"}
    with pytest.raises(ValidationError, match="its semantics are stream"):
        Source.model_validate(entry)
    assert not Source.model_validate(entry | {"semantics": "stream"}).snapshot


@pytest.mark.parametrize("pattern", ["(", r"(?P<year>\d{4})", r"(?P<year>\d+)-(?P<month>\d+)-(?P<day>\d+)(?P<zone>.*)"])
def test_a_date_in_a_name_has_its_three_parts(pattern: str) -> None:
    with pytest.raises(ValidationError, match="as_of"):
        Options(as_of=pattern)
    assert Options(as_of=r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)").as_of


def test_an_unstated_licence_cannot_be_switched_on(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    text = (CONFIGS / "sources/phishing.yaml").read_text("utf-8")
    head, _, tail = text.partition("name: phishunt")
    (tmp_path / "sources/phishing.yaml").write_text(
        head + "name: phishunt" + tail.replace("enabled: false", "enabled: true")
    )
    with pytest.raises(ConfigError, match="phishunt"):
        read_sources(tmp_path)
