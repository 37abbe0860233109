from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from intel.ct import (
    LoggedEntry,
    SignedTreeHead,
    checked_precertificate,
    read_entries,
    read_extra_data,
    read_signed_tree_head,
)
from intel.ct_static import leaf_index, read_checkpoint, read_data_tile, read_hash_tile, tile_path
from intel.errors import ReadError, VerificationError
from intel.merkle import Frontier, node_hash
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog, growing
from lab.server import serve

AUTHORITY = Authority()
KEY = key_from_seed("host")


def add(log: CtLog, number: int, *, publish: bool = True) -> bytes:
    order = Order(names=(f"host-{number}.example",), key=KEY)
    if number % 2:
        return log.append(AUTHORITY.issue(order), chain=[AUTHORITY.certificate], publish=publish)
    return log.append(
        AUTHORITY.precertificate(order),
        chain=[AUTHORITY.certificate],
        issuer_key_hash=AUTHORITY.key_hash,
        publish=publish,
    )


def filled(size: int, **options: Any) -> CtLog:
    log = CtLog(**{"protocol": "static", "accepted": [AUTHORITY.certificate], **options})
    for number in range(size):
        add(log, number)
    return log


@contextmanager
def asking(log: CtLog, **options: Any) -> Iterator[httpx.Client]:
    with serve(log.app()) as served, httpx.Client(base_url=served.url, trust_env=False, **options) as client:
        yield client


