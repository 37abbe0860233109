"""Facts: immutable statements, as normalisation makes them and staging carries them.

A fact says: this source, in this document, at this place, states subject-predicate-object. Its identity is what it
says and who says it (source, subject, predicate, object, state, qualifiers, upstream reference); when it was said and
in which document is its history. What could not be read is a `Reject`, kept with its place and reason.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from intel.entities import Entity


class Predicate(StrEnum):
    """What a fact says of its subject. The value is what the warehouse stores."""

    LISTED = "listed"  # subject is on this source's list, as the label in the object
    ATTRIBUTED_TO = "attributed-to"  # a claim: subject belongs to the actor or campaign in the object
    REPORTED_IN = "reported-in"
    ASSOCIATED_WITH = "associated-with"  # named together with the software in the object
    ALIAS = "alias"
    DESCRIBED_AS = "described-as"
    RESOLVES_TO = "resolves-to"  # qualifier `type`: A, AAAA, CNAME, ...
    USES_NAME_SERVER = "uses-name-server"
    USES_NAME_SERVERS = "uses-name-servers"  # object: the set
    USES_MAIL_HOST = "uses-mail-host"
    HAS_SOA_CONTACT = "has-soa-contact"  # the mailbox of the zone's SOA record (RFC 1035 3.3.13)
    REGISTERED_THROUGH = "registered-through"
    REGISTERED_BY = "registered-by"  # qualifier `role`: registrant, administrative, technical
    CREATED = "created"
    UPDATED = "updated"
    EXPIRES = "expires"
    HAS_STATUS = "has-status"
    NAMES = "names"  # a certificate names a domain, address or e-mail
    HAS_KEY = "has-key"  # a certificate has a public key
    ISSUED_BY = "issued-by"
    VALID_FROM = "valid-from"
    VALID_UNTIL = "valid-until"
    PRESENTS = "presents"  # an endpoint, address or name presents a certificate
    MATCHES = "matches"  # a certificate matches a pattern under watch; qualifiers `name`, `why`
    LOGGED_IN = "logged-in"  # a certificate stands in a CT log; qualifiers `index`, `leaf-hash`
    PART_OF = "part-of"  # an address is part of a network or AS
    COMMUNICATES_WITH = "communicates-with"
    DOWNLOADS = "downloads"
    USES = "uses"
    SAME_AS = "same-as"  # two hashes of one file, say


class State(StrEnum):
    """What stands in the field that a fact was read from."""

    VALUE = "value"
    REDACTED = "redacted"
    PLACEHOLDER = "placeholder"
    PROXY = "proxy"
    ABSENT = "absent"
    UNPARSED = "unparsed"


class TLP(IntEnum):
    """Traffic Light Protocol 2.0, ordered: a larger value may go to fewer."""

    CLEAR = 0
    GREEN = 1
    AMBER = 2
    AMBER_STRICT = 3
    RED = 4

    @classmethod
    def parse(cls, text: str) -> TLP:
        """`tlp:amber+strict`, `WHITE`, `Amber`, ... Raises ValueError for other words."""
        word = text.strip().lower().removeprefix("tlp:").strip()
        name = {"white": "CLEAR", "amber+strict": "AMBER_STRICT"}.get(word, word.upper())
        if name not in cls.__members__:
            raise ValueError(f"{text[:60]!r} is not a TLP 2.0 label")
        return cls[name]

    @property
    def label(self) -> str:
        """The name as people write it: `TLP:AMBER+STRICT`."""
        return "TLP:" + self.name.replace("_", "+")


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One statement.

    `event_time` is when the source says that it was so (aware, UTC); None takes the document's own time. `ends` says
    that from then on it is no longer so. `tlp` None takes the source's default. `confidence` is 0 to 100.
    `locator` is where in the document: a line, a JSON pointer, an attribute's UUID. `personal` marks people's data.
    """

    subject: Entity
    predicate: str
    object: Entity | None = None
    state: str = State.VALUE
    qualifiers: tuple[tuple[str, str], ...] = ()
    reference: str = ""
    tlp: int | None = None
    confidence: int | None = None
    event_time: datetime | None = None
    ends: bool = False
    personal: bool = False
    locator: str = ""


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was not made a fact: where it stood, why, and the beginning of what it said."""

    locator: str
    reason: str
    excerpt: str = ""


class RawDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes as received, with what normalisation needs to know of them.

    `as_of` is the time that the document speaks of (event time, UTC): what it says of itself, or when it was fetched.
    """

    document_id: int
    location: str
    body: bytes
    media_type: str = ""
    as_of: datetime


MAX_EXCERPT: Final = 200


def fact_key(source: str, fact: Fact) -> bytes:
    """The identity of a fact from `source`: 128 bits of SHA-256 over what it says and who says it."""
    said = fact.object.digest if fact.object is not None else b""
    qualifiers = "\0".join(f"{name}={value}" for name, value in sorted(fact.qualifiers))
    text = f"{source}\0{fact.predicate}\0{fact.state}\0{fact.reference}\0{qualifiers}"
    return hashlib.sha256(fact.subject.digest + said + text.encode("utf-8", "replace")).digest()[:16]
