"""Known-good lists and hubs: an entity in, what the lists say of it out.

The lists are those of the `pymispwarninglists` package that `configs/hubs.yaml` names; only their `list.json` files are
read, at the first question (importing the package reads all of them, a second's work). The types mean, as MISP defines
them: `hostname` a name and all below it, `string` exactly that, `cidr` networks, `substring` anywhere in the value,
`regex` a match. `matching_attributes` says which kinds a list is about. Lists of suffixes are about the suffix alone:
what stands below it is a stranger's, and neither good nor bad for that.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from pydantic import Field, IPvAnyNetwork

from intel.config.read import Strict, check, read_yaml
from intel.entities import Entity, Kind
from intel.errors import ConfigError
from intel.names import package_folder
from intel.settings import CHECKOUT, settings

_FOLDER: Final = "data/misp-warninglists/lists"
_NAMES: Final = frozenset({"domain", "hostname"})
_ADDRESSES: Final = frozenset({"ip-src", "ip-dst"})
_HASHES: Final = frozenset({"md5", "sha1", "sha224", "sha256", "sha512"})
_ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    Kind.DOMAIN: _NAMES,
    Kind.NAME_SERVER: _NAMES,
    Kind.ENDPOINT: _NAMES | {"ip-dst|port", "ip-src|port"},
    Kind.URL: frozenset({"url", "uri", "hostname"}),
    Kind.IP: _ADDRESSES,
    Kind.NETWORK: _ADDRESSES,
    Kind.EMAIL: frozenset({"email-src", "email-dst", "target-email", "whois-registrant-email", "dns-soa-email"}),
    Kind.PHONE: frozenset({"phone-number", "whois-registrant-phone"}),
    Kind.FILE: _HASHES,
    Kind.CERTIFICATE: frozenset({"x509-fingerprint-md5", "x509-fingerprint-sha1", "x509-fingerprint-sha256"}),
}
_KNOWN_GOOD: Final = "known-good"
_LONGEST: Final = 512
"""Characters of a value that a pattern is tried on."""
_NESTED: Final = re.compile(r"[*+}]\)?[*+{]|\([^)]*[*+][^)]*\)[*+{]")
"""A repetition of a repetition can backtrack without end."""


class ListEntry(Strict):
    """What a list means, as configs/hubs.yaml says."""

    hub: str = Field(pattern=r"^[a-z][a-z-]*$")
    takes: int = Field(ge=0, le=100)
    why: str
    match: Literal["suffix", "name"] | None = None


class EndEntry(Strict):
    """Somebody who takes domains away, and by what one sees it: configs/hubs.yaml says what each key means."""

    reason: Literal["seized", "sinkholed"]
    how: str = Field(min_length=1, max_length=120)
    as_of: date
    since: date | None = None
    until: date | None = None
    registrants: tuple[str, ...] = ()
    name_servers: tuple[str, ...] = ()
    addresses: tuple[IPvAnyNetwork, ...] = ()
    lists: tuple[str, ...] = ()


class HubsFile(Strict):
    """The file configs/hubs.yaml."""

    lists: dict[str, ListEntry]
    ends: tuple[EndEntry, ...] = ()


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says of a value: its name, the kind of hub (or known-good), what it takes from severity, and why."""

    list: str
    hub: str
    takes: int
    why: str


