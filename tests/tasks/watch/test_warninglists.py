from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intel.config.hubs import ListEntry, read_hubs
from intel.entities import Entity, guess
from intel.errors import ConfigError
from tasks.pivot.hub_lists import Lists, lists
from tasks.pivot.hubs import annotate
from tasks.watch.describe import describe
from tasks.watch.takers import takers_of


def _hubs(value: str) -> set[str]:
    return {said.hub for said in annotate(guess(value))}


@pytest.mark.parametrize(
    ("value", "hub"),
    [
        ("www.wikipedia.org", "known-good"),
        ("1.1.1.1", "public-dns"),
        ("104.16.1.1", "cdn"),
        ("104.16.1.1:443", "cdn"),
        ("http://104.16.1.1/x", "cdn"),
        ("https://bit.ly/abc", "url-shortener"),
        ("a.b.bit.ly", "url-shortener"),
        ("duckdns.org", "dynamic-dns"),
        ("co.uk", "shared-suffix"),
        ("abuse@some.example", "role-mailbox"),
        ("d41d8cd98f00b204e9800998ecf8427e", "placeholder"),
        ("10.1.2.3", "special-use"),
    ],
)
def test_a_value_that_a_list_knows_is_annotated(value: str, hub: str) -> None:
    assert hub in _hubs(value)


@pytest.mark.parametrize("value", ["evil.example", "notbit.ly.example", "a.mine.co.uk", "198.18.0.1:1"])
def test_a_value_that_no_list_knows_is_not(value: str) -> None:
    assert _hubs(value) - {"special-use"} == set()


def test_a_strangers_name_below_a_shared_suffix_is_neither_suffix_nor_known_good() -> None:
    assert not _hubs("mine.duckdns.org") & {"shared-suffix", "dynamic-dns", "known-good"}


def test_a_list_says_nothing_of_kinds_that_it_is_not_about() -> None:
    assert annotate(guess("bit.ly@mail.example")) == []


def test_severity_is_lowered_and_never_dropped() -> None:
    plain = describe("same-domain", subject=guess("a.evil.example"), other=None, item=("scope", "", "evil.example"))
    good = describe("same-domain", subject=guess("www.wikipedia.org"), other=None, item=("scope", "", "wikipedia.org"))
    assert (plain.severity, plain.annotations) == (60, ())
    assert good.severity < 60
    assert good.annotations[0]["why"]


def test_people_are_masked_in_titles() -> None:
    said = describe(
        "same-domain", subject=guess("john.doe@evil.example"), other=None, item=("scope", "", "evil.example")
    )
    assert said.title == "j***@evil.example stands under the watched domain evil.example"


def test_a_look_up_takes_microseconds() -> None:
    lists()
    asked = [guess(text) for text in ("a.b.c.evil.example", "203.0.113.5:443", "http://x.example/y", "a@b.example")]
    best = min(_seconds(asked) for _ in range(5))
    assert best / (200 * len(asked)) < 20e-6


def _seconds(asked: list[Entity]) -> float:
    start = time.perf_counter()
    for _ in range(200):
        for item in asked:
            annotate(item)
    return time.perf_counter() - start


def test_every_list_of_the_table_is_in_the_package_and_says_something() -> None:
    made = Lists({"rfc1918": ListEntry(hub="special-use", takes=60, why="private")})
    assert [said.list for said in made.annotate(guess("192.168.1.1"))] == ["rfc1918"]
    assert len({said.list for said in lists()._said}) > 50


@pytest.mark.parametrize(
    ("rule", "found", "item", "title"),
    [
        (
            "same-address",
            "203.0.113.10",
            ("network", "", "203.0.113.10"),
            "another source names the watched address 203.0.113.10",
        ),
        (
            "same-address",
            "203.0.113.10:443",
            ("network", "", "203.0.113.10"),
            "203.0.113.10:443 stands on the watched address 203.0.113.10",
        ),
        (
            "same-domain",
            "harbour-portal.example",
            ("scope", "", "harbour-portal.example"),
            "another source names the watched domain harbour-portal.example",
        ),
        (
            "same-domain",
            "a.harbour-portal.example",
            ("subtree", "", "a.harbour-portal.example"),
            "another source names the watched name a.harbour-portal.example",
        ),
    ],
)
def test_what_is_watched_does_not_stand_on_itself(
    rule: str, found: str, item: tuple[str, str, str], title: str
) -> None:
    assert describe(rule, subject=guess(found), other=None, item=item).title == title


def test_who_takes_domains_away_is_read_from_configuration(tmp_path: Path) -> None:
    page = (
        "lists: {}\nends:\n  - {reason: seized, how: a court took it, as_of: 2026-01-01, since: 2026-01-02,"
        " registrants: [Court@Example.test], name_servers: [NS.court.example], addresses: [192.0.2.0/24]}\n"
    )
    (tmp_path / "hubs.yaml").write_text(page)
    [entry] = read_hubs(tmp_path / "hubs.yaml").ends
    found = {(one.match, one.value): one for one in takers_of(entry)}
    assert set(found) == {
        ("registrant", "court@example.test"),
        ("name-server", "ns.court.example"),
        ("address", "192.0.2.0/24"),
    }
    assert {one.since for one in found.values()} == {datetime(2026, 1, 2, tzinfo=UTC)}


@pytest.mark.parametrize(
    "wrong",
    [
        "reason: lost, how: x, as_of: 2026-01-01",
        "reason: seized, how: x",
        "reason: seized, how: '', as_of: 2026-01-01",
        "reason: seized, how: x, as_of: 2026-01-01, addresses: [somewhere]",
        "reason: seized, how: x, as_of: 2026-01-01, names: [x]",
    ],
)
def test_an_end_that_is_wrong_is_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "hubs.yaml").write_text(f"lists: {{}}\nends: [{{{wrong}}}]\n")
    with pytest.raises(ConfigError, match=r"ends\.0"):
        read_hubs(tmp_path / "hubs.yaml")
