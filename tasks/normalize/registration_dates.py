"""Dates of registration records: text in, aware UTC time and precision out.

Reads RFC 3339 (RDAP, RFC 9083 section 4.5, and the ICANN WHOIS format) and the day forms of registries' own WHOIS
formats. A form whose day and month cannot be told apart ("03/04/2015") is refused, not guessed, and so is "before
2001". A time without an offset is taken as UTC by day only: nobody said which clock it was.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from intel.registration import SHOWN_TEXT, DateField, FieldState, Precision

EARLIEST_YEAR, LATEST_YEAR = 1980, 2200
"""Domains are registered since 1985; some records say 1900 or 9999 for "never"."""

_MONTHS = {
    name: index
    for index, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_TIME = (
    r"(?:(?: |-?[tT]| [tT])(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d{1,9})?)?"
    r" ?\(?(?P<zone>[zZ]|utc|UTC|gmt|GMT|(?:UTC|GMT)?[+-]\d{2}:?(?:\d{2})?|[A-Z]{3,4})?\)?)?\.?"
)
# Every pattern is matched whole, on at most 64 characters, with bounded runs.
_PATTERNS = tuple(
    re.compile(day + _TIME)
    for day in (
        r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})",
        r"(?P<year>\d{4})\. (?P<month>\d{2})\. (?P<day>\d{2})\.",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
        r"(?P<day>\d{1,2})[- ./](?P<month>[A-Za-z]{3,9})[- ./](?P<year>\d{4})",
        r"(?P<year>\d{4})-(?P<month>[A-Za-z]{3,9})-(?P<day>\d{1,2})",
        r"(?:[A-Z][a-z]{2,8},? )?(?P<day>\d{1,2})(?:[snrt][tdh])? (?P<month>[A-Za-z]{3,9}),? (?P<year>\d{4})",
        r"(?:[A-Z][a-z]{2} )?(?P<month>[A-Z][a-z]{2,8}) {1,2}(?P<day>\d{1,2}),? (?P<year>\d{4})",
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
    )
)
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
# Names of offsets that mean one thing each; a time with any other is read to the day.
_ZONES = {"UTC": 0, "GMT": 0, "Z": 0, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "EAT": 3, "JST": 9, "KST": 9}


def date_field(text: str | None, *, where: str, reader: str) -> DateField:
    """A date's text as a field: VALUE, ABSENT where it is empty, UNPARSED where it cannot be read. Never raises."""
    stripped = "" if text is None else " ".join(text.split())
    if not stripped or stripped.strip("-. /:0") == "":
        return DateField(where=where, reader=reader)
    found = read_date(stripped)
    if found is None:
        return DateField(state=FieldState.UNPARSED, text=stripped[:SHOWN_TEXT], where=where, reader=reader)
    return DateField(at=found[0], precision=found[1], state=FieldState.VALUE, where=where, reader=reader)


def read_date(text: str) -> tuple[datetime, Precision] | None:
    """The time that `text` says, in UTC, or None where it cannot be read with certainty."""
    if len(text) > 64 or not text.isascii():
        return None
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            return _built(match.groupdict())
    if match := _SLASHED.fullmatch(text):
        first, second, year = (int(part) for part in match.groups())
        if first > 12 >= second or first == second:
            return _built({"year": str(year), "month": str(second), "day": str(first)})
        if second > 12 >= first:
            return _built({"year": str(year), "month": str(first), "day": str(second)})
    return None


def is_ambiguous(text: str) -> bool:
    """Whether a text begins with a day and a month that could be a month and a day."""
    match = _SLASHED.match(text.strip()[:64])
    return match is not None and match[1] != match[2] and int(match[1]) <= 12 and int(match[2]) <= 12


def plausible(at: datetime) -> bool:
    """Whether a registration can bear this date."""
    return EARLIEST_YEAR <= at.year <= LATEST_YEAR


def _built(parts: dict[str, str | None]) -> tuple[datetime, Precision] | None:
    month_text = parts["month"] or ""
    month = int(month_text) if month_text.isdigit() else _MONTHS.get(month_text[:3].lower(), 0)
    try:
        day = datetime(int(parts["year"] or 0), month, int(parts["day"] or 0), tzinfo=UTC)
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
    bare = digits[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(bare[:2]), minutes=int(bare[2:]))
    return -offset if digits[0] == "-" else offset
