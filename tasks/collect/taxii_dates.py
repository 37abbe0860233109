"""The dates of TAXII's paging, as servers really write them.

In: header and manifest values: RFC 3339 with any number of digits, HTTP-dates, JavaScript's Date text. Out: aware UTC
datetimes, and the one form that TAXII 2.1 section 3.1.1 asks for (six digits and Z).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tasks.collect.media import parse_http_date

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,30}))?\s?([Zz]|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_JAVASCRIPT = re.compile(
    r"[A-Z][a-z]{2} ([A-Z][a-z]{2} \d{2} \d{4} \d{2}:\d{2}:\d{2}) GMT([+-]\d{4})(?: \([\w ]{1,60}\))?"
)
# A date beyond this would blind the cursor to everything that comes until then.
_MAX_AHEAD = timedelta(days=1)


def parse_date(value: object) -> datetime | None:
    """Read a date as an aware UTC datetime, cut to microseconds; a date without zone is UTC. None if it is not one."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > 120:
        return None
    try:
        if match := _RFC3339.fullmatch(text):
            day, clock, digits, zone = match.groups()
            zone = "+00:00" if zone is None or zone.upper() in {"Z", "UTC", "GMT"} else zone
            fraction = (digits or "")[:6].ljust(6, "0")
            return datetime.fromisoformat(f"{day}T{clock}.{fraction}{zone}").astimezone(UTC)
        if match := _JAVASCRIPT.fullmatch(text):
            return datetime.strptime(match[1] + match[2], "%b %d %Y %H:%M:%S%z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return parse_http_date(text)


def usable_date(value: object, now: datetime) -> datetime | None:
    """Read a date that a cursor may rest on: one that is not in the future."""
    date = parse_date(value)
    return date if date is not None and date <= now + _MAX_AHEAD else None


def format_date(date: datetime) -> str:
    """Write a date as TAXII wants it."""
    return date.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def earlier(date: datetime, by: timedelta) -> datetime:
    """Go back in time, not beyond the first year."""
    try:
        return date - by
    except OverflowError:
        return date
