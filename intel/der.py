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

CONSTRUCTED: Final = 0x20  # the bit of a tag

MAX_FAULTS: Final = 32
_MAX_OID: Final = 64
_INDEFINITE: Final = -1
_MAX_INDEFINITE: Final = 1 << 18  # octets
_MAX_PIECES_IN_PIECES: Final = 5  # as OpenSSL

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
            after = stop = content + length
        else:
            header = _long_header(data, pos, end, faults, what)
            if header is None:
                break
            content, after = header
            stop = after
            if after == _INDEFINITE:  # X.690 8.1.3.6, forbidden in DER
                note(faults, f"{what}: indefinite length")
                stop = _end_of_contents(data, content, end)
                after = min(stop + 2, end)
        if stop > end:
            note(faults, f"{what}: an element runs past the end")
            after = stop = end
        frames.append((tag, pos, content, stop))
        pos = after
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
    if count == 0:
        return pos, _INDEFINITE
    if count > 8 or pos + count > end:
        note(faults, f"{what}: unreadable length")
        return None
    length = int.from_bytes(data[pos : pos + count], "big")
    if length < 0x80 or data[pos] == 0:
        note(faults, f"{what}: length in more octets than needed")
    return pos + count, pos + count + length


def _end_of_contents(data: bytes, pos: int, end: int) -> int:
    """Where the end-of-contents octets (X.690 8.1.5) stand that belong to content at `pos`; `end` where none are found.

    One pass for each level that a caller walks, and none over what is too large to be worth it.
    """
    if end - pos > _MAX_INDEFINITE:
        return end
    depth = 0
    while pos + 2 <= end:
        if data[pos] == 0 and data[pos + 1] == 0:
            if depth == 0:
                return pos
            depth -= 1
            pos += 2
            continue
        header = _long_header(data, pos, end, [], "")
        if header is None:
            break
        content, pos = header
        if pos == _INDEFINITE:
            depth += 1
            pos = content
    return end


def string_octets(data: bytes, frame: Frame, faults: list[str], what: str) -> bytes:
    """What a string holds, put together where it is in pieces (X.690 8.7.3), which DER forbids and others read."""
    if not frame[0] & CONSTRUCTED:
        return data[frame[2] : frame[3]]
    note(faults, f"{what}: a string in pieces")
    frames = [frame]
    for _ in range(_MAX_PIECES_IN_PIECES):
        frames = [
            piece
            for outer in frames
            for piece in (children(data, outer[2], outer[3], faults, what) if outer[0] & CONSTRUCTED else (outer,))
        ]
        if not any(piece[0] & CONSTRUCTED for piece in frames):
            break
    return b"".join(data[start:stop] for _, _, start, stop in frames)


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
