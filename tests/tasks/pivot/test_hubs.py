from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from intel.config.hubs import HubValuesFile, ValueEntry, read_hub_values, read_hubs
from intel.entities import Entity, Kind, entity, guess, literal
from intel.errors import ConfigError, ReadError
from intel.hubs import HubClass, weakest
from intel.names import package_folder
from intel.settings import CHECKOUT, settings
from tasks.pivot import hub_lists, hubs
from tasks.pivot.hub_values import Values, parts_of
from tasks.pivot.hubs import annotate, hubs_of, meaning
from tasks.pivot.newer_lists import list_name

FREE = "CN=R11,O=Let's Encrypt,C=US"
STAGING = "CN=(STAGING) Artificial Apricot R3,O=(STAGING) Let's Encrypt,C=US"
ORIGIN = "OU=CloudFlare Origin SSL Certificate Authority,O=CloudFlare\\, Inc.,C=US"
OPENSSL = "CN=fake,O=Internet Widgits Pty Ltd,ST=Some-State,C=AU"  # codespell:ignore widgits
TEXTS = [Kind.TEXT, Kind.REGISTRANT, Kind.EMAIL, Kind.URL, Kind.NAME_SERVER_SET, Kind.DOMAIN]
DEFAULTS = (
    "dns1.registrar-servers.com dns2.registrar-servers.com",
    "ns01.domaincontrol.com ns02.domaincontrol.com",
    "ns1.dns.com ns2.dns.com",
    "ns1.digitalocean.com ns2.digitalocean.com ns3.digitalocean.com",
    "helium.ns.hetzner.de hydrogen.ns.hetzner.com oxygen.ns.hetzner.com",
)


def _text(value: str) -> Entity:
    return literal(Kind.TEXT, value)


def _set(value: str) -> Entity:
    return entity(Kind.NAME_SERVER_SET, value)


@pytest.mark.parametrize(
    ("item", "predicate", "hub", "factor"),
    [
        (guess("104.16.1.1"), "", "cdn", 0),
        (guess("104.16.1.1:443"), "", "cdn", 0),
        (entity(Kind.AS, "AS13335"), "", "cdn", 0),
        (guess("gmail.com"), "", "mail-provider", 0),
        (guess("someone@gmail.com"), "", "mail-provider", 1),
        (guess("someone@mailinator.com"), "", "disposable-mail", 0.5),
        (guess("bit.ly"), "", "url-shortener", 0),
        (guess("https://bit.ly/"), "", "url-shortener", 0),
        (guess("duckdns.org"), "", "dynamic-dns", 0),
        (guess("mine.duckdns.org"), "", "dynamic-dns", 1),
        (guess("mine.github.io"), "", "shared-hosting", 1),
        (guess("github.io"), "", "shared-suffix", 0),
        (entity(Kind.REGISTRANT, "WhoisGuard Protected"), "", "privacy-proxy", 0),
        (entity(Kind.REGISTRANT, "N/A"), "", "placeholder", 0),
        (guess("a1b2@withheldforprivacy.com"), "", "privacy-proxy", 0),
        (guess("domains@microsoft.com"), "", "seizure", 0),
        (entity(Kind.NAME_SERVER, "ns1.fbi.seized.gov"), "", "seizure", 0),
        (_set("ns1.fbi.seized.gov ns2.fbi.seized.gov"), "", "seizure", 0),
        (_text(FREE), "issued-by", "free-ca", 0),
        (_text(ORIGIN), "issued-by", "cloudflare-origin", 0),
        (_text(OPENSSL), "described-as", "default-certificate", 0),
        (_text(STAGING), "issuer", "default-certificate", 0),
        (
            entity(Kind.CERTIFICATE, "87f2085c32b6a2cc709b365f55873e207a9caa10bffecf2fd16d3cf9d94d390c"),
            "presents",
            "default-certificate",
            0,
        ),
        (entity(Kind.FINGERPRINT, "cobalt-strike-watermark:305419896"), "", "leaked-key", 0),
    ],
)  # fmt: skip
def test_what_a_value_is_and_what_a_link_over_it_counts(item: Entity, predicate: str, hub: str, factor: float) -> None:
    found = [one for one in hubs_of(item, predicate=predicate) if one.hub == hub]
    assert found, hubs_of(item, predicate=predicate)
    assert weakest(found).factor == factor  # type: ignore[union-attr]  # there is one
    assert all(one.why and one.list and meaning(one) for one in found)