class Lists:
    """The lists, indexed by what is asked: one dictionary look-up per parent of a name, or per width of network."""

    def __init__(self, entries: dict[str, ListEntry]) -> None:
        self._said: list[Annotation] = []
        self._about: list[frozenset[str]] = []
        self._exact: dict[str, list[int]] = {}
        self._names: dict[str, list[int]] = {}
        self._networks: dict[int, dict[int, dict[int, list[int]]]] = {4: {}, 6: {}}
        self._parts: list[tuple[str, int]] = []
        self._patterns: list[tuple[re.Pattern[str], int]] = []
        for name, entry in entries.items():
            self._add(name, entry)

    def annotate(self, item: Entity) -> list[Annotation]:
        """What the lists say of an entity, each list once, in the order of configs/hubs.yaml."""
        attributes = _ATTRIBUTES.get(item.kind)
        if attributes is None:
            return []
        host = _host(item)
        bare = item.value.partition(":")[2] if item.kind in {Kind.FILE, Kind.CERTIFICATE} else item.value
        found = {*self._exact.get(bare, ()), *self._exact.get(host, ())}
        found.update(self._above(host, item.scope))
        if item.kind not in {Kind.EMAIL, Kind.PHONE, Kind.FILE, Kind.CERTIFICATE}:
            found.update(number for part, number in self._parts if part in bare)
        elif item.kind in {Kind.EMAIL, Kind.PHONE}:
            clipped = bare[:_LONGEST]
            found.update(number for pattern, number in self._patterns if pattern.search(clipped))
        said = {number for number in found if self._about[number] & attributes}
        if item.address:
            said.update(number for number in self._covering(item.address) if self._about[number] & _ADDRESSES)
        return [self._said[number] for number in sorted(said)]

    def _above(self, host: str, scope: str) -> Iterable[int]:
        """The lists of names that hold the host or a parent. Known good ends where the registrable domain does."""
        name, own = host, True
        while name:
            known = self._names.get(name, ())
            yield from known if own else (number for number in known if self._said[number].hub != _KNOWN_GOOD)
            own = own and name != scope
            name = name.partition(".")[2]

    def _covering(self, address: str) -> Iterable[int]:
        network = ipaddress.ip_network(address)
        first = int(network.network_address)
        longest = network.max_prefixlen
        for bits, known in self._networks[network.version].items():
            if bits <= network.prefixlen:
                yield from known.get(first >> (longest - bits), ())

    def _add(self, name: str, entry: ListEntry) -> None:
        record = _record(name)
        number = len(self._said)
        self._said.append(Annotation(list=name, hub=entry.hub, takes=entry.takes, why=entry.why))
        self._about.append(frozenset(record["matching_attributes"]))
        kind = entry.match or record["type"]
        for line in record["list"]:
            self._add_line(kind, str(line).strip(), number)

    def _add_line(self, kind: str, line: str, number: int) -> None:
        value = line.lower()
        if kind == "cidr":
            if (network := _network(value)) is not None:
                version, bits, shifted = network
                self._networks[version].setdefault(bits, {}).setdefault(shifted, []).append(number)
        elif kind in {"hostname", "name"}:
            # Some lists write names as URLs, or with a dot or star in front.
            bare = value.partition("://")[2] or value
            bare = bare.partition("/")[0].removeprefix("*").strip(".")
            self._names.setdefault(bare, []).append(number)
        elif kind == "suffix":
            self._exact.setdefault(value.strip("."), []).append(number)
        elif kind == "string":
            self._exact.setdefault(value.replace(":", "") if _is_hash(value) else value, []).append(number)
        elif kind == "substring":
            self._parts.append((value, number))
        elif (pattern := _pattern(line)) is not None:
            self._patterns.append((pattern, number))


def annotate(item: Entity) -> list[Annotation]:
    """What the known-good lists and hubs say of an entity: each list once, empty where none knows it."""
    return lists().annotate(item)


@cache
def lists() -> Lists:
    """The lists of this installation, read once per process (about half a second)."""
    return Lists(read_hubs(settings().configs / "hubs.yaml").lists)


def read_hubs(path: Path) -> HubsFile:
    """The table of lists; an installation without one of its own takes the project's. Raises ConfigError."""
    found = path if path.is_file() else CHECKOUT / "configs" / "hubs.yaml"
    return check(found, HubsFile, read_yaml(found))


def networks_of(name: str) -> list[str]:
    """The networks and addresses of a list of the package, canonical. Raises ConfigError where there is none."""
    found = []
    for line in _record(name)["list"]:
        try:
            found.append(str(ipaddress.ip_network(str(line).strip(), strict=False)))
        except ValueError:  # lists of addresses hold a name now and then
            continue
    return found


def _record(name: str) -> dict[str, Any]:
    path = package_folder("pymispwarninglists") / _FOLDER / name / "list.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"couldn't read the list {name} that hubs.yaml names: the installed package has no such list; nothing"
            " is annotated before the name is right"
        ) from error
    return record


def _host(item: Entity) -> str:
    if not item.scope:
        return ""
    if item.kind == Kind.EMAIL:
        return item.value.rpartition("@")[2]
    if item.kind == Kind.ENDPOINT:
        return item.value.rpartition(":")[0]
    if item.kind == Kind.URL:
        authority = re.split(r"[/?#]", item.value.partition("//")[2], maxsplit=1)[0]
        return authority.rpartition("@")[2].partition(":")[0]
    return item.value


def _network(text: str) -> tuple[int, int, int] | None:
    """(IP version, width, leading bits) of a network; the plain IPv4 address, of which lists hold 100,000, first."""
    if ":" not in text and "/" not in text:
        try:
            return 4, 32, int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
        except (OSError, UnicodeEncodeError):
            return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return (
        network.version,
        network.prefixlen,
        int(network.network_address) >> (network.max_prefixlen - network.prefixlen),
    )


def _is_hash(value: str) -> bool:
    bare = value.replace(":", "")
    return len(bare) in {32, 40, 56, 64, 128} and all(mark in "0123456789abcdef" for mark in bare)


def _pattern(line: str) -> re.Pattern[str] | None:
    """A list's `/pattern/flags`, or None where it cannot be tried without risk."""
    body, slash, flags = line.removeprefix("/").rpartition("/")
    if not slash or len(body) > _LONGEST or _NESTED.search(body):
        return None
    try:
        return re.compile(body, re.IGNORECASE if "i" in flags else 0)
    except re.error:
        return None
