"""Times as feeds write them: text in, an aware UTC datetime (event time) out.

ISO 8601 with or without a zone, dates, seconds or milliseconds since 1970, RFC 5322 section 3.3 (e-mail and HTTP
dates), `YYYYMMDD` and `YYYYMMDDHHMMSS`. A time without a zone is UTC, as nearly all feeds mean it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from intel.errors import ReadError

_LONGEST: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"(\d{1,16})(\.\d{1,9})?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d(?:-?\d)?", re.ASCII)
_ZONE_WORD: Final = re.compile(r" ?(?:UTC|GMT|Z|z)$")
_RFC_5322: Final = re.compile(
    r"(?:[A-Za-z]{3,9},? {1,4})?\d{1,2}[ -][A-Za-z]{3}[ -]\d{2,4} {1,4}\d{1,2}:\d\d(?::\d\d)?"
    r"(?: {1,4}(?:[+-]\d{4}|UT|GMT|UTC|Z|EST|EDT|CST|CDT|MST|MDT|PST|PDT))?",
    re.ASCII,
)


@lru_cache(maxsize=8192)
def event_time(text: str) -> datetime:
    """The aware UTC time that `text` says; one without a zone is UTC.

    Raises ReadError for other forms, and for times outside the years 1 to 9999.
    """
    clean = text.strip()
    if not clean or len(clean) > _LONGEST:
        raise ReadError("couldn't read a time: empty or too long")
    try:
        return _read(clean)
    except (ValueError, OverflowError, TypeError) as error:
        raise ReadError("couldn't read a time: neither ISO 8601, RFC 5322 nor a time since 1970") from error


def canonical_time(text: str) -> str:
    """A time as a value: ISO 8601, UTC, to the second; a date alone where `text` gives no more. Raises ReadError."""
    moment = event_time(text)
    return f"{moment:%Y-%m-%d}" if _DATE.fullmatch(text.strip()) else moment.isoformat(timespec="seconds")


def _read(clean: str) -> datetime:
    number = _NUMBER.fullmatch(clean)
    if number is not None:
        return _from_number(number[1], number[2] or "")
    if _RFC_5322.fullmatch(clean):
        return _utc(parsedate_to_datetime(clean))
    return _utc(datetime.fromisoformat(_ZONE_WORD.sub("", clean)))


def _from_number(digits: str, fraction: str) -> datetime:
    """Tell by the number of digits; a date written as eight digits is no time since 1970 (that would be 1970)."""
    if not fraction and len(digits) == 8:
        return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC)
    if not fraction and len(digits) == 14:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    if len(digits) == 13:
        return _EPOCH + timedelta(milliseconds=int(digits))
    if len(digits) == 16:
        return _EPOCH + timedelta(microseconds=int(digits))
    if 9 <= len(digits) <= 11:
        return _EPOCH + timedelta(seconds=int(digits) + float(fraction or 0))
    raise ValueError(digits)


def _utc(read: datetime) -> datetime:
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
