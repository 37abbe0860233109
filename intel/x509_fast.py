"""Well-formed X.509 certificates, read in one pass: DER in, what matching asks for out (RFC 5280 4.1).

Nearly every logged certificate has the plain shape that this reads: version 3, DER lengths, two UTCTimes, common names
and DNS names of letters, digits and `-_*.`. At the first thing that differs it gives up, and `intel/x509.py` reads
what is there. Where it answers, it says what that one says. It works on offsets into the log's answer, and what few
ask for (texts, times) is read when it is asked for.
"""

from __future__ import annotations

import hashlib
import ipaddress
from functools import lru_cache
from typing import Final

import msgspec

from intel.der import OCTET_STRING, SEQUENCE, SET, UTC_TIME, read_time
from intel.x509 import serial_text, tbs_without_scts
from intel.x509_names import distinguished_name, issuer_text

_sha256 = hashlib.sha256

_VERSION_3: Final = b"\xa0\x03\x02\x01\x02\x02"  # and the tag of the serial number
_MAX_SERIAL: Final = 64
_TWO_TIMES: Final = b"\x30\x1e\x17\x0d"  # a SEQUENCE that starts with a UTCTime of 13 octets
_SECOND_TIME: Final = b"\x17\x0d"
_MAX_SUBJECT: Final = 1000  # octets, so that it has fewer attributes than the lenient reader takes
_COMMON_NAME: Final = b"\x55\x04\x03"
_COMMON_NAME_TYPE: Final = b"\x06\x03" + _COMMON_NAME
_STRINGS: Final = frozenset({0x0C, 0x13, 0x16})  # UTF8, Printable, IA5
_EXTENSIONS: Final = 0xA3
_MAX_EXTENSIONS: Final = 64
_AFTER_TYPE: Final = b"\x01\x04"  # the criticality, a BOOLEAN, or the value
_SUBJECT_ALT_NAME: Final = b"\x06\x03\x55\x1d\x11"
_CT_EXTENSIONS: Final = bytes.fromhex("060a2b06010401d6790204")  # SCT list (02) and poison (03)
_PLAIN: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_*.-"
_LAST_DIGIT: Final = 0x39  # all of `*-.` and the digits come before the letters: a name that ends so may be an address


class _NotPlainError(Exception):
    """Something that the lenient reader has to look at."""


class FastView(msgspec.Struct, gc=False):
    """What a plain certificate says, as `CertificateView` would. `joined_names` are the names with line feeds between.

    The offsets point into `data`: to elements with their header, but for the serial number's content and the first of
    the listed extensions. `ct_extensions` are where SCT list and poison start and end.
    """

    data: bytes
    tbs_at: int
    tbs_end: int
    serial_at: int
    serial_end: int
    issuer_at: int
    validity_at: int
    subject_at: int
    key_at: int
    extensions_at: int
    listed_at: int
    ct_extensions: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    joined_names: str
    ip_addresses: tuple[str, ...]
    spki_sha256: bytes

    @property
    def serial_hex(self) -> str:
        """The serial number, hexadecimal."""
        if 0 < self.data[self.serial_at] < 0x80:  # neither negative nor with a zero in front
            return self.data[self.serial_at : self.serial_end].hex()
        return serial_text(self.data[self.serial_at : self.serial_end])[1]

    @property
    def issuer_der(self) -> bytes:
        """The issuer's Name with its header."""
        return self.data[self.issuer_at : self.validity_at]

    @property
    def issuer(self) -> str:
        """The issuer's text (RFC 4514); few issuers make most certificates, so it is remembered."""
        start, end = _element(self.data, self.issuer_at, SEQUENCE)
        return issuer_text(self.data[start:end], [])

    @property
    def subject(self) -> str:
        """The subject's text (RFC 4514)."""
        start, end = _element(self.data, self.subject_at, SEQUENCE)
        name = self.data[start + 11 : end]
        # Most subjects are one common name: SET, SEQUENCE, identifier, string.
        single = self.data[start + 4 : start + 9] == _COMMON_NAME_TYPE and self.data[start + 1] + 2 == end - start
        if single and name and not name.translate(None, _PLAIN):
            return f"CN={name.decode('ascii')}"
        return distinguished_name(self.data, start, end, [], "subject")[0]

    @property
    def not_before(self) -> int | None:
        """Event time in seconds since 1970 UTC, None where it cannot be read."""
        return _seconds(self.data[self.validity_at + 4 : self.validity_at + 17])

    @property
    def not_after(self) -> int | None:
        """Event time in seconds since 1970 UTC, None where it cannot be read."""
        return _seconds(self.data[self.validity_at + 19 : self.validity_at + 32])

    def joined_sha256(self) -> bytes:
        """SHA-256 of the TBSCertificate without SCTs and poison, as `tbs_without_scts_sha256`."""
        data = self.data
        if not self.ct_extensions:
            return _sha256(data[self.tbs_at : self.tbs_end]).digest()
        first, end = self.listed_at, self.tbs_end
        ct_at, ct_end = self.ct_extensions[0]
        kept = end - first - (ct_end - ct_at)
        if len(self.ct_extensions) > 1 or kept < 0x100:  # rare; the headers may then be shorter
            return _sha256(tbs_without_scts(data[self.tbs_at : end])).digest()
        listed = kept + 4
        content_at = self.tbs_at + 4
        length = self.extensions_at - content_at + listed + 4
        # Only the three lengths around the extensions change (RFC 6962 3.1); all of them take two octets here.
        return _sha256(
            b"\x30\x82%b%b\xa3\x82%b\x30\x82%b%b%b"
            % (
                length.to_bytes(2, "big"),
                data[content_at : self.extensions_at],
                listed.to_bytes(2, "big"),
                kept.to_bytes(2, "big"),
                data[first:ct_at],
                data[ct_end:end],
            )
        ).digest()


