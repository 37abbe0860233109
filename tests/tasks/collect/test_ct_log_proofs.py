from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db import documents
from intel.errors import ConfigError, ReadError, StatusError, VerificationError
from intel.merkle import Frontier, verify_consistency, verify_inclusion
from lab.ct import CtFaults, Protocol
from tasks.collect.ct_log import log_key, open_log, start_index
from tests.tasks.collect.ct_world import AUTHORITY, BEGUN, Without, World, opened, source_of

pytestmark = pytest.mark.usefixtures("home")

ALL = pytest.mark.parametrize("protocol", ["rfc6962", "static", "hybrid"])
CLASSIC = pytest.mark.parametrize("protocol", ["rfc6962", "hybrid"])
TILED = pytest.mark.parametrize("protocol", ["static", "hybrid"])


# --- heads


@ALL
def test_a_head_is_the_one_that_was_signed(protocol: Protocol) -> None:
    world = World(protocol, 7)
    with opened(world.log) as reader:
        assert reader.protocol == protocol
        assert reader.head() == world.log.tree_head()


@ALL
@pytest.mark.parametrize("part", ["size", "root", "timestamp", "signature"])
def test_a_head_that_was_not_signed(protocol: Protocol, part: Any) -> None:
    world = World(protocol, 7)
    world.log.faults.flipped_head = part
    with opened(world.log) as reader, pytest.raises(VerificationError) as caught:
        reader.head()
    # What was shown is kept with the error, for whoever has to look.
    assert b"7" in caught.value.evidence or b"6" in caught.value.evidence


@ALL
def test_the_head_of_another_log(protocol: Protocol) -> None:
    world, other = World(protocol, 7), World(protocol, 7, seed="another log")
    wrong = source_of("", other.log).options.log_key
    with opened(world.log, options={"log_key": wrong}) as reader, pytest.raises(VerificationError):
        reader.head()


@pytest.mark.parametrize("key", ["", "AAAA", "no base64!"])
def test_a_source_without_a_key(key: str) -> None:
    source = source_of("http://192.0.2.1/", World("static", 0).log, log_key=key)
    with pytest.raises(ConfigError, match="log_key"), open_log(source):
        pass
    with pytest.raises(ConfigError, match="log_key"):
        log_key(source)


# --- frontiers, growth, inclusion


@ALL
@pytest.mark.parametrize("size", [0, 1, 255, 256, 300, 512, 513])
def test_the_right_edge_of_any_earlier_tree(protocol: Protocol, size: int) -> None:
    world = World(protocol, 513)
    hashes = world.hashes()
    with opened(world.log) as reader:
        head = reader.head()
        frontier = reader.frontier(size, head)
        assert frontier == Frontier().extend(hashes[:size])
        proof = reader.consistency(size, head)
        verify_consistency(size, 513, frontier.root(), head.root_hash, proof)
        assert frontier.extend(hashes[size:]).root() == head.root_hash


@ALL
def test_every_entry_can_be_proven(protocol: Protocol) -> None:
    world = World(protocol, 300)
    hashes = world.hashes()
    with opened(world.log) as reader:
        head = reader.head()
        for index in (0, 255, 256, 299):
            proof = reader.prove(index, hashes[index], head)
            verify_inclusion(hashes[index], index, 300, proof, head.root_hash)
        with pytest.raises((VerificationError, StatusError)):
            reader.prove(3, bytes(32), head)
        with pytest.raises(VerificationError):
            reader.prove(4, hashes[3], head)


def test_the_same_leaf_logged_twice() -> None:
    world = World("rfc6962", 3)
    twin = world.log.entry(1)
    world.log.append_raw(twin.leaf_input, twin.extra_data)
    with opened(world.log) as reader:
        head = reader.head()
        proof = reader.prove(3, world.hashes()[3], head)
        verify_inclusion(world.hashes()[3], 3, 4, proof, head.root_hash)


@CLASSIC
def test_a_log_without_get_entry_and_proof(protocol: Protocol) -> None:
    world = World(protocol, 300)
    with opened(Without(world.log, "get-entry-and-proof")) as reader:
        head = reader.head()
        assert reader.frontier(299, head) == Frontier().extend(world.hashes()[:299])


def test_tiles_of_hashes_are_asked_for_once() -> None:
    world = World("static", 700)
    with opened(world.log) as reader:
        head = reader.head()
        for size in range(0, 700, 50):
            reader.frontier(size, head)
    tiles = [path for path in world.log.requests if path.startswith("/tile/")]
    assert len(tiles) == len(set(tiles)) == 4  # three of level 0, one of level 1
    assert world.log.statuses[404] == 0


FLIPPED: list[tuple[Protocol, dict[str, Any]]] = [
    ("static", {"flipped_hash_tile": (0, 2)}),
    ("static", {"flipped_hash_tile": (1, 0)}),
    ("rfc6962", {"flipped_leaf": 599}),
    ("hybrid", {"flipped_leaf": 599}),
]


