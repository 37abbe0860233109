"""When things were seen: many records of one thing in, its first and its last time out, in bounded memory.

Times come as records have them: seconds since 1970 (milliseconds and microseconds by their size), or any form that
`times` reads. A time that no record of this kind can have is refused, since it would stand first wherever what is
known is ordered by time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import msgspec

from intel.entities import PERSONAL, Entity
from intel.errors import ReadError
from intel.facts import Fact, State
from tasks.normalize.times import event_time

Key = TypeVar("Key")

MOST_KEYS: Final = 100_000
"""Things that are held together before they are stated: some 60 MB."""
_EARLIEST: Final = datetime(1983, 1, 1, tzinfo=UTC).timestamp()  # the DNS (RFC 882), and TCP/IP
_SLACK: Final = 31 * 86_400.0  # a document of which only the month is known
_MILLISECONDS: Final = 1e11  # as seconds, the year 5138
_MICROSECONDS: Final = 1e14
_DATE_DIGITS: Final = frozenset({8, 14})


class Window:
    """The times that a document can speak of: until its own, which may be known to the month only."""

    def __init__(self, as_of: datetime) -> None:
        self._latest = as_of.timestamp() + _SLACK

    def seconds(self, said: Any) -> float:
        """A time as seconds since 1970. Raises ReadError for what is none, or is none of a document of this age."""
        if isinstance(said, str):
            digits = said.replace(".", "", 1)
            plain = digits.isdecimal() and digits.isascii() and len(digits) <= 24 and len(said) not in _DATE_DIGITS
            value = float(said) if plain else event_time(said).timestamp()
        elif isinstance(said, int | float) and not isinstance(said, bool):
            value = float(min(max(said, -1), 1e17))
        else:
            raise ReadError("couldn't read a time: neither a number nor a text")
        if value >= _MILLISECONDS:
            value /= 1e6 if value >= _MICROSECONDS else 1e3
        if not _EARLIEST <= value <= self._latest:
            raise ReadError("couldn't believe a time: before 1983 or after the document")
        return value

    def span(self, first: Any, last: Any) -> tuple[float, ...]:
        """The times of a pair, none, one or two of which are stated (None and "" are not).

        Raises ReadError for a wrong one, and where the last is before the first.
        """
        times = [self.seconds(one) for one in (first, last) if one is not None and one != ""]
        if len(times) == 2 and times[1] < times[0]:
            raise ReadError("couldn't believe a record: it was last seen before it was first seen")
        return tuple(times)


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as an aware UTC time."""
    return datetime.fromtimestamp(seconds, UTC)


class Sighting(msgspec.Struct, kw_only=True):
    """How often one thing was seen, from when until when (seconds since 1970), and in which line first.

    `amount` adds up what the caller counts (bytes). `seen` collects flags of the caller's.
    """

    first: float
    last: float
    line: int
    count: int = 1
    amount: int = 0
    seen: int = 0

    @property
    def times(self) -> tuple[datetime, ...]:
        """The first time and, where it is another, the last: event times."""
        return (moment(self.first),) if self.first == self.last else (moment(self.first), moment(self.last))

    @property
    def place(self) -> str:
        """Where in the document, and how much stands there."""
        said = f"line {self.line}"
        if self.count > 1:
            said += f" and {self.count - 1} more"
        return f"{said}, {self.amount} bytes" if self.amount else said


class Sightings(Generic[Key]):
    """Sightings by key. When `full`, what it holds has to be drained; the same key may then come once more."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._found: dict[Key, Sighting] = {}
        self._most = most

    @property
    def full(self) -> bool:
        return len(self._found) >= self._most

    def add(self, key: Key, first: float, last: float, line: int, *, amount: int = 0, seen: int = 0) -> None:
        """One more record of `key`."""
        known = self._found.get(key)
        if known is None:
            self._found[key] = Sighting(first=first, last=last, line=line, amount=amount, seen=seen)
            return
        known.first = min(known.first, first)
        known.last = max(known.last, last)
        known.count += 1
        known.amount += amount
        known.seen |= seen

    def drain(self) -> Iterator[tuple[Key, Sighting]]:
        """All of them, in the order in which they were first seen; afterwards there are none."""
        found, self._found = self._found, {}
        yield from found.items()


def facts_at(
    times: Iterable[datetime | None],
    subject: Entity,
    predicate: str,
    said: Entity | None,
    *,
    qualifiers: tuple[tuple[str, str], ...] = (),
    state: State = State.VALUE,
    reference: str = "",
    locator: str = "",
    personal: bool = False,
) -> Iterator[Fact]:
    """The same fact at each of these times: its first and its last sighting. Marked where it names people."""
    people = personal or subject.kind in PERSONAL or (said is not None and said.kind in PERSONAL)
    for at in times:
        yield Fact(
            subject=subject,
            predicate=predicate,
            object=said,
            state=state,
            qualifiers=qualifiers,
            reference=reference,
            event_time=at,
            personal=people,
            locator=locator,
        )
