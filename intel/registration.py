"""What a registration look-up says about one domain, as a frozen record in which every field knows its state.

In: nothing; readers of RDAP (RFC 9083) and WHOIS (RFC 3912) build these records.
Out: `Registration`. A field that is absent, redacted, a proxy's or a placeholder is a field with that state and no
value, so that nothing downstream can mistake a privacy service for a registrant. The names, e-mails and phones of
people are in here: they never go into a message or a log.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Literal

import msgspec

from intel.facts import State

SHOWN_TEXT = 256
"""Characters of a text without value that are kept beside its state."""

Precision = Literal["second", "day"]
Protocol = Literal["rdap", "whois"]


class Outcome(enum.StrEnum):
    """How a look-up ended. Only `REGISTERED` and `NOT_FOUND` say anything about the domain."""

    REGISTERED = "registered"
    NOT_FOUND = "not_found"
    THROTTLED = "throttled"
    BLOCKED = "blocked"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"


FieldState = State
"""What a field holds, in the words of facts. `ABSENT`: the record does not speak of it. `UNPARSED`: it does, and we
could not read it."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One text of a record.

    `value` is set in state VALUE and in no other. `text` is what stood there instead (cut at 256 characters): a
    proxy's name, a redaction's wording. `where` is a JSON pointer (RDAP) or `start-end` in characters of the decoded
    reply (WHOIS); empty where the reader could not say. `reader` names the code that read it.
    """

    value: str | None = None
    state: FieldState = FieldState.ABSENT
    text: str = ""
    where: str = ""
    reader: str = ""

    def __post_init__(self) -> None:
        assert (self.value is not None) == (self.state is FieldState.VALUE)


class DateField(msgspec.Struct, frozen=True, kw_only=True):
    """One date of a record: event time, aware UTC. With precision "day" the hour is 0 and means nothing."""

    at: datetime | None = None
    precision: Precision = "second"
    state: FieldState = FieldState.ABSENT
    text: str = ""
    where: str = ""
    reader: str = ""

    def __post_init__(self) -> None:
        assert (self.at is not None) == (self.state is FieldState.VALUE)
        assert self.at is None or self.at.utcoffset() == UTC.utcoffset(None)


class Registrant(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the domain, as the record tells it: personal data, and a lead at most."""

    name: Field = Field()
    organisation: Field = Field()
    email: Field = Field()
    phone: Field = Field()
    country: Field = Field()
    handle: Field = Field()
    """The registry's or registrar's id of the contact (RDAP `handle`, nic-hdl), as it stands: unique there alone."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """One answer about one domain from one server.

    `domain` is lower-case, A-labels, no trailing dot; `server` is the host (WHOIS) or base URL (RDAP) that answered;
    `fetched_at` is recorded time (aware UTC), None where the caller did not say; `as_of` is the time that the server
    says its data has (event time, "last update of RDAP database" or of the WHOIS database). `reason` says in a word
    what decided the outcome. `dnssec` is whether the delegation is signed, None where the record is silent.
    `name_servers` are sorted and unique, and `name_servers_reader` names the code that read them.
    """

    domain: str
    outcome: Outcome
    protocol: Protocol
    reason: str = ""
    server: str = ""
    fetched_at: datetime | None = None
    as_of: datetime | None = None
    created: DateField = DateField()
    updated: DateField = DateField()
    expires: DateField = DateField()
    registrar: Field = Field()
    registrar_iana_id: Field = Field()
    registrant: Registrant = Registrant()
    name_servers: tuple[str, ...] = ()
    name_servers_reader: str = ""
    statuses: tuple[str, ...] = ()
    dnssec: bool | None = None
