"""STIX patterns: a reader of the STIX Patterning grammar (STIX 2.1 section 9, which holds that of 2.0).

Comes in: the text of an indicator's `pattern`. Goes out: a `Pattern`, the comparisons in groups that were joined by one
operator. What is compared is read; nothing is matched against anything.

`intel.stix_grammar` reads the grammar; here the common form is read without it, and the tree becomes groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import msgspec

from intel.errors import OversizedError, ReadError
from intel.stix_grammar import MAX_DEPTH, Comparison, Node, Parser, Step

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "Comparison", "Group", "Pattern", "Step", "read_pattern"]

MAX_LENGTH: Final = 262_144


class Group(msgspec.Struct, frozen=True):
    """Comparisons that stand side by side under one operator: `AND`, `OR`, or nothing where there is but one.

    `partial` says that what they name is not enough for the pattern: something outside the group must hold as well.
    """

    comparisons: tuple[Comparison, ...]
    operator: str = ""
    partial: bool = False


class Pattern(msgspec.Struct, frozen=True):
    """A pattern's comparisons, and the qualifiers that stood in it (`WITHIN 5 SECONDS`, ...)."""

    groups: tuple[Group, ...]
    qualifiers: tuple[str, ...] = ()

    @property
    def comparisons(self) -> Iterator[Comparison]:
        """All of them, in the order of their groups."""
        return (comparison for group in self.groups for comparison in group.comparisons)


def read_pattern(text: str) -> Pattern:
    """The pattern that `text` is. Raises ReadError with the position where it is none, OversizedError past the caps."""
    quick = _single(text)
    if quick is not None:
        return Pattern((Group((quick,)),))
    if len(text) > MAX_LENGTH:
        raise OversizedError(f"couldn't read a pattern: more than {MAX_LENGTH} characters; its indicator is rejected")
    parser = Parser(text)
    tree = parser.pattern()
    return Pattern(tuple(_groups(tree, partial=False)), tuple(parser.qualifiers))


def _single(text: str) -> Comparison | None:
    """The comparison of `[type:path = 'value']`, the form of nearly every indicator; None for any other."""
    if not text.startswith("[") or not text.endswith("']"):
        return None
    left, equals, right = text[1:-2].partition("=")
    value = right.removeprefix(" ")
    if not equals or not value.startswith("'"):
        return None
    value = value[1:]
    if "'" in value or "\\" in value:
        return None
    path = _known_path(left.removesuffix(" "))
    return None if path is None else Comparison(path[0], path[1], "=", (value,))


@lru_cache(maxsize=1024)
def _known_path(text: str) -> tuple[str, tuple[Step, ...]] | None:
    # A slash may begin a comment, which would swallow what was cut off behind it.
    if len(text) > 200 or "/" in text:
        return None
    try:
        return Parser(text).lone_path()
    except ReadError:
        return None


# --- from the tree to groups


def _groups(tree: Node | Comparison, *, partial: bool) -> Iterator[Group]:
    """The comparisons right below one operator are a group; what lies deeper are groups of their own."""
    if isinstance(tree, Comparison):
        yield Group((tree,), "", partial)
        return
    together = tree.operator != "OR"
    direct = tuple(part for part in tree.parts if isinstance(part, Comparison))
    deeper = [part for part in tree.parts if not isinstance(part, Comparison)]
    if tree.outer:
        # Each part is an observation of its own: never one object, hence never one group.
        for part in tree.parts:
            yield from _groups(part, partial=partial or together)
        return
    if direct:
        operator = tree.operator if len(direct) > 1 else ""
        yield Group(direct, operator, partial or (together and bool(deeper)))
    for part in deeper:
        yield from _groups(part, partial=partial or together)
