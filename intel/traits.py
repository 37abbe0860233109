"""Traits: what a registrable domain's registration, DNS and certificates show of the habits of who made it.

A `Profile` is what is known of one domain at one time; `traits` are the values in it that are compared between domains
and counted in reference populations. Each computed trait (`suffix`, `shape`, `provider`, `providers`, `hour`, `words`)
is a function of text that says nothing but what stands in it, so that SQL can say the same. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from intel.entities import Kind, digest, entity
from intel.errors import ReadError
from intel.names import default_suffixes


class Name(StrEnum):
    """What a trait is of. The value is what populations, patterns and rules call it."""

    REGISTRAR = "registrar"
    REGISTRANT = "registrant"  # name or organisation
    EMAIL = "email"
    MAIL_PROVIDER = "mail-provider"  # domain of the registrant's e-mail
    NAME_SERVERS = "name-servers"  # the set
    NAME_SERVER_PROVIDER = "name-server-provider"  # registrable domains of the set
    MAIL_HOSTS = "mail-hosts"  # registrable domains of the MX hosts
    SUFFIX = "suffix"
    SHAPE = "shape"  # of the label: length class, digits, hyphens, words
    NETWORK = "network"  # AS of the address
    ADDRESS = "address"
    ISSUER = "issuer"
    CERTIFICATE = "certificate"
    KEY = "key"
    SOA_CONTACT = "soa-contact"
    HOUR = "hour"  # of the registration, UTC, where it is known to the hour
    BURST = "burst"  # whether several known ones were registered close together
    WORD = "word"  # one that stands in the label


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one domain, canonical. `created` is event time; `to_the_day` says that its hour is unknown.

    `emails` and `registrants` are values only: what is redacted, a placeholder or a proxy is left out. `ended_at` is
    when the domain ceased to be whose it was (event time): what is stated of it from then on is not in here.
    """

    domain: str
    created: datetime | None = None
    to_the_day: bool = True
    registrar: str = ""
    emails: tuple[str, ...] = ()
    registrants: tuple[str, ...] = ()
    name_servers: tuple[str, ...] = ()
    mail_hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    soa_contacts: tuple[str, ...] = ()
    ended_at: datetime | None = None
    ended_by: str = ""


class Trait(msgspec.Struct, frozen=True, order=True):
    """One value that a domain has."""

    name: str
    value: str


LENGTHS: Final = ((5, "1-5"), (8, "6-8"), (12, "9-12"), (17, "13-17"))
"""Length classes of a label: up to so many characters, and what it is called; longer ones are `18+`."""
IDN: Final = "idn"
"""The shape of a label in another script: its letters stand in the A-label's code (RFC 5890) and say nothing."""
SHORTEST_WORD: Final = 3

_NAMES: Final = frozenset(name.value for name in Name)
_WORDS: Final = re.compile("[a-z]+")
_KINDS: Final = {
    Name.REGISTRAR: Kind.REGISTRAR,
    Name.REGISTRANT: Kind.REGISTRANT,
    Name.EMAIL: Kind.EMAIL,
    Name.NAME_SERVERS: Kind.NAME_SERVER_SET,
    Name.NETWORK: Kind.AS,
    Name.ADDRESS: Kind.IP,
    Name.ISSUER: Kind.TEXT,
    Name.CERTIFICATE: Kind.CERTIFICATE,
    Name.KEY: Kind.PUBLIC_KEY,
    Name.SOA_CONTACT: Kind.EMAIL,
}


def label(domain: str) -> str:
    """The label that somebody chose: the first of a registrable domain."""
    return domain.partition(".")[0]


def suffix(domain: str) -> str:
    """What a registrable domain is registered under: `co.uk`; empty for a name of one label."""
    return domain.partition(".")[2]


def shape(domain: str) -> str:
    """The form of the label: its length class, then `digits` and `hyphens` where it has some: `9-12 digits`."""
    name = label(domain)
    if name.startswith("xn--"):
        return IDN
    length = next((called for most, called in LENGTHS if len(name) <= most), "18+")
    digits = " digits" if any(mark.isdigit() for mark in name) else ""
    return length + digits + (" hyphens" if "-" in name else "")


def words(domain: str) -> tuple[str, ...]:
    """The runs of at least three letters in the label, each once, in order; none for another script's."""
    name = label(domain)
    if name.startswith("xn--"):
        return ()
    return tuple(dict.fromkeys(word for word in _WORDS.findall(name) if len(word) >= SHORTEST_WORD))


@lru_cache(maxsize=65_536)
def provider(value: str) -> str:
    """The registrable domain that a host or an e-mail address stands on: whose service it is."""
    return default_suffixes().registrable(value.rpartition("@")[2])


def providers(values: Iterable[str]) -> str:
    """The registrable domains of a set of hosts, sorted, with a space between; empty for none."""
    return " ".join(sorted({provider(value) for value in values}))


def hour(created: datetime | None, *, to_the_day: bool) -> str:
    """The hour of a registration, UTC, `00` to `23`; empty where it is not known to the hour."""
    return "" if created is None or to_the_day else f"{created.astimezone(UTC):%H}"


def traits(profile: Profile) -> frozenset[Trait]:
    """All that a domain shows of its maker's habits. What is not known of it gives no trait."""
    return frozenset(Trait(name.value, value) for name, value in _traits(profile) if value)


def _traits(profile: Profile) -> Iterator[tuple[Name, str]]:
    yield Name.REGISTRAR, profile.registrar
    yield Name.NAME_SERVERS, " ".join(sorted(profile.name_servers))
    yield Name.NAME_SERVER_PROVIDER, providers(profile.name_servers)
    # A domain that takes its own mail shows nothing that another one could have.
    yield Name.MAIL_HOSTS, providers(host for host in profile.mail_hosts if provider(host) != profile.domain)
    yield Name.SUFFIX, suffix(profile.domain)
    yield Name.SHAPE, shape(profile.domain)
    yield Name.HOUR, hour(profile.created, to_the_day=profile.to_the_day)
    for name, values in (
        (Name.REGISTRANT, profile.registrants),
        (Name.EMAIL, profile.emails),
        (Name.MAIL_PROVIDER, tuple(provider(email) for email in profile.emails)),
        (Name.ADDRESS, profile.addresses),
        (Name.NETWORK, profile.networks),
        (Name.CERTIFICATE, profile.certificates),
        (Name.KEY, profile.keys),
        (Name.ISSUER, profile.issuers),
        (Name.SOA_CONTACT, profile.soa_contacts),
        (Name.WORD, words(profile.domain)),
    ):
        for value in values:
            yield name, value


def trait_digest(trait: Trait) -> bytes:
    """What `prevalence.digest` holds of a trait: the entity's digest where its value is one, else a digest of its own.

    A value that is no entity after all (an e-mail address of a wrong form) has a digest of its own too.
    """
    kind = _KINDS.get(Name(trait.name)) if trait.name in _NAMES else None
    if kind is not None:
        try:
            return entity(kind, trait.value).digest
        except ReadError:
            pass
    return digest("trait", f"{trait.name}:{trait.value}")
