"""How values, times and sources are written in a report: Markdown in which nothing from outside can act. Pure.

A value stands in a code span, cut, on one line; people's data is masked wherever it stands, in a URL's user part too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from intel.entities import masked
from intel.facts import TLP
from tasks.enrich.records import Claim, Count, Thing

LONGEST: Final = 120
# Bounded and anchored on "@": linear.
_MAIL: Final = re.compile(r"([^\s@<>\"'`/:;,()\[\]|=&?]{1,64})@(?=[A-Za-z0-9])")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_ACTIVE: Final = re.compile(r"([\\`*_{}\[\]<>|#])")


def clean(text: str, longest: int = LONGEST) -> str:
    """One line without control and direction marks, e-mail addresses masked, at most `longest` characters."""
    line = _UNSAFE.sub(" ", text).strip()
    line = _MAIL.sub(lambda match: f"{match[1][0]}***@", line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def code(text: str) -> str:
    """A value in a code span, where neither links nor Markdown come alive; a bar would end a table's cell."""
    return f"`{clean(text).replace('`', chr(39)).replace('|', '¦')}`"


def prose(text: str) -> str:
    """A text from outside within a sentence."""
    return _ACTIVE.sub(r"\\\1", clean(text))


def prose_long(text: str) -> str:
    """A sentence of ours within another: it may be longer than a value."""
    return _ACTIVE.sub(r"\\\1", clean(text, 500))


def show(thing: Thing | None) -> str:
    """An entity or literal as a code span, masked where it may name a person."""
    return "" if thing is None else code(plain(thing))


def plain(thing: Thing) -> str:
    """An entity or literal as text, masked where it may name a person."""
    if not thing.personal:
        return clean(thing.value)
    return masked(thing.kind, thing.value, personal=True)


def command(*words: str) -> str:
    """A command to copy; values are quoted for a shell."""
    return "`" + _UNSAFE.sub(" ", " ".join(shlex.quote(word) for word in words)).replace("`", "") + "`"


def day(at: datetime | None) -> str:
    """A time to the minute, UTC; a day where it has no hour."""
    if at is None:
        return "?"
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute) == (0, 0) else f"{at:%Y-%m-%d %H:%M}"


def span(first: datetime | None, last: datetime | None) -> str:
    """From when to when; None at the end: it still stands."""
    if first is None:
        return "times unknown"
    if last is None:
        return f"since {day(first)}"
    return day(first) if first == last else f"{day(first)} to {day(last)}"


def sources(names: Iterable[str]) -> str:
    """Sources in their order."""
    return ", ".join(prose(name) for name in names) or "no source"


def tlp(level: int) -> str:
    """A TLP label."""
    return TLP(level).label


def of(shown: int, count: Count | None) -> str:
    """`25 of at least 2000 shown`, empty where all are."""
    if count is None or (count.total <= shown and not count.capped):
        return ""
    return f"{shown} of {'at least ' if count.capped else ''}{count.total} shown, the most recent first."


def said_by(claim: Claim) -> str:
    """A source with its reliability."""
    return f"{prose(claim.source)} ({claim.reliability})"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table; its cells are written by the functions above."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
