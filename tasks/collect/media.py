"""Reads the header values that servers get wrong: Retry-After (RFC 9110 section 10.2.3), media types (8.3.1), dates.

In: text from outside. Out: numbers, names and aware UTC datetimes, or None where the text says nothing usable.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}")
_PARAMETER = re.compile(
    r';\s{0,8}([!#$%&\'*+.^_`|~0-9A-Za-z-]{1,80})\s{0,8}=\s{0,8}(?:"([^"\\]{0,200})"|([^\s;",]{1,200}))'
)
_MAX_VALUE = 1024


def parse_http_date(value: str) -> datetime | None:
    """Read an HTTP-date (RFC 9110 section 5.6.7; a date without zone is UTC) as an aware UTC datetime."""
    if len(value) > 64:
        return None
    try:
        date = parsedate_to_datetime(value)
        return (date.replace(tzinfo=UTC) if date.tzinfo is None else date).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read Retry-After, seconds or HTTP-date, as seconds from `now` (never negative)."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    date = parse_http_date(text) if text else None
    return None if date is None else max(0.0, (date - now).total_seconds())


def parse_media_type(value: str | None) -> tuple[str | None, dict[str, str]]:
    """Split a Content-Type into its lower-case `type/subtype` and its parameters (lower-case names and values)."""
    text = (value or "")[:_MAX_VALUE]
    essence, _, _ = text.partition(";")
    kind, slash, sub = essence.strip().lower().partition("/")
    if not slash or not _TOKEN.fullmatch(kind) or not _TOKEN.fullmatch(sub):
        return None, {}
    found = _PARAMETER.finditer(text, len(essence))
    # The first of two contradicting parameters counts, as browsers have it.
    parameters: dict[str, str] = {}
    for match in found:
        parameters.setdefault(match[1].lower(), (match[2] if match[2] is not None else match[3]).strip().lower())
    return f"{kind}/{sub}", parameters


def charset_of(parameters: dict[str, str]) -> str | None:
    """The declared charset, as a name; whether a codec of that name exists is the reader's question."""
    charset = parameters.get("charset")
    return charset if charset and _TOKEN.fullmatch(charset) else None


def validator(value: str | None) -> str | None:
    """An ETag or Last-Modified that can be sent back as it is: printable ASCII, not longer than 1,024 characters."""
    if value is None or not value.isascii() or not value.isprintable() or not 0 < len(value) <= _MAX_VALUE:
        return None
    return value
