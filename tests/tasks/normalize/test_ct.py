from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct import LoggedEntry, logged_entry, read_leaf
from intel.errors import VerificationError
from intel.merkle import Frontier
from lab.certificates import key_from_seed, spki_der
from lab.ct import CtLog
from tasks.normalize.ct import VerifiedSlice, verify_slice


def a_log(size: int) -> CtLog:
    log = CtLog()
    for number in range(size):
        log.append_raw(b"\0\0leaf %d" % number)
    return log


def entries_of(log: CtLog, start: int, end: int) -> list[LoggedEntry]:
    return [logged_entry(at, *log._entries[at]) for at in range(start, end)]


LOG = a_log(50)


def test_entries_up_to_the_head_are_verified() -> None:
    result = verify_slice(Frontier(), entries_of(LOG, 0, 50), LOG.tree_head(), LOG.key_der)
    assert [entry.index for entry in result.entries] == list(range(50))
    assert result.pending == ()
    assert result.verified == result.frontier
    assert result.verified.root() == LOG.tree_head().root_hash
    again = verify_slice(result.verified, [], LOG.tree_head(), LOG.key_der)
    assert again.entries == ()
    assert again.verified == result.verified


def test_nothing_is_released_before_the_head_is_reached() -> None:
    first = verify_slice(Frontier(), entries_of(LOG, 0, 20), LOG.tree_head(), LOG.key_der)
    assert first.entries == ()
    assert len(first.pending) == 20
    assert first.verified == Frontier()
    assert first.frontier.size == 20
    second = verify_slice(first.frontier, entries_of(LOG, 20, 50), LOG.tree_head(), LOG.key_der, before=first)
    assert [entry.index for entry in second.entries] == list(range(50))
    assert second.verified.size == 50


def test_a_consistency_proof_releases_a_slice_before_the_head() -> None:
    proof = LOG._tree.consistency(20, 50)
    result = verify_slice(Frontier(), entries_of(LOG, 0, 20), LOG.tree_head(), LOG.key_der, consistency=proof)
    assert len(result.entries) == 20
    assert result.verified.size == 20
    flipped = [*entries_of(LOG, 0, 19), logged_entry(19, b"\0\0forged", b"")]
    for entries, wrong in ((flipped, proof), (entries_of(LOG, 0, 20), proof[:-1]), (entries_of(LOG, 0, 20), [])):
        with pytest.raises(VerificationError):
            verify_slice(Frontier(), entries, LOG.tree_head(), LOG.key_der, consistency=wrong)


def test_entries_beyond_an_older_head_wait_for_the_next() -> None:
    first = verify_slice(Frontier(), entries_of(LOG, 0, 40), LOG.tree_head(30), LOG.key_der)
    assert len(first.entries) == 30
    assert [entry.index for entry in first.pending] == list(range(30, 40))
    assert (first.verified.size, first.frontier.size) == (30, 40)
    second = verify_slice(first.frontier, entries_of(LOG, 40, 50), LOG.tree_head(), LOG.key_der, before=first)
    assert [entry.index for entry in second.entries] == list(range(30, 50))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 50), max_size=6), st.integers(1, 50))
def test_however_the_slices_are_cut_each_entry_is_released_once(cuts: list[int], head_at: int) -> None:
    frontier = Frontier()
    before: VerifiedSlice | None = None
    released: list[int] = []
    edges = sorted({0, *cuts, 50})
    for start, end in itertools.pairwise(edges):
        head = LOG.tree_head(head_at) if start < head_at and frontier.size <= head_at else LOG.tree_head()
        before = verify_slice(frontier, entries_of(LOG, start, end), head, LOG.key_der, before=before)
        frontier = before.frontier
        released += [entry.index for entry in before.entries]
        assert before.verified.size == len(released)
        assert before.verified.size + len(before.pending) == before.frontier.size == end
    assert before is not None
    last = verify_slice(frontier, [], LOG.tree_head(), LOG.key_der, before=before)
    assert released + [entry.index for entry in last.entries] == list(range(50))


def refused(frontier: Frontier, entries: list[LoggedEntry], log: CtLog, key: bytes | None = None) -> None:
    with pytest.raises(VerificationError):
        verify_slice(frontier, entries, log.tree_head(), key or log.key_der)


def test_every_flipped_octet_of_a_leaf_is_noticed() -> None:
    log = a_log(4)
    for at in range(4):
        entries = entries_of(log, 0, 4)
        leaf = entries[at].leaf_input
        entries[at] = logged_entry(at, leaf[:-1] + bytes((leaf[-1] ^ 1,)), b"")
        refused(Frontier(), entries, log)


def test_a_wrong_root_is_noticed() -> None:
    log = a_log(4)
    log.faults.wrong_root = True
    refused(Frontier(), entries_of(log, 0, 4), log)


def test_a_bad_signature_is_noticed() -> None:
    log = a_log(4)
    refused(Frontier(), entries_of(log, 0, 4), log, spki_der(key_from_seed("another log")))
    log.faults.bad_signature = True
    refused(Frontier(), entries_of(log, 0, 4), log)


def test_a_shrinking_tree_is_noticed() -> None:
    log = a_log(4)
    frontier = verify_slice(Frontier(), entries_of(log, 0, 4), log.tree_head(), log.key_der).verified
    log.faults.shrunk_to = 3
    refused(frontier, [], log)


def test_a_forked_log_is_noticed() -> None:
    frontier = verify_slice(Frontier(), entries_of(LOG, 0, 10), LOG.tree_head(10), LOG.key_der).verified
    fork = CtLog()
    for number in range(10, 20):
        fork.append_raw(b"\0\0other %d" % number)
    refused(frontier, [], fork)
    refused(frontier, [logged_entry(10 + at, fork._entries[at][0], b"") for at in range(10)], fork)


def test_entries_that_do_not_follow_are_noticed() -> None:
    refused(Frontier(), entries_of(LOG, 1, 50), LOG)
    refused(Frontier(), [*entries_of(LOG, 0, 10), *entries_of(LOG, 11, 50)], LOG)


def test_unreadable_leaves_are_verified_like_others() -> None:
    result = verify_slice(Frontier(), entries_of(LOG, 0, 50), LOG.tree_head(), LOG.key_der)
    assert all(entry.entry is None and entry.fault for entry in result.entries)


def test_pending_entries_belong_to_their_frontier() -> None:
    first = verify_slice(Frontier(), entries_of(LOG, 0, 20), LOG.tree_head(), LOG.key_der)
    with pytest.raises(ValueError, match="frontier"):
        verify_slice(Frontier(), entries_of(LOG, 0, 20), LOG.tree_head(), LOG.key_der, before=first)


def test_a_slice_cannot_be_changed() -> None:
    result: VerifiedSlice = verify_slice(Frontier(), [], a_log(0).tree_head(), LOG.key_der)
    with pytest.raises(AttributeError):
        result.entries = ()  # type: ignore[misc]  # what is tested
    assert msgspec.structs.asdict(result)["entries"] == ()


def test_the_lab_log_writes_leaves_that_can_be_read() -> None:
    from lab.certificates import Authority, Order

    log = CtLog()
    log.append(Authority().issue(Order(names=("a.example",), key=key_from_seed("a"))))
    assert read_leaf(entries_of(log, 0, 1)[0].leaf_input).logged_at == log._clock()
