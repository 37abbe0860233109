from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import read_leaf
from intel.errors import VerificationError
from intel.merkle import Frontier, leaf_hash
from lab.certificates import key_from_seed, spki_der
from lab.ct import CtLog
from tasks.normalize.ct import verify_leaves


def a_log(size: int) -> CtLog:
    log = CtLog()
    for number in range(size):
        log.append_raw(b"\0\0leaf %d" % number)
    return log


def leaves(log: CtLog, start: int, end: int) -> list[bytes]:
    return [leaf_hash(log._entries[at].leaf_input) for at in range(start, end)]


LOG = a_log(50)


def test_leaves_up_to_the_head_are_verified() -> None:
    reached = verify_leaves(Frontier(), leaves(LOG, 0, 50), LOG.tree_head(), LOG.key_der)
    assert reached.root() == LOG.tree_head().root_hash
    assert verify_leaves(reached, [], LOG.tree_head(), LOG.key_der) == reached


def test_nothing_is_verified_before_the_head_without_a_proof() -> None:
    with pytest.raises(VerificationError, match="nothing proves"):
        verify_leaves(Frontier(), leaves(LOG, 0, 20), LOG.tree_head(), LOG.key_der)


def test_a_consistency_proof_verifies_leaves_before_the_head() -> None:
    proof = LOG._tree.consistency(20, 50)
    assert verify_leaves(Frontier(), leaves(LOG, 0, 20), LOG.tree_head(), LOG.key_der, consistency=proof).size == 20
    flipped = [*leaves(LOG, 0, 19), leaf_hash(b"\0\0forged")]
    for hashes, wrong in ((flipped, proof), (leaves(LOG, 0, 20), proof[:-1]), (leaves(LOG, 0, 20), [])):
        with pytest.raises(VerificationError):
            verify_leaves(Frontier(), hashes, LOG.tree_head(), LOG.key_der, consistency=wrong)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 49), max_size=6))
def test_however_the_way_is_cut_the_root_is_the_same(cuts: list[int]) -> None:
    frontier = Frontier()
    for start, end in itertools.pairwise(sorted({0, *cuts, 50})):
        proof = LOG._tree.consistency(end, 50) if end < 50 else None
        frontier = verify_leaves(frontier, leaves(LOG, start, end), LOG.tree_head(), LOG.key_der, consistency=proof)
    assert frontier.root() == LOG.tree_head().root_hash


def refused(frontier: Frontier, hashes: Sequence[bytes], log: CtLog, key: bytes | None = None) -> None:
    with pytest.raises(VerificationError):
        verify_leaves(frontier, hashes, log.tree_head(), key or log.key_der)


def test_every_flipped_leaf_is_noticed() -> None:
    log = a_log(4)
    for at in range(4):
        hashes = leaves(log, 0, 4)
        hashes[at] = hashes[at][:-1] + bytes((hashes[at][-1] ^ 1,))
        refused(Frontier(), hashes, log)


def test_a_wrong_root_and_a_bad_signature_are_noticed() -> None:
    log = a_log(4)
    refused(Frontier(), leaves(log, 0, 4), log, spki_der(key_from_seed("another log")))
    log.faults.wrong_root = True
    refused(Frontier(), leaves(log, 0, 4), log)
    log.faults.wrong_root = False
    log.faults.bad_signature = True
    refused(Frontier(), leaves(log, 0, 4), log)


def test_a_shrinking_tree_is_noticed() -> None:
    log = a_log(4)
    frontier = verify_leaves(Frontier(), leaves(log, 0, 4), log.tree_head(), log.key_der)
    log.faults.shrunk_to = 3
    refused(frontier, [], log)


def test_a_forked_log_is_noticed() -> None:
    frontier = verify_leaves(Frontier(), leaves(LOG, 0, 10), LOG.tree_head(10), LOG.key_der)
    fork = CtLog()
    for number in range(10, 20):
        fork.append_raw(b"\0\0other %d" % number)
    refused(frontier, [], fork)
    refused(frontier, leaves(fork, 0, 10), fork)


def test_leaves_that_do_not_follow_are_noticed() -> None:
    refused(Frontier(), leaves(LOG, 1, 50), LOG)
    refused(Frontier(), [*leaves(LOG, 0, 10), *leaves(LOG, 11, 50)], LOG)


def test_the_lab_log_writes_leaves_that_can_be_read() -> None:
    from lab.certificates import Authority, Order

    log = CtLog()
    log.append(Authority().issue(Order(names=("a.example",), key=key_from_seed("a"))))
    assert read_leaf(log._entries[0].leaf_input).logged_at == log._clock()
