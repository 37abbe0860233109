"""What the benchmark `newdomains` rests on: the lists of new domains, the key, and what sources list, less the key.

In: the folder of real data. Out: registrable names. The names are data: nothing here resolves or requests them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from intel.config.sources import Source
from intel.entities import Kind, entity
from intel.errors import ConfigError, ReadError
from intel.facts import Fact, Predicate, RawDocument
from intel.new_domains import Arrival
from lab import data as entries
from tasks.normalize import domains
from tasks.normalize.formats import read_document
from tasks.upkeep.name_model import LEAST_SOURCE

_LISTS: Final = "registration/nrd"
_KEY: Final = "KEY_later_attributed.csv"
_FOLDERS: Final = ("actors", "feeds")
_MALTRAIL: Final = "data-maltrail"
_SAYS: Final = frozenset({Predicate.LISTED, Predicate.ATTRIBUTED_TO, Predicate.ASSOCIATED_WITH, Predicate.REPORTED_IN})
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)

LISTS: Final = Source.model_validate(
    {
        "name": "new-domains",
        "title": "Lists of new domains",
        "transport": "folder",
        "format": "domains",
        "location": _LISTS,
        "semantics": "stream",
        "cadence": "daily",
        "reliability": "C",
        "tlp": "clear",
        "licence": {"name": "none stated", "commercial_use": None, "redistribution": None},
        "enabled": False,
        "options": {
            "pattern": "shreshta_*.csv",
            "as_of": r"shreshta_(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)",
        },
    }
)


@dataclass(frozen=True, kw_only=True)
class Data:
    """`days` are the lists, each without repeats; `key` the names that were later attributed; `listed` all names that
    sources list, with how much they count, `actors` those of Maltrail's actors, both without anything registered under
    a name of the key.
    """

    days: tuple[tuple[str, ...], ...]
    key: frozenset[str]
    listed: Mapping[str, float]
    actors: frozenset[str]


def read_data(root: Path) -> Data:
    """Everything. Raises ConfigError where the folder is missing."""
    place = root / _LISTS
    if not (place / _KEY).is_file():
        raise ConfigError("couldn't run the benchmark newdomains: it needs the real data (LAPSEWATCH_DATA)")
    with (place / _KEY).open(encoding="utf-8", newline="") as file:
        key = frozenset(entity(Kind.DOMAIN, row["domain"]).scope for row in csv.DictReader(file))
    by_source = {name: names - key for name, names in _listed(root).items()}
    listed: dict[str, float] = {}
    for names in by_source.values():
        for name in names:
            listed[name] = listed.get(name, 0) + 1 / max(len(names), LEAST_SOURCE)
    return Data(
        days=tuple(_day(path) for path in sorted(place.glob("shreshta_*.csv"))),
        key=key,
        listed=listed,
        actors=frozenset().union(*(names for name, names in by_source.items() if name.startswith(_MALTRAIL))),
    )


def _day(path: Path) -> tuple[str, ...]:
    document = RawDocument(document_id=1, location=path.name, body=path.read_bytes(), as_of=_NOW)
    return tuple(dict.fromkeys(one.name for one in domains.read(document, LISTS) if isinstance(one, Arrival)))


def _listed(root: Path) -> dict[str, set[str]]:
    """Registrable domains that the sources of the data list or attribute, by source."""
    found: dict[str, set[str]] = {}
    for source in entries.sources().values():
        if source.location.startswith(_FOLDERS):
            names = found.setdefault(source.name, set())
            for path in entries.files_of(source, root):
                names |= _named(path, source)
    return found


def _named(path: Path, source: Source) -> set[str]:
    document = RawDocument(document_id=1, location=path.name, body=path.read_bytes(), as_of=_NOW)
    try:
        return {
            one.subject.scope
            for one in read_document(document, source)
            if isinstance(one, Fact) and one.subject.scope and one.predicate in _SAYS
        }
    except ReadError:
        return set()
