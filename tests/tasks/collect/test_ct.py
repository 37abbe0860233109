from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from intel.ct import read_consistency, read_entries, read_entry_and_proof, read_signed_tree_head
from intel.ct_proof import read_inclusion_proof
from intel.errors import (
    OversizedError,
    PagingError,
    ReadError,
    RefusedError,
    StatusError,
    ThrottledError,
    UnreachableError,
)
from intel.merkle import Frontier, verify_consistency, verify_inclusion
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog
from lab.server import Served, serve
from tasks.collect.ct import (
    get_entries,
    get_entry_and_proof,
    get_proof_by_hash,
    get_sth,
    get_sth_consistency,
)
from tasks.collect.http import HttpLimits, NetworkPolicy, open_client

AUTHORITY = Authority()
SHORT = HttpLimits(max_seconds=5.0, read_seconds=0.3)


@pytest.fixture
def log() -> CtLog:
    log = CtLog(maximum=4)
    for number in range(7):
        log.append(AUTHORITY.issue(Order(names=(f"host-{number}.example",), key=key_from_seed("a"))))
    return log


@pytest.fixture
def served(log: CtLog) -> Iterator[Served]:
    with serve(log.app()) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    policy = NetworkPolicy(allow=frozenset({served.address}))
    with open_client(policy, user_agent="Lapsewatch (+https://www.example.org/)", limits=SHORT) as client:
        yield client


def test_the_head_comes_as_the_log_sent_it(client: httpx.Client, served: Served, log: CtLog) -> None:
    assert read_signed_tree_head(get_sth(client, served.url)) == log.tree_head()
    assert read_signed_tree_head(get_sth(client, served.url + "/")) == log.tree_head()


def test_short_answers_are_normal(client: httpx.Client, served: Served, log: CtLog) -> None:
    first = read_entries(get_entries(client, served.url, 0, 6)[0], 0)
    rest = read_entries(get_entries(client, served.url, len(first), 6)[0], len(first))
    assert [entry.index for entry in (*first, *rest)] == list(range(7))
    assert len(first) == 4
    assert Frontier().extend(entry.leaf_hash for entry in (*first, *rest)).root() == log.tree_head().root_hash


def test_answers_are_counted(client: httpx.Client, served: Served) -> None:
    body, count = get_entries(client, served.url, 1, 6)
    assert count == len(read_entries(body, 1)) == 4


def test_no_entries_at_all_is_an_error(client: httpx.Client, served: Served, log: CtLog) -> None:
    log.faults.no_entries = True
    with pytest.raises(PagingError):
        get_entries(client, served.url, 0, 6)


def test_more_entries_than_asked_for_is_an_error(client: httpx.Client, served: Served, log: CtLog) -> None:
    log.faults.too_many_entries = True
    with pytest.raises(PagingError):
        get_entries(client, served.url, 0, 2)


def test_proofs(client: httpx.Client, served: Served, log: CtLog) -> None:
    root = log.tree_head(7).root_hash
    entry, path = read_entry_and_proof(get_entry_and_proof(client, served.url, 6, 7), 6)
    verify_inclusion(entry.leaf_hash, 6, 7, path, root)
    assert Frontier.from_last_leaf(entry.leaf_hash, 7, path).root() == root
    index, path = read_inclusion_proof(get_proof_by_hash(client, served.url, entry.leaf_hash, 7))
    verify_inclusion(entry.leaf_hash, index, 7, path, root)
    proof = read_consistency(get_sth_consistency(client, served.url, 3, 7))
    verify_consistency(3, 7, log.tree_head(3).root_hash, root, proof)


def test_a_throttling_log_is_asked_once(client: httpx.Client, served: Served, log: CtLog) -> None:
    log.faults.throttled = True
    log.faults.retry_after = "30"
    started = time.monotonic()
    with pytest.raises(ThrottledError) as caught:
        get_sth(client, served.url)
    assert caught.value.retry_after == 30
    assert len(log.requests) == 1
    assert time.monotonic() - started < 2


def test_a_range_that_the_log_does_not_have(client: httpx.Client, served: Served) -> None:
    with pytest.raises(StatusError) as caught:
        get_entries(client, served.url, 7, 9)
    assert caught.value.status == 400


def test_a_range_that_is_none(client: httpx.Client) -> None:
    for start, end in ((-1, 3), (5, 4)):
        with pytest.raises(ValueError, match="range"):
            get_entries(client, "http://log.example", start, end)


def test_an_answer_beyond_the_cap_is_dropped(client: httpx.Client, served: Served) -> None:
    with pytest.raises(OversizedError):
        get_entries(client, served.url, 0, 6, limits=HttpLimits(max_bytes=1000))


def test_a_web_page_in_place_of_an_answer(client: httpx.Client, served: Served, log: CtLog) -> None:
    log.faults.web_page = True
    with pytest.raises(ReadError):
        get_sth(client, served.url)
    with pytest.raises(ReadError):
        get_entries(client, served.url, 0, 6)


def test_json_that_is_no_list_of_entries(client: httpx.Client, served: Served, log: CtLog) -> None:
    with pytest.raises(ReadError):
        get_entries(client, f"{served.url}/ct/v1/get-sth?", 0, 6)


def test_a_hanging_log_ends(client: httpx.Client, served: Served, log: CtLog) -> None:
    log.faults.hang_seconds = 1.0
    with pytest.raises(UnreachableError):
        get_sth(client, served.url, limits=HttpLimits(max_seconds=2.0, read_seconds=0.2))


def test_a_log_in_a_private_range_is_refused(served: Served) -> None:
    closed = open_client(NetworkPolicy(), user_agent="Lapsewatch", limits=SHORT)
    with closed, pytest.raises(RefusedError):
        get_sth(closed, served.url)
