"""What the rules on lapses take for granted: ports of administration, lists of ranges, spans: configs/lapses.yaml."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from intel.config.read import Strict, check, read_yaml


class Clear(Strict):
    """What counts as traffic in the clear."""

    services: tuple[str, ...] = ("http", "ftp", "irc", "telnet", "smtp", "pop3", "imap")
    """Services, as Zeek calls them, that say all they say to whoever listens."""
    secure: tuple[str, ...] = ("ssl", "tls", "dtls", "quic", "ssh")
    """Services that do not; a connection that has one of them is none in the clear."""
    ports: tuple[int, ...] = (21, 23, 80, 2323, 6667, 8000, 8008, 8080, 8888)
    """TCP ports on which a flow without a recognised service counts, for less: nobody saw what it said."""


class Administration(Strict):
    """What counts as the side of a C2 server that its operator uses and its victims do not."""

    ports: tuple[int, ...] = (22, 2222, 3389, 3790, 5900, 5985, 5986, 7443, 31337, 40056, 50050, 55553)
    services: tuple[str, ...] = ("ssh", "rdp", "rfb")
    ranges: tuple[str, ...] = ("vpn", "proxy", "datacenter", "tor exit")
    """Labels under which sources list the networks of VPN and proxy services."""
    usual: int = Field(default=2, ge=1)
    """Connections (one for each client and day) from inside the ranges that make that the usual way."""


class Prepared(Strict):
    """Which span between preparation and first use is one."""

    shortest_days: int = Field(default=14, ge=1)
    longest_days: int = Field(default=400, ge=1)
    """What was registered longer before is a domain bought, taken over or long in use."""
    most_with_name_servers: int = Field(default=20, ge=2)
    """Domains with a set of name servers from which on the set ties nobody to anybody."""


class Handles(Strict):
    """Which handles may be one person's, though at another provider."""

    shortest: int = Field(default=6, ge=4)
    """Characters."""
    most: int = Field(default=5, ge=2)
    """Addresses with that local part from which on it is a word and no handle."""
    common: tuple[str, ...] = ()
    """Words that are nobody's handle."""


class Lapses(Strict):
    """configs/lapses.yaml."""

    clear: Clear = Clear()
    administration: Administration = Administration()
    prepared: Prepared = Prepared()
    handles: Handles = Handles()


def read_lapses(configs: Path) -> Lapses:
    """configs/lapses.yaml; the defaults where there is none. Raises ConfigError where it is wrong."""
    path = configs / "lapses.yaml"
    return check(path, Lapses, read_yaml(path) or {}) if path.exists() else Lapses()
