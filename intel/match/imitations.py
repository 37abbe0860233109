"""Whether one label imitates another, and how: two labels in, a verdict in words out.

The rules depend on the length of the watched label, hyphens not counted: of three letters, nearly every edit is
somebody's name; of eight, hardly any is. Where the limits lie was measured on a million well-known names
(`make bench NAME=lookalikes`).
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from intel.match.changes import Change, ChangeKind, changes, one_edit, ordinal, twins
from intel.match.glyphs import collapsed, folded, plain

MIN_LOOKS: Final = 3
"""Letters of a watched label that a label may imitate by looking like it."""
MIN_TOKEN: Final = 3
"""Letters of a watched label that is looked for as a whole between hyphens."""
MIN_INNER: Final = 4
"""Letters of a watched label that is looked for within others, beside words that lures use."""
MIN_ANYWHERE: Final = 8
"""Letters of a watched label that is looked for at the beginning or end of others, whatever is beside it."""
MIN_BELOW: Final = 5
"""Letters of a watched label that is looked for alone below strangers' domains."""
_MIN_EDIT: Final = 5
_MIN_EDIT_AND_LOOKS: Final = 7
_MAX_LURES: Final = 3  # words on each side

_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm")
_NEXT_KEYS: Final = frozenset(
    pair for row in _ROWS for left, right in pairwise(row) for pair in ((left, right), (right, left))
)


