"""Cuts what was read of a log into chunks that are committed together: a frontier and a signed head in, chunks out.

Between two heads a consistency proof confirms a chunk, so that a long way to the head is judged and committed piece by
piece. A chunk is what the head confirms, or it is not given.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

import msgspec

from intel.ct import SignedTreeHead
from intel.ct_answer import Answer
from intel.errors import CollectError, LapsewatchError, ReadError, VerificationError
from intel.merkle import HASH_SIZE, Frontier
from tasks.collect.ct_log import LogReader
from tasks.load.ct_readers import Read, Readers
from tasks.normalize.ct import verify_leaves

CHUNK: Final = 16_384
"""Entries that are committed together: a chunk ends with the first answer that reaches a multiple of it."""
MAX_CHUNK_BYTES: Final = 32 << 20
"""Octets of answers from which on a chunk ends early: RFC 6962's JSON takes five thousand an entry."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Verified entries, in order, from `first` on; `frontier` is behind the last, `received` counts octets.

    `watched_at` is when the oldest of the watch sets was loaded that they were matched with (recorded time).
    `cut` is what went wrong after the last one: the chunk is good as far as it goes, and nothing is behind it.
    """

    first: int
    frontier: Frontier
    reads: tuple[Read, ...]
    watched_at: datetime
    consistency: tuple[bytes, ...] = ()
    received: int = 0
    cut: LapsewatchError | None = None

    @property
    def entries(self) -> int:
        """How many there are."""
        return self.frontier.size - self.first


@dataclass(kw_only=True)
class Way:
    """A log that is read up to a signed head. `key` is the log's SPKI in DER.

    `downloaded` is behind the last entry that was received, which is not verified yet.
    """

    log: LogReader
    readers: Readers
    head: SignedTreeHead
    key: bytes
    downloaded: int = 0

    def chunks(
        self, frontier: Frontier, *, stop: int, most: int = CHUNK, until: float = float("inf")
    ) -> Iterator[Chunk]:
        """The entries from `frontier` to `stop`, the head's size at most, until `until` (of time.monotonic()).

        The first answer is always asked for. Raises VerificationError where a chunk is not what the log signed, and
        what the log's reader raises where nothing came at all; what came before is given.
        """
        answers = self._received(self.log.answers(frontier.size, stop, self.head, until=until))
        with closing(answers):
            for reads, cut in _cut(self.readers.read(answers), frontier.size, most):
                chunk = self._verified(frontier, reads, cut)
                yield chunk
                frontier = chunk.frontier

    def _received(self, answers: Iterator[Answer]) -> Generator[Answer, None, None]:
        with closing(cast("Generator[Answer, None, None]", answers)):
            for answer in answers:
                self.downloaded = answer.next
                yield answer

    def _verified(self, frontier: Frontier, reads: list[Read], cut: LapsewatchError | None) -> Chunk:
        end = reads[-1].judged.next
        proof = self.log.consistency(end, self.head) if end < self.head.tree_size else None
        leaves = (leaf for read in reads for leaf in _leaves(read))
        return Chunk(
            first=frontier.size,
            frontier=verify_leaves(frontier, leaves, self.head, self.key, consistency=proof),
            reads=tuple(reads),
            watched_at=min(read.watched_at for read in reads),
            consistency=tuple(proof or ()),
            received=sum(len(read.answer.body) for read in reads),
            cut=cut,
        )


def _cut(reads: Iterator[Read], at: int, most: int) -> Iterator[tuple[list[Read], LapsewatchError | None]]:
    """Reads that belong together; with the last of them, the error that came behind them."""
    held: list[Read] = []
    octets = 0
    edge = (at // most + 1) * most
    while True:
        try:
            read = next(reads, None)
        except (CollectError, ReadError) as error:
            if not held:
                raise
            yield held, error
            return
        if read is None:
            break
        if read.judged.first != at or read.judged.next <= at:
            raise VerificationError(f"couldn't read a log: entry {read.judged.first} came where {at} was due")
        held.append(read)
        octets += len(read.answer.body)
        at = read.judged.next
        if at >= edge or octets >= MAX_CHUNK_BYTES:
            yield held, None
            held, octets = [], 0
            edge = (at // most + 1) * most
    if held:
        yield held, None


def _leaves(read: Read) -> Iterator[bytes]:
    hashes = read.judged.leaf_hashes
    if len(hashes) != HASH_SIZE * (read.judged.next - read.judged.first):
        raise VerificationError("couldn't read a log: not as many leaves as entries")
    for at in range(0, len(hashes), HASH_SIZE):
        yield hashes[at : at + HASH_SIZE]


def check_head(head: SignedTreeHead, before: SignedTreeHead | None) -> SignedTreeHead:
    """The head to go by: `head`, or `before` where `head` is older, as a log behind several servers may show.

    Its signature has been checked. Raises VerificationError for a tree that has shrunk, and two roots of one size.
    """
    if before is None:
        return head
    if head.tree_size == before.tree_size and head.root_hash != before.root_hash:
        raise VerificationError(f"the log signed two roots of {head.tree_size} leaves")
    if head.tree_size < before.tree_size:
        if head.timestamp < before.timestamp:
            return before
        raise VerificationError(f"the log signed {head.tree_size} leaves after it had signed {before.tree_size}")
    return head
