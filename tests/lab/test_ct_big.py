from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import (
    checked_precertificate,
    read_consistency,
    read_entries,
    read_entry_and_proof,
    read_extra_data,
    read_signed_tree_head,
)
from intel.ct_static import read_checkpoint, read_data_tile, read_hash_tile, tile_path
from intel.merkle import EMPTY_ROOT, Frontier, verify_consistency, verify_inclusion
from intel.x509 import read_certificate
from lab.certificates_bulk import authorities
from lab.ct_big import BigLog, make_big, serve_big
from lab.merkle import MerkleTree, RepeatedTree

ENTRIES = 1024


def special(number: int) -> str:
    return f"host.watched-{number}.example" if number % 500 == 250 else ""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigLog]:
    folder: Path = tmp_path_factory.mktemp("big")
    about = make_big(folder, ENTRIES, special=special)
    assert about.special == {250: special(250), 750: special(750)}
    with serve_big(folder, maximum=256) as served:
        yield served


@pytest.fixture
def client(log: BigLog) -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


def get(client: httpx.Client, url: str) -> bytes:
    answer = client.get(url)
    assert answer.status_code == 200, (url, answer.text)
    return answer.content


@pytest.mark.parametrize("size", [256, 768, 1024, 2560])
def test_entries_hash_to_the_head_of_every_size(log: BigLog, client: httpx.Client, size: int) -> None:
    head = read_signed_tree_head(get(client, f"{log.url(size)}/ct/v1/get-sth"))
    head.verify(log.key_der)
    frontier, before = Frontier(), EMPTY_ROOT
    while frontier.size < size:
        at = frontier.size
        entries = read_entries(get(client, f"{log.url(size)}/ct/v1/get-entries?start={at}&end={size + 9}"), at)
        assert 0 < len(entries) <= 256
        frontier = frontier.extend(entry.leaf_hash for entry in entries)
        proof = read_consistency(get(client, f"{log.url(size)}/ct/v1/get-sth-consistency?first={at}&second={size}"))
        verify_consistency(at, size, before, head.root_hash, proof)
        before = frontier.root()
    assert head.tree_size == frontier.size == size
    assert frontier.root() == head.root_hash


def test_an_entry_comes_with_its_proof_and_its_chain(log: BigLog, client: httpx.Client) -> None:
    root = read_signed_tree_head(get(client, f"{log.url(2560)}/ct/v1/get-sth")).root_hash
    for index in (0, 250, 1500, 2559):
        url = f"{log.url(2560)}/ct/v1/get-entry-and-proof?leaf_index={index}&tree_size=2560"
        logged, path = read_entry_and_proof(get(client, url), index)
        verify_inclusion(logged.leaf_hash, index, 2560, path, root)
        assert read_extra_data(logged)[1] in {issuer.chain for issuer in authorities()}


def test_tiles_hash_to_the_checkpoint(log: BigLog, client: httpx.Client) -> None:
    checkpoint = read_checkpoint(get(client, f"{log.url(768)}/checkpoint"))
    head = checkpoint.tree_head(log.key_der)
    entries = [
        entry
        for number in range(3)
        for entry in read_data_tile(get(client, f"{log.url(768)}/{tile_path(None, number)}"), number * 256)
    ]
    hashes = [entry.leaf_hash for entry in entries]
    assert Frontier().extend(hashes).root() == head.root_hash
    assert not any(entry.fault for entry in entries)
    tile = read_hash_tile(get(client, f"{log.url(768)}/{tile_path(0, 2)}"))
    assert tile == hashes[512:]
    above = read_hash_tile(get(client, f"{log.url(768)}/{tile_path(1, 0, 3)}"))
    assert above[2] == Frontier().extend(tile).root()
    for logged in entries:
        entry = logged.entry
        assert entry is not None
        if logged.precertificate:
            assert checked_precertificate(logged)
        if logged.index == 250:
            view = read_certificate(logged.precertificate or entry.signed)
            assert special(250) in view.names
    issuer = f"{log.url(768)}/issuer/{entries[0].issuers[0].hex()}"
    assert get(client, issuer) in {issuer.chain[0] for issuer in authorities()}


def test_what_is_not_there(log: BigLog, client: httpx.Client) -> None:
    for path, status in (
        ("768/tile/data/003", 404),
        ("768/tile/1/000.p/2", 404),
        ("2560/checkpoint", 404),
        ("768/issuer/00", 404),
        ("768/ct/v1/get-entries?start=768&end=770", 400),
        ("768/ct/v1/get-entries?start=2&end=1", 400),
        ("768/ct/v1/add-chain", 404),
        ("x/ct/v1/get-sth", 400),
    ):
        assert client.get(f"http://127.0.0.1:{log.address[1]}/{path}").status_code == status, path


def test_it_counts_what_it_gives_and_what_that_costs_it(log: BigLog, client: httpx.Client) -> None:
    log.stats()
    get(client, f"{log.url(512)}/ct/v1/get-entries?start=0&end=99")
    get(client, f"{log.url(512)}/tile/data/001")
    found = log.stats()
    assert (found["requests"], found["entries"]) == (2 + 1, 100 + 256)  # and the question before
    assert found["cpu"] < found["wall"]


def test_the_server_ends_with_its_block(tmp_path: Path) -> None:
    make_big(tmp_path, 256)
    with serve_big(tmp_path) as served:
        os.kill(served.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(served.pid, 0)
    with pytest.raises(ValueError, match="power of two"):
        make_big(tmp_path, 300)


@given(size=st.integers(1, 70), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_repeated_tree_is_the_tree_of_its_leaves_over_and_over(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) * 32 for number in range(8)]
    repeated, whole = RepeatedTree(leaves), MerkleTree()
    for number in range(size):
        whole.append(leaves[number % 8])
    assert repeated.root(size) == whole.root(size)
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    assert repeated.inclusion(index, size) == whole.inclusion(index, size)
    assert repeated.consistency(first, size) == whole.consistency(first, size)
