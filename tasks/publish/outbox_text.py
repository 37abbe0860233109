"""What a message says: findings in, subject and plain text out.

No links, no live indicators, no people's data, and nothing that a terminal, a mail client or a chat would act on:
titles hold other people's words. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from intel.facts import TLP

LINES: Final = 40
"""Findings that a digest names; the rest is counted."""
LONGEST_TITLE: Final = 160
LONGEST: Final = 300
"""Characters of a finding's line."""
_DOT: Final = re.compile(r"(?<=\w)\.(?=\w)")
# Lengths bound the work. What is masked already has an asterisk before its @.
_EMAIL: Final = re.compile(r"([\w.+-])[\w.+-]{0,63}(@|%40)(?=[\w-]{1,63}\.\w)", re.IGNORECASE)
_SCHEME: Final = re.compile(r"\b(h)tt(ps?)\b", re.IGNORECASE)
_ACTED_ON: Final = str.maketrans({"<": "(", ">": ")", "`": "'"})


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message to people: `title` is one line, `body` plain text."""

    title: str
    body: str


def of_finding(row: Any, *, kind: str) -> Message:
    """The message about one finding; `kind` is new or reopened."""
    head = "Reopened" if kind == "reopened" else "Lapse" if row.lapse else "Finding"
    label = TLP(row.tlp).label
    rule = f"rule {clean(row.rule, LONGEST)}{' (a lapse)' if row.lapse else ''}"
    lines = [
        label,
        clean(row.title, 2 * LONGEST),
        "",
        f"finding {row.finding}, severity {row.severity}, {rule}",
        f"watch {clean(row.watch, LONGEST)}",
    ]
    if row.event_time is not None:
        lines.append(f"so since {_time(row.event_time)}")
    lines.append(f"found {_time(row.found_at)}")
    if kind == "reopened":
        lines.append(f"reopened {_time(row.evidence_at or row.found_at)}: {clean(row.reopened, LONGEST)}")
    lines += ["", f"lapsewatch why {row.finding} says what it rests on"]
    return Message(title=f"[{label}] {head}: {clean(row.title, LONGEST_TITLE)}", body="\n".join(lines))


def of_digest(rows: Sequence[Any], *, day: date, left_out: int) -> Message:
    """The digest of a day: the findings that still stand, the best first; `left_out` do not, or may not be sent."""
    label = TLP(max((row.tlp for row in rows), default=0)).label
    watches = {row.watch for row in rows}
    count = f"{len(rows)} finding{'' if len(rows) == 1 else 's'}"
    lines = [label, f"{count} of {len(watches)} watch{'' if len(watches) == 1 else 'es'} up to {day}", ""]
    lines += [
        f"{row.finding}  {row.severity:>3}  {'lapse: ' if row.lapse else ''}{clean(row.title, LONGEST)}"
        f" ({clean(row.watch, 60)})"
        for row in rows[:LINES]
    ]
    if len(rows) > LINES:
        lines.append(f"and {len(rows) - LINES} more")
    if left_out:
        lines.append(f"{left_out} more waited, and were closed meanwhile or may not be sent here")
    lines += ["", "lapsewatch findings shows the queue"]
    return Message(title=f"[{label}] Digest: {count}", body="\n".join(lines))


def of_test(channel: str) -> Message:
    """A message that says nothing but that it arrived."""
    said = f"This is a test of Lapsewatch's channel {channel}. It says nothing about any finding."
    return Message(title="Test of a channel", body=said)


def without_people(text: str) -> str:
    """The text with e-mail addresses masked: phishing URLs carry the address of whom they were sent to."""
    return _EMAIL.sub(r"\1***\2", text)


def clean(text: str, longest: int) -> str:
    """Others' words as they may be sent: one printable line, defanged, no markup, at most so long."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text[: 4 * longest]).split())
    line = without_people(line)
    words = " ".join(_defanged(word) for word in line.translate(_ACTED_ON).split(" "))
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _defanged(word: str) -> str:
    bare = word.strip("()[],;:'\"").removesuffix(".")
    if bare.count(":") > 1 and _is_v6(bare.partition("/")[0].partition("]")[0]):
        return word.replace(":", "[:]")
    word = _SCHEME.sub(r"\1xx\2", word).replace("://", "[://]").replace("@", "[@]")
    return _DOT.sub("[.]", word)


def _is_v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
