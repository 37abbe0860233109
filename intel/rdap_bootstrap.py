"""Where the RDAP server of a thing is: IANA's bootstrap registries in, base URLs out. Pure.

RFC 9224 (dns, ipv4, ipv6, asn: the longest match wins) and RFC 8521 (object tags, the part of a handle after its last
hyphen). An entry that is not as it should be costs itself; a file that is no registry raises ReadError.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.names import canonical_name

RegistryName = Literal["dns", "ipv4", "ipv6", "asn", "object-tags"]
REGISTRIES: Final[tuple[RegistryName, ...]] = ("dns", "ipv4", "ipv6", "asn", "object-tags")

MOST_ENTRIES: Final = 200_000
"""Entries that are read of one file; IANA's largest has some 1,500."""
_LONGEST_URL: Final = 512
_BROKEN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_RANGE: Final = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")
_TAG: Final = re.compile(r"[A-Z0-9]{1,32}")

Urls = tuple[str, ...]
_NOWHERE: Final[tuple[str, Urls]] = ("", ())


class Bootstrap(msgspec.Struct, frozen=True, kw_only=True):
    """The base URLs that the registries name.

    `names` is by suffix (A-labels; empty for the root), `networks` by (IP version, prefix length, first address),
    `ranges` are (first AS, last AS, URLs) and `tags` is by upper-case tag. `published` is what each file says of its
    publication; `refused` counts the entries that were not as they should be.
    """

    names: Mapping[str, Urls] = {}
    networks: Mapping[tuple[int, int, int], Urls] = {}
    ranges: tuple[tuple[int, int, Urls], ...] = ()
    tags: Mapping[str, Urls] = {}
    published: Mapping[str, str] = {}
    refused: int = 0

    def servers(self, subject: Entity | str) -> Urls:
        """Base URLs for an entity, or for the text of a handle: https first, empty where none is known."""
        return self.match(subject)[1]

    def match(self, subject: Entity | str) -> tuple[str, Urls]:
        """The entry that matches best (a suffix, network, first AS number or tag) and its base URLs."""
        if isinstance(subject, str):
            return self._tagged(subject)
        registry = registry_of(subject)
        if registry == "dns":
            return self._named(subject.value)
        if registry in ("ipv4", "ipv6"):
            return self._holding(subject.value)
        if registry == "asn":
            return self._ranged(int(subject.value.removeprefix("AS")))
        return self._tagged(subject.value) if registry else _NOWHERE

    def _named(self, name: str) -> tuple[str, Urls]:
        labels = name.split(".")
        endings = [".".join(labels[index:]) for index in range(len(labels))]
        return next(((ending, self.names[ending]) for ending in (*endings, "") if ending in self.names), _NOWHERE)

    def _holding(self, text: str) -> tuple[str, Urls]:
        network = ipaddress.ip_network(text, strict=False)
        first, bits = int(network.network_address), network.max_prefixlen
        for length in range(network.prefixlen, -1, -1):
            start = first >> (bits - length) << (bits - length)
            found = self.networks.get((network.version, length, start))
            if found is not None:
                return f"{type(network.network_address)(start)}/{length}", found
        return _NOWHERE

    def _ranged(self, number: int) -> tuple[str, Urls]:
        holding = [one for one in self.ranges if one[0] <= number <= one[1]]
        if not holding:
            return _NOWHERE
        first, _, urls = min(holding, key=lambda one: one[1] - one[0])
        return str(first), urls

    def _tagged(self, handle: str) -> tuple[str, Urls]:
        # A handle without a tag is unique at its server alone, and bears that server's domain after an @.
        _, at, domain = handle.rpartition("@")
        if at:
            there = (urls for urls in self.tags.values() if any(_is_at(url, domain.lower()) for url in urls))
            return domain, next(there, ())
        tag = tag_of(handle)
        return tag, self.tags.get(tag, ())


def tag_of(handle: str) -> str:
    """What may be the object tag of a handle (RFC 8521 section 2): upper-case, empty where it has none."""
    _, hyphen, tag = handle.strip().upper().rpartition("-")
    return tag if hyphen and _TAG.fullmatch(tag) else ""


