"""Two days of a zone, compared as sorted streams: blocks of lines in, what differs out, in the order of names.

Holds one block of each. Lines that are equal cost a set's look-up; only what differs is taken apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from tasks.load.zones_sort import upper


class Difference(NamedTuple):
    """A name whose line differs: its name servers before and after, empty where it was not there."""

    name: bytes
    before: bytes
    after: bytes


def differences(old: Iterator[list[bytes]], new: Iterator[list[bytes]]) -> Iterator[Difference]:
    """What was added, removed, or has other name servers; lines as `tasks/load/zones_file.py` has them."""
    ours, theirs = next(old, []), next(new, [])
    while ours or theirs:
        if not ours or not theirs:
            yield from _between(ours, theirs)
            ours, theirs = (next(old, []) if ours else []), (next(new, []) if theirs else [])
            continue
        bound = upper(min(ours[-1], theirs[-1]))
        first, second = bisect_left(ours, bound), bisect_left(theirs, bound)
        yield from _between(ours[:first], theirs[:second])
        ours, theirs = ours[first:] or next(old, []), theirs[second:] or next(new, [])


def _between(old: list[bytes], new: list[bytes]) -> Iterator[Difference]:
    if old == new:
        return
    had, have = set(old), set(new)
    before = dict(_parted(line) for line in had - have)
    after = dict(_parted(line) for line in have - had)
    for name in sorted(before.keys() | after.keys()):
        yield Difference(name, before.get(name, b""), after.get(name, b""))


def _parted(line: bytes) -> tuple[bytes, bytes]:
    name, _, hosts = line.partition(b"\t")
    return name, hosts
