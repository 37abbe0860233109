"""Checks what a log gave before anything is judged by it: leaf hashes and a signed tree head in, a frontier out.

RFC 6962 section 2.1. Every leaf goes into the frontier, and the frontier's root must be the one that the log signed.
Between two heads a consistency proof does the same for the entries so far, so that a long way to the head can be
judged and committed piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from intel.ct import SignedTreeHead
from intel.errors import VerificationError
from intel.merkle import Frontier, verify_consistency


def verify_leaves(
    frontier: Frontier,
    leaf_hashes: Iterable[bytes],
    head: SignedTreeHead,
    key: bytes,
    *,
    consistency: Sequence[bytes] | None = None,
) -> Frontier:
    """The frontier behind the leaves that follow `frontier`, confirmed by the signed head.

    Where they end before the head's tree does, `consistency` has to prove that the head's tree continues the one that
    ends with them. `key` is the log's SPKI in DER.

    Raises VerificationError on a bad signature, a root or proof that does not match, and a tree that is smaller than
    what was read of it; nothing that the leaves hold may then be used.
    """
    head.verify(key)
    reached = frontier.extend(leaf_hashes)
    if reached.size > head.tree_size:
        raise VerificationError(
            f"couldn't verify entries: the log signed {head.tree_size} leaves and {reached.size} were read of it;"
            " nothing more is read until it has grown again"
        )
    if reached.size == head.tree_size:
        if reached.root() != head.root_hash:
            raise VerificationError(
                f"couldn't verify entries: the root of the {reached.size} leaves that the log gave is not the one"
                " that it signed; nothing more of it is believed until a person has looked"
            )
    elif consistency is None:
        raise VerificationError(
            f"couldn't verify entries: {reached.size} leaves end before the head of {head.tree_size}, and nothing"
            " proves that they belong to its tree; they are left"
        )
    else:
        verify_consistency(reached.size, head.tree_size, reached.root(), head.root_hash, consistency)
    return reached
