from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.entities import Kind, entity
from intel.errors import ReadError
from intel.rdap_bootstrap import REGISTRIES, Bootstrap, is_base_url, read_bootstrap, registry_of, tag_of

SHIPPED = Path(__file__).parents[2] / "configs" / "rdap"


def made(**services: list[Any]) -> Bootstrap:
    files: Any = {
        name.replace("_", "-"): json.dumps({"publication": "2026-01-02T03:04:05Z", "services": entries}).encode()
        for name, entries in services.items()
    }
    return read_bootstrap(files)


WHOLE = made(
    dns=[
        [["example", "test"], ["http://rdap.nic.example/", "https://rdap.nic.example/"]],
        [["co.example"], ["https://rdap.co.example/"]],
        [["xn--p1ai"], ["https://rdap.cyrillic.example/"]],
        [["bad"], ["ftp://rdap.bad.example/", 7, "http://rdap.example/%%"]],
        "broken",
        [["x"]],
        [[7, "a b"], ["https://rdap.example/"]],
    ],
    ipv4=[
        [["203.0.0.0/8"], ["https://far.example/"]],
        [["203.0.113.0/24"], ["https://near.example/"]],
        [["2001:db8::/32", "nonsense"], ["https://wrong.example/"]],
    ],
    ipv6=[[["2001:db8::/32"], ["https://six.example/"]]],
    asn=[
        [["64496-64511"], ["https://many.example/"]],
        [["64500"], ["https://one.example/"]],
        [["5-4", "x", "1-99999999999"], ["https://none.example/"]],
    ],
    object_tags=[[["who@registry.example"], ["EXREG"], ["https://tags.example/"]]],
)


@pytest.mark.parametrize(
    ("kind", "value", "first"),
    [
        (Kind.DOMAIN, "a.test", "https://rdap.nic.example/"),
        (Kind.DOMAIN, "a.co.example", "https://rdap.co.example/"),
        (Kind.DOMAIN, "кто.рф", "https://rdap.cyrillic.example/"),
        (Kind.NAME_SERVER, "ns1.a.example", "https://rdap.nic.example/"),
        (Kind.IP, "203.0.113.9", "https://near.example/"),
        (Kind.IP, "203.0.112.9", "https://far.example/"),
        (Kind.NETWORK, "203.0.112.0/23", "https://far.example/"),
        (Kind.NETWORK, "203.0.113.128/25", "https://near.example/"),
        (Kind.IP, "2001:db8::1", "https://six.example/"),
        (Kind.AS, "AS64500", "https://one.example/"),
        (Kind.AS, "AS64499", "https://many.example/"),
        (Kind.HANDLE, "ada1-exreg", "https://tags.example/"),
        (Kind.HANDLE, "ada1@tags.example", "https://tags.example/"),
    ],
)
def test_the_longest_match_names_the_server(kind: str, value: str, first: str) -> None:
    assert WHOLE.servers(entity(kind, value))[0] == first


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.DOMAIN, "a.bad"),
        (Kind.DOMAIN, "a.x"),
        (Kind.DOMAIN, "a.unknown"),
        (Kind.IP, "198.51.100.1"),
        (Kind.NETWORK, "202.0.0.0/7"),
        (Kind.AS, "AS5"),
        (Kind.AS, "AS64512"),
        (Kind.HANDLE, "ada1"),
        (Kind.HANDLE, "ada1-exreg@registry.example"),
        (Kind.EMAIL, "ada@a.example"),
    ],
)
def test_where_nothing_matches_there_is_no_server(kind: str, value: str) -> None:
    assert WHOLE.servers(entity(kind, value)) == ()


def test_https_comes_first_and_broken_entries_are_counted() -> None:
    assert WHOLE.servers(entity(Kind.DOMAIN, "a.example")) == ("https://rdap.nic.example/", "http://rdap.nic.example/")
    assert WHOLE.servers("ADA-EXREG") == ("https://tags.example/",)
    assert WHOLE.published["dns"] == "2026-01-02T03:04:05Z"
    assert WHOLE.refused == 10


def test_an_entry_for_the_root_is_the_last_resort() -> None:
    root = made(dns=[[[""], ["https://root.example/"]], [["test"], ["https://test.example/"]]])
    assert root.servers(entity(Kind.DOMAIN, "a.example")) == ("https://root.example/",)
    assert root.servers(entity(Kind.DOMAIN, "a.test")) == ("https://test.example/",)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"services": {}}', b"\xff", b"[" * 5000, b"<html>"])
def test_a_file_that_is_no_registry_is_refused(data: bytes) -> None:
    with pytest.raises(ReadError, match="stays in use"):
        read_bootstrap({"dns": data})


def test_the_shipped_copies_are_read_whole() -> None:
    shipped = read_bootstrap({name: (SHIPPED / f"{name}.json").read_bytes() for name in REGISTRIES})
    assert shipped.refused == 0
    assert all(date.startswith("20") for date in shipped.published.values())
    assert shipped.servers(entity(Kind.DOMAIN, "example.com")) == ("https://rdap.verisign.com/com/v1/",)
    assert shipped.match(entity(Kind.IP, "203.0.113.1"))[0] == "203.0.0.0/8"
    assert shipped.servers("ORG-EXAMPLE-RIPE") == ("https://rdap.db.ripe.net/",)
    assert b"@" not in (SHIPPED / "object-tags.json").read_bytes()


@given(st.binary(max_size=200), st.sampled_from(REGISTRIES))
def test_any_bytes_are_read_or_refused(data: bytes, name: Any) -> None:
    with pytest.raises(ReadError):
        read_bootstrap({name: data})


PARTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=12) | st.sampled_from(["https://a.example/", "10.0.0.0/8", "7-9"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PARTS, max_size=4), st.sampled_from(REGISTRIES), st.ip_addresses())
def test_any_services_cost_themselves(
    services: Any, name: Any, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    found = read_bootstrap({name: json.dumps({"services": services}).encode()})
    assert all(map(is_base_url, found.servers(entity(Kind.IP, str(address)))))
    assert all(map(is_base_url, found.servers(entity(Kind.AS, "AS8"))))


@given(st.text(max_size=40))
def test_any_text_has_a_tag_or_none(text: str) -> None:
    assert "-" not in tag_of(text)


def test_kinds_without_a_class_have_no_registry() -> None:
    assert registry_of(entity(Kind.URL, "https://a.example/")) is None


def test_real_files_are_read_or_refused(data_dir: Path) -> None:
    folder = data_dir / "registration" / "rdap" / "openrdap"
    for name in REGISTRIES:
        assert read_bootstrap({name: (folder / "bootstrap" / f"{name}.json").read_bytes()}).refused == 0, name
    for path in sorted((folder / "bootstrap_malformed").iterdir()):
        try:
            found = read_bootstrap({"dns": path.read_bytes()})
        except ReadError:
            assert path.name in {"dns_empty.json", "dns_syntax_error.json"}
            continue
        assert found.refused == 1, path.name
        assert len(found.names) == 3, path.name
    complex_ = read_bootstrap({"dns": (folder / "bootstrap_complex" / "dns.json").read_bytes()})
    assert complex_.servers(entity(Kind.DOMAIN, "a.sub.example.com")) == (
        "https://example.com/sub",
        "http://example.com/sub",
    )
    assert complex_.servers(entity(Kind.DOMAIN, "a.net"))[0] == "https://example.root"
