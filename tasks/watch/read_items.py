"""What a watched item stands for: a `WatchedItem` in, the items of the warehouse out.

A domain watch on a registrable domain takes all that stands on it; on a name below one, that name and what is below it;
on a suffix that strangers share (dynamic DNS, a public suffix), that very name alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from db.watching import Item
from intel.config.watches import WatchedItem
from intel.entities import Entity, Kind, entity, guess
from intel.errors import ReadError
from intel.names import default_suffixes
from tasks.watch import certificate_items

_KINDS: Final = frozenset(str(kind) for kind in Kind)
_PATTERN: Final = f"{Kind.PATTERN}:"
_FIELDS: Final = ("entity", "domain", "network", *certificate_items.FIELDS)


def read_items(wanted: WatchedItem) -> Iterator[Item]:
    """The items that one entry stands for. Raises ReadError where it names nothing that can be watched."""
    given = [(field, value) for field in _FIELDS if (value := getattr(wanted, field)) is not None]
    if len(given) != 1:
        raise ReadError(f"couldn't read an item: it needs exactly one of {', '.join(_FIELDS)}")
    field, value = given[0]
    since = None if wanted.since is None else _time(wanted.since)
    if field == "domain":
        yield from domain_items(value, since)
    elif field == "network":
        found = entity(Kind.NETWORK if "/" in value else Kind.IP, value)
        whole = found.address.removesuffix("/128" if ":" in found.address else "/32")
        yield Item(match="network", value=whole, network=whole, since=since)
    elif field == "entity" and value.startswith(_PATTERN):
        by, _, text = value.removeprefix(_PATTERN).partition(":")
        if by not in certificate_items.PATTERNS:
            raise ReadError(f"couldn't read a pattern: it is one of {', '.join(certificate_items.PATTERNS)}")
        yield from certificate_items.certificate_items(by, text, since)
    elif field == "entity":
        yield _exact(_entity(value), since)
    else:
        yield from certificate_items.certificate_items(field, value, since)


def domain_items(value: str, since: datetime | None) -> Iterator[Item]:
    """The items of a domain watch. Raises ReadError where it is no domain."""
    found = entity(Kind.DOMAIN, value)
    if default_suffixes().is_suffix(found.value):
        yield _exact(found, since)
    elif found.scope == found.value:
        yield Item(match="scope", value=found.value, since=since)
    else:
        yield _exact(found, since)
        yield Item(match="subtree", value=found.value, since=since)


def _entity(value: str) -> Entity:
    kind, colon, rest = value.partition(":")
    return entity(kind, rest) if colon and kind in _KINDS else guess(value)


def _exact(found: Entity, since: datetime | None) -> Item:
    # A host is a domain and a name server at once; what watches one matches both.
    kind = str(Kind.DOMAIN) if found.kind == Kind.NAME_SERVER else str(found.kind)
    return Item(match="entity", kind=kind, value=found.value, since=since)


def _time(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReadError("couldn't read the time `since`: not a date or time of ISO 8601") from error
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
