"""What RDAP says of networks, autonomous systems, name servers and contacts: frozen records with states per field.

In: nothing; `tasks.normalize.rdap_numbers` builds these records (RFC 9083 sections 5.1, 5.2, 5.4, 5.5). The names,
e-mails and phones of people are in here: they never go into a message or a log.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from intel.registration import DateField, Field, FieldState, Outcome, Registrant


class Contact(Registrant, frozen=True, kw_only=True):
    """Somebody whom a record names. `roles` are RFC 9083's, in lower case; `kind` is the card's (individual, org)."""

    roles: tuple[str, ...] = ()
    kind: str = ""

    @property
    def is_organisation(self) -> bool:
        """Whether the card says that it is an organisation's: what it tells is then no person's data."""
        return self.kind in {"org", "organization", "organisation"}

    @property
    def speaks(self) -> bool:
        """Whether its name or organisation is told, or said to be withheld."""
        return any(field.state is not FieldState.ABSENT for field in (self.name, self.organisation))


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One answer about one thing from one server.

    `asked` is the canonical value that was asked about; `server` the base URL that was asked; `fetched_at` is recorded
    time (aware UTC), None where the caller did not say; `as_of` the time that the server says its data has (event
    time). `reason` says in a word what decided the outcome. `description` is what the record says of itself in words.
    """

    asked: str
    outcome: Outcome
    reason: str = ""
    server: str = ""
    fetched_at: datetime | None = None
    as_of: datetime | None = None
    handle: Field = Field()
    description: Field = Field()
    created: DateField = DateField()
    updated: DateField = DateField()
    statuses: tuple[str, ...] = ()
    contacts: tuple[Contact, ...] = ()

    @property
    def holder(self) -> Contact | None:
        """Who it is registered to: of the contacts with that role, the first that says who it is."""
        held = [one for one in self.contacts if "registrant" in one.roles]
        return next((one for one in held if one.speaks), held[0] if held else None)


class NetworkRecord(Answered, frozen=True, kw_only=True):
    """An IP network: the CIDRs that its range is made of, in order, and the AS numbers that announce it."""

    first: str = ""
    last: str = ""
    networks: tuple[str, ...] = ()
    name: Field = Field()
    type: Field = Field()
    country: Field = Field()
    parent: Field = Field()
    origins: tuple[int, ...] = ()


class AutnumRecord(Answered, frozen=True, kw_only=True):
    """An autonomous system, or the block of numbers (both ends are in it) that one stands in."""

    first: int | None = None
    last: int | None = None
    name: Field = Field()
    type: Field = Field()
    country: Field = Field()


class NameServerRecord(Answered, frozen=True, kw_only=True):
    """A name server as its registry knows it; `addresses` are canonical and sorted."""

    name: str = ""
    addresses: tuple[str, ...] = ()


class EntityRecord(Answered, frozen=True, kw_only=True):
    """A contact asked about by its handle, and what the answer says that it holds."""

    contact: Contact | None = None
    iana_id: Field = Field()
    networks: tuple[str, ...] = ()
    systems: tuple[int, ...] = ()