@pytest.mark.parametrize(
    ("item", "predicate"),
    [
        (guess("evil.example"), ""),
        (guess("198.51.100.7"), "resolves-to"),
        (guess("someone@evil.example"), ""),
        (entity(Kind.REGISTRANT, "Ada Example"), ""),
        (_set("ns1.evil.example ns2.evil.example"), ""),
        # An issuer is no subject, and a part of a word no part of a name.
        (_text(FREE), "described-as"),
        (_text("O=Let's Encrypt Fan Club"), "issued-by"),
        (_text("O=Not (CN=localhost)"), "described-as"),
        (entity(Kind.FINGERPRINT, "cobalt-strike-watermark:7"), ""),
    ],
)
def test_a_value_of_somebodys_own_is_no_hub(item: Entity, predicate: str) -> None:
    # What is reserved for documentation stands for what is somebody's.
    assert [one for one in hubs_of(item, predicate=predicate) if not one.links] == []
    assert [one for one in hubs_of(item, predicate=predicate) if one.hub != HubClass.SPECIAL_USE] == []


def test_special_addresses_link_nothing_but_those_for_documentation() -> None:
    for value in ("127.0.0.1", "10.1.2.3", "0.0.0.0", "240.1.1.1"):
        assert weakest(hubs_of(guess(value))).links is False  # type: ignore[union-attr]  # there is one
    for value in ("192.0.2.1", "203.0.113.0/25", "2001:db8::7", "198.51.100.7:443"):
        assert {one.factor for one in hubs_of(guess(value))} == {1.0}


def test_a_host_of_a_provider_links_nothing_and_a_set_dealt_out_by_account_may() -> None:
    for host in ("ada.ns.cloudflare.com", "ns-12.awsdns-01.org", "ns01.domaincontrol.com"):
        assert weakest(hubs_of(entity(Kind.NAME_SERVER, host))).links is False  # type: ignore[union-attr]  # there is one
    assert hubs_of(_set("ada.ns.cloudflare.com bob.ns.cloudflare.com")) == []
    assert hubs_of(_set("ns-12.awsdns-01.org ns-900.awsdns-48.net")) == []
    for default in DEFAULTS:
        [hub] = hubs_of(_set(default))
        assert (hub.hub, hub.links) == ("registrar-default", False)
    # One host of somebody's own makes the set his.
    assert hubs_of(_set("dns1.registrar-servers.com ns1.evil.example")) == []


def test_a_set_of_parked_hosts_is_parked_though_no_list_has_the_set() -> None:
    [*found] = hubs_of(_set("ns1.bodis.com ns2.bodis.com"))
    assert "parking" in {one.hub for one in found}


def test_lists_and_entries_are_dated_and_named() -> None:
    [cdn] = [one for one in hubs_of(guess("104.16.1.1")) if one.hub == "cdn"]
    assert cdn.list == "cloudflare"
    assert cdn.as_of is not None
    [suffix] = [one for one in hubs_of(guess("github.io")) if one.list == "the public suffix list"]
    assert suffix.as_of is not None
    [free] = hubs_of(_text(FREE), predicate="issued-by")
    assert (free.list, free.as_of) == ("hubs-values.yaml: lets-encrypt", date(2026, 11, 1))


def test_a_leaked_key_lowers_a_finding_and_a_mail_provider_does_not() -> None:
    leaked = entity(Kind.PUBLIC_KEY, "md5:defb5d95ce99e1ebbf421a1a38d9cb64")
    assert [(one.hub, one.takes) for one in annotate(leaked)] == [("leaked-key", 40)]
    assert annotate(guess("someone@gmail.com")) == []


