"""Watches: what an analyst wants to know about, one file each in configs/watches/."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from intel.config.read import Strict, check, read_yaml
from intel.errors import ReadError
from intel.rules import Rule, read_rule


def _iso(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


Moment = Annotated[str, BeforeValidator(_iso)]
"""A date or time of ISO 8601. YAML reads one without quotes as a date, which is no text."""


def _rule(value: object) -> object:
    """The name of a built-in rule as it is, a rule of the watch's own read (intel/rules/__init__.py has the words)."""
    if isinstance(value, str | Rule):
        return value
    try:
        return read_rule(value)
    except ReadError as error:
        raise ValueError(str(error)) from error


NamedOrOwn = Annotated[Any, BeforeValidator(_rule)]
"""The name of a built-in rule, or a `Rule`."""


class WatchedItem(Strict):
    """One thing to look for. Give exactly one of the fields besides `since`."""

    entity: str | None = None
    """An exact entity, its kind told by its form, or written `kind:value`."""
    domain: str | None = None
    """A registrable domain and all below it."""
    network: str | None = None
    certificate: str | None = None
    """SHA-256 of the certificate's DER, or its SHA-1 as feeds have it."""
    tbs: str | None = None
    """SHA-256 of the TBSCertificate without SCTs and poison, which precertificate and certificate have in common."""
    key: str | None = None
    """SHA-256 of the public key's SubjectPublicKeyInfo."""
    serial: str | None = None
    """Issuer and serial number: SHA-256 of the issuer's name (DER), a slash, the number in hexadecimal."""
    pem: str | None = None
    """A certificate as PEM: watched by its hashes, its key, its issuer and serial number."""
    lookalike: str | None = None
    """A registrable domain, or a word that stands for one: names in certificates that look like it."""
    keyword: str | None = None
    """Letters that stand anywhere in a certificate's names."""
    issuer: str | None = None
    """A shell pattern (`*`, `?`) for the issuer's distinguished name, in any case."""
    subject: str | None = None
    """The same for the subject's."""
    since: Moment | None = None
    """Known to belong from then on: a date or time of ISO 8601, without a zone UTC."""


class WatchFile(Strict):
    """A watch, as its file says."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    reason: str = ""
    actor: str | None = None
    """The actor's id, as its naming authority calls it (`maltrail:apt_example`)."""
    follow_actor: bool = False
    """Whether everything that sources claim of the actor is watched, besides the items."""
    rules: tuple[NamedOrOwn, ...] = ("*",)
    """Names of built-in rules (`*`: all of them) and rules of the watch's own. Only those that are named are in force.
    """
    items: tuple[WatchedItem, ...] = ()
    expected: tuple[str, ...] = ()
    """SHA-256 of certificates, of their TBS or of keys that are known to be right: findings on them say so."""

    @property
    def built_in(self) -> tuple[str, ...]:
        """The names of built-in rules."""
        return tuple(one for one in self.rules if isinstance(one, str))

    @property
    def own(self) -> tuple[Rule, ...]:
        """The rules of the watch's own."""
        return tuple(one for one in self.rules if isinstance(one, Rule))


def read_watches(configs: Path) -> list[WatchFile]:
    """All watch files, in the order of their names."""
    return [check(path, WatchFile, read_yaml(path)) for path in sorted((configs / "watches").glob("*.yaml"))]
