"""Reads a log in chunks: a frontier and a signed head in, entries that the head confirms out (RFC 6962 4.3 to 4.8).

Ranges are aligned, so that a log's cache can answer them, and what a log gives is taken, however short. Between two
heads a consistency proof confirms a chunk, so that a long way to the head is judged and committed piece by piece.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx
import msgspec

from intel.ct import (
    LoggedEntry,
    SignedTreeHead,
    read_consistency,
    read_entries,
    read_entry_and_proof,
    read_signed_tree_head,
)
from intel.errors import CollectError, LapsewatchError, ReadError, VerificationError
from intel.merkle import Frontier
from tasks.collect.ct import get_entries, get_entry_and_proof, get_sth, get_sth_consistency
from tasks.collect.retry import RetryPolicy, retrying
from tasks.normalize.ct import verify_slice

RANGE: Final = 256
"""Entries that are asked for at once."""
CHUNK: Final = 4096
"""Entries that are committed together."""
MAX_CHUNK_BYTES: Final = 64 << 20
PATIENCE: Final = RetryPolicy(retries=4, base_seconds=1.0, max_backoff_seconds=20.0, max_retry_after=60.0)


@dataclass(frozen=True, kw_only=True)
class Log:
    """A log that is being asked. `key` is its SPKI in DER; `retry` says how patient we are with it."""

    client: httpx.Client
    url: str
    key: bytes
    retry: RetryPolicy = PATIENCE

    def ask(self, call: Callable[[], bytes]) -> bytes:
        """One answer, asked for again where that may help. Raises the collect tree's errors and ReadError."""
        return retrying(call, policy=self.retry)


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Verified entries, in order. `frontier` is behind the last, `received` counts octets of answers.

    `cut` is what went wrong after the last one: the chunk is good as far as it goes, and nothing is behind it.
    """

    entries: tuple[LoggedEntry, ...]
    frontier: Frontier
    consistency: tuple[bytes, ...] = ()
    received: int = 0
    cut: LapsewatchError | None = None


def current_head(log: Log) -> SignedTreeHead:
    """The head that the log shows; its signature is not checked here."""
    return read_signed_tree_head(log.ask(lambda: get_sth(log.client, log.url)))


def check_head(head: SignedTreeHead, key: bytes, before: SignedTreeHead | None) -> SignedTreeHead:
    """The head to go by: `head`, or `before` where `head` is older, as a log behind several servers may show.

    Raises VerificationError for a bad signature, a tree that has shrunk, and two roots of one size.
    """
    head.verify(key)
    if before is None:
        return head
    if head.tree_size == before.tree_size and head.root_hash != before.root_hash:
        raise VerificationError(f"the log signed two roots of {head.tree_size} leaves")
    if head.tree_size < before.tree_size:
        if head.timestamp < before.timestamp:
            return before
        raise VerificationError(f"the log signed {head.tree_size} leaves after it had signed {before.tree_size}")
    return head


def attach(log: Log, head: SignedTreeHead) -> Frontier:
    """The frontier at the head of a log that is read from there on: the next entry has the index `tree_size`.

    Raises VerificationError where the last entry and its proof do not lead to the signed root.
    """
    frontier = Frontier()
    if head.tree_size:
        last = head.tree_size - 1
        body = log.ask(lambda: get_entry_and_proof(log.client, log.url, last, head.tree_size))
        logged, path = read_entry_and_proof(body, last)
        frontier = Frontier.from_last_leaf(logged.leaf_hash, head.tree_size, path)
    return verify_slice(frontier, (), head, log.key).verified


def next_chunk(
    log: Log, frontier: Frontier, head: SignedTreeHead, *, most: int = CHUNK, until: float = float("inf")
) -> Chunk:
    """The entries from `frontier` on: at most to the next multiple of `most`, to the head, or to the time `until`.

    `until` is of time.monotonic(). What came before an error or before the time was up is given; the first range is
    always asked for. Raises VerificationError, and what `ask` raises where nothing came at all.
    """
    entries: list[LoggedEntry] = []
    received, cut = 0, None
    stop = min(head.tree_size, (frontier.size // most + 1) * most)
    at = frontier.size
    while at < stop and received < MAX_CHUNK_BYTES and (not entries or time.monotonic() < until):
        start, end = at, min((at // RANGE + 1) * RANGE, stop) - 1
        try:
            body = log.ask(partial(get_entries, log.client, log.url, start, end))
            got = read_entries(body, start)
        except (CollectError, ReadError) as error:
            if not entries:
                raise
            cut = error
            break
        received += len(body)
        entries += got
        at += len(got)
    proof: list[bytes] | None = None
    if at < head.tree_size:
        body = log.ask(lambda: get_sth_consistency(log.client, log.url, at, head.tree_size))
        proof = read_consistency(body)
    verified = verify_slice(frontier, entries, head, log.key, consistency=proof)
    return Chunk(
        entries=verified.entries,
        frontier=verified.verified,
        consistency=tuple(proof or ()),
        received=received,
        cut=cut,
    )
