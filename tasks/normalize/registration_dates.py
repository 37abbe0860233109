"""Dates of registration records: text in, aware UTC time and precision out.

Reads RFC 3339 (RDAP, RFC 9083 section 4.5, and the ICANN WHOIS format) and the day forms of registries' own WHOIS
formats. A form whose day and month cannot be told apart ("03/04/2015") is refused, not guessed, unless the caller
knows the order in which that server writes them; "before 2001" is refused too. A time without an offset is taken as
UTC by day only: nobody said which clock it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Literal

from intel.registration import SHOWN_TEXT, DateField, FieldState, Precision

EARLIEST_YEAR, LATEST_YEAR = 1980, 2200
"""Domains are registered since 1985; some records say 1900 or 9999 for "never"."""
LONGEST_DATE: Final = 64
_FIRST_YEAR: Final = 1985

Order = Literal["day", "month"]
"""What a server writes first of a day and a month."""

_MONTHS: Final = {
    name: index
    for index, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_CLOCK: Final = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d{1,9})?)?"
_ZONE: Final = r"(?P<zone>[zZ]|utc|gmt|(?:UTC|GMT)?[+-]\d{1,2}:?(?:\d{2})?|[A-Z]{3,4})"
_TIME: Final = rf"(?:(?: |-?[tT]| [tT]|, ?){_CLOCK} ?\(?{_ZONE}?\)?)?\.?"
_NAMED: Final = r"(?P<month>[A-Za-z]{3,9})"
_WEEKDAY: Final = r"(?:[A-Z][a-z]{2,8},? )?"
# Every pattern is matched whole, on at most 64 characters, with bounded runs.
_PATTERNS: Final = (
    *(
        re.compile(day + _TIME)
        for day in (
            r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})",
            r"(?P<year>\d{4})\. (?P<month>\d{1,2})\. (?P<day>\d{1,2})\.",
            r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
            rf"(?P<day>\d{{1,2}})[- ./]{_NAMED}[- ./](?P<year>\d{{4}})",
            rf"(?P<year>\d{{4}})[- ]{_NAMED}[- ](?P<day>\d{{1,2}})",
            rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:[snrt][tdh])? {_NAMED},? (?P<year>\d{{4}})",
            rf"{_WEEKDAY}{_NAMED} (?P<day>\d{{1,2}})(?:[snrt][tdh])?,? (?P<year>\d{{4}})",
            r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
        )
    ),
    re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})"),
    # The form of ctime(3), with or without a zone: "Tue Jan 30 15:07:10 2018", "... 15:07:10 UTC 2018".
    re.compile(rf"{_WEEKDAY}{_NAMED} (?P<day>\d{{1,2}}) {_CLOCK}(?: {_ZONE})? (?P<year>\d{{4}})"),
    re.compile(rf"{_WEEKDAY}{_NAMED} (?P<day>\d{{1,2}}) {_CLOCK} (?P<year>\d{{4}}) {_ZONE}"),
    re.compile(rf"{_CLOCK} (?P<day>\d{{1,2}})-{_NAMED}-(?P<year>\d{{4}})"),
    # Two digits of a year: there are no domains from before 1985, so it is plain until 2084.
    re.compile(rf"(?P<day>\d{{1,2}})-{_NAMED}-(?P<year>\d{{2}})"),
)
_NUMERIC: Final = re.compile(r"(?P<first>\d{1,2})[/-](?P<second_part>\d{1,2})[/-](?P<year>\d{4})" + _TIME)
_ORDERED: Final = re.compile(r"(?<!\d)(\d{1,2})[/-](\d{1,2})[/-]\d{4}(?!\d)")
# Names of offsets that mean one thing each; a time with any other is read to the day.
_ZONES: Final = {
    **dict.fromkeys(("UTC", "GMT", "Z"), 0),
    **dict.fromkeys(("WAT", "CET"), 1),
    **dict.fromkeys(("CEST", "EET", "CAT", "SAST"), 2),
    **dict.fromkeys(("EEST", "MSK", "EAT"), 3),
    "HKT": 8,
    **dict.fromkeys(("JST", "KST"), 9),
}


def date_field(text: str | None, *, where: str, reader: str, order: Order | None = None) -> DateField:
    """A date's text as a field: VALUE, ABSENT where it is empty, UNPARSED where it cannot be read. Never raises."""
    stripped = "" if text is None else " ".join(text.split())
    if not stripped or stripped.strip("-. /:0") == "":
        return DateField(where=where, reader=reader)
    found = next((read for form in _forms(stripped) if (read := read_date(form, order=order))), None)
    if found is None:
        return DateField(state=FieldState.UNPARSED, text=stripped[:SHOWN_TEXT], where=where, reader=reader)
    return DateField(at=found[0], precision=found[1], state=FieldState.VALUE, where=where, reader=reader)


