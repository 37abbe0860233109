"""The ids of what we publish: UUIDv5 in a namespace of our own, over keys that stay (STIX 2.1, section 2.9).

SCO ids follow the standard's own rule, in the standard's namespace, and are not made here. Every key begins with our
identity, since two organisations that run Lapsewatch both have a watch number one. No key has a name in it, which
people change.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

from db.publishing_records import FindingRecord

NAMESPACE: Final = UUID("7fc67507-ad8e-42cc-872a-763815cf27bb")
INDICATOR: Final = "indicator"
NOTE: Final = "note"
INDICATES: Final = "indicates"
CONSISTS_OF: Final = "consists-of"
RELATED: Final = "related-to"
OWN: Final = (INDICATOR, NOTE, INDICATES, CONSISTS_OF, RELATED)
"""The objects that belong to one finding, and are revoked with it."""
_TYPES: Final = {
    INDICATOR: "indicator",
    NOTE: "note",
    INDICATES: "relationship",
    CONSISTS_OF: "relationship",
    RELATED: "relationship",
}


def identity_id(identity: UUID) -> str:
    """The id of our identity object."""
    return f"identity--{identity}"


def extension_id(identity: UUID) -> str:
    """The id of our extension-definition."""
    return _make(identity, "extension-definition", "extension")


def infrastructure_id(identity: UUID, watch_key: str) -> str:
    """The id of the infrastructure that a watch is about."""
    return _make(identity, "infrastructure", "watch", watch_key)


def actor_id(identity: UUID, actor: str) -> str:
    """The id of an actor, named as its naming authority does."""
    return _make(identity, "intrusion-set", "actor", actor)


def uses_id(identity: UUID, watch_key: str) -> str:
    """The id of the tie between a watch's actor and its infrastructure; it stays when the watch's actor changes."""
    return _make(identity, "relationship", "uses", watch_key)


def own_id(identity: UUID, finding: FindingRecord, role: str, generation: int) -> str:
    """The id of one of the `OWN` objects of a finding.

    Revoking is for good (STIX 2.1, section 3.2): a finding that is published once more after it was revoked gets new
    objects, of the next generation.
    """
    return _make(identity, _TYPES[role], role, finding.watch_key, finding.rule, str(finding.novelty), str(generation))


def _make(identity: UUID, stix_type: str, *parts: str) -> str:
    key = "\0".join((str(identity), *parts))
    return f"{stix_type}--{uuid5(NAMESPACE, key)}"
