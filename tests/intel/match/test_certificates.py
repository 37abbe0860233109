from __future__ import annotations

import hashlib
import ipaddress
import pickle
import subprocess
import sys
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.match.certificates import MAX_COVERED, By, Hit, WatchSet
from intel.names import default_suffixes
from intel.x509 import CertificateView

KEY = b"k" * 32
DIGEST = b"d" * 32


def met(watch: WatchSet, *names: str) -> set[tuple[str, str]]:
    return {(hit.by.value, hit.watched) for hit in watch.match(CertificateView(names=names))}


def test_a_scope_is_met_by_every_name_registered_under_it() -> None:
    watch = WatchSet(scopes=frozenset({"evil.example", "github.io"}))
    assert met(watch, "a.b.evil.example") == {("scope", "evil.example")}
    assert met(watch, "*.evil.example") == {("scope", "evil.example")}
    assert met(watch, "notevil.example", "evil.example.org", "example") == set()
    assert met(watch, "stranger.github.io") == set()
    assert met(watch, "github.io") == {("scope", "github.io")}


def test_a_subtree_is_met_by_itself_and_below() -> None:
    watch = WatchSet(subtrees=frozenset({"host.evil.example"}))
    for name in ("host.evil.example", "a.host.evil.example", "*.host.evil.example", "*.a.host.evil.example"):
        assert met(watch, name) == {("subtree", "host.evil.example")}, name
    assert met(watch, "evil.example", "ghost.evil.example") == set()


def test_a_wildcard_covers_one_label() -> None:
    watch = WatchSet(names=frozenset({"host.evil.example"}), scopes=frozenset({"shop.co.uk"}))
    assert met(watch, "*.evil.example") == {("wildcard", "host.evil.example")}
    assert met(watch, "h*t.evil.example", "h?st.evil.example") == {("wildcard", "host.evil.example")}
    assert met(watch, "*.co.uk") == {("wildcard", "shop.co.uk")}
    assert met(watch, "*.example", "*.other.example", "*", "*.", "**", "a.*") == set()


def test_a_wildcard_on_a_busy_parent_makes_a_bounded_number_of_hits() -> None:
    watch = WatchSet(names=frozenset(f"n{number:04}.busy.example" for number in range(2_000)))
    assert len(watch.match(CertificateView(names=("*.busy.example",)))) == MAX_COVERED


def test_addresses_and_networks() -> None:
    watch = WatchSet(addresses=frozenset({"192.0.2.7", "198.51.100.0/24", "2001:db8::/32"}))
    view = CertificateView(ip_addresses=("192.0.2.7", "198.51.100.9", "2001:db8::1", "::ffff:192.0.2.7", "192.0.2.8"))
    assert [(hit.by.value, hit.watched, hit.named) for hit in watch.match(view)] == [
        ("address", "192.0.2.7", "192.0.2.7"),
        ("network", "198.51.100.0/24", "198.51.100.9"),
        ("network", "2001:db8::/32", "2001:db8::1"),
        ("address", "192.0.2.7", "::ffff:192.0.2.7"),
    ]


def test_keys_and_digests() -> None:
    view = CertificateView(names=("harmless.example",), spki_sha256=KEY)
    watch = WatchSet(keys=frozenset({KEY}), certificates=frozenset({DIGEST}))
    assert [hit.by for hit in watch.match(view, [DIGEST, b"x" * 32])] == [By.CERTIFICATE, By.KEY]
    assert WatchSet().match(view, [DIGEST]) == ()
    assert [hit.by for hit in WatchSet().match(view, learned={KEY})] == [By.KEY]


def test_what_may_be_a_strangers_teaches_no_key() -> None:
    watch = WatchSet(
        scopes=frozenset({"evil.example"}),
        zones=frozenset({"dyn.example"}),
        names=frozenset({"host.shared.example"}),
        addresses=frozenset({"192.0.2.0/24"}),
    )
    view = CertificateView(names=("*.shared.example", "x.dyn.example"), ip_addresses=("192.0.2.1",))
    assert {hit.by for hit in watch.match(view)} == {By.WILDCARD, By.ZONE, By.NETWORK}
    assert not any(hit.teaches for hit in watch.match(view))
    assert all(hit.teaches for hit in watch.match(CertificateView(names=("evil.example", "host.shared.example"))))


def test_a_watch_set_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        WatchSet().keys = frozenset()  # type: ignore[misc]  # what is tested


