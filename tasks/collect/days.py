"""Collects from an address that names a day, one document a day: WhoisDS, say.

In: a source whose location has `{day}` (2026-11-24) or `{day.zip:base64}` (2026-11-24.zip in base64) in it, and the
last day that was taken. Out: a `Slice` with the next day that is offered, whose cursor names it: each day is taken
once, missed ones are caught up, and those that were never offered are said to be missing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from intel.config.sources import Source
from intel.errors import StatusError
from tasks.collect.fetched import Fetched, utc_now
from tasks.collect.received import Slice, receive

_PLAIN: Final = "{day}"
_ZIPPED: Final = "{day.zip:base64}"
_NOT_THERE: Final = frozenset({404, 410})
_PATIENCE: Final = 2
"""Days that a list may be late before it is said to be missing."""


def is_daily(location: str) -> bool:
    """Whether the location names a day."""
    return _PLAIN in location or _ZIPPED in location


def address(location: str, day: date) -> str:
    """Where the document of a day is."""
    text = day.isoformat()
    zipped = base64.b64encode(f"{text}.zip".encode()).decode()
    return location.replace(_PLAIN, text).replace(_ZIPPED, zipped)


def take_day(
    source: Source,
    cursor: Mapping[str, Any],
    get: Callable[[str], Fetched],
    *,
    clock: Callable[[], datetime] = utc_now,
) -> Slice:
    """The next day's document that is there, dated by its day (event time, its midnight).

    Days begin behind the cursor's, `catch_up_days` ago at most, and end with yesterday (UTC). Raises what `get` raises,
    but for 404 and 410: such a day is passed over once a later one is there.
    """
    newest = clock().astimezone(UTC).date() - timedelta(days=1)
    oldest = newest - timedelta(days=source.options.catch_up_days - 1)
    taken = date.fromisoformat(cursor["day"]) if "day" in cursor else None
    begin = oldest if taken is None else max(oldest, taken + timedelta(days=1))
    lost = 0 if taken is None else (begin - taken).days - 1
    absent: list[date] = []
    for number in range((newest - begin).days + 1):
        day = begin + timedelta(days=number)
        try:
            fetched = get(address(source.location, day))
        except StatusError as error:
            if error.status not in _NOT_THERE:
                raise
            absent.append(day)
            continue
        document = receive(source, fetched.url, fetched)
        document = replace(document, as_of=datetime.combine(day, time(), UTC))
        return Slice(
            received=(document,),
            cursor={"day": day.isoformat()},
            more=day < newest,
            problems=_problems(source, absent, lost) if taken is not None else (),
        )
    overdue = [day for day in absent if (newest - day).days >= _PATIENCE]
    return Slice(problems=_problems(source, overdue, lost))


def _problems(source: Source, absent: list[date], lost: int) -> tuple[str, ...]:
    said = []
    if absent:
        days = ", ".join(day.isoformat() for day in absent)
        said.append(f"couldn't get {source.name} of {days}: not offered; the days that are there are taken")
    if lost > 0:
        said.append(f"couldn't get {lost} more days of {source.name}: too long ago; catch_up_days bounds it")
    return tuple(said)
