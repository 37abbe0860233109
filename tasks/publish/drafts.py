"""Drafts of STIX objects, and what becomes of them in a collection: nothing, a first version, or a later one.

Pure. A draft whose content stands already gives nothing. A version's `modified` is later than the one before it, also
where the clock is not (STIX 2.1, section 3.6). SCOs have no versions; one that stands is replaced only by the same one
under a laxer TLP, so that the order in which findings come does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

import msgspec

from db.publishing_records import MILLISECOND, Standing, Version, floor
from intel.facts import TLP

_TIMES: Final = frozenset({"created", "modified"})
_ORDER: Final = ("marking-definition", "identity", "extension-definition", "intrusion-set", "infrastructure")
_LAST: Final = ("indicator", "note", "relationship")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An object as it should stand. `finding_id` is set where it belongs to one finding."""

    stix_id: str
    type: str
    tlp: TLP
    properties: dict[str, Any]
    finding_id: int | None = None

    @classmethod
    def of(cls, thing: Any, tlp: TLP, finding_id: int | None = None) -> Self:
        """The draft of an object made with stix2."""
        properties = msgspec.json.decode(thing.serialize())
        return cls(
            stix_id=properties["id"], type=properties["type"], tlp=tlp, properties=properties, finding_id=finding_id
        )


def content_digest(properties: Mapping[str, Any]) -> UUID:
    """128 bits of SHA-256 over an object without its times: what tells whether anything changed."""
    kept = {name: value for name, value in properties.items() if name not in _TIMES}
    return UUID(bytes=hashlib.sha256(msgspec.json.encode(kept, order="deterministic")).digest()[:16])


def merge(drafts: Iterable[Draft]) -> list[Draft]:
    """One draft for each id, the laxest where several name an SCO, in the order of publication.

    What refers to others comes after them, so that they are in the same page or an earlier one.
    """
    merged: dict[str, Draft] = {}
    for draft in drafts:
        held = merged.get(draft.stix_id)
        if held is None or draft.tlp < held.tlp:
            merged[draft.stix_id] = draft
    return sorted(merged.values(), key=lambda draft: _rank(draft.type))


def next_versions(drafts: Iterable[Draft], standing: Mapping[str, Standing], now: datetime) -> list[Version]:
    """The versions to append so that the drafts stand; `now` (UTC) is for changes that have no time of their own."""
    versions = (_next(draft, standing.get(draft.stix_id), now) for draft in drafts)
    return [version for version in versions if version is not None]


def revocation(held: Standing, *, changed_at: datetime, now: datetime, finding_id: int | None) -> Version:
    """The version that revokes `held`, marked as what its readers know already."""
    properties = held.properties()
    properties["revoked"] = True
    return _version(properties, TLP(held.tlp), _later(held.version, floor(changed_at), now), finding_id)


def _rank(stix_type: str) -> int:
    if stix_type in _ORDER:
        return _ORDER.index(stix_type)
    return len(_ORDER) + (1 + _LAST.index(stix_type) if stix_type in _LAST else 0)


def _next(draft: Draft, held: Standing | None, now: datetime) -> Version | None:
    properties = dict(draft.properties)
    own_time = _time(properties.get("modified", properties.get("created")))
    if held is None:
        return _version(properties, draft.tlp, own_time, draft.finding_id)
    if held.content == content_digest(properties):
        return None
    if own_time is None:
        return None if held.tlp <= draft.tlp else _version(properties, draft.tlp, None, draft.finding_id)
    if "created" in properties:
        properties["created"] = held.properties()["created"]
    return _version(properties, draft.tlp, _later(held.version, own_time, now), draft.finding_id)


def _later(before: datetime, proposed: datetime, now: datetime) -> datetime:
    if proposed > before:
        return proposed
    return max(floor(now), before + MILLISECOND)


def _version(properties: dict[str, Any], tlp: TLP, moment: datetime | None, finding_id: int | None) -> Version:
    if moment is not None and "modified" in properties:
        properties["modified"] = (
            moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
        )
    return Version(
        stix_id=properties["id"],
        type=properties["type"],
        tlp=int(tlp),
        version=moment,
        content=content_digest(properties),
        body=msgspec.json.encode(properties).decode(),
        finding_id=finding_id,
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
