"""Known-good lists and hubs: an entity in, what the lists say of it out.

The lists are those of the `pymispwarninglists` package that `configs/hubs.yaml` names, or newer copies that were
collected; only their `list.json` files are read, at the first question (importing the package reads all of them, a
second's work). The types mean, as MISP defines them: `hostname` a name and all below it, `string` exactly that, `cidr`
networks, `substring` anywhere in the value, `regex` a match. `matching_attributes` says which kinds a list is about.
Lists of suffixes are about the suffix alone: what stands below it is a stranger's, and neither good nor bad for that.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from intel.config.hubs import ListEntry, read_hubs
from intel.entities import Entity, Kind
from intel.errors import ConfigError, ReadError
from intel.hubs import HubClass
from intel.names import package_folder
from intel.settings import settings
from intel.warning_lists import WarningList, read_warning_list

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
_KNOWN_GOOD: Final = HubClass.KNOWN_GOOD
_VERSION: Final = "// VERSION:"
_LONGEST: Final = 512
"""Characters of a value that a pattern is tried on."""
_NESTED: Final = re.compile(r"[*+}]\)?[*+{]|\([^)]*[*+][^)]*\)[*+{]")
"""A repetition of a repetition can backtrack without end."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says of an entity. `below`: a stranger's place on the listed service, not the service's own name.

    `as_of` is the day of the list's version, None where the list does not say.
    """

    list: str
    entry: ListEntry
    as_of: date | None
    below: bool


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
        self._entries = entries
        self._days: list[date | None] = []
        self._suffixes: set[int] = set()
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
        return [self._said[number] for number in sorted(self._find(item))]

    def find(self, item: Entity) -> list[Found]:
        """The same, with the entries and the lists' days."""
        found = sorted(self._find(item).items())
        return [self._found(number, below=below) for number, below in found]

    def of_suffix(self, suffix: str) -> list[Found]:
        """The lists that hold a suffix below which strangers have names."""
        return [self._found(number, below=False) for number in self._exact.get(suffix, ()) if number in self._suffixes]

    def dates(self) -> dict[str, date | None]:
        """The day of each list's version, None where a list does not say."""
        return {said.list: day for said, day in zip(self._said, self._days, strict=True)}

    def _found(self, number: int, *, below: bool) -> Found:
        name = self._said[number].list
        return Found(list=name, entry=self._entries[name], as_of=self._days[number], below=below)

    def _find(self, item: Entity) -> dict[int, bool]:
        """The numbers of the lists that hold it, and whether it is a stranger's place below what is listed."""
        attributes = _ATTRIBUTES.get(item.kind)
        if attributes is None:
            return {}
        host = _host(item)
        bare = item.value.partition(":")[2] if item.kind in {Kind.FILE, Kind.CERTIFICATE} else item.value
        found = dict(self._above(host, item.scope))
        found.update(dict.fromkeys((*self._exact.get(bare, ()), *self._exact.get(host, ())), False))
        if item.kind not in {Kind.EMAIL, Kind.PHONE, Kind.FILE, Kind.CERTIFICATE}:
            found.update({number: False for part, number in self._parts if part in bare})
        elif item.kind in {Kind.EMAIL, Kind.PHONE}:
            clipped = bare[:_LONGEST]
            found.update({number: False for pattern, number in self._patterns if pattern.search(clipped)})
        said = {number: below for number, below in found.items() if self._about[number] & attributes}
        if item.address:
            covering = self._covering(item.address)
            said.update({number: False for number in covering if self._about[number] & _ADDRESSES})
        return said

    def _above(self, host: str, scope: str) -> Iterable[tuple[int, bool]]:
        """The lists of names that hold the host or a parent, and whether that lies above the registrable domain.

        The parents come first, so that of a list with several the nearest counts. Known good ends where the registrable
        domain does.
        """
        name, own = host, True
        levels: list[tuple[str, bool]] = []
        while name:
            levels.append((name, own))
            own = own and name != scope
            name = name.partition(".")[2]
        for level, known in ((own, self._names.get(name, ())) for name, own in reversed(levels)):
            yield from ((number, not level) for number in known if level or self._said[number].hub != _KNOWN_GOOD)

    def _covering(self, address: str) -> Iterable[int]:
        network = ipaddress.ip_network(address)
        first = int(network.network_address)
        longest = network.max_prefixlen
        for bits, known in self._networks[network.version].items():
            if bits <= network.prefixlen:
                yield from known.get(first >> (longest - bits), ())

    def _add(self, name: str, entry: ListEntry) -> None:
        standing = _standing(name)
        number = len(self._said)
        self._said.append(Annotation(list=name, hub=entry.hub, takes=entry.takes, why=entry.why))
        self._about.append(standing.attributes)
        self._days.append(standing.day)
        kind = entry.match or standing.type
        if kind == "suffix":
            self._suffixes.add(number)
        for line in standing.lines:
            self._add_line(kind, line, number)

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


@cache
def lists() -> Lists:
    """The lists of this installation, read once per process (about half a second)."""
    return Lists(read_hubs(settings().configs / "hubs.yaml").lists)


def networks_of(name: str) -> list[str]:
    """The networks and addresses of a list, canonical. Raises ConfigError where there is none."""
    found = []
    for line in _standing(name).lines:
        try:
            found.append(str(ipaddress.ip_network(line, strict=False)))
        except ValueError:  # lists of addresses hold a name now and then
            continue
    return found


@cache
def suffix_list_day() -> date | None:
    """The day of the installed public suffix list, as its head says; None where it does not."""
    path = package_folder("publicsuffixlist") / "public_suffix_list.dat"
    with path.open(encoding="utf-8") as file:
        for line in islice(file, 40):
            if line.startswith(_VERSION):
                try:
                    return date.fromisoformat(line.removeprefix(_VERSION).strip()[:10])
                except ValueError:
                    return None
    return None


def newer_folder() -> Path:
    """Where lists lie that are newer than the package's, each under its name."""
    return settings().home / "hubs"


def standing_list(name: str) -> WarningList | None:
    """The list of this name that counts, the newer of the package's and what was collected; None where none is."""
    collected = newer_folder() / f"{name}.json"
    found = [
        one
        for path in (package_folder("pymispwarninglists") / _FOLDER / name / "list.json", collected)
        if (one := _read(path)) is not None
    ]
    return found[-1] if len(found) > 1 and found[-1].newer_than(found[0]) else next(iter(found), None)


def _read(path: Path) -> WarningList | None:
    try:
        return read_warning_list(path.read_bytes())
    except (OSError, ReadError):
        return None


def _standing(name: str) -> WarningList:
    found = standing_list(name)
    if found is None:
        raise ConfigError(
            f"couldn't read the list {name} that hubs.yaml names: the installed package has no such list; nothing"
            " is annotated before the name is right"
        )
    return found


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
