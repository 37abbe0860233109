"""What passes between the warehouse and publishing: findings with their evidence, and versions of STIX objects.

Plain records; nothing here knows of a database or of STIX.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

MILLISECOND: Final = timedelta(milliseconds=1)
HIDDEN: Final = 5
"""`publication.tlp` of what was taken back: above every TLP, so that no reader of any collection gets it."""


def floor(moment: datetime) -> datetime:
    """`moment` in whole milliseconds, which is what STIX times are written in."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that a finding rests on. `since`: first stated so (event time, UTC). `tlp` is 0 to 4."""

    source: str
    source_title: str
    redistribution: bool
    predicate: str
    reference: str
    tlp: int
    personal: bool
    role: str
    since: datetime | None = None


class FindingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A finding, with what publishing needs of its watch.

    `watch_key` is the watch's stable key, which is not its name. `actor` is the watched actor's id as its naming
    authority gives it; `actor_name` is what sources that may be passed on call that actor, under `actor_name_tlp` at
    the least. `released` is false where the watch is from an incident that is not for publication; `incident_tlp` is
    the incident's, 0 without one.
    `lead_bits` is the evidence (bits) by which an incident leads to the subject, or to the domain that it stands on;
    None where it is no lead. `lead_families` are the families of evidence that speak for it.
    `event_time` is event time; `found_at`, `changed_at` and `watch_created_at` are recorded times, all UTC.
    """

    id: int
    watch_key: str
    watch_name: str
    watch_created_at: datetime
    actor: str | None
    actor_name: str | None = None
    actor_name_tlp: int = 0
    released: bool
    incident_tlp: int = 0
    rule: str
    novelty: UUID
    subject_kind: str
    subject: str
    item_kind: str
    lapse: bool
    title: str
    severity: int
    status: str
    event_time: datetime | None
    found_at: datetime
    changed_at: datetime
    lead_bits: float | None = None
    lead_families: int = 0
    evidence: tuple[Evidence, ...] = ()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The last version of an object in a collection. `body` is its JSON; `version` and `tlp` as in `publication`."""

    stix_id: str
    type: str
    tlp: int
    version: datetime
    content: UUID
    body: str

    def properties(self) -> dict[str, Any]:
        """The object, read."""
        value: dict[str, Any] = msgspec.json.decode(self.body)
        return value

    @property
    def is_sco(self) -> bool:
        """Whether it is a Cyber-observable Object, which has neither times nor versions (STIX 2.1, section 2.9)."""
        return "created" not in self.properties()

    @property
    def revoked(self) -> bool:
        """Whether it was revoked, which is for good (STIX 2.1, section 3.2)."""
        return self.properties().get("revoked") is True


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an object to append to a collection. `version` None takes the row's `date_added`."""

    stix_id: str
    type: str
    tlp: int
    version: datetime | None
    content: UUID
    body: str
    finding_id: int | None = None
