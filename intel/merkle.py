"""Merkle trees of Certificate Transparency (RFC 6962 2.1, RFC 9162 2.1): leaf hashes in, roots and verdicts out.

Every hash is SHA-256, 32 octets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from intel.errors import ReadError, VerificationError

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 6962 2.1: a leaf is hashed behind 0x00, so that no leaf can pass for a node."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 2.1: a node is hashed behind 0x01."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier(msgspec.Struct, frozen=True, kw_only=True):
    """The right edge of a tree: all that is needed to add leaves and to know the root.

    `nodes` are the roots of the complete subtrees, the largest first: one for each bit that is set in `size`.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise ReadError(f"couldn't take a frontier: {len(self.nodes)} nodes for {self.size} leaves")
        if any(len(node) != HASH_SIZE for node in self.nodes):
            raise ReadError("couldn't take a frontier: a node is not 32 octets long")

    def extend(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """The frontier after these leaf hashes."""
        sha256 = hashlib.sha256
        nodes = list(self.nodes)
        size = self.size
        for leaf in leaf_hashes:
            node = leaf
            carry = size
            while carry & 1:
                node = sha256(b"\x01" + nodes.pop() + node).digest()
                carry >>= 1
            nodes.append(node)
            size += 1
        return Frontier(size=size, nodes=tuple(nodes))

    def root(self) -> bytes:
        """The tree's root; SHA-256 of nothing for the empty tree."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root

    def to_bytes(self) -> bytes:
        """u64 size (big-endian), then the nodes."""
        return self.size.to_bytes(8, "big") + b"".join(self.nodes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """What `to_bytes` wrote. Raises ReadError for anything else."""
        if len(data) < 8 or len(data) % HASH_SIZE != 8:
            raise ReadError(f"couldn't read a frontier: {len(data)} octets is no length that one has")
        nodes = tuple(data[at : at + HASH_SIZE] for at in range(8, len(data), HASH_SIZE))
        return cls(size=int.from_bytes(data[:8], "big"), nodes=nodes)

    @classmethod
    def from_last_leaf(cls, last_leaf_hash: bytes, size: int, proof: Sequence[bytes]) -> Frontier:
        """The frontier of a tree of `size` leaves, from the inclusion proof of its last leaf.

        All siblings on that path stand to the left, so they are the complete subtrees. Its root must still be
        compared with a signed one. Raises VerificationError where the proof has the wrong length.
        """
        trailing = (size & -size).bit_length() - 1
        if size < 1 or len(proof) != trailing + size.bit_count() - 1:
            raise VerificationError(f"couldn't rebuild a frontier of {size} leaves: a proof of {len(proof)} hashes")
        node = last_leaf_hash
        for sibling in proof[:trailing]:
            node = node_hash(sibling, node)
        return cls(size=size, nodes=(*reversed(proof[trailing:]), node))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 2.1.3.2: the leaf hash `leaf` stands at `index` in the tree of `size` leaves with this root.

    Raises VerificationError where it does not.
    """
    if not 0 <= index < size:
        raise VerificationError(f"couldn't verify the inclusion of leaf {index}: the tree has {size}")
    position, last = index, size - 1
    node = leaf
    for sibling in proof:
        if last == 0:
            raise VerificationError(f"couldn't verify the inclusion of leaf {index}: the proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if last != 0 or node != root:
        raise VerificationError(f"couldn't verify the inclusion of leaf {index}: the proof leads to another root")


def verify_consistency(
    first_size: int, second_size: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """RFC 9162 2.1.4.2: the tree of `second_size` leaves only adds to the one of `first_size`.

    Every tree continues the empty one. Raises VerificationError where it does not.
    """
    what = f"couldn't verify the growth from {first_size} to {second_size} leaves"
    if not 0 <= first_size <= second_size:
        raise VerificationError(f"{what}: the tree has shrunk")
    if first_size in {0, second_size}:
        expected = EMPTY_ROOT if first_size == 0 else second_root
        if proof or first_root != expected:
            raise VerificationError(f"{what}: the roots differ")
        return
    # A complete first tree is a node of the second one and is left out of the proof.
    path = [first_root, *proof] if first_size & (first_size - 1) == 0 else list(proof)
    if not path:
        raise VerificationError(f"{what}: the proof is empty")
    position, last = first_size - 1, second_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    first = second = path[0]
    for node in path[1:]:
        if last == 0:
            raise VerificationError(f"{what}: the proof is too long")
        if position & 1 or position == last:
            first = node_hash(node, first)
            second = node_hash(node, second)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            second = node_hash(second, node)
        position >>= 1
        last >>= 1
    if last != 0 or first != first_root or second != second_root:
        raise VerificationError(f"{what}: the proof leads to other roots")
