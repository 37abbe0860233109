"""Reads a log of RFC 6962: get-sth, get-entries, proofs. See `LogReader` for what goes in and out.

Ranges are aligned, so that caches in front of a log can answer them. A log gives at most so many entries at once and
does not say how many: that is learned from its short answers, and the rest of a range is asked for where it ended.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from functools import partial
from threading import Event
from typing import Final, TypeVar

from intel.ct import (
    SignedTreeHead,
    read_consistency,
    read_entries,
    read_entry_and_proof,
    read_signed_tree_head,
)
from intel.ct_answer import Answer, AnswerFormat
from intel.ct_proof import read_inclusion_proof
from intel.errors import CollectError, LapsewatchError, OversizedError, ReadError, StatusError
from intel.merkle import Frontier, verify_consistency, verify_inclusion
from tasks.collect import ct_reader
from tasks.collect.ct import (
    get_entries,
    get_entry_and_proof,
    get_proof_by_hash,
    get_sth,
    get_sth_consistency,
)
from tasks.collect.ct_ask import Asker
from tasks.collect.ct_reader import Got, Job, Place, check_range
from tasks.collect.http import HttpLimits

T = TypeVar("T")

_WIDEST: Final = 512
_NARROWEST: Final = 16
"""Where a log refuses even so many, their number is not what it minds."""
_TRY_WIDER: Final = 64


class Width:
    """How many entries a log gives at once, as far as it has shown; shared by the threads that ask it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._shorts: deque[int] = deque(maxlen=4)
        self._full = 0
        self._try_wider = _TRY_WIDER
        self._width = _WIDEST

    def behind(self, at: int, end: int) -> int:
        """Where the range from `at` on ends: at a multiple of the width, or at `end`."""
        with self._guard:
            return min((at // self._width + 1) * self._width, end)

    def gave(self, at: int, asked: int, count: int) -> None:
        """Learn from an answer of `count` entries to a request for `asked` from `at` on."""
        with self._guard:
            if count < asked:
                # Logs cut at their maximum, or at the next multiple of it: after an unaligned start that one shows.
                power = 1 << (count - 1).bit_length()
                self._shorts.append(power if (at + count) % power == 0 else count)
                # One answer may be short for large certificates: the largest of the last few is the log's.
                self._set(max(self._shorts))
                return
            self._full += asked == self._width
            if self._full >= self._try_wider and self._width < _WIDEST:
                # What made answers short may have passed; if not, it is asked less and less often.
                self._try_wider = min(16 * self._try_wider, 1 << 20)
                self._shorts.clear()
                self._set(2 * self._width)

    def refused(self, asked: int) -> bool:
        """Learn that the log did not like a request for so many; whether it may like one for fewer."""
        with self._guard:
            if asked <= _NARROWEST:
                return False
            self._set(min(self._width, max(_NARROWEST, asked // 2)))
            return True

    def _set(self, width: int) -> None:
        self._full = 0
        self._width = max(1, min(width, _WIDEST))


class Rfc6962Reader:
    """A log that is asked by RFC 6962."""

    protocol = "rfc6962"

    def __init__(self, asker: Asker, place: Place) -> None:
        self.pace = asker.pace
        self._asker, self._place = asker, place
        self._width = Width()

    def head(self) -> SignedTreeHead:
        return ct_reader.signed_head(self._ask(get_sth), self._checked)

    def _checked(self, body: bytes) -> SignedTreeHead:
        head = read_signed_tree_head(body)
        head.verify(self._place.key)
        return head

    def answers(
        self,
        first: int,
        next: int,  # noqa: A002 - the word of the records that it fills
        head: SignedTreeHead,
        *,
        until: float = float("inf"),
    ) -> Generator[Answer]:
        check_range(first, next, head)
        most = -(-(next - first) // _NARROWEST)
        return ct_reader.ahead(self._asker, self._ranges(first, next), self._range, most=most, until=until)

    def _ranges(self, at: int, end: int) -> Iterator[Job]:
        while at < end:
            behind = self._width.behind(at, end)
            yield at, behind
            at = behind

    def _range(self, job: Job, stop: Event) -> Got:
        """All of a range, in as many answers as the log makes of it; or what it gave of it before it gave no more."""
        at, end = job
        answers: list[Answer] = []
        while at < end:
            behind = self._width.behind(at, end)
            try:
                body, count = self._asker.ask_sized(partial(self._entries, at, behind), stop)
            except (CollectError, ReadError) as error:
                if self._likes_fewer(error, behind - at):
                    continue
                if not answers:
                    raise
                return Got(answers, error)
            self._width.gave(at, behind - at, count)
            answers.append(Answer(format=AnswerFormat.ENTRIES, begins=at, first=at, next=at + count, body=body))
            at += count
        return Got(answers)

    def _likes_fewer(self, error: LapsewatchError, asked: int) -> bool:
        # A status is about the range where it is about the request at all (RFC 9110 15.5).
        about = isinstance(error, StatusError) and error.status in {400, 413, 414, 416, 422}
        return (about or isinstance(error, OversizedError)) and self._width.refused(asked)

    def _entries(self, at: int, behind: int, limits: HttpLimits) -> tuple[bytes, int]:
        return get_entries(self._asker.client, self._place.url, at, behind - 1, limits=limits)

    def frontier(self, size: int, head: SignedTreeHead) -> Frontier:
        check_range(0, size, head)
        if size == 0:
            return Frontier()
        frontier = Frontier.from_last_leaf(*self._last_leaf(size))
        proof = self.consistency(size, head)
        verify_consistency(size, head.tree_size, frontier.root(), head.root_hash, proof)
        return frontier

    def _last_leaf(self, size: int) -> tuple[bytes, int, list[bytes]]:
        """The hash of the last leaf of the tree of `size`, `size`, and its audit path."""
        last = size - 1
        try:
            logged, path = read_entry_and_proof(self._ask(get_entry_and_proof, last, size), last)
        except StatusError as error:
            if error.status >= 500:
                raise
            # Some logs do not serve that call.
            logged = read_entries(self._asker.ask_sized(partial(self._entries, last, size))[0], last)[0]
            _, path = read_inclusion_proof(self._ask(get_proof_by_hash, logged.leaf_hash, size))
        return logged.leaf_hash, size, path

    def consistency(self, first: int, head: SignedTreeHead) -> tuple[bytes, ...]:
        check_range(first, head.tree_size, head)
        if first in {0, head.tree_size}:
            return ()
        return tuple(read_consistency(self._ask(get_sth_consistency, first, head.tree_size)))

    def prove(self, index: int, leaf_hash: bytes, head: SignedTreeHead) -> tuple[bytes, ...]:
        check_range(index, index + 1, head)
        size = head.tree_size
        at, path = read_inclusion_proof(self._ask(get_proof_by_hash, leaf_hash, size))
        if at != index:  # the same leaf was logged twice
            _, path = read_entry_and_proof(self._ask(get_entry_and_proof, index, size), index)
        verify_inclusion(leaf_hash, index, size, path, head.root_hash)
        return tuple(path)

    def index_at(self, moment: datetime, head: SignedTreeHead) -> int:
        return ct_reader.search(moment, head, self._one)

    def _one(self, index: int) -> Answer:
        body, _ = self._asker.ask_sized(partial(self._entries, index, index + 1))
        return Answer(format=AnswerFormat.ENTRIES, begins=index, first=index, next=index + 1, body=body)

    def issuer(self, fingerprint: bytes) -> bytes:
        raise ReadError(
            f"couldn't get the issuer {fingerprint.hex()} of {self._place.name}: a log of RFC 6962 serves chains with"
            " its entries alone"
        )

    def _ask(self, call: Callable[..., T], *arguments: object) -> T:
        return self._asker.ask(partial(call, self._asker.client, self._place.url, *arguments))
