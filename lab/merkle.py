"""A whole Merkle tree in memory (RFC 6962 2.1), for a log that must answer for every size it ever had."""

from __future__ import annotations

from collections.abc import Sequence

from intel.merkle import EMPTY_ROOT, node_hash


class MerkleTree:
    """Leaf hashes in, roots and proofs of every size so far out. Keeps the complete subtrees, level by level."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        node, level = leaf, 0
        self._levels[0].append(node)
        while len(self._levels[level]) % 2 == 0:
            node = node_hash(*self._levels[level][-2:])
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)

    def leaf(self, index: int) -> bytes:
        """The leaf hash at `index`."""
        return self._levels[0][index]

    def nodes(self, height: int, start: int, stop: int) -> list[bytes]:
        """The roots of complete subtrees of `2 ** height` leaves, from number `start` to `stop`: those there are."""
        return self._levels[height][start:stop] if height < len(self._levels) else []

    def _node(self, height: int, number: int) -> bytes:
        return self._levels[height][number]

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves."""
        return self._range(0, size) if size else EMPTY_ROOT

    def _range(self, start: int, end: int) -> bytes:
        width = end - start
        if width & (width - 1) == 0:
            return self._node(width.bit_length() - 1, start // width)
        split = 1 << (width - 1).bit_length() - 1
        return node_hash(self._range(start, start + split), self._range(start + split, end))

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 2.1.1: the audit path of a leaf, from the bottom."""
        return self._path(index, 0, size)

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        width = end - start
        if width == 1:
            return []
        split = start + (1 << (width - 1).bit_length() - 1)
        if index < split:
            return [*self._path(index, start, split), self._range(split, end)]
        return [*self._path(index, split, end), self._range(start, split)]

    def consistency(self, first: int, second: int) -> list[bytes]:
        """RFC 6962 2.1.2: the proof that the tree of `second` leaves continues the one of `first`."""
        if first in {0, second}:
            return []
        return self._subproof(first, 0, second, whole=True)

    def _subproof(self, first: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if first == end - start:
            return [] if whole else [self._range(start, end)]
        split = 1 << (end - start - 1).bit_length() - 1
        if first <= split:
            left = self._subproof(first, start, start + split, whole=whole)
            return [*left, self._range(start + split, end)]
        right = self._subproof(first - split, start + split, end, whole=False)
        return [*right, self._range(start, start + split)]


class RepeatedTree(MerkleTree):
    """The tree of a number of leaves that is a power of two, over and over: for every size, in the memory of one."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        super().__init__()
        if not leaves or len(leaves) & (len(leaves) - 1):
            raise ValueError("a repeated tree has a power of two of leaves")
        for leaf in leaves:
            self.append(leaf)

    def nodes(self, height: int, start: int, stop: int) -> list[bytes]:
        """As of a tree without an end."""
        return [self._node(height, number) for number in range(start, stop)]

    def _node(self, height: int, number: int) -> bytes:
        # Above its own root all nodes of a level are the same.
        while len(self._levels) <= height:
            self._levels.append([node_hash(self._levels[-1][0], self._levels[-1][0])])
        level = self._levels[height]
        return level[number % len(level)]