LABEL = st.sampled_from(["a", "b", "example", "com", "co", "uk", "github", "io"])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
NAMED = st.tuples(st.sampled_from(["", "", "*.", "x*.", "?."]), NAME).map("".join)
ADDRESS = st.integers(0xC0000200, 0xC000020F).map(lambda number: str(ipaddress.ip_address(number)))
NETWORK = st.tuples(ADDRESS, st.integers(26, 32)).map(
    lambda pair: str(ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False)).removesuffix("/32")
)
NAMES = st.frozensets(NAME, max_size=5)


def is_below(name: str, parent: str) -> bool:
    return name == parent or name.endswith("." + parent)


def naive(watch: WatchSet, names: Iterable[str], addresses: Iterable[str]) -> set[tuple[str, str, str]]:
    found: set[tuple[str, str, str]] = set()
    for name in names:
        starred = "*" in name or "?" in name
        bare = name.partition(".")[2] if starred else name
        for watched in watch.scopes | watch.subtrees | watch.names:
            if starred and watched.partition(".")[2] == bare:
                found.add(("wildcard", watched, name))
        found |= {("name", watched, name) for watched in watch.names if watched == bare}
        found |= {("subtree", watched, name) for watched in watch.subtrees if is_below(bare, watched)}
        found |= {("zone", watched, name) for watched in watch.zones if is_below(bare, watched)}
        for watched in watch.scopes:
            if default_suffixes().registrable(bare) == watched:
                found.add(("scope", watched, name))
    for address in addresses:
        for watched in watch.addresses:
            if ipaddress.ip_address(address) in ipaddress.ip_network(watched):
                found.add(("network" if "/" in watched else "address", watched, address))
    return found


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        WatchSet,
        scopes=NAMES,
        subtrees=NAMES,
        zones=NAMES,
        names=NAMES,
        addresses=st.frozensets(NETWORK, max_size=4),
    ),
    st.lists(NAMED, max_size=4),
    st.lists(ADDRESS, max_size=3),
)
def test_the_sets_find_what_a_linear_scan_finds(watch: WatchSet, names: list[str], addresses: list[str]) -> None:
    hits = watch.match(CertificateView(names=tuple(names), ip_addresses=tuple(addresses)))
    assert len(hits) == len(set(hits))
    assert {(hit.by.value, hit.watched, hit.named) for hit in hits} == naive(watch, names, addresses)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=300), max_size=3))
def test_no_text_breaks_the_matcher(names: list[str]) -> None:
    watch = WatchSet(scopes=frozenset({"evil.example"}), names=frozenset({"x.evil.example"}))
    watch.match(CertificateView(names=tuple(names)))


def test_a_name_of_thousands_of_labels_is_quick() -> None:
    watch = WatchSet(scopes=frozenset({"evil.example"}))
    names = tuple("a." * 2_000 + f"n{number}.evil.example" for number in range(200))
    started = time.monotonic()
    assert len(watch.match(CertificateView(names=names))) == 200
    assert time.monotonic() - started < 1


def test_a_hundred_thousand_items_cost_what_ten_do() -> None:
    large = WatchSet(scopes=frozenset(f"evil{number}.example" for number in range(100_000)))
    views = [CertificateView(names=(f"www.fine{number}.example", f"fine{number}.example")) for number in range(5_000)]
    started = time.monotonic()
    assert not any(large.match(view) for view in views)
    assert time.monotonic() - started < 1


PATTERNED = WatchSet(
    lookalikes=frozenset({"sampleco.example"}),
    keywords=frozenset({"acmepay"}),
    issuers=frozenset({"*o=sample trust*"}),
    subjects=frozenset({"cn=*.host.example*"}),
    serials=frozenset({f"{hashlib.sha256(b'issuer').hexdigest()}/0abc"}),
)
VIEW = CertificateView(
    names=("www.sanpleco.test", "sanpleco.test", "*.acmepay.test"),
    issuer="CN=R1,O=Sample Trust,C=US",
    subject="CN=www.host.example",
    issuer_der=b"issuer",
    serial_hex="0abc",
)


def test_each_pattern_is_met_and_explained() -> None:
    assert PATTERNED.match(VIEW) == (
        Hit(
            by=By.LOOKALIKE,
            watched="sampleco.example",
            named="www.sanpleco.test",
            why="one letter replaced: m by n, at the 3rd place",
        ),
        Hit(
            by=By.KEYWORD,
            watched="acmepay",
            named="*.acmepay.test",
            why="the keyword stands at the 3rd character",
        ),
        Hit(by=By.ISSUER, watched="*o=sample trust*", named="CN=R1,O=Sample Trust,C=US"),
        Hit(by=By.SUBJECT, watched="cn=*.host.example*", named="CN=www.host.example"),
        Hit(by=By.SERIAL, watched=f"{hashlib.sha256(b'issuer').hexdigest()}/0abc", named="0abc"),
    )
    assert PATTERNED.match(CertificateView(names=("harmless.test",), issuer="CN=R1", serial_hex="0abc")) == ()


