"""Traits: what a registrable domain's registration, DNS and certificates show of the habits of who made it.

A `Profile` is what is known of one domain at one time; `traits` are the values in it that are compared between domains
and counted in reference populations. Pure.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


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
