"""Checks what a log gave before anything is judged by it: entries and a signed tree head in, verified entries out.

RFC 6962 section 2.1. Every leaf goes into the frontier, and the frontier's root must be the one that the log signed.
Between two heads a consistency proof does the same for the entries so far, so that a long way to the head can be
judged slice by slice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from intel.ct import LoggedEntry
from intel.errors import VerificationError
from intel.merkle import Frontier, leaf_hash, verify_consistency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intel.ct import SignedTreeHead


class VerifiedSlice(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice came to.

    `entries` are verified and may be judged. `pending` are hashed into `frontier` but not yet under a root that the
    log signed: they go into the next call together with `frontier`. `verified` is the frontier behind the last verified
    entry, and what is committed with them.
    """

    entries: tuple[LoggedEntry, ...]
    pending: tuple[LoggedEntry, ...]
    verified: Frontier
    frontier: Frontier


def verify_slice(
    frontier: Frontier,
    entries: Sequence[LoggedEntry],
    sth: SignedTreeHead,
    key: bytes,
    *,
    before: VerifiedSlice | None = None,
    consistency: Sequence[bytes] | None = None,
) -> VerifiedSlice:
    """Hash the entries that follow `frontier`, and release them where the signed head confirms them.

    They are released at the head's tree size, or before it where `consistency` proves that the head's tree continues
    the one that ends with them. `before` is the last result where it left entries pending; `frontier` is then its
    `frontier`. `key` is the log's SPKI in DER.

    Raises VerificationError on a bad signature, a root that does not match, a tree that is smaller than what was
    read of it, and entries that do not follow; nothing of the slice may then be used.
    """
    sth.verify(key)
    if sth.tree_size < frontier.size:
        raise VerificationError(
            f"couldn't verify entries: the log signed {sth.tree_size} leaves after {frontier.size} had been read of "
            "it; nothing more is read until it has grown again"
        )
    pending = before.pending if before is not None else ()
    verified = before.verified if before is not None else frontier
    if verified.size + len(pending) != frontier.size:
        raise ValueError("the frontier is not the one behind the pending entries")
    for at, entry in enumerate(entries, frontier.size):
        if entry.index != at:
            raise VerificationError(f"couldn't verify entries: {entry.index} came where {at} was due; they are left")

    covered = entries[: sth.tree_size - frontier.size]  # a log may have grown between head and entries
    beyond = entries[len(covered) :]
    reached = frontier.extend(leaf_hash(entry.leaf_input) for entry in covered)
    so_far = (*pending, *covered)
    if not _confirmed(reached, sth, consistency):
        return VerifiedSlice(entries=(), pending=so_far, verified=verified, frontier=reached)
    ahead = reached.extend(leaf_hash(entry.leaf_input) for entry in beyond)
    return VerifiedSlice(entries=so_far, pending=tuple(beyond), verified=reached, frontier=ahead)


def _confirmed(reached: Frontier, sth: SignedTreeHead, consistency: Sequence[bytes] | None) -> bool:
    """Whether the head's root covers what was read; raises VerificationError where it contradicts it."""
    if reached.size == sth.tree_size:
        if reached.root() != sth.root_hash:
            raise VerificationError(
                f"couldn't verify entries: the root of the {reached.size} leaves that the log gave is not the one "
                "that it signed; nothing more of it is believed until a person has looked"
            )
        return True
    if consistency is None:
        return False
    verify_consistency(reached.size, sth.tree_size, reached.root(), sth.root_hash, consistency)
    # The empty tree is consistent with every tree, and proves nothing.
    return reached.size > 0
