"""What readers of logs have in common: the search for a moment, issuers, answers in order."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple

from db import documents
from intel.ct import SignedTreeHead
from intel.ct_answer import Answer, read_answer
from intel.errors import LapsewatchError, ReadError, VerificationError
from tasks.collect.ct_ahead import in_order
from tasks.collect.ct_ask import Asker
from tasks.collect.ct_tiles import get_issuer

Job = tuple[int, int]
"""Entries that are asked for together: from, to."""
_GRACE_SECONDS: Final = 15.0
"""What was asked for in time is waited for so long."""
_UNREADABLE: Final = 8
"""Answers on end that the search for a moment passes over."""


class Got(NamedTuple):
    """What a job brought, in order, and what went wrong behind it."""

    answers: Sequence[Answer]
    cut: LapsewatchError | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """A log: its source's name, its URL or monitoring prefix, its key (SPKI in DER), and where documents are kept."""

    name: str
    url: str
    key: bytes
    documents: Path


def signed_head(body: bytes, read: Callable[[bytes], SignedTreeHead]) -> SignedTreeHead:
    """The head in an answer that `read` reads and checks. What does not add up is kept with the error."""
    try:
        return read(body)
    except VerificationError as error:
        raise VerificationError(str(error), evidence=body) from error


def check_range(first: int, behind: int, head: SignedTreeHead) -> None:
    """Raises ValueError where the head's tree has no entries `first` to `behind`."""
    if not 0 <= first <= behind <= head.tree_size:
        raise ValueError(f"no entries {first} to {behind} in a tree of {head.tree_size}")


def ahead(
    asker: Asker,
    jobs: Iterator[Job],
    work: Callable[[Job, Event], Got],
    *,
    most: int,
    until: float,
) -> Generator[Answer]:
    """The answers to all jobs, in order; `most` is how many jobs there are at most. Nothing begins after `until`."""

    def in_time() -> Iterator[Job]:
        for number, job in enumerate(jobs):
            if number and time.monotonic() >= until:
                return
            yield job

    if most <= 1:
        nobody = Event()
        for job in in_time():
            yield from _given(work(job, nobody))
        return
    results = in_order(
        in_time(),
        work,
        threads=min(most, asker.pace.most),
        weigh=lambda got: sum(len(answer.body) for answer in got.answers),
        cut=asker.cut,
        until=until + _GRACE_SECONDS,
    )
    with closing(results):
        for got in results:
            yield from _given(got)


def _given(got: Got) -> Iterator[Answer]:
    yield from got.answers
    if got.cut is not None:
        raise got.cut


def search(moment: datetime, head: SignedTreeHead, read: Callable[[int], Answer]) -> int:
    """The first entry that was logged at `moment` or later; see `LogReader.index_at`.

    `read` gives an answer that holds an index. Where nobody can read a few answers on end, they count as later: then
    the reading begins before them.
    """
    wanted = moment.timestamp() * 1000
    low, high = 0, head.tree_size  # entries before `low` are earlier, those from `high` on are not
    while low < high:
        middle = (low + high) // 2
        first, behind, times = _stamps(read, middle, low, high)
        later = [index for index, stamp in times if stamp >= wanted]
        if times and not later:
            low = behind
        elif later and later[0] > first:
            return later[0]
        else:
            high = min(first, middle)
    return low


def _stamps(read: Callable[[int], Answer], index: int, low: int, high: int) -> tuple[int, int, list[tuple[int, int]]]:
    """Where the first answer from `index` on that can be read begins and ends, within `low` and `high`, and the index
    and time of its entries.
    """
    first, behind = index, index + 1
    for _ in range(_UNREADABLE):
        answer = read(index)
        first, behind = max(low, answer.first), min(high, answer.next)
        times = [(at, stamp) for at, stamp in _times(answer) if first <= at < behind]
        if times:
            return first, behind, times
        index = answer.next
        if index >= high:
            break
    return first, behind, []


def _times(answer: Answer) -> list[tuple[int, int]]:
    """Index and timestamp of the entries that can be read."""
    try:
        entries = read_answer(answer)
    except ReadError:
        return []
    return [(entry.index, entry.entry.timestamp) for entry in entries if entry.entry is not None]


def issuer(asker: Asker, place: Place, fingerprint: bytes) -> bytes:
    """See `LogReader.issuer`: what is under a SHA-256 never changes, so it is asked for once."""
    try:
        return documents.get(place.documents, fingerprint)
    except ReadError:
        pass  # not had before
    body = asker.ask(lambda: get_issuer(asker.client, place.url, fingerprint))
    if hashlib.sha256(body).digest() != fingerprint:
        raise VerificationError(
            f"couldn't use the issuer {fingerprint.hex()} of {place.name}: the log sent another certificate; it was"
            " dropped"
        )
    documents.put(place.documents, body)
    return body