def get(client: httpx.Client, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.content


def head_of(client: httpx.Client, log: CtLog) -> SignedTreeHead:
    return read_checkpoint(get(client, "/checkpoint")).tree_head(log.key_der)


def entries_of(client: httpx.Client, size: int) -> list[LoggedEntry]:
    found: list[LoggedEntry] = []
    for number in range(-(-size // 256)):
        path = tile_path(None, number, min(256, size - number * 256))
        found += read_data_tile(get(client, path), number * 256)
    return found


def test_tiles_hash_to_the_checkpoint() -> None:
    log = filled(300)
    with asking(log) as client:
        head = head_of(client, log)
        assert head.tree_size == 300
        entries = entries_of(client, 300)
        first = read_hash_tile(get(client, tile_path(0, 0)))
        rest = read_hash_tile(get(client, tile_path(0, 1, 44)))
        above = read_hash_tile(get(client, tile_path(1, 0, 1)))
    hashes = [entry.leaf_hash for entry in entries]
    assert first + rest == hashes
    assert Frontier().extend(hashes).root() == head.root_hash
    assert above == [Frontier().extend(first).root()]
    assert [entry.fault for entry in entries] == [""] * 300
    assert {entry.issuers for entry in entries} == {(hashlib.sha256(AUTHORITY.certificate).digest(),)}
    assert checked_precertificate(entries[298])


def test_tiles_are_packed_whether_asked_for_or_not() -> None:
    log = filled(3)
    with asking(log, headers={"Accept-Encoding": "identity"}) as client:
        head_of(client, log)
        with client.stream("GET", "/tile/data/000.p/3") as answer:
            assert answer.headers["content-encoding"] == "gzip"
            packed = b"".join(answer.iter_raw())
        log.compressed = False
        assert get(client, "/tile/data/000.p/3") == gzip.decompress(packed)


def test_an_issuer_is_the_certificate_that_hashes_to_its_name() -> None:
    log = filled(2)
    path = f"/issuer/{hashlib.sha256(AUTHORITY.certificate).hexdigest()}"
    with asking(log) as client:
        assert get(client, path) == AUTHORITY.certificate
        log.faults.issuer_wrong = True
        assert get(client, path) != AUTHORITY.certificate
        log.faults.issuer_missing = True
        assert client.get(path).status_code == 404
        assert client.get(f"/issuer/{'00' * 32}").status_code == 404


def test_scts_state_the_index() -> None:
    log = CtLog(protocol="static")
    add(log, 0)
    sct = add(log, 1)
    assert sct[1:33] == hashlib.sha256(log.key_der).digest()
    assert leaf_index(sct[43:51]) == 1


def test_a_partial_tile_is_there_only_where_a_head_implies_it() -> None:
    log = filled(250)
    with asking(log) as client:
        assert client.get("/tile/data/000.p/250").status_code == 404
        head_of(client, log)
        assert get(client, "/tile/data/000.p/250")
        for number in range(250, 260):
            add(log, number)
        head_of(client, log)
        for path in ("/tile/data/000", "/tile/0/000.p/250", "/tile/data/001.p/4", "/tile/0/001.p/4", "/tile/1/000.p/1"):
            assert get(client, path), path
        log.faults.partial_vanishes = True
        assert client.get("/tile/data/000.p/250").status_code == 404
        for path in (
            "/tile/data/001", "/tile/data/001.p/3", "/tile/data/001.p/0", "/tile/1/000", "/tile/6/000", "/tile/data/1",
            "/tile/data/x001", "/tile/data/001.p/4x", "/tile/x/000", "/ct/v1/get-sth",
        ):  # fmt: skip
            assert client.get(path).status_code == 404, path


def test_it_grows_in_the_middle_of_a_request() -> None:
    log = filled(250)
    log.faults.partial_vanishes = True

    def fill(path: str) -> None:
        while "data" in path and log.size < 256:
            add(log, log.size)

    with asking(log) as client:
        head_of(client, log)
        log.before_answer = fill
        assert client.get("/tile/data/000.p/250").status_code == 404
        assert len(read_data_tile(get(client, "/tile/data/000"), 0)) == 256


def test_the_hybrid_has_heads_of_rfc_6962_and_full_tiles() -> None:
    log = filled(300, protocol="hybrid")
    with asking(log) as client:
        head = read_signed_tree_head(get(client, "/ct/v1/get-sth"))
        head.verify(log.key_der)
        tiles = read_data_tile(get(client, "/tile/data/000"), 0)
        rest = read_entries(get(client, "/ct/v1/get-entries?start=256&end=299"), 256)
        listed = read_entries(get(client, "/ct/v1/get-entries?start=0&end=255"), 0)
        for path in ("/checkpoint", "/tile/data/001.p/44", "/tile/0/000"):
            assert client.get(path).status_code == 404, path
    assert [entry.leaf_input for entry in listed] == [entry.leaf_input for entry in tiles]
    assert Frontier().extend(entry.leaf_hash for entry in tiles + rest).root() == head.root_hash


@pytest.mark.parametrize("where", ["size", "root", "timestamp", "signature"])
@pytest.mark.parametrize("protocol", ["static", "rfc6962"])
def test_a_flipped_head_is_noticed(where: Any, protocol: Any) -> None:
    log = filled(5, protocol=protocol)
    log.faults.flipped_head = where

    def look() -> None:
        if protocol == "static":
            head_of(client, log)
        else:
            read_signed_tree_head(get(client, "/ct/v1/get-sth")).verify(log.key_der)

    with asking(log) as client, pytest.raises(VerificationError):
        look()


def test_a_head_may_be_old_or_its_clock_wrong() -> None:
    log = filled(5)
    old = log.tree_head()
    add(log, 5)
    with asking(log) as client:
        log.faults.head_offset_ms = -3_600_000
        assert head_of(client, log).timestamp == old.timestamp - 3_600_000
        log.faults.stale = old
        assert head_of(client, log) == old
        log.faults.stale = None
        log.faults.shrunk_to = 3
        assert head_of(client, log).tree_size == 3


def test_a_split_view_is_two_trees_of_one_size() -> None:
    log = filled(300)
    log.fork(7)
    add(log, 300)
    with asking(log) as client:
        honest = head_of(client, log)
        log.faults.split_view = "monitor"
        assert head_of(client, log) == honest
        client.headers["User-Agent"] = "a monitor"
        forked = head_of(client, log)
        entries = entries_of(client, 301)
    assert (forked.tree_size, forked.root_hash == honest.root_hash) == (301, False)
    hashes = [entry.leaf_hash for entry in entries]
    assert Frontier().extend(hashes).root() == forked.root_hash
    assert [at for at, hashed in enumerate(hashes) if log.hashes(0, at, at + 1) != [hashed]] == [7]


def test_flips_in_an_entry_stay_where_they_are() -> None:
    log = filled(4)
    with asking(log) as client:
        head_of(client, log)
        honest = entries_of(client, 4)
        log.faults.flipped_leaf, log.faults.flipped_precertificate, log.faults.flipped_chain = 1, 2, 3
        changed = entries_of(client, 4)
    same = [one.leaf_hash == other.leaf_hash for one, other in zip(honest, changed, strict=True)]
    assert same == [True, False, True, True]
    assert changed[0] == honest[0]
    with pytest.raises(VerificationError):
        checked_precertificate(changed[2])
    assert changed[3].issuers != honest[3].issuers


def test_the_same_flips_in_rfc_6962() -> None:
    log = filled(4, protocol="rfc6962")
    log.faults.flipped_precertificate, log.faults.flipped_chain = 2, 3
    with asking(log) as client:
        entries = read_entries(get(client, "/ct/v1/get-entries?start=0&end=3"), 0)
    with pytest.raises(VerificationError):
        checked_precertificate(entries[2])
    assert read_extra_data(entries[1])[1] == (AUTHORITY.certificate,)
    assert read_extra_data(entries[3])[1] != (AUTHORITY.certificate,)


def test_flipped_and_cut_tiles() -> None:
    log = filled(300)
    with asking(log) as client:
        head_of(client, log)
        honest, hashes = get(client, "/tile/data/000"), get(client, "/tile/1/000.p/1")
        log.faults.flipped_tile, log.faults.flipped_hash_tile, log.faults.flip_place = 0, (1, 0), 0.9
        flipped = get(client, "/tile/data/000")
        assert sum(one != other for one, other in zip(honest, flipped, strict=True)) == 1
        assert get(client, "/tile/1/000.p/1") != hashes
        log.faults.cut_tile = 1
        with pytest.raises(ReadError):
            read_data_tile(get(client, "/tile/data/001.p/44"), 256)


def test_entries_of_another_index() -> None:
    log = filled(600)
    with asking(log) as client:
        head_of(client, log)
        log.faults.shifted = 1
        assert all(entry.fault for entry in read_data_tile(get(client, "/tile/data/000"), 0))
    log = filled(10, protocol="rfc6962")
    with asking(log) as client:
        log.faults.shifted, log.faults.short = 1, 2
        shown = read_entries(get(client, "/ct/v1/get-entries?start=0&end=5"), 0)
    assert [entry.leaf_input for entry in shown] == [log.entry(1).leaf_input, log.entry(2).leaf_input]


def test_storms_of_waiting() -> None:
    log = filled(3)
    log.faults.throttled_next, log.faults.retry_after = 2, "1"
    with asking(log) as client:
        assert [client.get("/checkpoint").status_code for _ in range(3)] == [429, 429, 200]
        log.faults.throttled_share = 0.25
        assert [client.get("/checkpoint").status_code for _ in range(8)].count(429) == 2
        log.faults.throttled_share, log.faults.throttled, log.faults.only = 0.0, True, "/tile/"
        assert client.get("/checkpoint").status_code == 200
        assert client.get("/tile/data/000.p/3").status_code == 429
    assert log.statuses[429] == 5


def test_who_says_nothing_of_himself_waits() -> None:
    log = filled(3)
    log.faults.wants_contact = True
    with asking(log) as client:
        assert client.get("/checkpoint").status_code == 429
        for agent in ("monitor (soc@harbour.example)", "monitor (+https://harbour.example/)"):
            assert client.get("/checkpoint", headers={"User-Agent": agent}).status_code == 200
    assert "monitor (soc@harbour.example)" in log.agents


def test_a_slow_answer_is_a_whole_one() -> None:
    log = filled(3)
    log.faults.drip_seconds = 0.2
    with asking(log) as client:
        began = time.monotonic()
        assert head_of(client, log).tree_size == 3
    assert time.monotonic() - began >= 0.2


def test_it_counts_who_asks_at_once() -> None:
    log = filled(3)
    log.faults.hang_seconds = 0.3
    with asking(log) as client:
        threads = [threading.Thread(target=client.get, args=("/checkpoint",)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert log.most_at_once == 3


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_it_grows_while_it_is_followed() -> None:
    log = filled(3)
    with asking(log) as client, growing(lambda number: add(log, number), per_second=500.0, first=3):
        until(lambda: log.size > 40)
        head = head_of(client, log)
        hashes = [entry.leaf_hash for entry in entries_of(client, head.tree_size)]
    assert head.tree_size > 40
    assert Frontier().extend(hashes).root() == head.root_hash
    grown = log.size
    time.sleep(0.02)
    assert log.size == grown


def test_the_tree_gives_no_node_that_is_not_there() -> None:
    log = filled(3)
    left, right, last = log.hashes(0, 0, 3)
    assert node_hash(node_hash(left, right), last) == log.tree_head().root_hash
    assert log.hashes(3, 0, 1) == []