def test_every_class_that_is_used_says_what_it_means() -> None:
    file = read_hubs(CHECKOUT / "configs" / "hubs.yaml")
    values = read_hub_values(CHECKOUT / "configs" / "hubs-values.yaml")
    used = {one.hub for one in file.lists.values()} | {one.hub for one in values.entries.values()}
    used |= {HubClass.SEIZURE, HubClass.SINKHOLE, HubClass.PRIVACY_PROXY, HubClass.PLACEHOLDER}
    assert used - set(file.classes) == set()
    assert all(one.source for one in values.entries.values())


def test_an_entry_that_cannot_be_is_refused_with_its_name() -> None:
    entry = {"hub": "cdn", "why": "x", "as_of": "2026-01-01", "source": "y", "values": {"ip": ["nowhere"]}}
    file = HubValuesFile(entries={"wrong": ValueEntry.model_validate(entry)})
    with pytest.raises(ConfigError, match="entry wrong"):
        Values(file, {})


@examples(max_examples=80, deadline=None)
@given(st.text(max_size=60), st.sampled_from(TEXTS))
def test_any_value_has_an_answer(text: str, kind: Kind) -> None:
    parts_of(text)
    try:
        item = entity(kind, text)
    except ReadError:
        return
    for hub in hubs_of(item):
        assert 0 <= hub.factor <= 1


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("https://lists.example/main/lists/cloudflare/list.json", "cloudflare"),
        ("network/warninglists/amazon-aws.json", "amazon-aws"),
        ("https://lists.example/list.json?x=/y.json", "lists.example"),
        ("https://lists.example/lists/../list.json", ""),
        ("https://lists.example/" + "a" * 200 + ".json", ""),
    ],
)
def test_the_place_of_a_list_tells_its_name(location: str, name: str) -> None:
    assert list_name(location) == name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation of its own, whose lists are read anew before and after."""
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path))
    for cached in (settings, hub_lists.lists, hubs._known):
        cached.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    for cached in (settings, hub_lists.lists, hubs._known):
        cached.cache_clear()


def _packaged(name: str) -> bytes:
    folder = package_folder("pymispwarninglists") / "data/misp-warninglists/lists"
    return (folder / name / "list.json").read_bytes()


def test_a_newer_copy_of_a_list_counts_and_an_older_or_broken_one_does_not(home: Path) -> None:
    folder = home / "hubs"
    folder.mkdir()
    record = json.loads(_packaged("url-shortener"))
    record |= {"version": 20261101, "list": [*record["list"], "short.example"]}
    (folder / "url-shortener.json").write_text(json.dumps(record))
    older = json.loads(_packaged("cloudflare")) | {"version": 20200101, "list": ["192.0.2.0/24"]}
    (folder / "cloudflare.json").write_text(json.dumps(older))
    (folder / "fastly.json").write_text("{")
    [found] = hubs_of(guess("short.example"))
    assert (found.hub, found.as_of) == ("url-shortener", date(2026, 11, 1))
    assert {one.hub for one in hubs_of(guess("104.16.1.1"))} >= {"cdn"}
    assert hub_lists.standing_list("cloudflare") is not None
    assert "192.0.2.0/24" not in hub_lists.networks_of("cloudflare")


def test_the_real_lists_of_august_are_read_and_are_newer(home: Path, data_dir: Path) -> None:
    folder = home / "hubs"
    folder.mkdir()
    named = {path.stem for path in (data_dir / "network" / "warninglists").glob("*.json")} & set(hub_lists_named())
    for name in named:
        shutil.copy(data_dir / "network" / "warninglists" / f"{name}.json", folder / f"{name}.json")
    days = hub_lists.lists().dates()
    newer = {name for name in named if days[name] is not None and days[name] > date(2026, 1, 1)}  # type: ignore[operator]  # not None
    assert {"cloudflare", "amazon-aws", "google-gcp", "microsoft-azure"} & newer, days
    assert "cdn" in {one.hub for one in hubs_of(guess("104.16.1.1"))}


def hub_lists_named() -> set[str]:
    return set(read_hubs(CHECKOUT / "configs" / "hubs.yaml").lists)
