"""How one label differs from another: two plain labels in, the changes between them out, in words.

A change is one edit (a character replaced, added, left out, or two neighbours swapped: the restricted form of
Damerau's distance) or a character that merely looks different. At most one edit is looked for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from intel.match.glyphs import are_alike, are_twins, is_pair

MAX_TWINS: Final = 3
"""Characters that look different, in one label."""
_EDIT: Final = 100
_LOOKS: Final = 1
_TOO_MANY: Final = 2 * _EDIT


class ChangeKind(StrEnum):
    """What was done to a label."""

    REPLACED = "letter replaced"
    ADDED = "letter added"
    LEFT_OUT = "letter left out"
    SWAPPED = "letters swapped"
    LOOKS = "homoglyph"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change: `before` in the watched label became `after`, at `place` (counted from 1) of the watched label."""

    kind: ChangeKind
    place: int
    before: str
    after: str

    @property
    def alike(self) -> bool:
        """Whether it is one that a reader does not notice."""
        return self.kind is ChangeKind.LOOKS and (
            len(self.before) != len(self.after) or are_alike(self.before, self.after)
        )

    def __str__(self) -> str:
        if self.kind is ChangeKind.ADDED and self.after.strip("-") == "":
            return "hyphens added" if len(self.after) > 1 else f"a hyphen added, at the {ordinal(self.place)} place"
        where = f"at the {ordinal(self.place)} place"
        match self.kind:
            case ChangeKind.REPLACED:
                return f"one letter replaced: {self.before} by {self.after}, {where}"
            case ChangeKind.ADDED:
                return f"one letter added: {self.after}, {where}"
            case ChangeKind.LEFT_OUT:
                return f"one letter left out: {self.before}, {where}"
            case ChangeKind.SWAPPED:
                return f"two letters swapped: {self.before[0]} and {self.before[1]}, {where}"
        return f"looks alike: {self.after} for {self.before}, {where}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ..."""
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def one_edit(watched: str, label: str) -> Change | None:
    """The single edit that makes `label` of `watched`; None where there is none, or where they are equal."""
    longer = len(label) - len(watched)
    if watched == label or not -1 <= longer <= 1:
        return None
    shorter = min(len(watched), len(label))
    start = 0
    while start < shorter and watched[start] == label[start]:
        start += 1
    end = 0
    while end < shorter - start and watched[-1 - end] == label[-1 - end]:
        end += 1
    before, after = watched[start : len(watched) - end], label[start : len(label) - end]
    if longer == 1 and not before:
        return Change(kind=ChangeKind.ADDED, place=start + 1, before="", after=after)
    if longer == -1 and not after:
        return Change(kind=ChangeKind.LEFT_OUT, place=start + 1, before=before, after="")
    if len(before) == 1 and len(after) == 1:
        kind = ChangeKind.LOOKS if are_twins(before, after) else ChangeKind.REPLACED
        return Change(kind=kind, place=start + 1, before=before, after=after)
    if len(before) == 2 and before == after[::-1]:
        return Change(kind=ChangeKind.SWAPPED, place=start + 1, before=before, after=after)
    return None


def twins(watched: str, label: str) -> tuple[Change, ...] | None:
    """Where two labels of one length that fold to the same differ; None where that is in more than three places."""
    found = tuple(
        Change(kind=ChangeKind.LOOKS, place=place + 1, before=before, after=after)
        for place, (before, after) in enumerate(zip(watched, label, strict=True))
        if before != after
    )
    return found if len(found) <= MAX_TWINS else None


_Cell = tuple[int, int, int, Change | None]  # cost so far, where it came from, how


def changes(watched: str, label: str) -> tuple[Change, ...] | None:
    """The cheapest changes that make `label` of `watched`: at most one edit, and up to three that only look different.

    None where it takes more. Equal labels take none. The time is that of the product of the lengths.
    """
    if abs(len(watched) - len(label)) > MAX_TWINS + 1:
        return None
    table: list[list[_Cell]] = [[(_TOO_MANY, 0, 0, None)] * (len(label) + 1) for _ in range(len(watched) + 1)]
    table[0][0] = (0, 0, 0, None)
    for row in range(len(watched) + 1):
        # A band around the diagonal: no more than one edit and three pairs can shift what follows.
        first = max(0, row - MAX_TWINS - 1)
        for column in range(first, min(len(label), row + MAX_TWINS + 1) + 1):
            if row or column:
                table[row][column] = _cheapest(table, watched, label, row, column)
    cost = table[-1][-1][0]
    if cost >= _TOO_MANY or cost % _EDIT > MAX_TWINS * _LOOKS:
        return None
    found: list[Change] = []
    row, column = len(watched), len(label)
    while row or column:
        _, row, column, change = table[row][column]
        if change is not None:
            found.append(change)
    return tuple(reversed(found))


def _cheapest(table: list[list[_Cell]], watched: str, label: str, row: int, column: int) -> _Cell:
    best: _Cell = (_TOO_MANY, row, column, None)
    for back, over, cost, kind in _steps(watched, label, row, column):
        before = table[row - back][column - over][0]
        if before + cost < best[0]:
            change = None
            if kind is not None:
                change = Change(
                    kind=kind,
                    place=row - back + 1,
                    before=watched[row - back : row],
                    after=label[column - over : column],
                )
            best = (before + cost, row - back, column - over, change)
    return best


def _steps(watched: str, label: str, row: int, column: int) -> list[tuple[int, int, int, ChangeKind | None]]:
    """The ways into a cell: characters of `watched`, characters of `label`, cost, and what that is."""
    steps: list[tuple[int, int, int, ChangeKind | None]] = []
    if row and column:
        one, other = watched[row - 1], label[column - 1]
        if one == other:
            steps.append((1, 1, 0, None))
        elif are_twins(one, other):
            steps.append((1, 1, _LOOKS, ChangeKind.LOOKS))
        else:
            steps.append((1, 1, _EDIT, ChangeKind.REPLACED))
        two, others = watched[max(row - 2, 0) : row], label[max(column - 2, 0) : column]
        if len(others) == 2 and is_pair(others, one):
            steps.append((1, 2, _LOOKS, ChangeKind.LOOKS))
        if len(two) == 2 and is_pair(two, other):
            steps.append((2, 1, _LOOKS, ChangeKind.LOOKS))
        if len(two) == 2 and two == others[::-1] and two[0] != two[1]:
            steps.append((2, 2, _EDIT, ChangeKind.SWAPPED))
    if column:
        steps.append((0, 1, _EDIT, ChangeKind.ADDED))
    if row:
        steps.append((1, 0, _EDIT, ChangeKind.LEFT_OUT))
    return steps