def read_date(text: str, *, order: Order | None = None) -> tuple[datetime, Precision] | None:
    """The time that `text` says, in UTC, or None where it cannot be read with certainty."""
    if len(text) > LONGEST_DATE or not text.isascii():
        return None
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            return _built(match.groupdict())
    if match := _NUMERIC.fullmatch(text):
        first, second = int(match["first"]), int(match["second_part"])
        shown = order_of((text,)) or order
        if shown is None and first != second:
            return None
        day, month = (second, first) if shown == "month" else (first, second)
        return _built({**match.groupdict(), "day": str(day), "month": str(month)})
    return None


def order_of(texts: Iterable[str]) -> Order | None:
    """The order in which a server writes day and month, as the first date shows that can be read in one only."""
    for text in texts:
        if match := _ORDERED.search(text[:LONGEST_DATE]):
            first, second = int(match[1]), int(match[2])
            if first > 12 >= second:
                return "day"
            if second > 12 >= first:
                return "month"
    return None


def is_ambiguous(text: str) -> bool:
    """Whether a text begins with a day and a month that could be a month and a day."""
    match = _ORDERED.match(text.strip()[:LONGEST_DATE])
    return match is not None and match[1] != match[2] and int(match[1]) <= 12 and int(match[2]) <= 12


def plausible(at: datetime) -> bool:
    """Whether a registration can bear this date."""
    return EARLIEST_YEAR <= at.year <= LATEST_YEAR


def _forms(text: str) -> Iterator[str]:
    """A date with less and less around it: who made the change stands before it in RIPE's style, a remark after."""
    yield text
    bare = text.partition(" (")[0].partition(" at ")[0].strip()
    if bare != text:
        yield bare
    words = bare.split()[:8]
    yield from (" ".join(words[at:]) for at in range(1, len(words)) if words[at][:1].isdigit())
    if words and words[0][:1].isdigit():
        yield words[0].rstrip(",;")


def _built(parts: dict[str, str | None]) -> tuple[datetime, Precision] | None:
    month_text = parts["month"] or ""
    month = int(month_text) if month_text.isdigit() else _MONTHS.get(month_text[:3].lower(), 0)
    try:
        year = int(parts["year"] or 0)
        year += 0 if year >= 100 else 1900 if year >= _FIRST_YEAR % 100 else 2000
        day = datetime(year, month, int(parts["day"] or 0), tzinfo=UTC)
        if not plausible(day):
            return None
        offset = _offset(parts.get("zone"))
        if offset is None or parts.get("hour") is None:
            return day, "day"
        at = day.replace(
            hour=int(parts["hour"] or 0),
            minute=int(parts["minute"] or 0),
            # A leap second (":60") is read as the second before it.
            second=min(int(parts.get("second") or 0), 59),
            tzinfo=timezone(offset),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at, "second"


def _offset(zone: str | None) -> timedelta | None:
    if zone is None:
        return None
    if zone.isalpha():
        hours = _ZONES.get(zone.upper())
        return None if hours is None else timedelta(hours=hours)
    digits = zone.upper().removeprefix("UTC").removeprefix("GMT")
    hours_text, colon, minutes_text = digits[1:].partition(":")
    if not colon and len(hours_text) > 2:
        hours_text, minutes_text = hours_text[:-2], hours_text[-2:]
    offset = timedelta(hours=int(hours_text), minutes=int(minutes_text or 0))
    return -offset if digits[0] == "-" else offset
