"""What passes between the steps of an investigation: small frozen records with bounded lists.

Times are event times (aware UTC) unless they say otherwise. `total` counts what the warehouse holds, of which a list
shows the most recent; where counting stopped at a cap, `capped` is true and the total means "at least".
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Subject(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """One entity that an investigation is about: its row's id, and what it is."""

    id: int
    kind: str
    value: str
    scope: str = ""
    address: str = ""


class Case(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """An incident as the steps see it. `unread` counts its indicators that could not be read."""

    incident: int
    subjects: tuple[Subject, ...] = ()
    unread: int = 0


class Thing(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """An entity or literal as a fact names it. `personal`: it may name a person, and is masked where it is shown."""

    kind: str
    value: str
    personal: bool = False


class Claim(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What one source says of one entity, when it first and last said so, and whether it has ended since.

    `subject_id` is the entity's id; `about` the id of the incident's entity for which it was found.
    """

    about: int
    subject_id: int
    subject: Thing
    predicate: str
    object: Thing | None
    state: str
    source: str
    source_title: str
    reliability: str
    reference: str
    tlp: int
    first: datetime
    last: datetime
    ended: bool


class Tie(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """A link one step out, from the merged view: who says so, from when to when (None: it still stands)."""

    about: int
    subject: Thing
    predicate: str
    object: Thing
    sources: tuple[str, ...]
    first: datetime | None
    last: datetime | None


class Count(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """How many there are about one of the incident's entities."""

    about: int
    total: int
    capped: bool = False


class Known(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What the warehouse knows of the incident's entities, and of what stands on the same domain or address."""

    claims: tuple[Claim, ...] = ()
    claim_counts: tuple[Count, ...] = ()
    ties: tuple[Tie, ...] = ()
    tie_counts: tuple[Count, ...] = ()
    near: tuple[tuple[int, Subject], ...] = ()
    """(id of the incident's entity, what stands on its registrable domain or address), the entity itself first."""
    near_counts: tuple[Count, ...] = ()

    @property
    def near_ids(self) -> tuple[int, ...]:
        """The ids of all that stands near, each once."""
        return tuple(dict.fromkeys(subject.id for _, subject in self.near))


class CertificateSeen(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """A certificate that names something of the incident, or has the key of one that does.

    `names` are some of what it names; `seen` is when the warehouse first heard of it.
    """

    value: str
    key: str
    names: tuple[str, ...]
    names_total: int
    valid_from: str
    valid_until: str
    issuer: str
    sources: tuple[str, ...]
    seen: datetime | None
    same_key_only: bool


class Certificates(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """Certificates around the incident, the most recent first."""

    certificates: tuple[CertificateSeen, ...] = ()
    total: int = 0
    capped: bool = False


class Resolution(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """A name that led to an address or another name. `forward`: the name is the incident's; else the address is."""

    name: str
    target: str
    target_kind: str
    forward: bool
    sources: tuple[str, ...]
    first: datetime | None
    last: datetime | None


class PassiveDns(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """Resolutions both ways, the most recent first."""

    resolutions: tuple[Resolution, ...] = ()
    total: int = 0
    capped: bool = False


class Address(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """An address of the incident: what holds it, and which other names stand or stood on it."""

    address: str
    holders: tuple[Thing, ...]
    names: tuple[str, ...]
    names_total: int
    capped: bool = False


class Lookup(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """One question about one domain, address, network or AS, and how it ended.

    `outcome` is that of the table `query`; `asked` false: an answer of the last days was used, or nothing was asked at
    all, and `detail` says why.
    """

    domain: str
    protocol: str
    tier: str
    server: str
    outcome: str
    detail: str = ""
    asked: bool = True


class Network(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """The addresses of the incident and of its names, the most recent first, and what was asked about them.

    `batch` is the batch that holds what the answers brought, None where they brought nothing.
    """

    addresses: tuple[Address, ...] = ()
    total: int = 0
    lookups: tuple[Lookup, ...] = ()
    batch: int | None = None

    @property
    def failures(self) -> tuple[Lookup, ...]:
        """The look-ups that say nothing; what no registry gives out is a note, and none of them."""
        return tuple(one for one in self.lookups if one.outcome not in {"registered", "not_found", "unsupported"})


class Registered(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What the registration branch asked, what it changed, and what sources state of the domains' registration now.

    `history` holds what has ended too.
    """

    lookups: tuple[Lookup, ...] = ()
    history: tuple[Claim, ...] = ()
    facts_new: int = 0
    facts_ended: int = 0

    @property
    def failures(self) -> tuple[Lookup, ...]:
        """The look-ups that say nothing about their domain."""
        return tuple(one for one in self.lookups if one.outcome not in {"registered", "not_found", "referred"})
