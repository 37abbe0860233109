"""Watch items of the benchmarks as the set that a reader matches against, without a warehouse between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from intel.match.certificates import WatchSet
from lab.bench._ct_lists import Row

_KINDS: Final = {"ip": "address", "domain": "name", "certificate": "certificate", "public-key": "key"}


def watch_set(rows: Iterable[Row]) -> WatchSet:
    """The set of these items (`lab/bench/_ct_lists.py`)."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for match, kind, value in rows:
        by, _, pattern = value.partition(":") if kind == "pattern" else (_KINDS.get(kind, match), "", value)
        found[by].add(pattern)
    return WatchSet(
        scopes=frozenset(found["scope"]),
        subtrees=frozenset(found["subtree"]),
        names=frozenset(found["name"]),
        addresses=frozenset(found["address"]),
        certificates=frozenset(bytes.fromhex(value.removeprefix("sha256:")) for value in found["certificate"]),
        keys=frozenset(bytes.fromhex(value.removeprefix("sha256:")) for value in found["key"]),
        lookalikes=frozenset(found["lookalike"]),
        keywords=frozenset(found["keyword"]),
        issuers=frozenset(found["issuer"]),
        subjects=frozenset(found["subject"]),
        serials=frozenset(found["serial"]),
    )