def registry_of(subject: Entity) -> RegistryName | None:
    """Which registry knows the server of an entity; None where RDAP has no class for its kind."""
    if subject.kind in (Kind.DOMAIN, Kind.NAME_SERVER):
        return "dns"
    if subject.kind in (Kind.IP, Kind.NETWORK):
        return "ipv6" if ":" in subject.value else "ipv4"
    if subject.kind == Kind.AS:
        return "asn"
    return "object-tags" if subject.kind == Kind.HANDLE else None


def read_bootstrap(files: Mapping[RegistryName, bytes]) -> Bootstrap:
    """The registries from the bytes of IANA's files; those that are not given know nothing. Raises ReadError."""
    names: dict[str, Urls] = {}
    networks: dict[tuple[int, int, int], Urls] = {}
    ranges: list[tuple[int, int, Urls]] = []
    tags: dict[str, Urls] = {}
    published: dict[str, str] = {}
    refused = 0
    for registry, data in files.items():
        document = _decoded(registry, data)
        published[registry] = str(document.get("publication", ""))[:64]
        for entry, urls in _entries(registry, document["services"]):
            try:
                if entry is None or not urls:
                    raise ReadError("couldn't read an entry: it names no server; it is left out")  # noqa: TRY301 - counted below
                if registry == "dns":
                    names.setdefault(_suffix(entry), urls)
                elif registry in ("ipv4", "ipv6"):
                    networks.setdefault(_network(registry, entry), urls)
                elif registry == "asn":
                    ranges.append((*_numbers(entry), urls))
                else:
                    tags.setdefault(_tag(entry), urls)
            except ReadError:
                refused += 1
    return Bootstrap(
        names=names, networks=networks, ranges=tuple(ranges), tags=tags, published=published, refused=refused
    )


def is_base_url(text: str) -> bool:
    """Whether a text is a URL of http or https with a host, and nothing that no URL may hold."""
    if len(text) > _LONGEST_URL or _BROKEN_PERCENT.search(text) or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_at(url: str, domain: str) -> bool:
    return f".{urlsplit(url).hostname or ''}".endswith(f".{domain}")


def _decoded(registry: str, data: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadError(
            f"couldn't read the list of RDAP servers ({registry}): {error}; the one before stays in use"
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("services"), list):
        raise ReadError(
            f"couldn't read the list of RDAP servers ({registry}): it has no services; the one before stays in use"
        )
    return document


def _entries(registry: RegistryName, services: list[Any]) -> Iterator[tuple[str | None, Urls]]:
    """Each entry with its URLs; None in place of one that is no text."""
    left = MOST_ENTRIES
    # A service of object-tags begins with the people to write to (RFC 8521 section 3).
    skipped = 1 if registry == "object-tags" else 0
    for service in services:
        parts = service[skipped : skipped + 2] if isinstance(service, list) else []
        if len(parts) != 2 or not all(isinstance(part, list) for part in parts):
            yield None, ()
            continue
        good = {url for url in parts[1][:64] if isinstance(url, str) and is_base_url(url)}
        urls = tuple(sorted(good, key=lambda url: (not url.startswith("https://"), url)))
        for entry in parts[0]:
            if left <= 0:
                return
            left -= 1
            yield (entry if isinstance(entry, str) else None), urls


def _suffix(entry: str) -> str:
    """The A-labels of a suffix, which may be one label; empty for the root."""
    bare = entry.strip(".")
    return canonical_name(f"a.{bare}").removeprefix("a.") if bare else ""


def _network(registry: str, entry: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(entity(Kind.NETWORK, entry).value)
    if f"ipv{network.version}" != registry:
        raise ReadError("couldn't read a network: it is of the other IP version; it is left out")
    return network.version, network.prefixlen, int(network.network_address)


def _numbers(entry: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(entry)
    if match is None:
        raise ReadError("couldn't read a range of AS numbers: wrong form; it is left out")
    first, last = int(match[1]), int(match[2] or match[1])
    if first > last or last > 0xFFFFFFFF:
        raise ReadError("couldn't read a range of AS numbers: no such numbers; it is left out")
    return first, last


def _tag(entry: str) -> str:
    tag = entry.strip().upper()
    if not _TAG.fullmatch(tag):
        raise ReadError("couldn't read an object tag: wrong form; it is left out")
    return tag