def read_fast_certificate(data: bytes, at: int, end: int) -> FastView | None:
    """Read the certificate that is data[at:end]; None where it is not plain."""
    try:
        start, stop = _element(data, at, SEQUENCE)
        if stop != end:
            return None
        _, tbs_end = _element(data, start, SEQUENCE)
        return _read_tbs(data, start, tbs_end) if tbs_end <= end else None
    except (IndexError, _NotPlainError):
        return None


def read_fast_tbs(data: bytes, at: int, end: int) -> FastView | None:
    """Read the bare TBSCertificate that is data[at:end]; None where it is not plain."""
    try:
        return _read_tbs(data, at, end)
    except (IndexError, _NotPlainError):
        return None


# An element that claims to run past its parent, or past `data`, ends somewhere else than its parent does: each list is
# read until exactly its end, so every overrun is noticed, if late.


def _element(data: bytes, pos: int, tag: int) -> tuple[int, int]:
    """Content and end of the element at `pos`."""
    if data[pos] != tag:
        raise _NotPlainError
    length = data[pos + 1]
    if length < 0x80:
        return pos + 2, pos + 2 + length
    return _long(data, pos + 1)


def _long(data: bytes, pos: int) -> tuple[int, int]:
    """Content and end behind a length at `pos` of more than one octet, which must be of the shortest form."""
    count = data[pos]
    if count == 0x82 and data[pos + 1]:
        return pos + 3, pos + 3 + (data[pos + 1] << 8 | data[pos + 2])
    if count == 0x81 and data[pos + 1] >= 0x80:
        return pos + 2, pos + 2 + data[pos + 1]
    raise _NotPlainError


def _read_tbs(data: bytes, at: int, end: int) -> FastView:
    serial = at + 11
    # A length of two octets, as nearly all have, fixes where the serial number stands.
    if data[at : at + 2] != b"\x30\x82" or data[at + 4 : serial - 1] != _VERSION_3:
        raise _NotPlainError
    if data[at + 2] == 0 or at + 4 + (data[at + 2] << 8 | data[at + 3]) != end:
        raise _NotPlainError
    octets = data[serial - 1]
    if not 0 < octets <= _MAX_SERIAL:
        raise _NotPlainError
    _, issuer = _element(data, serial + octets, SEQUENCE)
    _, validity = _element(data, issuer, SEQUENCE)
    if data[validity : validity + 4] != _TWO_TIMES or data[validity + 17 : validity + 19] != _SECOND_TIME:
        raise _NotPlainError
    subject = validity + 32
    start, key = _element(data, subject, SEQUENCE)
    names: list[bytes] = []
    addresses: list[str] = []
    common = _common_names(data, start, key) if start < key else ()
    _, extensions = _element(data, key, SEQUENCE)
    start, stop = _element(data, extensions, _EXTENSIONS)
    start, last = _element(data, start, SEQUENCE)
    if stop != end or last != end:
        raise _NotPlainError
    ct_extensions = _read_extensions(data, start, end, names, addresses)
    for name in common:
        if name not in names:
            names.append(name)
    text, distinct = _distinct(names) if names else ("", ())
    return FastView(
        data,
        at,
        end,
        serial,
        serial + octets,
        issuer,
        validity,
        subject,
        key,
        extensions,
        start,
        ct_extensions,
        distinct,
        text,
        tuple(dict.fromkeys(addresses)) if addresses else (),
        _sha256(data[key:extensions]).digest(),
    )


def _distinct(names: list[bytes]) -> tuple[str, tuple[str, ...]]:
    """The names in lower case, each once: joined by line feeds, and one by one."""
    joined = b"\n".join(names)
    if len(joined.translate(None, _PLAIN)) != len(names) - 1:  # the line feeds between them are left
        raise _NotPlainError
    text = joined.lower().decode("ascii")
    if text[0] == "." or "\n." in text:
        raise _NotPlainError
    if len(names) == 1:
        return text, (text,)
    distinct = tuple(dict.fromkeys(text.split("\n")))
    return text if len(distinct) == len(names) else "\n".join(distinct), distinct


