"""TweetFeed in its four shapes: daily tables, MISP events, the MISP feed's list of hashes, TAXII 2.1 pages.

In: a warehouse into which all shapes were loaded, and the files. Out: every difference from the daily tables, on the
days that a shape shares with them, with its cause. A cause is a check of the records themselves, made for each
difference; where none holds, the difference has none.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text

from intel.entities import Kind, entity
from intel.errors import ReadError

TABLES: Final = "data-tweetfeed"
EVENTS: Final = "data-misp-tweetfeed"
PAGES: Final = "data-stix-tweetfeed"
_FEED: Final = Path("feeds/misp_feed_tweetfeed")
_DAILY: Final = Path("feeds/tweetfeed/daily")
_KINDS: Final = {"url": Kind.URL, "domain": Kind.DOMAIN, "ip": Kind.IP, "sha256": Kind.FILE, "md5": Kind.FILE}

Item = tuple[str, str]
"""Kind and canonical value."""
Days = Mapping[str, AbstractSet[Item]]

REPEATED: Final = "repeat: the pages hold each value once, on the day of its first report"
RENAMED: Final = "renamed: this copy changes the host's name, the hash is of the first one"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One entity, or one hash, that a shape lacks or has over the tables on one day. `cause` is empty where unknown."""

    day: str
    shape: str
    what: str
    shown: str
    cause: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One shape against the tables: how many days they share, how many entities the tables have on them, and where
    they differ.
    """

    shape: str
    days: int
    entities: int
    differences: tuple[Difference, ...]


def compare(engine: Engine, root: Path) -> list[Comparison]:
    """The three other shapes, each against the daily tables."""
    tables = _stated(engine, TABLES)
    events, pages = _stated(engine, EVENTS), _stated(engine, PAGES)
    return [
        _compare("MISP events", tables, events, lambda _day, _item: ""),
        _compare_hashes("MISP hashes", root),
        _compare("TAXII pages", tables, pages, lambda day, item: _repeated(tables, pages, day, item)),
    ]


def _stated(engine: Engine, source: str) -> dict[str, set[Item]]:
    """What a source listed, by day (UTC, event time)."""
    found: dict[str, set[Item]] = defaultdict(set)
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT DISTINCT to_char(h.event_time, 'YYYY-MM-DD'), e.kind, e.value FROM fact f"
                " JOIN source s ON s.id = f.source_id JOIN entity e ON e.id = f.subject_id"
                " JOIN fact_history h ON h.fact_id = f.id AND NOT h.ended"
                " WHERE s.name = :source AND f.predicate = 'listed'"
            ),
            {"source": source},
        )
        for day, kind, value in rows:
            found[day].add((kind, value))
    return found


def _compare(shape: str, tables: Days, other: Days, cause: Callable[[str, Item], str]) -> Comparison:
    found: list[Difference] = []
    shared = sorted(tables.keys() & other.keys())
    for day in shared:
        found += [
            Difference(day=day, shape=shape, what="lacks", shown=_shown(item), cause=cause(day, item))
            for item in sorted(tables[day] - other[day])
        ]
        found += [
            Difference(day=day, shape=shape, what="has over", shown=_shown(item))
            for item in sorted(other[day] - tables[day])
        ]
    entities = sum(len(tables[day]) for day in shared)
    return Comparison(shape=shape, days=len(shared), entities=entities, differences=tuple(found))


def _repeated(tables: Days, pages: Days, day: str, item: Item) -> str:
    """The first day, of those that both shapes have, on which the tables report it is the one day the pages have it."""
    shared = sorted(tables.keys() & pages.keys())
    reported = [other for other in shared if item in tables[other]]
    held = [other for other in shared if item in pages[other]]
    return REPEATED if held == reported[:1] and held[0] < day else ""


def _compare_hashes(shape: str, root: Path) -> Comparison:
    """MD5 of each value, as the feed's list gives them for the days that it covers, against the tables' values."""
    listed = _listed_hashes(root / _FEED)
    found: list[Difference] = []
    days = entities = 0
    for day in sorted(listed):
        table = root / _DAILY / f"{day.replace('-', '')}.csv"
        if table.is_file():
            values = _values(table)
            days, entities = days + 1, entities + len(set(values.values()))
            found += _compare_day(shape, day, values, listed[day])
    return Comparison(shape=shape, days=days, entities=entities, differences=tuple(found))


def _listed_hashes(feed: Path) -> dict[str, set[str]]:
    """The hashes by the day of their event."""
    listed: dict[str, set[str]] = defaultdict(set)
    path = feed / "hashes.csv"
    if not path.is_file():
        return listed
    manifest = json.loads((feed / "manifest.json").read_bytes())
    for line in path.read_text("utf-8").splitlines():
        digest, _, event = line.partition(",")
        listed[manifest[event.strip()]["date"]].add(digest.strip())
    return listed


def _compare_day(shape: str, day: str, values: Mapping[str, Item], listed: AbstractSet[str]) -> list[Difference]:
    by_hash = {_md5(value): value for value in values}
    over = listed - by_hash.keys()
    found = []
    for digest in sorted(by_hash.keys() - listed):
        value = by_hash[digest]
        first_name = _md5(value.replace(".example/", ".com/", 1))
        cause = RENAMED if first_name in over else ""
        over = over - {first_name}
        found.append(Difference(day=day, shape=shape, what="lacks", shown=_shown(values[value]), cause=cause))
    return found + [Difference(day=day, shape=shape, what="has over", shown=digest) for digest in sorted(over)]


def _values(table: Path) -> dict[str, Item]:
    """The values of a daily table as they are written, with the entity of each."""
    found: dict[str, Item] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            try:
                item = entity(_KINDS[row[2]], row[3])
            except (ReadError, KeyError, IndexError):
                continue
            found[row[3]] = (item.kind, item.value)
    return found


def _md5(value: str) -> str:
    return hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()


def _shown(item: Item) -> str:
    """Kind and value, defanged: these names may be live."""
    return f"{item[0]} {item[1].replace('http', 'hxxp', 1).replace('.', '[.]')[:100]}"
