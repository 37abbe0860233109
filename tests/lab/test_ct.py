from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from intel.ct import (
    EntryType,
    LoggedEntry,
    checked_precertificate,
    read_consistency,
    read_entries,
    read_entry_and_proof,
    read_extra_data,
    read_signed_tree_head,
)
from intel.errors import VerificationError
from intel.merkle import Frontier, verify_consistency, verify_inclusion
from intel.x509 import read_certificate
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog
from lab.server import serve

AUTHORITY = Authority()


def order(number: int) -> Order:
    return Order(names=(f"host-{number}.example",), key=key_from_seed(f"host {number}"))


def grow(log: CtLog, count: int) -> None:
    for number in range(log.size, log.size + count):
        if number % 2:
            log.append(AUTHORITY.issue(order(number)), chain=[AUTHORITY.certificate])
        else:
            precertificate = AUTHORITY.precertificate(order(number))
            log.append(precertificate, chain=[AUTHORITY.certificate], issuer_key_hash=AUTHORITY.key_hash)


@pytest.fixture
def log() -> CtLog:
    log = CtLog(maximum=4, accepted=[AUTHORITY.certificate])
    grow(log, 7)
    return log


@pytest.fixture
def client(log: CtLog) -> Iterator[httpx.Client]:
    with serve(log.app()) as served, httpx.Client(base_url=f"{served.url}/ct/v1/", trust_env=False) as client:
        yield client


def get(client: httpx.Client, call: str) -> bytes:
    answer = client.get(call)
    assert answer.status_code == 200, answer.text
    return answer.content


def get_entries(client: httpx.Client, start: int, end: int) -> list[LoggedEntry]:
    return read_entries(get(client, f"get-entries?start={start}&end={end}"), start)


def test_entries_hash_to_the_signed_root(client: httpx.Client, log: CtLog) -> None:
    head = read_signed_tree_head(get(client, "get-sth"))
    head.verify(log.key_der)
    assert head.tree_size == 7
    first = get_entries(client, 0, 6)
    assert len(first) == 4
    entries = first + get_entries(client, 4, 6)
    assert Frontier().extend(entry.leaf_hash for entry in entries).root() == head.root_hash
    for number, logged in enumerate(entries):
        assert logged.entry is not None
        assert logged.entry.entry_type == (EntryType.X509 if number % 2 else EntryType.PRECERT)
        assert read_extra_data(logged)[1] == (AUTHORITY.certificate,)
    precertificate = checked_precertificate(entries[0])
    assert read_certificate(precertificate).names == ("host-0.example",)


def test_the_log_grows_while_it_is_followed_and_proves_it(client: httpx.Client, log: CtLog) -> None:
    first = read_signed_tree_head(get(client, "get-sth"))
    grow(log, 6)
    second = read_signed_tree_head(get(client, "get-sth"))
    assert (first.tree_size, second.tree_size) == (7, 13)
    proof = read_consistency(get(client, "get-sth-consistency?first=7&second=13"))
    verify_consistency(7, 13, first.root_hash, second.root_hash, proof)


def test_unpublished_entries_are_not_shown(client: httpx.Client, log: CtLog) -> None:
    log.append(AUTHORITY.issue(order(99)), publish=False)
    assert read_signed_tree_head(get(client, "get-sth")).tree_size == 7
    assert client.get("get-entries?start=7&end=7").status_code == 400
    log.publish()
    assert read_signed_tree_head(get(client, "get-sth")).tree_size == 8


def test_inclusion_is_proved(client: httpx.Client, log: CtLog) -> None:
    root = log.tree_head().root_hash
    for index in range(7):
        logged, path = read_entry_and_proof(get(client, f"get-entry-and-proof?leaf_index={index}&tree_size=7"), index)
        verify_inclusion(logged.leaf_hash, index, 7, path, root)
        query = {"hash": base64.b64encode(logged.leaf_hash).decode(), "tree_size": "7"}
        answer = client.get("get-proof-by-hash", params=query).json()
        assert answer["leaf_index"] == index
        assert [base64.b64decode(node) for node in answer["audit_path"]] == path


def test_accepted_roots(client: httpx.Client) -> None:
    roots = client.get("get-roots").json()["certificates"]
    assert [base64.b64decode(root) for root in roots] == [AUTHORITY.certificate]


def test_what_cannot_be_answered_is_a_bad_request(client: httpx.Client) -> None:
    for call in (
        "get-entries?start=5&end=2",
        "get-entries?start=-1&end=2",
        "get-entries?start=7&end=9",
        "get-entries?start=x&end=9",
        "get-entries",
        "get-sth-consistency?first=7&second=8",
        "get-entry-and-proof?leaf_index=7&tree_size=7",
        "get-proof-by-hash?hash=AAAA&tree_size=7",
    ):
        assert client.get(call).status_code == 400, call


def test_faults_of_the_head(client: httpx.Client, log: CtLog) -> None:
    log.faults.bad_signature = True
    with pytest.raises(VerificationError):
        read_signed_tree_head(get(client, "get-sth")).verify(log.key_der)
    log.faults.bad_signature = False
    log.faults.wrong_root = True
    head = read_signed_tree_head(get(client, "get-sth"))
    head.verify(log.key_der)
    log.faults.wrong_root = False
    assert head.root_hash != log.tree_head().root_hash
    log.faults.shrunk_to = 3
    head = read_signed_tree_head(get(client, "get-sth"))
    head.verify(log.key_der)
    assert head.tree_size == 3


def test_faults_of_the_entries(client: httpx.Client, log: CtLog) -> None:
    honest = get_entries(client, 0, 3)
    log.faults.flipped_leaf = 1
    log.faults.flipped_extra_data = 2
    changed = get_entries(client, 0, 3)
    assert [one.leaf_hash == other.leaf_hash for one, other in zip(honest, changed, strict=True)] == [
        True,
        False,
        True,
        True,
    ]
    with pytest.raises(VerificationError):
        checked_precertificate(changed[2])
    log.faults.too_many_entries = True
    assert len(get_entries(client, 0, 1)) == 3
    log.faults.no_entries = True
    assert get_entries(client, 0, 3) == []


def test_faults_of_the_connection(client: httpx.Client, log: CtLog) -> None:
    log.faults.throttled = True
    log.faults.retry_after = "7"
    answer = client.get("get-sth")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    log.faults.throttled = False
    log.faults.hang_seconds = 1.0
    with pytest.raises(httpx.ReadTimeout):
        client.get("get-sth", timeout=0.1)
    log.faults.hang_seconds = 0.0
    assert get(client, "get-sth")
    assert log.requests


def test_two_logs_of_one_seed_answer_alike() -> None:
    first, second = CtLog(), CtLog()
    for log in (first, second):
        grow(log, 3)
    assert first.tree_head() == second.tree_head()
    assert first.tree_head().root_hash == first.tree_head(3).root_hash


def test_a_precertificate_wants_its_issuer() -> None:
    with pytest.raises(ValueError, match="issuer"):
        CtLog().append(AUTHORITY.precertificate(order(0)))
