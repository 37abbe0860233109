"""DER frames (X.690), read leniently: bytes in, offsets out.

Real certificates break DER's rules in many small ways, and a name in a broken one still matters. So a length that
runs past its parent is cut there, a length in too many octets is taken as it is, and what was forgiven is written to
`faults`. Nothing here recurses: depth is what the caller walks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

SEQUENCE: Final = 0x30
SET: Final = 0x31
INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18

MAX_FAULTS: Final = 32
_MAX_OID: Final = 64

# Tag octet, where the header starts, where the content starts, where it ends (exclusive).
Frame = tuple[int, int, int, int]


def note(faults: list[str], fault: str) -> None:
    """Keep a fault once, and not more than MAX_FAULTS of them."""
    if len(faults) < MAX_FAULTS and fault not in faults:
        faults.append(fault)


def children(data: bytes, start: int, end: int, faults: list[str], what: str, *, limit: int = 1024) -> list[Frame]:
    """The frames that stand one after another in data[start:end], at most `limit`. Never raises.

    `end` must not exceed len(data). `what` names the parent in the faults.
    """
    frames: list[Frame] = []
    pos = start
    while pos < end:
        if len(frames) == limit:
            note(faults, f"{what}: more than {limit} elements")
            break
        if pos + 2 > end:
            note(faults, f"{what}: ends within a header")
            break
        tag = data[pos]
        length = data[pos + 1]
        if length < 0x80 and tag & 0x1F != 0x1F:
            content = pos + 2
            stop = content + length
        else:
            header = _long_header(data, pos, end, faults, what)
            if header is None:
                break
            content, stop = header
        if stop > end:
            note(faults, f"{what}: an element runs past the end")
            stop = end
        frames.append((tag, pos, content, stop))
        pos = stop
    return frames


def _long_header(data: bytes, pos: int, end: int, faults: list[str], what: str) -> tuple[int, int] | None:
    """Content start and end for a tag or length of more than one octet; None where it cannot be read."""
    octet = data[pos]
    pos += 1
    if octet & 0x1F == 0x1F:  # X.690 8.1.2.4
        while pos < end and data[pos] & 0x80:
            pos += 1
        pos += 1
    if pos >= end:
        note(faults, f"{what}: ends within a header")
        return None
    length = data[pos]
    pos += 1
    if length < 0x80:
        return pos, pos + length
    count = length & 0x7F
    if count == 0:  # X.690 8.1.3.6, forbidden in DER: what follows may be the content
        note(faults, f"{what}: indefinite length")
        return pos, end
    if count > 8 or pos + count > end:
        note(faults, f"{what}: unreadable length")
        return None
    length = int.from_bytes(data[pos : pos + count], "big")
    if length < 0x80 or data[pos] == 0:
        note(faults, f"{what}: length in more octets than needed")
    return pos + count, pos + count + length


def wrap(tag: int, content: bytes) -> bytes:
    """One DER element."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


@lru_cache(maxsize=512)
def _dotted(content: bytes) -> str:
    arcs: list[int] = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    if not arcs or content[-1] & 0x80:
        return ""
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def dotted(content: bytes) -> str:
    """An object identifier in dotted form; "" where it is cut short or longer than 64 octets."""
    return _dotted(content) if len(content) <= _MAX_OID else ""


_TIME: Final = re.compile(rb"(\d\d|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:[.,](\d{1,12}))?(Z|[+-]\d{4})?", re.ASCII)


def read_time(tag: int, content: bytes) -> tuple[datetime | None, bool]:
    """A UTCTime or GeneralizedTime in UTC (None where unreadable), and whether it had the form that DER wants.

    Two-digit years from 50 on are 19xx (RFC 5280 4.1.2.5.1). A missing zone is taken for UTC.
    """
    match = _TIME.fullmatch(content) if len(content) <= 40 else None
    if match is None:
        return None, False
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    number = int(year)
    if len(year) == 2:
        number += 1900 if number >= 50 else 2000
    try:
        moment = datetime(number, int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC)
        if zone is not None and zone != b"Z":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
            moment = moment.replace(tzinfo=timezone(-offset if zone[:1] == b"-" else offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None, False
    by_the_book = zone == b"Z" and second is not None and fraction is None
    return moment, by_the_book and len(year) == (2 if tag == UTC_TIME else 4)