class Imitation(StrEnum):
    """How a name imitates a watched one."""

    SUFFIX = "other suffix"
    REPLACED = "letter replaced"
    ADDED = "letter added"
    LEFT_OUT = "letter left out"
    SWAPPED = "letters swapped"
    LOOKS = "homoglyph"
    IDN = "internationalised"
    WORDS = "added words"
    BELOW = "below a stranger's domain"
    DOTTED = "dot within"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a label imitates another, and in words why."""

    how: Imitation
    why: str


def letters(label: str) -> int:
    """The length that the rules go by: hyphens do not count."""
    return len(label) - label.count("-")


def near(watched: str, text: str, bare: str) -> Verdict | None:
    """Whether a label imitates `watched` as a whole: by one edit, by looks, or both.

    `watched` is plain, `text` the label as shown, `bare` its plain form. Equal ones imitate where `text` is not ASCII.
    """
    foreign = "" if text.isascii() else _foreign(text)
    if watched == bare:
        return Verdict(how=Imitation.IDN, why=foreign) if foreign else None
    edit = one_edit(watched, bare)
    found: tuple[Change, ...] | None = (edit,) if edit is not None else None
    if found is None:
        found = _looks(watched, bare)
    if found is None or not _allowed(watched, found):
        return None
    words = "; ".join(str(change) for change in found)
    if foreign:
        return Verdict(how=Imitation.IDN, why=f"{foreign}; {words}")
    kinds = [change.kind for change in found if change.kind is not ChangeKind.LOOKS]
    return Verdict(how=Imitation(kinds[0] if kinds else ChangeKind.LOOKS), why=words)


def _looks(watched: str, bare: str) -> tuple[Change, ...] | None:
    """The changes where letters look different, with one edit at most; None where there is more between the labels."""
    form, other = folded(watched), folded(bare)
    if form == other:
        return twins(watched, bare)
    forms = {form, folded(collapsed(watched))}
    others = {other, folded(collapsed(bare))}
    if not forms.isdisjoint(others):
        return changes(watched, bare)
    if letters(watched) >= _MIN_EDIT_AND_LOOKS and any(one_edit(one, two) for one in forms for two in others):
        return changes(watched, bare)
    hyphens = bare.count("-")
    if hyphens and watched.replace("-", "") == bare.replace("-", ""):
        return (Change(kind=ChangeKind.ADDED, place=0, before="", after="-" * hyphens),)
    return None


def _allowed(watched: str, found: tuple[Change, ...]) -> bool:
    size = letters(watched)
    looks = [change for change in found if change.kind is ChangeKind.LOOKS]
    edits = [change for change in found if change.kind is not ChangeKind.LOOKS]
    if not edits:
        if all(change.alike for change in looks):
            return size >= _MIN_EDIT or _few_looks(size, looks)
        # One letter for another that it only resembles is no more than a letter replaced.
        return size >= _MIN_EDIT or (len(looks) == 1 and _edit_allowed(watched, size, looks[0]))
    if looks:
        return size >= _MIN_EDIT_AND_LOOKS and len(looks) == 1
    return _edit_allowed(watched, size, edits[0])


def _few_looks(size: int, looks: list[Change]) -> bool:
    """Whether a short label is still itself: one letter of three, two of four."""
    if size == MIN_LOOKS:
        return len(looks) == 1 and len(looks[0].before) == len(looks[0].after)
    return size > MIN_LOOKS and len(looks) <= 2


def _edit_allowed(watched: str, size: int, edit: Change) -> bool:
    if size >= _MIN_EDIT:
        return True
    if size < MIN_LOOKS:
        return False
    beside = watched[max(edit.place - 2, 0) : edit.place]
    match edit.kind:
        case ChangeKind.ADDED:
            return size >= 4 or edit.after.strip("-") == "" or edit.after in beside
        case ChangeKind.LEFT_OUT:
            return edit.before == "-" or (size >= 4 and edit.before * 2 in watched)
        case ChangeKind.SWAPPED:
            return size >= 4
    return size >= 4 and (edit.before, edit.after) in _NEXT_KEYS


def within(watched: str, text: str, bare: str, start: int, end: int) -> Verdict | None:
    """Whether a label imitates `watched` by words before or after it: `bare[start:end]` looks like it.

    `watched` and `bare` are plain, `bare` perhaps collapsed; `text` is the label as shown.
    """
    size = letters(watched)
    before, after = bare[:start], bare[end:]
    whole = (not before or before[-1] == "-") and (not after or after[0] == "-")
    if size < (MIN_TOKEN if whole else MIN_INNER) or not (before or after):
        return None
    if not whole and not _beside_lures(size, before, after):
        return None
    looks = _same_looks(watched, bare[start:end])
    if looks is None or (looks and size < _MIN_EDIT):
        return None
    words = ", ".join(part for part in (*before.split("-"), *after.split("-")) if part) or "-"
    why = [_foreign(text)] if not text.isascii() else [] if text == bare else [f"read as {bare}"]
    why += [str(change) for change in looks]
    why.append(f"words added: {words}")
    return Verdict(how=Imitation.WORDS if text.isascii() else Imitation.IDN, why="; ".join(why))


def _beside_lures(size: int, before: str, after: str) -> bool:
    if size >= MIN_ANYWHERE and (not before or not after or before[-1] == "-" or after[0] == "-"):
        return True
    if not (are_lures(before) and are_lures(after)):
        return False
    return size > _MIN_EDIT or any(mark.isalpha() for mark in before + after)


def _same_looks(watched: str, piece: str) -> tuple[Change, ...] | None:
    """What looks different between two labels that do not differ otherwise; None where they do, or resemble only."""
    if piece in {watched, watched.replace("-", "")}:
        return ()
    form = folded(piece)
    if form == folded(watched):
        found: tuple[Change, ...] | None = twins(watched, piece)
    elif form == folded(collapsed(watched)):
        found = changes(watched, piece)
    else:
        return None
    return found if found is not None and all(change.alike for change in found) else None


def _foreign(text: str) -> str:
    """The letters outside ASCII, and what they are taken for."""
    found = [
        f"{mark} (U+{ord(mark):04X}) for {plain(mark) or 'nothing'}, at the {ordinal(place + 1)} place"
        for place, mark in enumerate(text)
        if not mark.isascii()
    ]
    return "internationalised: " + "; ".join(found[:4]) + ("; ..." if len(found) > 4 else "")


@lru_cache(maxsize=8192)
def are_lures(text: str) -> bool:
    """Whether a text is made of up to three words that lures use, numbers and hyphens between them."""
    return _segments(text.strip("-"), _MAX_LURES)


def _segments(text: str, left: int) -> bool:
    text = text.lstrip("-")
    if not text:
        return True
    if not left:
        return False
    lures = _lures()
    return any(
        (text[:end] in lures or text[:end].isdigit()) and _segments(text[end:], left - 1)
        for end in range(len(text), 0, -1)
    )


@lru_cache(maxsize=1)
def _lures() -> frozenset[str]:
    lines = Path(__file__).with_name("lures.txt").read_text("ascii").splitlines()
    return frozenset(word for line in lines for word in line.partition("#")[0].split())
