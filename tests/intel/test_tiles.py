from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel import tiles
from intel.errors import ReadError
from intel.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from intel.tiles import GetTile, Tile
from lab.merkle import MerkleTree

LARGEST = 66_000  # so that there are tiles of levels 0, 1 and 2
HASHES = [leaf_hash(b"%d" % at) for at in range(LARGEST)]


@pytest.fixture(scope="module")
def tree() -> MerkleTree:
    tree = MerkleTree()
    for hashed in HASHES:
        tree.append(hashed)
    return tree


def tiles_of(tree: MerkleTree, size: int, asked: set[Tile] | None = None) -> GetTile:
    """The tiles of the tree of `size` leaves: a tile that such a tree has not is not given."""

    def get(tile: Tile) -> Sequence[bytes]:
        there = (size >> 8 * tile.level) - 256 * tile.index
        assert tile.width == min(there, 256) > 0
        if asked is not None:
            asked.add(tile)
        return tree.nodes(8 * tile.level, 256 * tile.index, 256 * tile.index + tile.width)

    return get


sizes = st.one_of(
    st.integers(1, 1100), st.integers(1, LARGEST), st.sampled_from([255, 256, 257, 65_535, 65_536, 65_537])
)


@settings(max_examples=60)
@given(size=sizes, data=st.data())
def test_frontiers_and_proofs_are_those_of_the_tree(tree: MerkleTree, size: int, data: st.DataObject) -> None:
    get = tiles_of(tree, size)
    first = data.draw(st.integers(0, size))
    index = data.draw(st.integers(0, size - 1))
    frontier = tiles.frontier(get, first, size)
    assert frontier.root() == tree.root(first)
    assert frontier == Frontier.from_bytes(frontier.to_bytes())
    assert list(tiles.consistency(get, first, size)) == tree.consistency(first, size)
    verify_consistency(first, size, frontier.root(), tree.root(size), tiles.consistency(get, first, size))
    assert list(tiles.inclusion(get, index, size)) == tree.inclusion(index, size)
    verify_inclusion(HASHES[index], index, size, tiles.inclusion(get, index, size), tree.root(size))


def test_a_frontier_goes_on_where_it_was_taken(tree: MerkleTree) -> None:
    frontier = tiles.frontier(tiles_of(tree, 1000), 700, 1000).extend(HASHES[700:1000])
    assert frontier.root() == tree.root(1000)


def test_a_frontier_takes_few_tiles(tree: MerkleTree) -> None:
    asked: set[Tile] = set()
    tiles.frontier(tiles_of(tree, LARGEST, asked), LARGEST, LARGEST)
    assert {tile.level for tile in asked} == {0, 1, 2}
    assert len(asked) == 3


def test_where_a_tile_stands() -> None:
    assert Tile(level=0, index=1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(level=2, index=0, width=1).path == "tile/2/000.p/1"


def test_a_tile_that_is_too_short_is_seen() -> None:
    with pytest.raises(ReadError, match="fewer hashes"):
        tiles.frontier(lambda _tile: HASHES[:3], 5, 5)


@pytest.mark.parametrize(("height", "index", "size"), [(0, 5, 5), (3, 1, 15), (8, 1, 511)])
def test_no_subtree_beyond_the_tree(height: int, index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no complete subtree"):
        tiles.node(lambda _tile: HASHES[:256], size, height, index)


def test_ranges_that_are_none() -> None:
    with pytest.raises(ValueError, match="no leaf"):
        tiles.inclusion_ranges(5, 5)
    with pytest.raises(ValueError, match="does not continue"):
        tiles.consistency_ranges(6, 5)
