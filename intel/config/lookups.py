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

    @classmethod
    def of(cls, label: str) -> Reach:
        """The reach of a label. Raises KeyError."""
        return cls[label.upper().replace(" ", "_")]


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


class Manner(Strict):
    """How one server is asked, where it is not asked like the others."""

    per_minute: float | None = Field(default=None, gt=0, le=60_000)
    burst: int | None = Field(default=None, ge=1)
    per_day: int | None = Field(default=None, ge=0)


class Pace(Strict):
    """How often a server is asked: `per_minute` in the long run, `burst` at once, `per_day` between midnights (UTC)."""

    per_minute: float = Field(default=12, gt=0, le=60_000)
    burst: int = Field(default=2, ge=1)
    per_day: int = Field(default=1000, ge=0)


class Manners(Strict):
    """How servers are asked, and when they are left alone. A server is a host, or host:port, whatever it speaks for."""

    default: Pace = Pace()
    servers: dict[str, Manner] = Field(default_factory=dict)
    patience: float = Field(default=20, ge=0)
    """Seconds that a question waits for its turn; where its turn is later, it is asked later."""
    rest: float = Field(default=60, gt=0)
    """Seconds that a server rests which said "too fast" without saying for how long; twice as many each time."""
    failures: int = Field(default=3, ge=1)
    """Failures in a row after which a server is left alone for `rest`, and then tried with one question."""
    longest_rest: float = Field(default=86_400, gt=0)
    """Seconds after which any server is tried again, whatever it asked for."""

    @field_validator("servers")
    @classmethod
    def _keys(cls, value: dict[str, Manner]) -> dict[str, Manner]:
        return {server_key(server): manner for server, manner in value.items()}

    def of(self, server: str) -> Pace:
        """How `server` (a key) is asked."""
        given = self.servers.get(server)
        said = {} if given is None else given.model_dump(exclude_none=True)
        return self.default.model_copy(update=said)


class Refresh(Strict):
    """How often what is watched is asked about again, in days: as often as it changes, within these bounds."""

    enabled: bool = True
    first: float = Field(default=1, gt=0)
    least: float = Field(default=0.5, gt=0)
    most: float = Field(default=30, gt=0)


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
    manners: Manners = Manners()
    refresh: Refresh = Refresh()
    per_day: int = Field(default=5000, ge=0)
    """Questions a day, to all servers together, for all but incidents."""
    workers: int = Field(default=8, ge=1, le=64)
    """Things asked about side by side by one process."""
    attempts: int = Field(default=8, ge=1)
    """How often something is asked about again that nobody would answer for, a longer pause between each."""
    whois_servers_days: float = Field(default=30, gt=0)
    """Days for which the root's word on a suffix's WHOIS server is used."""
    stale_days: float = Field(default=7, ge=0)
    """A server's own word on how recent its data is ("last update of ...") is believed within so many days."""

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


def server_key(server: str) -> str:
    """What a server is known by: host, or host:port where the port is none of its protocol's. Takes URLs too."""
    scheme, separator, rest = server.strip().lower().partition("://")
    authority = (rest if separator else scheme).partition("/")[0].rpartition("@")[2]
    ports = {"https": ":443", "http": ":80"}
    return authority.removesuffix(ports.get(scheme, f":{WHOIS_PORT}") if separator else f":{WHOIS_PORT}")


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
