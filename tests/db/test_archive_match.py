from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from db import archive_match
from db.archive_duckdb import connect
from db.archive_match import matches
from db.archive_store import open_store
from intel.ct_archived import Archived
from intel.match.certificates import By, WatchSet
from tests.archives import ON, entry, indexed, row, sha, written

ENTRIES = [
    entry(0, "heron.example", "www.heron.example", addresses=("192.0.2.7",)),
    entry(1, "*.egret.example"),
    entry(2, "parcel.example", key=sha("heron's key")),
    entry(3, "bank.test", issuer="CN=Rogue CA,O=Elsewhere", fingerprint=sha("three"), tbs=sha("tbs of three")),
    entry(4, "stork.example", addresses=("198.51.100.9",)),
]


def met(home: Path, entries: list[Archived], watch: WatchSet, *, index: bool) -> list[tuple[int, Any]]:
    segment = written(home, entries)
    store = open_store(ON, home)
    with connect(store) as duckdb:
        part = indexed(home, segment) if index else row(segment)
        return [(one.index, hits) for one, hits in matches(duckdb, store, part, watch)]


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize(
    ("watch", "expected"),
    [
        ({"scopes": {"heron.example"}}, [(0, By.SCOPE)]),
        ({"subtrees": {"www.heron.example"}}, [(0, By.SUBTREE)]),
        ({"zones": {"heron.example"}}, [(0, By.ZONE)]),
        ({"names": {"www.heron.example", "login.egret.example"}}, [(0, By.NAME), (1, By.WILDCARD)]),
        ({"addresses": {"192.0.2.7", "198.51.100.0/28"}}, [(0, By.ADDRESS), (4, By.NETWORK)]),
        ({"keys": {sha("heron's key"), sha("no key")}}, [(2, By.KEY)]),
        ({"certificates": {sha("three")}}, [(3, By.CERTIFICATE)]),
        ({"certificates": {sha("tbs of three")}}, [(3, By.CERTIFICATE)]),
        ({"issuers": {"*rogue ca*"}}, [(3, By.ISSUER)]),
        ({"keywords": {"parcel"}}, [(2, By.KEYWORD)]),
        ({"lookalikes": {"herom.example"}}, [(0, By.LOOKALIKE)]),
        ({"names": {"nothing.example"}}, []),
    ],
)
def test_each_kind_of_term_is_met(
    home: Path, watch: dict[str, set[Any]], expected: list[tuple[int, By]], index: bool
) -> None:
    found = met(home, ENTRIES, WatchSet(**{kind: frozenset(some) for kind, some in watch.items()}), index=index)
    assert [(at, hits[0].by) for at, hits in found] == expected


def test_where_most_entries_may_match_each_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    met_in = archive_match._met_in
    monkeypatch.setattr(archive_match, "_met_in", lambda *args: read.append(True) or met_in(*args))
    busy = [entry(at, f"tenant-{at}.busy.example") for at in range(20)]
    assert len(met(home, busy, WatchSet(scopes=frozenset({"busy.example"})), index=True)) == 20
    assert read


LABEL = st.sampled_from(["a", "b", "*", "a*", "?", "x" * 120, "example", "test", "com"])
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join)
PLAIN = st.lists(st.sampled_from(["a", "b", "example", "test", "com"]), min_size=2, max_size=4).map(".".join)
NAMES = st.frozensets(PLAIN, max_size=3)
SOME = st.frozensets(st.sampled_from([sha("one"), sha("two"), sha("three")]), max_size=2)
ENTRY = st.fixed_dictionaries(
    {
        "names": st.lists(NAME, max_size=3).map(tuple),
        "addresses": st.sampled_from([(), ("192.0.2.7",), ("2001:db8::1", "192.0.2.9")]),
        "key": st.sampled_from([None, sha("one"), sha("two")]),
        "tbs": st.sampled_from([sha("one"), sha("two"), sha("four")]),
        "fingerprint": st.sampled_from([None, sha("three"), sha("five")]),
    }
)


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(ENTRY, min_size=1, max_size=15),
    st.fixed_dictionaries(
        {
            "scopes": NAMES,
            "subtrees": NAMES,
            "zones": NAMES,
            "names": NAMES,
            "addresses": st.frozensets(st.sampled_from(["192.0.2.7", "192.0.2.8/30", "2001:db8::/64"]), max_size=2),
            "keys": SOME,
            "certificates": SOME,
        }
    ),
)
def test_an_index_a_scan_and_the_matcher_alone_meet_the_same(
    home: Path, said: list[dict[str, Any]], watch: dict[str, Any]
) -> None:
    # Many that cannot match, so that the index is used.
    entries = [msgspec.structs.replace(entry(at), **one) for at, one in enumerate(said)]
    entries += [entry(at, f"other-{at}.invalid") for at in range(len(entries), 200)]
    watched = WatchSet(**watch)
    alone = [(one.index, hits) for one in entries if (hits := watched.match(one.view, one.digests))]
    assert met(home, entries, watched, index=False) == alone
    assert met(home, entries, watched, index=True) == alone
