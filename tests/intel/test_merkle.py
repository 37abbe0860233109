from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ReadError, VerificationError
from intel.merkle import Frontier, leaf_hash, node_hash, verify_consistency, verify_inclusion
from lab.merkle import MerkleTree

# The tree that the reference implementation of RFC 6962 is tested with: its leaves, and the root of each size.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(1, 70)


def naive_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 2.1, as it is written there."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(naive_root(hashes[:split]), naive_root(hashes[split:]))


def hashes_of(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % at) for at in range(size)]


def tree_of(size: int) -> MerkleTree:
    tree = MerkleTree()
    for hashed in hashes_of(size):
        tree.append(hashed)
    return tree


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_reference_tree(size: int) -> None:
    frontier = Frontier().extend(map(leaf_hash, LEAVES[:size]))
    assert frontier.root().hex() == ROOTS[size]
    assert frontier.size == size


@settings(max_examples=60)
@given(sizes, st.data())
def test_frontier_root_is_the_naive_root_however_the_leaves_come(size: int, data: st.DataObject) -> None:
    hashes = hashes_of(size)
    cut = data.draw(st.integers(0, size))
    first = Frontier().extend(hashes[:cut])
    whole = Frontier.from_bytes(first.to_bytes()).extend(hashes[cut:])
    assert first.root() == naive_root(hashes[:cut])
    assert whole.root() == naive_root(hashes) == tree_of(size).root(size)


@settings(max_examples=60)
@given(sizes, st.data())
def test_inclusion_proofs_hold_and_altered_ones_do_not(size: int, data: st.DataObject) -> None:
    tree = tree_of(size)
    index = data.draw(st.integers(0, size - 1))
    proof, root = tree.inclusion(index, size), tree.root(size)
    verify_inclusion(tree.leaf(index), index, size, proof, root)
    altered = [
        (leaf_hash(b"another"), index, size, proof, root),
        (tree.leaf(index), index, size, [*proof, root], root),
        (tree.leaf(index), size, size, proof, root),
        (tree.leaf(index), -1, size, proof, root),
    ]
    if proof:
        altered += [
            (tree.leaf(index), index, size, proof[:-1], root),
            (tree.leaf(index), index ^ 1, size, proof, root),
        ]
    for case in altered:
        with pytest.raises(VerificationError):
            verify_inclusion(*case)


@settings(max_examples=60)
@given(sizes, st.data())
def test_consistency_proofs_hold_and_altered_ones_do_not(second: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, second))
    tree = tree_of(second)
    roots = tree.root(first), tree.root(second)
    proof = tree.consistency(first, second)
    verify_consistency(first, second, *roots, proof)
    wrong = leaf_hash(b"another")
    altered = [(first, second, wrong, roots[1], proof), (first, second, *roots, [*proof, wrong])]
    if first > 0:
        altered.append((first, second, roots[0], wrong, proof))
    if proof:
        altered += [(first, second, *roots, proof[:-1]), (first, second, *roots, [])]
        altered.append((second, first, roots[1], roots[0], proof))
    for case in altered:
        with pytest.raises(VerificationError):
            verify_consistency(*case)


@settings(max_examples=60)
@given(sizes)
def test_the_last_leafs_proof_gives_the_frontier(size: int) -> None:
    tree = tree_of(size)
    proof = tree.inclusion(size - 1, size)
    assert Frontier.from_last_leaf(tree.leaf(size - 1), size, proof) == Frontier().extend(hashes_of(size))
    with pytest.raises(VerificationError):
        Frontier.from_last_leaf(tree.leaf(size - 1), size, [*proof, tree.leaf(0)])


def test_no_last_leaf_in_an_empty_tree() -> None:
    with pytest.raises(VerificationError):
        Frontier.from_last_leaf(leaf_hash(b""), 0, [])


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_frontier_or_a_read_error(data: bytes) -> None:
    with contextlib.suppress(ReadError):
        assert Frontier.from_bytes(data).to_bytes() == data


def test_a_frontier_refuses_nodes_that_do_not_fit_its_size() -> None:
    with pytest.raises(ReadError):
        Frontier(size=2, nodes=(leaf_hash(b""), leaf_hash(b"")))
    with pytest.raises(ReadError):
        Frontier(size=1, nodes=(b"short",))