@pytest.mark.parametrize(("protocol", "faults"), FLIPPED)
def test_a_frontier_from_what_was_tampered_with(protocol: Protocol, faults: dict[str, Any]) -> None:
    world = World(protocol, 600)
    with opened(world.log) as reader:
        head = reader.head()
        world.log.faults.__dict__.update(faults)
        for size in (600, 599):
            if protocol == "static" or size == 600:
                with pytest.raises(VerificationError):
                    reader.frontier(size, head)
        # Nothing of what did not add up is kept: the log is asked anew.
        world.log.faults.__dict__.update(CtFaults().__dict__)
        assert reader.frontier(600, head).root() == head.root_hash


def test_proofs_from_a_tampered_tile() -> None:
    world = World("static", 600)
    hashes = world.hashes()
    with opened(world.log) as reader:
        head = reader.head()
        world.log.faults.flipped_hash_tile = (0, 0)
        with pytest.raises(VerificationError):
            reader.prove(3, hashes[3], head)
        with pytest.raises(VerificationError):
            reader.consistency(100, head)
        world.log.faults.flipped_hash_tile = None
        reader.prove(3, hashes[3], head)
        assert reader.consistency(100, head)


@ALL
def test_a_forked_log_cannot_prove_that_it_continues(protocol: Protocol) -> None:
    world = World(protocol, 300)
    with opened(world.log) as reader:
        head = reader.head()
        frontier = reader.frontier(200, head)
        world.log.fork(100)
        world.log.faults.split_view = ""
        world.grow(20)
        other = reader.head()
        proof = reader.consistency(300, other)
        with pytest.raises(VerificationError):
            verify_consistency(300, 320, head.root_hash, other.root_hash, proof)
    with opened(world.log) as reader:
        assert reader.frontier(200, other) != frontier


# --- moments


@ALL
def test_the_first_entry_of_a_moment(protocol: Protocol) -> None:
    world = World(protocol, 600)  # entry n was logged n seconds after BEGUN
    moments = {-100: 0, 0: 0, 0.5: 1, 256: 256, 300.2: 301, 599: 599, 600: 600}
    with opened(world.log) as reader:
        head = reader.head()
        found = {seconds: reader.index_at(BEGUN + timedelta(seconds=seconds), head) for seconds in moments}
    assert found == moments
    entries = [path for path in world.log.requests if "get-entries" in path or "data" in path]
    assert len(entries) <= len(moments) * 11


@ALL
def test_entries_that_cannot_be_read_are_no_hindrance(protocol: Protocol) -> None:
    world = World(protocol, 20)
    if protocol == "rfc6962":
        for _ in range(3):
            world.log.append_raw(b"\xffnobody can read this")
        world.grow(20)
    else:
        world.log.faults.cut_tile = 0
    with opened(world.log) as reader:
        head = reader.head()
        found = reader.index_at(BEGUN + timedelta(seconds=30), head)
    # A tile that nobody can read counts as later.
    assert found == {"rfc6962": 30, "static": 0, "hybrid": 20}[protocol]


def test_an_empty_log_has_no_moment() -> None:
    with opened(World("static", 0).log) as reader:
        assert reader.index_at(BEGUN, reader.head()) == 0


@ALL
def test_where_to_begin(protocol: Protocol) -> None:
    world = World(protocol, 50)
    with opened(world.log) as reader:
        head = reader.head()
        begun = datetime(2026, 1, 2, 0, 0, 10, tzinfo=UTC)
        for follow, index in (
            ("head", 50), ("start", 0), (7, 7), ("7", 7), (1000, 50), (begun, 10), ("2026-01-02T00:00:10", 10),
            ("2026-01-02T01:00:10+01:00", 10), ("2027-01-01", 50),
        ):  # fmt: skip
            assert start_index(reader, source_of("", world.log, follow=follow), head) == index


@pytest.mark.parametrize("follow", ["", "yesterday", -1, "-1", True, None, "9" * 30, "2026-13-01", [3]])
def test_where_nobody_can_begin(follow: Any) -> None:
    with pytest.raises(ValueError, match="follow"):
        source_of("", World("static", 0).log, follow=follow)


# --- issuers


@TILED
def test_an_issuer_is_fetched_once_and_kept(protocol: Protocol, home: Path) -> None:
    world = World(protocol, 3)
    fingerprint = hashlib.sha256(AUTHORITY.certificate).digest()
    with opened(world.log) as reader:
        assert reader.issuer(fingerprint) == AUTHORITY.certificate
        assert reader.issuer(fingerprint) == AUTHORITY.certificate
    assert sum("issuer" in path for path in world.log.requests) == 1
    assert documents.get(home / "home" / "documents", fingerprint) == AUTHORITY.certificate


@TILED
def test_another_issuer_than_asked_for(protocol: Protocol, home: Path) -> None:
    world = World(protocol, 3)
    fingerprint = hashlib.sha256(AUTHORITY.certificate).digest()
    with opened(world.log) as reader:
        world.log.faults.issuer_wrong = True
        with pytest.raises(VerificationError, match="another certificate"):
            reader.issuer(fingerprint)
        world.log.faults.issuer_wrong, world.log.faults.issuer_missing = False, True
        with pytest.raises(StatusError):
            reader.issuer(fingerprint)
    assert not list((home / "home").rglob("*.gz"))


def test_a_log_of_rfc_6962_has_no_issuers() -> None:
    with opened(World("rfc6962", 1).log) as reader, pytest.raises(ReadError, match="with its entries"):
        reader.issuer(bytes(32))
