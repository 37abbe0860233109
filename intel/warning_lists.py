"""MISP warning lists (misp-warninglists, schema.json): bytes in, a checked list out; which of two is the newer."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from intel.errors import OversizedError, ReadError

MOST_BYTES: Final = 67_108_864
MOST_LINES: Final = 2_000_000
LONGEST_LINE: Final = 4_096
TYPES: Final = frozenset({"hostname", "string", "cidr", "substring", "regex"})
_OLDEST, _NEWEST = 2010, 2100
"""The lists began in 2016; 25121022 is no day of the year 2512 but the 10th of December 2025, 22 o'clock."""


class WarningList(msgspec.Struct, frozen=True, kw_only=True):
    """A list: `type` says how `lines` are compared, `attributes` what kinds it is about."""

    type: str
    version: int
    attributes: frozenset[str]
    lines: tuple[str, ...]

    @property
    def day(self) -> date | None:
        """The day that its version tells: 20260805, or 26080512 with the hour; None for a mere number."""
        digits = str(self.version)
        if len(digits) != 8:
            return None
        for form in ("%Y%m%d", "%y%m%d%H"):
            try:
                day = datetime.strptime(digits, form).replace(tzinfo=UTC).date()
            except ValueError:
                continue
            if _OLDEST <= day.year < _NEWEST:
                return day
        return None

    def newer_than(self, other: WarningList) -> bool:
        """Whether it is the newer one: by day where both tell one; one that tells a day is newer than a mere number."""
        if self.day is not None and other.day is not None:
            return self.day > other.day
        if self.day is None and other.day is None:
            return self.version > other.version
        return self.day is not None


def read_warning_list(body: bytes) -> WarningList:
    """Read a list.json. Raises ReadError where it is none, OversizedError beyond what a list may hold."""
    if len(body) > MOST_BYTES:
        raise OversizedError(f"couldn't read a warning list: {len(body)} bytes are too many")
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ReadError("couldn't read a warning list: it is not JSON") from error
    if not isinstance(record, dict):
        raise ReadError("couldn't read a warning list: it is no JSON object")
    version, form, lines = record.get("version"), record.get("type"), record.get("list")
    attributes = record.get("matching_attributes")
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise ReadError("couldn't read a warning list: its version is missing or no number")
    if not isinstance(form, str) or form not in TYPES:
        raise ReadError("couldn't read a warning list: its type is missing or none that is known")
    if not isinstance(lines, list) or not isinstance(attributes, list):
        raise ReadError("couldn't read a warning list: it lacks its list or what that is about")
    if len(lines) > MOST_LINES:
        raise OversizedError(f"couldn't read a warning list: {len(lines)} lines are too many")
    return WarningList(
        type=form,
        version=version,
        attributes=frozenset(one for one in attributes if isinstance(one, str)),
        lines=tuple(line for line in map(_line, lines) if line),
    )


def _line(value: object) -> str:
    """A line of a list; empty for what is none. Some lists hold numbers."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    line = str(value).strip()
    return line if len(line) <= LONGEST_LINE else ""
