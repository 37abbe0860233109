"""Shared values that no list gives: configs/hubs-values.yaml in, what it says of an entity out.

An entry names whole values, names with all below them, sets of name servers, and parts of the distinguished names of
issuers and subjects. All comparing is of whole parts: nothing here can backtrack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from intel.config.hubs import ClassEntry, HubValuesFile, ValueEntry
from intel.entities import Entity, Kind, entity
from intel.errors import ConfigError, ReadError
from intel.facts import Predicate
from intel.hubs import Hub, HubClass

_FILE: Final = "hubs-values.yaml"
_LONGEST: Final = 2048
"""Characters of a distinguished name that are looked at."""
_PART: Final = re.compile(r"(?:[^,+\\]|\\.)+")
_ISSUERS: Final = frozenset({Predicate.ISSUED_BY, "issuer", ""})
_SUBJECTS: Final = frozenset({Predicate.DESCRIBED_AS, "subject", ""})
_HOSTED: Final = frozenset({Kind.DOMAIN, Kind.NAME_SERVER, Kind.EMAIL, Kind.URL, Kind.ENDPOINT})


class Values:
    """The entries, indexed. Raises ConfigError for a value that cannot be of its kind."""

    def __init__(self, file: HubValuesFile, classes: Mapping[HubClass, ClassEntry]) -> None:
        self._classes = classes
        self._exact: dict[bytes, list[tuple[str, ValueEntry]]] = {}
        self._names: dict[str, list[tuple[str, ValueEntry]]] = {}
        self._begun: dict[str, list[tuple[str, str, ValueEntry]]] = {}
        self._issuers: list[tuple[frozenset[str], str, ValueEntry]] = []
        self._subjects: list[tuple[frozenset[str], str, ValueEntry]] = []
        for name, entry in file.entries.items():
            self._add(name, entry)

    def hubs(self, item: Entity, predicate: str = "") -> Iterator[Hub]:
        """What the entries say of an entity, each entry once."""
        found = {name: (entry, entry.factor) for name, entry in self._exact.get(item.digest, ())}
        if item.kind in _HOSTED:
            host = item.value.rpartition("@")[2] if item.kind == Kind.EMAIL else _host(item)
            found |= {name: (entry, entry.factor) for name, entry in self._above(host)}
        elif item.kind == Kind.NAME_SERVER_SET:
            found |= self._sets(item)
        elif item.kind == Kind.TEXT:
            found |= self._named(item.value, predicate)
        for name, (entry, factor) in found.items():
            yield Hub(
                hub=entry.hub,
                why=entry.why,
                list=f"{_FILE}: {name}",
                as_of=entry.as_of,
                takes=entry.takes,
                factor=factor_of(self._classes, entry.hub, kind_of(item)) if factor is None else factor,
            )

    def _above(self, host: str) -> Iterator[tuple[str, ValueEntry]]:
        name = host
        while name:
            yield from self._names.get(name, ())
            label, _, parent = name.partition(".")
            for begin, called, entry in self._begun.get(parent, ()):
                if label.startswith(begin):
                    yield called, entry
            name = parent

    def _sets(self, item: Entity) -> dict[str, tuple[ValueEntry, float | None]]:
        """Entries that say of sets what they are, and that all hosts of this one stand below names of."""
        hosts = [dict(self._above(host)) for host in item.value.split()]
        if not hosts:
            return {}
        return {
            name: (entry, entry.sets)
            for name, entry in hosts[0].items()
            if entry.sets is not None and all(name in other for other in hosts)
        }

    def _named(self, text: str, predicate: str) -> dict[str, tuple[ValueEntry, float | None]]:
        parts = parts_of(text)
        found: dict[str, tuple[ValueEntry, float | None]] = {}
        for asked, patterns in ((_ISSUERS, self._issuers), (_SUBJECTS, self._subjects)):
            if predicate in asked:
                found |= {name: (entry, entry.factor) for wanted, name, entry in patterns if wanted <= parts}
        return found

    def _add(self, name: str, entry: ValueEntry) -> None:
        try:
            for text in entry.names:
                begin, star, parent = text.partition("*.")
                if star:
                    self._begun.setdefault(parent, []).append((begin, name, entry))
                    continue
                self._names.setdefault(entity(Kind.NAME_SERVER, text).value, []).append((name, entry))
            whole = [(kind, text) for kind, texts in entry.values.items() for text in texts]
            whole += [(Kind.NAME_SERVER_SET, text) for text in entry.name_server_sets]
            for kind, text in whole:
                self._exact.setdefault(entity(kind, text).digest, []).append((name, entry))
        except ReadError as error:
            raise ConfigError(
                f"couldn't use {_FILE}, entry {name}: {error}; no hub is known before it is right"
            ) from error
        self._issuers += [(parts_of(text), name, entry) for text in entry.issuers]
        self._subjects += [(parts_of(text), name, entry) for text in entry.subjects]


def factor_of(classes: Mapping[HubClass, ClassEntry], hub: str, kind: str) -> float:
    """What a link over a value of this class and kind is worth; nothing where configuration does not say."""
    about = classes.get(HubClass(hub))
    return 0.0 if about is None else about.of.get(Kind(kind), about.factor)


def kind_of(item: Entity) -> str:
    """Its kind; a URL that leads to nothing but the host is as good as the host's name."""
    if item.kind == Kind.URL and not item.value.partition("//")[2].partition("/")[2].strip("?#"):
        return Kind.DOMAIN
    return item.kind


def parts_of(text: str) -> frozenset[str]:
    """The parts of a distinguished name (RFC 4514), case-folded, in whatever order: `o=let's encrypt`."""
    found = set()
    for part in _PART.findall(text[:_LONGEST]):
        kind, equals, value = part.partition("=")
        if equals:
            found.add(f"{kind.strip().casefold()}={' '.join(value.casefold().split())}")
    return frozenset(found)


def _host(item: Entity) -> str:
    if item.kind == Kind.ENDPOINT:
        return item.value.rpartition(":")[0]
    if item.kind == Kind.URL:
        authority = item.value.partition("//")[2].partition("/")[0]
        return authority.rpartition("@")[2].partition(":")[0]
    return item.value
