"""Where the nodes of a tiled log's tree stand in its tiles of hashes, and the frontiers and proofs they make.

C2SP tlog-tiles, RFC 6962 2.1. In: sizes, indexes, and a way to get a tile's hashes. Out: hashes that the log claims;
each function says what its caller has to check before anything is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from intel.ct_static import TILE_WIDTH, tile_path
from intel.errors import ReadError
from intel.merkle import Frontier, node_hash

_TILE_HEIGHT: Final = 8  # 2 ** 8 hashes


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """A tile of hashes: those of level 0 are leaves, those of level n roots of 256 ** n leaves each.

    `width` is how many hashes it has in a tree of some size; below 256 it is a partial tile.
    """

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Below the monitoring prefix."""
        return tile_path(self.level, self.index, self.width)


GetTile = Callable[[Tile], Sequence[bytes]]
"""Gives the hashes of a tile, at least as many as it is wide."""


def node(get: GetTile, size: int, height: int, index: int) -> bytes:
    """The root of the complete subtree of leaves `index << height` to `(index + 1) << height` in a tree of `size`.

    Raises ReadError where the tile has fewer hashes than it must.
    """
    if (index + 1) << height > size:
        raise ValueError(f"no complete subtree of height {height} at {index} in a tree of {size} leaves")
    level, above = divmod(height, _TILE_HEIGHT)
    number, at = divmod(index << above, TILE_WIDTH)
    tile = Tile(level=level, index=number, width=min((size >> _TILE_HEIGHT * level) - number * TILE_WIDTH, TILE_WIDTH))
    hashes = list(get(tile)[at : at + (1 << above)])
    if len(hashes) != 1 << above:
        raise ReadError(f"couldn't read {tile.path}: it has fewer hashes than its tree says")
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def frontier(get: GetTile, size: int, tree_size: int) -> Frontier:
    """The right edge of the first `size` leaves of a tree of `tree_size`.

    To be believed, its root has to be the signed one, or consistent with it.
    """
    return Frontier(size=size, nodes=tuple(_subtrees(get, tree_size, 0, size)))


def inclusion(get: GetTile, index: int, size: int) -> tuple[bytes, ...]:
    """RFC 6962 2.1.1: the audit path of the leaf at `index`, from the bottom; to be checked by `verify_inclusion`."""
    return tuple(_range_root(get, size, start, end) for start, end in inclusion_ranges(index, size))


def consistency(get: GetTile, first: int, second: int) -> tuple[bytes, ...]:
    """RFC 6962 2.1.2: the proof that the tree of `second` leaves continues the one of `first`.

    To be checked by `verify_consistency`.
    """
    return tuple(_range_root(get, second, start, end) for start, end in consistency_ranges(first, second))


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The leaves (from, to) under each node of an audit path, from the bottom."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _left(end - start)
        if index < split:
            path.append((split, end))
            end = split
        else:
            path.append((start, split))
            start = split
    return path[::-1]


def consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    """The leaves (from, to) under each node of a consistency proof, in the order of RFC 6962 2.1.2."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} leaves does not continue one of {first}")
    if first in {0, second}:
        return []
    path: list[tuple[int, int]] = []
    start, end = 0, second
    while end != first:
        split = start + _left(end - start)
        if first <= split:
            path.append((split, end))
            end = split
        else:
            path.append((start, split))
            start = split
    # Where all of the first tree is one complete subtree, the verifier has its root already.
    return ([(start, end)] if start else []) + path[::-1]


def _left(width: int) -> int:
    """How many of `width` leaves are in the left subtree: the largest power of two below it."""
    return 1 << (width - 1).bit_length() - 1


def _subtrees(get: GetTile, size: int, start: int, end: int) -> list[bytes]:
    """The complete subtrees of leaves `start` to `end`, the largest first; `start` is a multiple of the largest."""
    roots: list[bytes] = []
    while start < end:
        height = (end - start).bit_length() - 1
        roots.append(node(get, size, height, start >> height))
        start += 1 << height
    return roots


def _range_root(get: GetTile, size: int, start: int, end: int) -> bytes:
    *larger, root = _subtrees(get, size, start, end)
    for left in reversed(larger):
        root = node_hash(left, root)
    return root
