"""What a log answered when it was asked for entries: a body and its format in, logged entries out.

An answer is what goes from the one who asks a log to the ones who read what it gave.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from intel.ct import LoggedEntry, read_entries
from intel.ct_static import read_data_tile


class AnswerFormat(StrEnum):
    """How the entries of an answer are written."""

    ENTRIES = "entries"
    """The JSON of get-entries (RFC 6962 4.6)."""
    TILE = "tile"
    """A data tile (static-ct-api), unpacked."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Entries as a log gave them.

    `begins` is the index of the first entry in `body`. Of them, those from `first` to `next` (not included) are
    wanted: a tile may hold more on both sides.
    """

    format: AnswerFormat
    begins: int
    first: int
    next: int
    body: bytes


def read_answer(answer: Answer) -> list[LoggedEntry]:
    """The wanted entries, in order; fewer where the answer is short. Raises ReadError where it cannot be read."""
    read = read_entries if answer.format is AnswerFormat.ENTRIES else read_data_tile
    return read(answer.body, answer.begins)[answer.first - answer.begins : answer.next - answer.begins]
