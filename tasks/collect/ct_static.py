"""Reads tiled logs (C2SP static-ct-api), and those that serve tiles under heads of RFC 6962. See `LogReader`.

Full tiles never change; a partial one is asked for only where the head that was checked implies it. Proofs are made
here from tiles of hashes, and each is checked against the signed root: no tile is believed that does not lead to it.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime
from functools import partial
from threading import Event
from typing import Final, TypeVar

from intel import tiles
from intel.ct import SignedTreeHead
from intel.ct_answer import Answer, AnswerFormat
from intel.ct_static import TILE_WIDTH, read_checkpoint, read_hash_tile
from intel.errors import ReadError, StatusError
from intel.merkle import Frontier, verify_consistency, verify_inclusion
from intel.tiles import GetTile, Tile
from tasks.collect import ct_reader
from tasks.collect.ct_ask import Asker
from tasks.collect.ct_reader import Got, Job, Place, check_range
from tasks.collect.ct_rfc6962 import Rfc6962Reader
from tasks.collect.ct_tiles import get_checkpoint, get_data_tile, get_hash_tile

T = TypeVar("T")

_KEPT_TILES: Final = 64  # of 8 KiB


def tile_jobs(first: int, behind: int) -> Iterator[Job]:
    """The entries `first` to `behind`, tile by tile."""
    while first < behind:
        end = min((first // TILE_WIDTH + 1) * TILE_WIDTH, behind)
        yield first, end
        first = end


def data_tile(asker: Asker, place: Place, tree_size: int, job: Job, stop: Event | None = None) -> Answer:
    """The entries of `job`, which lie in one tile; it is as wide as a tree of `tree_size` leaves says."""
    first, behind = job
    index = first // TILE_WIDTH
    begins = index * TILE_WIDTH
    width = min(tree_size - begins, TILE_WIDTH)
    body = asker.ask_sized(lambda limits: get_data_tile(asker.client, place.url, index, width, limits=limits), stop)
    return Answer(format=AnswerFormat.TILE, begins=begins, first=first, next=behind, body=body)


class StaticReader:
    """A tiled log."""

    protocol = "static"

    def __init__(self, asker: Asker, place: Place) -> None:
        self.pace = asker.pace
        self._asker, self._place = asker, place
        self._tiles: OrderedDict[Tile, Sequence[bytes]] = OrderedDict()

    def head(self) -> SignedTreeHead:
        body = self._asker.ask(lambda: get_checkpoint(self._asker.client, self._place.url))
        return ct_reader.signed_head(body, lambda shown: read_checkpoint(shown).tree_head(self._place.key))

    def answers(
        self,
        first: int,
        next: int,  # noqa: A002 - the word of the records that it fills
        head: SignedTreeHead,
        *,
        until: float = float("inf"),
    ) -> Generator[Answer]:
        check_range(first, next, head)
        most = -(-next // TILE_WIDTH) - first // TILE_WIDTH

        def tile(job: Job, stop: Event) -> Got:
            return Got([data_tile(self._asker, self._place, head.tree_size, job, stop)])

        return ct_reader.ahead(self._asker, tile_jobs(first, next), tile, most=most, until=until)

    def frontier(self, size: int, head: SignedTreeHead) -> Frontier:
        check_range(0, size, head)
        if size == 0:
            return Frontier()

        def derive(get: GetTile) -> Frontier:
            frontier = tiles.frontier(get, size, head.tree_size)
            proof = tiles.consistency(get, size, head.tree_size)
            verify_consistency(size, head.tree_size, frontier.root(), head.root_hash, proof)
            return frontier

        return self._derived(derive)

    def consistency(self, first: int, head: SignedTreeHead) -> tuple[bytes, ...]:
        check_range(first, head.tree_size, head)
        if first in {0, head.tree_size}:
            return ()

        def derive(get: GetTile) -> tuple[bytes, ...]:
            proof = tiles.consistency(get, first, head.tree_size)
            root = tiles.frontier(get, first, head.tree_size).root()
            verify_consistency(first, head.tree_size, root, head.root_hash, proof)
            return proof

        return self._derived(derive)

    def prove(self, index: int, leaf_hash: bytes, head: SignedTreeHead) -> tuple[bytes, ...]:
        check_range(index, index + 1, head)

        def derive(get: GetTile) -> tuple[bytes, ...]:
            path = tiles.inclusion(get, index, head.tree_size)
            verify_inclusion(leaf_hash, index, head.tree_size, path, head.root_hash)
            return path

        return self._derived(derive)

    def _derived(self, derive: Callable[[GetTile], T]) -> T:
        """What `derive` makes of tiles. Where it does not add up, none of them is kept: one of them is wrong."""
        try:
            return derive(self._hash_tile)
        except ReadError:  # VerificationError is one
            self._tiles.clear()
            raise

    def _hash_tile(self, tile: Tile) -> Sequence[bytes]:
        if tile in self._tiles:
            self._tiles.move_to_end(tile)
            return self._tiles[tile]
        call = partial(get_hash_tile, self._asker.client, self._place.url, tile.level, tile.index, tile.width)
        hashes = self._tiles[tile] = read_hash_tile(self._asker.ask(call))
        if len(self._tiles) > _KEPT_TILES:
            self._tiles.popitem(last=False)
        return hashes

    def index_at(self, moment: datetime, head: SignedTreeHead) -> int:
        def tile(index: int) -> Answer:
            begins = index // TILE_WIDTH * TILE_WIDTH
            behind = min(begins + TILE_WIDTH, head.tree_size)
            return data_tile(self._asker, self._place, head.tree_size, (begins, behind))

        return ct_reader.search(moment, head, tile)

    def issuer(self, fingerprint: bytes) -> bytes:
        return ct_reader.issuer(self._asker, self._place, fingerprint)


class HybridReader(Rfc6962Reader):
    """A log whose heads and proofs are those of RFC 6962, and whose full tiles of entries can be had as well."""

    protocol = "hybrid"

    def answers(
        self,
        first: int,
        next: int,  # noqa: A002 - the word of the records that it fills
        head: SignedTreeHead,
        *,
        until: float = float("inf"),
    ) -> Generator[Answer]:
        check_range(first, next, head)
        full = max(first, min(next, head.tree_size // TILE_WIDTH * TILE_WIDTH))
        jobs = itertools.chain(tile_jobs(first, full), self._ranges(full, next))
        most = -(-full // TILE_WIDTH) - first // TILE_WIDTH + -(-(next - full) // TILE_WIDTH)
        return ct_reader.ahead(self._asker, jobs, partial(self._tile_or_range, full), most=most, until=until)

    def _tile_or_range(self, full: int, job: Job, stop: Event) -> Got:
        first, behind = job
        if first >= full:
            return self._range(job, stop)
        try:
            # As wide as can be: only full tiles are served.
            return Got([data_tile(self._asker, self._place, full + TILE_WIDTH, job, stop)])
        except StatusError as error:
            if error.status not in {404, 410}:
                raise
            # Tiles are made a while after the entries are in the tree.
            return self._range((first, behind), stop)

    def issuer(self, fingerprint: bytes) -> bytes:
        return ct_reader.issuer(self._asker, self._place, fingerprint)
