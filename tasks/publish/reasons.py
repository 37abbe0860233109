"""Why a finding was made, as text for partners: the title, and who stated what, when, with which reference.

No personal values: of a fact that names people only its source and time are given. Sources that may not be
redistributed are counted, not named.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from db.publishing_records import Evidence, FindingRecord
from tasks.publish.decide import holds_email, names_people

MAX_TITLE: Final = 250
_MAX_FACTS: Final = 50
_MAX_TEXT: Final = 300


def _plain_title(finding: FindingRecord) -> str:
    return f"{finding.rule}: {finding.subject}"


def without_watch(finding: FindingRecord) -> FindingRecord:
    """The finding without what tells what is watched: its title, its actor, and the facts about what it matches."""
    new = tuple(fact for fact in finding.evidence if fact.role != "known")
    return msgspec.structs.replace(finding, title=_plain_title(finding), actor=None, evidence=new)


def published_title(finding: FindingRecord) -> str:
    """The finding's title, or a plain one where the title may name a person."""
    title = _plain_title(finding) if names_people(finding) else finding.title
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "\N{HORIZONTAL ELLIPSIS}"


def reasons(finding: FindingRecord, title: str) -> str:
    """The content of the finding's note."""
    open_facts = sorted({_line(fact) for fact in finding.evidence if fact.redistribution})
    closed = sum(not fact.redistribution for fact in finding.evidence)
    lines = [title, "", f"Rule: {finding.rule}", f"Status: {finding.status}"]
    lines += [f"Since: {_time(finding.event_time)}"] if finding.event_time is not None else []
    lines += ["", "Rests on:", *open_facts[:_MAX_FACTS]]
    if len(open_facts) > _MAX_FACTS:
        lines.append(f"- {len(open_facts) - _MAX_FACTS} more")
    if closed:
        lines.append(f"- facts of sources that may not be passed on: {closed}")
    return "\n".join(lines)


def _line(fact: Evidence) -> str:
    said = f"- {plain(fact.source_title)} ({fact.source}) states {fact.predicate}"
    when = f", first on {_time(fact.since)}" if fact.since is not None else ""
    known = ", known before" if fact.role == "known" else ""
    shown = bool(fact.reference) and not fact.personal and not holds_email(fact.reference)
    return said + when + known + (f"; reference {plain(fact.reference)}" if shown else "")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(text: str) -> str:
    """One line of at most 300 characters: what sources write must not look like a line of ours."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text[:_MAX_TEXT]).split())
