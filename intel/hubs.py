"""Hubs: values that many share for reasons that say nothing about the hand behind a thing.

What a value is matters more than how often it occurs: a content network's address is everybody's even where only two
of those that we know stand on it. A `Hub` says what kind of shared thing a value is, by which list or entry, as of
when, and what that means: `takes` from a finding's severity, `factor` for a link over it. Pure.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec


class HubClass(StrEnum):
    """What kind of shared thing a value is. The value is what configuration and findings call it."""

    CDN = "cdn"
    CLOUD = "cloud"
    PARKING = "parking"
    SHARED_HOSTING = "shared-hosting"
    DYNAMIC_DNS = "dynamic-dns"
    URL_SHORTENER = "url-shortener"
    PRIVACY_PROXY = "privacy-proxy"
    REGISTRAR_DEFAULT = "registrar-default"
    SINKHOLE = "sinkhole"
    SEIZURE = "seizure"
    FREE_CA = "free-ca"
    CLOUDFLARE_ORIGIN = "cloudflare-origin"
    DISPOSABLE_MAIL = "disposable-mail"
    LEAKED_KEY = "leaked-key"
    DEFAULT_CERTIFICATE = "default-certificate"
    MAIL_PROVIDER = "mail-provider"
    DNS_PROVIDER = "dns-provider"
    PUBLIC_DNS = "public-dns"
    PUBLIC_CA = "public-ca"
    SHARED_SUFFIX = "shared-suffix"
    VPN = "vpn"
    PROXY = "proxy"
    SCANNER = "scanner"
    UTILITY = "utility"
    ROLE_MAILBOX = "role-mailbox"
    PLACEHOLDER = "placeholder"
    SPECIAL_USE = "special-use"
    KNOWN_GOOD = "known-good"


ENDS: frozenset[str] = frozenset({HubClass.SEIZURE, HubClass.SINKHOLE})
"""Whoever shares these had his name taken away: they end ownership, and never begin it."""


class Hub(msgspec.Struct, frozen=True, kw_only=True):
    """What a value is, by one list or entry.

    `hub` is a `HubClass`, `why` a phrase for people, `list` where it stands, `as_of` of what day that is (None where
    it does not say). `takes` is what it takes from a finding's severity, 0 to 100. `factor` (0 to 1) is what a link
    over the value is worth of what its prevalence says; `links` is False where that is nothing.
    """

    hub: str
    why: str
    list: str
    as_of: date | None = None
    takes: int = 0
    factor: float = 0.0

    @property
    def links(self) -> bool:
        """Whether having the value in common says anything about the hand."""
        return self.factor > 0


def weakest(hubs: list[Hub]) -> Hub | None:
    """The hub that says least of a link; None where there is none. Of equals the first."""
    return min(hubs, key=lambda one: one.factor, default=None)