def _common_names(data: bytes, pos: int, end: int) -> list[bytes]:
    """The subject's common names that can be names; sets of one attribute only."""
    if end - pos > _MAX_SUBJECT:
        raise _NotPlainError
    found: list[bytes] = []
    while pos < end:
        octets = data[pos + 1]
        stop = pos + 2 + octets
        if data[pos] != SET or octets >= 0x80 or data[pos + 2] != SEQUENCE or data[pos + 3] + 2 != octets:
            raise _NotPlainError
        type_octets = data[pos + 5]
        if data[pos + 4] != 0x06 or type_octets >= 0x80:
            raise _NotPlainError
        if type_octets == 3 and data[pos + 6 : pos + 9] == _COMMON_NAME:
            if data[pos + 9] not in _STRINGS or pos + 11 + data[pos + 10] != stop:
                raise _NotPlainError
            value = data[pos + 11 : stop]
            if b"." in value or b":" in value:  # as `add_common_name` decides
                if b" " in value:
                    if not value.isascii() or " " not in value.decode("ascii").strip():
                        raise _NotPlainError
                elif value[-1] <= _LAST_DIGIT:
                    raise _NotPlainError
                else:
                    found.append(value)
        pos = stop
    if pos != end:
        raise _NotPlainError
    return found


def _read_extensions(
    data: bytes, pos: int, end: int, names: list[bytes], addresses: list[str]
) -> tuple[tuple[int, int], ...]:
    """Add what subjectAltName names; where SCT list and poison start and end."""
    ct_extensions: tuple[tuple[int, int], ...] = ()
    left = _MAX_EXTENSIONS
    named = False
    while pos < end:
        if data[pos] != SEQUENCE or not left:
            raise _NotPlainError
        left -= 1
        octets = data[pos + 1]
        if octets < 0x80:
            start = pos + 2
            stop = start + octets
        else:
            start, stop = _long(data, pos + 1)
        type_octets = data[start + 1]
        if data[start] != 0x06 or data[start + 2 + type_octets] not in _AFTER_TYPE:
            raise _NotPlainError
        if type_octets == 3:
            if data[start + 4] == 0x11 and data[start : start + 5] == _SUBJECT_ALT_NAME:
                if named:
                    raise _NotPlainError
                named = True
                _read_alternative_names(data, start + 5, stop, names, addresses)
        elif type_octets == 10 and data[start : start + 11] == _CT_EXTENSIONS:
            if data[start + 11] in {2, 3}:
                ct_extensions += ((pos, stop),)
        elif type_octets >= 0x80:
            raise _NotPlainError
        pos = stop
    if pos != end:
        raise _NotPlainError
    return ct_extensions


def _read_alternative_names(data: bytes, pos: int, end: int, names: list[bytes], addresses: list[str]) -> None:
    """The GeneralNames of an extension, whose identifier ends at `pos`."""
    if data[pos] == 0x01:  # the criticality, a BOOLEAN
        _, pos = _element(data, pos, 0x01)
    pos, stop = _element(data, pos, OCTET_STRING)
    if stop != end:
        raise _NotPlainError
    pos, stop = _element(data, pos, SEQUENCE)
    if stop != end:
        raise _NotPlainError
    while pos < end:
        octets = data[pos + 1]
        if octets < 0x80:
            start = pos + 2
            stop = start + octets
        else:
            start, stop = _long(data, pos + 1)
        tag = data[pos]
        if tag == 0x82:
            if data[stop - 1] <= _LAST_DIGIT or start == stop:
                raise _NotPlainError
            names.append(data[start:stop])
        elif tag == 0x87 and stop - start in {4, 16}:
            addresses.append(str(ipaddress.ip_address(data[start:stop])))
        elif tag not in {0x81, 0x86}:
            raise _NotPlainError
        pos = stop
    if pos != end:
        raise _NotPlainError


@lru_cache(maxsize=4096)
def _midnight(day: bytes) -> int:
    """The seconds of the day YYMMDD. Raises ValueError where there is none."""
    moment, _ = read_time(UTC_TIME, day + b"000000Z")
    if moment is None:
        raise ValueError("no day")
    return int(moment.timestamp())


def _seconds(content: bytes) -> int | None:
    """A UTCTime as seconds since 1970; what has not DER's form is left to `read_time`."""
    if content[:12].isdigit() and content[12] == 0x5A:
        hour, minute, second = int(content[6:8]), int(content[8:10]), int(content[10:12])
        if hour < 24 and minute < 60 and second < 60:
            try:
                return _midnight(content[:6]) + 3600 * hour + 60 * minute + second
            except ValueError:
                return None
    moment, _ = read_time(UTC_TIME, content)
    return None if moment is None else int(moment.timestamp())