def test_a_patterns_hit_has_the_patterns_value_and_teaches_nothing() -> None:
    hits = PATTERNED.match(VIEW)
    assert [hit.pattern for hit in hits[:4]] == [
        *("lookalike:sampleco.example", "keyword:acmepay", "issuer:*o=sample trust*", "subject:cn=*.host.example*")
    ]
    assert hits[4].pattern == f"serial:{hits[4].watched}"
    assert not any(hit.teaches for hit in hits)
    assert Hit(by=By.SCOPE, watched="evil.example", named="evil.example").pattern == ""


def test_a_wildcard_name_imitates_by_what_it_covers() -> None:
    assert met(PATTERNED, "*.sanpleco.test") == {("lookalike", "sampleco.example")}
    assert met(PATTERNED, "*.sampleco.example", "*.test", "sampleco.example", "*") == set()


def test_a_certificate_imitates_once_in_each_way() -> None:
    names = tuple(f"n{number}.sanpleco.test" for number in range(100))
    below = tuple(f"sampleco.example.n{number}.evil.test" for number in range(100))
    assert [hit.named for hit in PATTERNED.match(CertificateView(names=names + below))] == [names[0], below[0]]


def test_a_watch_set_travels_as_its_lists() -> None:
    before = pickle.dumps(PATTERNED)
    PATTERNED.prepare()
    assert PATTERNED.match(VIEW)
    after = pickle.dumps(PATTERNED)
    assert len(after) == len(before) < 2_000
    again = pickle.loads(after)
    assert again == PATTERNED
    assert hash(again) == hash(PATTERNED)
    assert again.match(VIEW) == PATTERNED.match(VIEW)
    assert again != WatchSet()


def test_a_set_that_takes_the_place_of_another_forgets_nothing_of_it() -> None:
    current = PATTERNED
    first = current.match(VIEW)
    current = WatchSet(lookalikes=frozenset({"harmless.example"}))
    assert current.match(VIEW) == ()
    assert PATTERNED.match(VIEW) == first


def test_a_certificate_of_thousands_of_names_is_quick() -> None:
    names = tuple(f"{'a.' * 60}sampleco-n{number}.test" for number in range(20_000))
    started = time.process_time()
    assert len(PATTERNED.match(CertificateView(names=names))) > 10_000
    assert time.process_time() - started < 5


_MEASURE = """
import random, resource, time
from intel.match.certificates import WatchSet
from intel.names import default_suffixes
from intel.x509 import CertificateView

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1_000_000

default_suffixes()
count = 100_000
draw = random.Random(1)
def word(size): return "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=size))
def many(make):
    found = set()
    while len(found) < count:
        found.add(make())
    return frozenset(found)
watch = WatchSet(
    scopes=many(lambda: word(10) + ".example"),
    subtrees=many(lambda: "www." + word(10) + ".example"),
    names=many(lambda: "a." + word(10) + ".test"),
    addresses=many(lambda: f"2001:db8::{draw.randrange(1 << 16):x}:{draw.randrange(1 << 16):x}"),
    certificates=many(lambda: draw.randbytes(32)),
    keys=many(lambda: draw.randbytes(32)),
    lookalikes=many(lambda: word(9) + ".example"),
    keywords=many(lambda: word(9)),
    issuers=many(lambda: f"*o={word(9)} trust*"),
    subjects=many(lambda: f"cn=*.{word(9)}.example*"),
    serials=many(lambda: f"{draw.randbytes(32).hex()}/{draw.randbytes(8).hex()}"),
)
before = resident()
started = time.process_time()
watch.prepare()
built = time.process_time() - started
grown = resident() - before
views = [
    CertificateView(names=(f"www.fine{number}.test", f"fine{number}.test"), issuer="CN=R1,O=Sample Trust",
                    subject="CN=x", issuer_der=b"issuer", serial_hex="01", spki_sha256=draw.randbytes(32),
                    ip_addresses=("192.0.2.1",))
    for number in range(10_000)
]
started = time.process_time()
assert not any(watch.match(view, (b"x" * 32,)) for view in views)
print(built, grown, len(views) / (time.process_time() - started))
"""


@pytest.mark.slow
def test_a_hundred_thousand_in_each_list_are_small_and_quick() -> None:
    run = subprocess.run([sys.executable, "-c", _MEASURE], check=True, capture_output=True, text=True)
    built, grown, rate = map(float, run.stdout.split())
    assert built < 15
    assert grown < 160  # MB; 115 to 120 measured
    assert rate > 10_000
