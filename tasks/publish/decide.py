"""Whether a finding goes into a collection: a pure decision over the finding, its evidence and the collection's entry.

Comes in: a finding with its evidence. Goes out: publish, under which TLP, or withhold, and why.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from db.publishing_records import Evidence, FindingRecord
from intel.config.publishing import CollectionEntry
from intel.entities import PERSONAL, Kind
from intel.facts import TLP

_STANDING: Final = frozenset({"open", "acknowledged", "confirmed"})
# Phishing URLs carry the address of whom they were sent to, and so may texts that quote them. Lengths bound the work.
_EMAIL: Final = re.compile(r"[\w.+-]{1,64}(?:@|%40)[\w-]{1,63}\.\w", re.IGNORECASE)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a finding in a collection. An empty `reason` publishes it, under `tlp`."""

    tlp: TLP
    reason: str = ""

    @property
    def publish(self) -> bool:
        """Whether it goes in."""
        return not self.reason


def decide(finding: FindingRecord, entry: CollectionEntry) -> Decision:
    """Whether `finding` goes into the collection of `entry`; the first reason against it counts."""
    tlp = max(strictest(finding.evidence), TLP(finding.incident_tlp))
    return Decision(tlp=tlp, reason=_reason(finding, entry, tlp))


def strictest(evidence: tuple[Evidence, ...]) -> TLP:
    """The TLP of what rests on `evidence`; RED where it rests on nothing."""
    return TLP(max((fact.tlp for fact in evidence), default=TLP.RED))


def names_people(finding: FindingRecord) -> bool:
    """Whether anything in the finding, its title included, may name a person."""
    return (
        finding.subject_kind in PERSONAL
        or finding.item_kind in PERSONAL
        or any(fact.personal for fact in finding.evidence)
        or holds_email(finding.title)
        or _url_names_people(finding)
    )


def holds_email(text: str) -> bool:
    """Whether something like an e-mail address stands in `text`, percent-encoded or not."""
    return _EMAIL.search(text) is not None


def _url_names_people(finding: FindingRecord) -> bool:
    return finding.subject_kind == Kind.URL and holds_email(finding.subject)


def _reason(finding: FindingRecord, entry: CollectionEntry, tlp: TLP) -> str:
    if finding.status not in _STANDING:
        return f"its status is {finding.status}"
    if not finding.released:
        return "its incident is not for publication"
    if not finding.evidence:
        return "it rests on no fact"
    if tlp > entry.ceiling:
        return f"{tlp.label} is stricter than the collection's {entry.ceiling.label}"
    # What is known already may come from anybody; what is new is what would be passed on.
    new = [fact for fact in finding.evidence if fact.role == "new"] or list(finding.evidence)
    if not any(fact.redistribution for fact in new):
        return "what is new rests only on sources that may not be redistributed"
    if finding.subject_kind in PERSONAL and finding.subject_kind not in entry.people:
        return f"people's data of kind {finding.subject_kind}, which the collection's policy doesn't name"
    if _url_names_people(finding):
        return "people's data: an e-mail address stands in the URL"
    if finding.severity < entry.minimum_severity:
        return f"severity {finding.severity} is below the collection's {entry.minimum_severity}"
    return ""
