"""Drafts of STIX objects, and what becomes of them in a collection: nothing, a first version, or a later one.

Pure. A draft whose content stands already gives nothing. A version's `modified` is later than the one before it, also
where the clock is not (STIX 2.1, section 3.6). SCOs have no versions; one that stands is replaced only by the same one
under a laxer TLP, so that the order in which findings come does not matter; or under a stricter one, once no finding
stands that had allowed the laxer. What was taken back from readers (`HIDDEN`) and is needed again comes once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

import msgspec

from db.publishing_records import HIDDEN, MILLISECOND, Standing, Version, floor
from intel.facts import TLP
from tasks.publish.markings import TLP_MARKINGS

_TIMES: Final = frozenset({"created", "modified"})
_ORDER: Final = ("marking-definition", "identity", "extension-definition", "intrusion-set", "infrastructure")
_LAST: Final = ("indicator", "note", "relationship")
_SAME_FOR_ALL: Final = frozenset({"marking-definition", "identity", "extension-definition"})
# What an object keeps when it is revoked; what the schemas want besides says nothing (RFC 6761: .invalid has no names).
_KEPT: Final = ("type", "spec_version", "id", "created_by_ref", "created", "modified", "object_marking_refs")
_NOTHING: Final = "[domain-name:value = 'revoked.invalid']"


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


def shared(drafts: Iterable[Draft]) -> dict[str, int]:
    """The drafts that say something, but belong to no finding alone, by id with their TLP: SCOs, watches, actors."""
    return {
        draft.stix_id: int(draft.tlp)
        for draft in drafts
        if draft.finding_id is None and draft.type not in _SAME_FOR_ALL
    }


def laxest(before: Mapping[str, int], after: Mapping[str, int], elsewhere: Mapping[str, int]) -> dict[str, int]:
    """The TLP that is left of what lost the laxest one it had: `HIDDEN` where no finding needs it any more."""
    return {
        stix_id: min(after.get(stix_id, HIDDEN), elsewhere.get(stix_id, HIDDEN))
        for stix_id, tlp in before.items()
        if tlp < after.get(stix_id, HIDDEN)
    }


def remark(held: Standing, tlp: TLP) -> Version:
    """An SCO that stands, once more, under another TLP."""
    return _version(held.properties() | {"object_marking_refs": [TLP_MARKINGS[tlp]]}, tlp, None, None)


def revocation(held: Standing, *, changed_at: datetime, now: datetime, finding_id: int | None) -> Version:
    """The version that revokes `held`: marked as it was, but without anything that it said.

    Who holds the object finds it by its id. Who comes later learns nothing; above all not the id of an SCO, which is a
    digest of its value that can be tried out. So every reader may have it, and gets it also under a lower ceiling.
    """
    was = held.properties()
    properties = {name: was[name] for name in _KEPT if name in was} | {"revoked": True}
    if held.type == "indicator":
        properties |= {
            "pattern": _NOTHING,
            "pattern_type": "stix",
            "pattern_version": "2.1",
            "valid_from": was["created"],
        }
    elif held.type == "note":
        properties |= {"content": "Revoked.", "object_refs": was["object_refs"]}
    elif was["relationship_type"] in {"consists-of", "related-to"}:
        properties |= {
            "relationship_type": "related-to",
            "source_ref": was["source_ref"],
            "target_ref": was["created_by_ref"],
        }
    else:
        properties |= {name: was[name] for name in ("relationship_type", "source_ref", "target_ref")}
    return _version(properties, TLP.CLEAR, _later(held.version, floor(changed_at), now), finding_id)


def _rank(stix_type: str) -> int:
    if stix_type in _ORDER:
        return _ORDER.index(stix_type)
    return len(_ORDER) + (1 + _LAST.index(stix_type) if stix_type in _LAST else 0)


def _next(draft: Draft, held: Standing | None, now: datetime) -> Version | None:
    properties = dict(draft.properties)
    own_time = _time(properties.get("modified", properties.get("created")))
    if held is None:
        return _version(properties, draft.tlp, own_time, draft.finding_id)
    if held.content == content_digest(properties) and held.tlp != HIDDEN:
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
