"""Look-ups: which questions may leave the machine, how far they reach, and what they may cost: configs/lookups.yaml."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator

from intel.config.read import Strict, check, read_yaml
from intel.errors import ReadError
from intel.names import canonical_name


class Reach(IntEnum):
    """Who learns of a question, ordered: a larger value is seen by more."""

    LOCAL = 0
    REGISTRY = 1
    REGISTRAR = 2
    THIRD_PARTY = 3
    ACTOR = 4

    @property
    def label(self) -> str:
        """The name as files and the table `query` write it: `third party`."""
        return self.name.lower().replace("_", " ")


def _reach(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return Reach[value.strip().upper().replace(" ", "_")]
        except KeyError as error:
            known = ", ".join(reach.label for reach in Reach)
            raise ValueError(f"{value!r} is no reach; it is one of {known}") from error
    return value


ReachName = Annotated[Reach, BeforeValidator(_reach), PlainSerializer(lambda reach: Reach(reach).label)]


class Ceilings(Strict):
    """How far a look-up may reach, by where its value comes from."""

    incident: ReachName = Reach.REGISTRAR
    finding: ReachName = Reach.REGISTRAR
    watch: ReachName = Reach.REGISTRAR
    feed: ReachName = Reach.REGISTRY

    @field_validator("*")
    @classmethod
    def _not_the_actor(cls, value: Reach) -> Reach:
        if value is Reach.ACTOR:
            raise ValueError("what the actor can see needs `active: true` on the one source, never a ceiling")
        return value


class Lookups(Strict):
    """Which look-ups are on, and within what bounds."""

    rdap: bool = True
    whois: bool = True
    reach: Ceilings = Ceilings()
    bootstrap: str = "https://data.iana.org/rdap/dns.json"
    """IANA's list of RDAP servers (RFC 9224)."""
    bootstrap_days: float = Field(default=7, gt=0)
    """Days for which the list is used without asking for it again."""
    whois_root: str = "whois.iana.org"
    """WHOIS server that knows the servers of all TLDs; empty asks only those of `whois_servers`."""
    rdap_servers: dict[str, str] = Field(default_factory=dict)
    """Suffix -> RDAP base URL, in place of the list's."""
    whois_servers: dict[str, str] = Field(default_factory=dict)
    """Suffix -> WHOIS server (`host` or `host:port`), in place of the root's answer."""
    budget: int = Field(default=100, ge=0)
    """Questions that one incident may cost, all protocols together."""
    reuse_days: float = Field(default=1, ge=0)
    """Days for which an answer is used without asking again."""
    pause_seconds: float = Field(default=1, ge=0)
    """Seconds between two questions to the same server."""

    @field_validator("rdap_servers", "whois_servers")
    @classmethod
    def _suffixes(cls, value: dict[str, str]) -> dict[str, str]:
        return {suffix.strip(".").lower(): server for suffix, server in value.items()}

    @field_validator("whois_servers")
    @classmethod
    def _hosts(cls, value: dict[str, str]) -> dict[str, str]:
        for server in value.values():
            split_server(server)
        return value

    def rdap_server(self, domain: str) -> str | None:
        """The base URL that an override names for a canonical domain; the longest suffix wins."""
        return _longest(self.rdap_servers, domain)

    def whois_server(self, domain: str) -> str | None:
        """The WHOIS server that an override names for a canonical domain; the longest suffix wins."""
        return _longest(self.whois_servers, domain)


WHOIS_PORT: Final = 43


def split_server(text: str) -> tuple[str, int]:
    """`host:port` or `host` as (host, port). Raises ValueError where it is neither."""
    host, colon, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} is not host:port")
    if not host.replace(".", "").isdigit():
        try:
            host = canonical_name(host)
        except ReadError as error:
            raise ValueError(f"{text!r} is not a host or host:port") from error
    return host, int(port) if colon else WHOIS_PORT


def _longest(servers: dict[str, str], domain: str) -> str | None:
    labels = domain.split(".")
    endings = (".".join(labels[index:]) for index in range(len(labels)))
    return next((servers[ending] for ending in endings if ending in servers), None)


def read_lookups(configs: Path) -> Lookups:
    """configs/lookups.yaml; the defaults where there is none. Raises ConfigError where it is wrong."""
    path = configs / "lookups.yaml"
    return check(path, Lookups, read_yaml(path) or {}) if path.exists() else Lookups()
