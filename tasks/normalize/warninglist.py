"""MISP warning lists: a newer copy of a list that says what is shared (configs/hubs.yaml) in; rejects out.

It states no facts: the document is kept, and tasks/pivot/newer_lists.py takes it in the place of the older copy.
"""

from __future__ import annotations

from collections.abc import Iterator

from intel.config.sources import Source
from intel.facts import Fact, RawDocument, Reject
from intel.warning_lists import read_warning_list


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Nothing, where the document is a list. Raises ReadError where it is none."""
    del source
    read_warning_list(document.body)
    yield from ()
