from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intel.config.watches import WatchedItem, WatchFile, read_watches
from intel.errors import ConfigError, ReadError
from intel.x509 import read_certificate, tbs_without_scts
from lab.certificates import Authority, Order, key_from_seed, spki_der
from tasks.watch.items import Changed, add_watch, list_watches, read_items, remove_watch, sync_files
from tests.tasks.watch.world import Say, World


def _items(**fields: str) -> list[tuple[str, str, str]]:
    return [(item.match, item.kind, item.value) for item in read_items(WatchedItem(**fields))]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"entity": "hxxp://Evil[.]example/x"}, [("entity", "url", "http://evil.example/x")]),
        ({"entity": "name-server:ns1.evil.example"}, [("entity", "domain", "ns1.evil.example")]),
        ({"entity": "handle:bad_guy"}, [("entity", "handle", "bad_guy")]),
        ({"entity": "2001:db8::1"}, [("entity", "ip", "2001:db8::1")]),
        ({"domain": "Evil.example."}, [("scope", "", "evil.example")]),
        ({"domain": "a.evil.example"}, [("entity", "domain", "a.evil.example"), ("subtree", "", "a.evil.example")]),
        ({"domain": "co.uk"}, [("entity", "domain", "co.uk")]),
        ({"domain": "duckdns.org"}, [("entity", "domain", "duckdns.org")]),
        ({"domain": "mine.duckdns.org"}, [("scope", "", "mine.duckdns.org")]),
        ({"network": "192.0.2.9"}, [("network", "", "192.0.2.9")]),
        ({"network": "192.0.2.9/32"}, [("network", "", "192.0.2.9")]),
        ({"network": "192.0.2.9/24"}, [("network", "", "192.0.2.0/24")]),
        ({"network": "2001:db8::/32"}, [("network", "", "2001:db8::/32")]),
        ({"key": "AB" * 32}, [("entity", "public-key", "sha256:" + "ab" * 32)]),
        ({"certificate": "cd" * 32}, [("entity", "certificate", "sha256:" + "cd" * 32)]),
        ({"certificate": "CD:" * 19 + "CD"}, [("entity", "certificate", "sha1:" + "cd" * 20)]),
        ({"tbs": "ef" * 32}, [("entity", "certificate", "sha256:" + "ef" * 32)]),
        ({"serial": "AB" * 32 + "/00:0a"}, [("entity", "pattern", f"serial:{'ab' * 32}/0a")]),
        ({"lookalike": "Example.COM."}, [("entity", "pattern", "lookalike:example.com")]),
        ({"lookalike": "AcmeCorp"}, [("entity", "pattern", "lookalike:acmecorp")]),
        ({"keyword": "Acme"}, [("entity", "pattern", "keyword:acme")]),
        ({"issuer": "*O=Acme Trust*"}, [("entity", "pattern", "issuer:*o=acme trust*")]),
        ({"subject": "CN=acme*"}, [("entity", "pattern", "subject:cn=acme*")]),
        ({"entity": "pattern:keyword:Acme"}, [("entity", "pattern", "keyword:acme")]),
    ],
)
def test_an_item_is_read_as_what_it_matches(fields: dict[str, str], expected: list[tuple[str, str, str]]) -> None:
    assert _items(**fields) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"entity": "a.example", "domain": "b.example"},
        {"network": "nonsense"},
        {"domain": "localhost"},
        {"entity": "evil.example", "since": "yesterday"},
        {"keyword": "ab"},
        {"lookalike": "a.example.com"},
        {"issuer": "*"},
        {"serial": "ab/01"},
        {"tbs": "nonsense"},
        {"entity": "pattern:telepathy:acme"},
        {"entity": "pattern:keyword:ab"},
        {"pem": "nonsense"},
        {"pem": "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"},
        {"pem": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"},
        {"pem": "x" * 300_000},
    ],
)
def test_an_item_that_names_nothing_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ReadError):
        _items(**fields)


def _pem(der: bytes) -> str:
    return "text before\n" + ssl.DER_cert_to_PEM_cert(der) + "and after"


@pytest.mark.parametrize("final", [True, False])
def test_a_pem_is_one_certificate_by_all_that_it_is_called(final: bool) -> None:
    authority, key = Authority(), key_from_seed("heron")
    order = Order(names=("evil.example",), key=key)
    der = authority.final(order, [b"sct"]) if final else authority.issue(order)
    items = list(read_items(WatchedItem(pem=_pem(der), since="2026-01-03")))
    tbs = hashlib.sha256(tbs_without_scts(authority.precertificate(order))).hexdigest()
    view = read_certificate(der)
    assert [(item.kind, item.value) for item in items] == [
        ("certificate", f"sha256:{hashlib.sha256(der).hexdigest()}"),
        ("certificate", f"sha1:{hashlib.sha1(der).hexdigest()}"),
        ("certificate", f"sha256:{tbs}"),
        ("public-key", f"sha256:{hashlib.sha256(spki_der(key)).hexdigest()}"),
        ("pattern", f"serial:{hashlib.sha256(view.issuer_der).hexdigest()}/{view.serial_hex}"),
    ]
    assert {item.since for item in items} == {datetime(2026, 1, 3, tzinfo=UTC)}


def test_a_pem_of_two_certificates_is_refused() -> None:
    der = Authority().certificate
    with pytest.raises(ReadError, match="exactly one"):
        list(read_items(WatchedItem(pem=_pem(der) + _pem(der))))


