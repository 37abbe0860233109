"""What all RDAP objects have in common: JSON that servers get wrong in, names, texts, notices and events out.

RFC 9083 section 4. Servers send one object where an array is asked for, and odd case in what should be exact; nothing
here raises on any JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from intel.errors import ReadError
from intel.names import canonical_name
from intel.registration import DateField, Field, FieldState
from tasks.normalize.registration_dates import date_field

READER: Final = "rdap"
LARGEST_REPLY: Final = 1 << 20
"""Bytes; a record with all its notices takes some 10,000."""
MOST_ITEMS: Final = 256
"""Name servers, statuses, events or notices that are read of one record."""

CREATED: Final = ("registration", "registered", "created", "creation")
UPDATED: Final = ("last changed", "last update", "last updated", "last modified", "changed")
EXPIRES: Final = ("expiration", "expiry", "registry expiration", "registrar expiration")
_AS_OF: Final = ("last update of rdap database", "last update of rdap db", "last update of database")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def decoded(body: bytes) -> Any:
    """The JSON of a reply, None where it is none."""
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def as_dict(value: Any) -> dict[str, Any]:
    """`value` where it is an object, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """`value` where it is an array, an empty one otherwise."""
    return value if isinstance(value, list) else []


def items(value: Any, *, most: int = MOST_ITEMS) -> list[Any]:
    """The items of an array, or the one object that stands in its place; at most `most`."""
    return [value] if isinstance(value, dict) else as_list(value)[:most]


def texts(value: Any) -> list[str]:
    """The strings of an array, or the one string; at most 256."""
    found = [value] if isinstance(value, str) else as_list(value)[:MOST_ITEMS]
    return [item for item in found if isinstance(item, str)]


def strings(value: Any, depth: int = 0) -> Iterator[str]:
    """All texts in a value, 8 deep."""
    if isinstance(value, str):
        yield value
    elif depth < 8 and isinstance(value, (list, dict)):
        for item in (value if isinstance(value, list) else list(value.values()))[:MOST_ITEMS]:
            yield from strings(item, depth + 1)


def notices(record: dict[str, Any]) -> Iterator[str]:
    """The texts of a record's notices and remarks (RFC 9083 section 4.3)."""
    for key in ("notices", "remarks"):
        for notice in items(record.get(key)):
            yield from strings(as_dict(notice).get("title"))
            yield from strings(as_dict(notice).get("description"))


def object_name(record: dict[str, Any]) -> str:
    """The canonical name of a domain or name server, empty where it has none."""
    for key in ("ldhName", "unicodeName"):
        found = record.get(key)
        if isinstance(found, str):
            try:
                return canonical_name(found.strip())
            except ReadError:
                continue
    return ""


def object_class(record: dict[str, Any]) -> str:
    """The class, in lower case; empty where the record does not say."""
    return " ".join(str(record.get("objectClassName") or "")[:64].lower().split())


def statuses(record: dict[str, Any]) -> tuple[str, ...]:
    """The statuses in the words of RFC 9083 section 10.2.2: `clientHold` of EPP is `client hold` (RFC 8056)."""
    said = (_CAMEL.sub(" ", text[:128]).lower().split() for text in texts(record.get("status")))
    return tuple(sorted({" ".join(words) for words in said if words}))


def event(record: dict[str, Any], actions: tuple[str, ...]) -> DateField:
    """The date of the first of `actions` that the record tells; one that can be read wins over one that cannot."""
    found = DateField()
    told = list(_events(record))
    for action in actions:
        for where, named, date in told:
            if named != action:
                continue
            read = date_field(date, where=where, reader=READER)
            if read.state is FieldState.VALUE:
                return read
            if found.state is FieldState.ABSENT:
                found = read
    return found


def as_of(record: dict[str, Any]) -> datetime | None:
    """The time that the server says its data has (RFC 9083 section 4.5), None where it is silent or only says a day."""
    found = event(record, _AS_OF)
    return found.at if found.precision == "second" else None


def plain_field(value: Any, *, where: str) -> Field:
    """A text that names no person (a network's name, a type) as a field."""
    text = " ".join(str(value)[:256].split()) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    state = FieldState.VALUE if text else FieldState.ABSENT
    return Field(value=text or None, state=state, where=where if text else "", reader=READER if text else "")


def _events(record: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for index, one in enumerate(items(record.get("events"))):
        fields = as_dict(one)
        action = " ".join(str(fields.get("eventAction"))[:128].lower().replace("_", " ").replace("-", " ").split())
        date = fields.get("eventDate")
        if isinstance(date, str):
            yield f"/events/{index}/eventDate", action, date[:256]