def test_since_is_utc() -> None:
    [item] = read_items(WatchedItem(domain="evil.example", since="2026-01-03"))
    assert item.since == datetime(2026, 1, 3, tzinfo=UTC)


def _rows(world: World) -> list[tuple[object, ...]]:
    return world.execute("SELECT id, match, value, since FROM watch_item ORDER BY match, value")


def test_files_are_brought_in_once_and_changes_keep_what_stays(world: World) -> None:
    file = WatchFile(name="one", items=(WatchedItem(domain="evil.example"), WatchedItem(network="192.0.2.1")))
    with world.engine.begin() as connection:
        assert sync_files(connection, [file]) == Changed(watches=1, removed=0)
    before = _rows(world), world.execute("SELECT id, xmin::text FROM watch")
    with world.engine.begin() as connection:
        sync_files(connection, [file])
    assert (_rows(world), world.execute("SELECT id, xmin::text FROM watch")) == before
    changed = WatchFile(name="one", items=(WatchedItem(domain="evil.example"), WatchedItem(domain="bad.example")))
    with world.engine.begin() as connection:
        sync_files(connection, [changed])
    kept = {row[2]: row[0] for row in _rows(world)}
    assert set(kept) == {"evil.example", "bad.example"}
    assert kept["evil.example"] in {row[0] for row in before[0]}
    assert world.execute("SELECT id FROM watch") == [(before[1][0][0],)]


def test_a_watch_whose_file_goes_stays_only_for_its_findings(world: World, say: type[Say]) -> None:
    found, unfound = (WatchFile(name=n, items=(WatchedItem(domain=f"{n}.example"),)) for n in ("one", "two"))
    with world.engine.begin() as connection:
        sync_files(connection, [found, unfound])
    world.load(say.listed("a.one.example"))
    world.monitor()
    with world.engine.begin() as connection:
        add_watch(connection, "mine", [WatchedItem(domain="mine.example")])
        assert sync_files(connection, []).removed == 2
    with world.engine.connect() as connection:
        assert [(w.name, w.active, w.items, w.findings) for w in list_watches(connection)] == [
            ("mine", True, 1, 0),
            ("one", False, 0, 1),
        ]
    world.load(say.listed("b.one.example"))
    assert world.monitor() == 0
    with world.engine.begin() as connection:
        sync_files(connection, [found])
    assert world.monitor() == 1


def test_what_an_actor_is_claimed_to_have_outlives_a_change_of_the_list(world: World, say: type[Say]) -> None:
    world.load(say.claim("evil.example", "lab:one"))
    world.watch("watch", WatchedItem(domain="bad.example"), actor="lab:one", follow_actor=True)
    world.monitor()
    before = {row[2]: row[0] for row in _rows(world)}
    world.watch("watch", WatchedItem(domain="good.example"), actor="lab:one", follow_actor=True)
    world.monitor()
    after = {row[2]: row[0] for row in _rows(world)}
    assert set(after) == {"evil.example", "good.example"}
    assert after["evil.example"] == before["evil.example"]
    world.watch("watch", WatchedItem(domain="good.example"), actor="lab:two", follow_actor=True)
    world.monitor()
    assert [row[2] for row in _rows(world)] == ["good.example"]


def test_what_cannot_be_read_changes_nothing(world: World) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    before = _rows(world)
    for items, options in (
        ([WatchedItem(domain="nonsense")], {}),
        ([], {"rules": ("unheard-of",)}),
        ([], {"follow_actor": True}),
    ):
        with pytest.raises(ConfigError), world.engine.begin() as connection:
            add_watch(connection, "watch", items, **options)
    with pytest.raises(ConfigError), world.engine.begin() as connection:
        sync_files(connection, [WatchFile(name="watch")])
    assert _rows(world) == before


def test_removing_a_watch_that_is_not_there_says_so(world: World) -> None:
    with world.engine.begin() as connection:
        assert remove_watch(connection, "none") is False


def test_values_of_two_kinds_and_of_any_length_are_watched(world: World, say: type[Say]) -> None:
    long = "https://evil.example/" + "a" * 9_000
    items = [WatchedItem(entity="handle:a"), WatchedItem(entity="persona:a"), WatchedItem(entity=long)]
    first = world.watch("watch", *items)
    before = _rows(world)
    assert [(row[1], len(row[2])) for row in before] == [("entity", 1), ("entity", 1), ("entity", len(long))]
    assert world.watch("watch", *items, reason="asked for again") == first
    assert _rows(world) == before
    world.load(say.listed(long), say.listed(long + "b"))
    world.monitor()
    assert world.found() == {("watch", "exact", long)}


def test_a_day_without_quotes_is_a_day(tmp_path: Path) -> None:
    (tmp_path / "watches").mkdir()
    (tmp_path / "watches" / "one.yaml").write_text(
        "name: one\nitems:\n  - {domain: evil.example, since: 2026-01-02}\n"
        "  - {domain: bad.example, since: 2026-01-02T03:04:05+01:00}\n  - {domain: c.example, since: '2026-01-02'}\n"
    )
    [file] = read_watches(tmp_path)
    found = [item.since for wanted in file.items for item in read_items(wanted)]
    day = datetime(2026, 1, 2, tzinfo=UTC)
    assert found == [day, datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC), day]
