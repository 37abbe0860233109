"""X.509 certificates (RFC 5280), read however malformed: DER in, a frozen view out.

A certificate that a strict library refuses was issued all the same, and may be the one that matters. So this walk
takes what can be read and lists the rest in `faults`. It reads a precertificate leaf too, which is a bare
TBSCertificate (RFC 6962 3.2). It checks no signature.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from intel.der import (
    CONSTRUCTED,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    Frame,
    children,
    dotted,
    note,
    read_time,
    string_octets,
    wrap,
)
from intel.errors import OversizedError, ReadError
from intel.x509_names import FoundNames, add_common_name, add_general_names, distinguished_name, issuer_text

MAX_CERTIFICATE: Final = 0xFFFFFF  # octets: what a log can carry (RFC 6962 3.1)
_MAX_SERIAL: Final = 64  # octets; RFC 5280 4.1.2.2 allows 20

_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_BOOLEAN: Final = 0x01
_AFTER_IDENTIFIER: Final = frozenset({_BOOLEAN, OCTET_STRING, OCTET_STRING | CONSTRUCTED})
_SUBJECT_ALT_NAME: Final = bytes.fromhex("0603551d11")
_SCT_LIST: Final = bytes.fromhex("060a2b06010401d679020402")  # 1.3.6.1.4.1.11129.2.4.2
_POISON: Final = bytes.fromhex("060a2b06010401d679020403")  # 1.3.6.1.4.1.11129.2.4.3


class CertificateView(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says. Times are event time, in UTC.

    `names` are the DNS names of subjectAltName and of the subject's common names: lower-case, no trailing dot,
    A-labels where that can be done, wildcards kept. A time that cannot be read is None, with its raw text beside it.
    `serial` is None where it is missing or longer than 64 octets. `tbs`, `subject_der` and `issuer_der` are the raw
    elements with their headers, b"" where missing.
    """

    names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    subject: str = ""
    issuer: str = ""
    subject_der: bytes = b""
    issuer_der: bytes = b""
    serial: int | None = None
    serial_hex: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    not_before_text: str = ""
    not_after_text: str = ""
    spki_sha256: bytes | None = None
    is_precertificate: bool = False
    signature_algorithm: str = ""
    tbs: bytes = b""
    faults: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all of a TBSCertificate's parts up to the key were found; otherwise it counts as unreadable."""
        return self.spki_sha256 is not None


def certificate_sha256(der: bytes) -> bytes:
    """The fingerprint: SHA-256 of the whole certificate, 32 octets."""
    return hashlib.sha256(der).digest()


def read_certificate(der: bytes) -> CertificateView:
    """Read a certificate. Raises ReadError only where the outer frame cannot be read."""
    faults: list[str] = []
    parts = _outer(der, faults, "certificate")
    if not parts or parts[0][0] != SEQUENCE:
        note(faults, "certificate: no TBSCertificate")
        return CertificateView(faults=tuple(faults))
    algorithm = ""
    if len(parts) < 3:
        note(faults, "certificate: no signature")
    if len(parts) > 1:
        algorithm = _algorithm(der, parts[1], faults)
    return _read_tbs(der, parts[0], faults, algorithm)


def read_tbs(der: bytes) -> CertificateView:
    """Read a bare TBSCertificate. Raises ReadError only where the outer frame cannot be read."""
    faults: list[str] = []
    frame = _outer_frame(der, faults, "tbs")
    return _read_tbs(der, frame, faults, "")


def _outer_frame(der: bytes, faults: list[str], what: str) -> Frame:
    if len(der) > MAX_CERTIFICATE:
        raise OversizedError(f"couldn't read a certificate: {len(der)} octets; it is left out")
    # A broken outer frame would hide the whole certificate, so it is the one thing that is refused.
    frames = children(der, 0, len(der), faults, what, limit=1) if der[:1] == b"\x30" else []
    if not frames:
        raise ReadError("couldn't read a certificate: it does not start with a DER sequence; it is left out")
    if frames[0][3] < len(der):
        faults.clear()
        note(faults, f"{what}: octets after its end")
    return frames[0]


def _outer(der: bytes, faults: list[str], what: str) -> list[Frame]:
    _, _, start, end = _outer_frame(der, faults, what)
    return children(der, start, end, faults, what, limit=8)


def _algorithm(data: bytes, frame: Frame, faults: list[str]) -> str:
    inner = children(data, frame[2], frame[3], faults, "signature algorithm", limit=4)
    return dotted(data[inner[0][2] : inner[0][3]]) if inner else ""


def _tbs_parts(data: bytes, frame: Frame, faults: list[str]) -> tuple[Frame | None, list[Frame | None], Frame | None]:
    """The serial; signature, issuer, validity, subject and key; the extensions. None for what is missing."""
    serial: Frame | None = None
    sequences: list[Frame | None] = []
    extensions: Frame | None = None
    parts = children(data, frame[2], frame[3], faults, "tbs", limit=64)
    for part in parts:
        tag = part[0]
        if tag == INTEGER and serial is None and not sequences:
            serial = part
        elif tag == SEQUENCE and len(sequences) < 5:
            sequences.append(part)
        elif tag == _EXTENSIONS and extensions is None:
            extensions = part
        elif tag != _VERSION:  # the unique identifiers, which nobody uses, are worth a fault too
            note(faults, f"tbs: an element of tag {tag:#04x} where none belongs")
    if serial is None:
        note(faults, "tbs: no serial number")
    if len(sequences) < 5:
        note(faults, "tbs: a part is missing")
        # With all of them there and few tags wrong, readers that go by the place still read the others.
        placed = parts[1:] if parts and (parts[0][0] == _VERSION or (parts[1:2] and parts[1][0] == INTEGER)) else parts
        right = sum(part[0] == tag for part, tag in zip(placed, (INTEGER, *(SEQUENCE,) * 5), strict=False))
        if len(placed) > 5 and right > 3:
            return placed[0], list(placed[1:6]), extensions
        sequences += [None] * (5 - len(sequences))
    return serial, sequences, extensions


def _read_tbs(data: bytes, frame: Frame, faults: list[str], algorithm: str) -> CertificateView:
    serial, (signature, issuer, validity, subject, key), extensions = _tbs_parts(data, frame, faults)
    found = FoundNames()
    poisoned = False
    if extensions is not None:
        poisoned = _read_extensions(data, extensions, found, faults)
    subject_text = ""
    common: tuple[str, ...] = ()
    if subject is not None:
        subject_text, common, emails = distinguished_name(data, subject[2], subject[3], faults, "subject")
        for name in common:
            add_common_name(found, name, faults)
        for email in emails:
            found.emails[email] = None
    if not algorithm and signature is not None:
        algorithm = _algorithm(data, signature, faults)
    number, number_hex = _serial(data, serial, faults)
    (not_before, not_before_text), (not_after, not_after_text) = _validity(data, validity, faults)
    return CertificateView(
        names=tuple(found.dns),
        ip_addresses=tuple(found.ips),
        emails=tuple(found.emails),
        uris=tuple(found.uris),
        common_names=common,
        subject=subject_text,
        issuer="" if issuer is None else issuer_text(data[issuer[2] : issuer[3]], faults),
        subject_der=b"" if subject is None else data[subject[1] : subject[3]],
        issuer_der=b"" if issuer is None else data[issuer[1] : issuer[3]],
        serial=number,
        serial_hex=number_hex,
        not_before=not_before,
        not_after=not_after,
        not_before_text=not_before_text,
        not_after_text=not_after_text,
        spki_sha256=None if key is None else hashlib.sha256(data[key[1] : key[3]]).digest(),
        is_precertificate=poisoned,
        signature_algorithm=algorithm,
        tbs=data[frame[1] : frame[3]],
        faults=tuple(faults),
    )


def _serial(data: bytes, frame: Frame | None, faults: list[str]) -> tuple[int | None, str]:
    if frame is None or frame[2] == frame[3]:
        return None, ""
    if frame[3] - frame[2] > _MAX_SERIAL:
        note(faults, f"tbs: a serial number of more than {_MAX_SERIAL} octets")
        return None, data[frame[2] : frame[2] + _MAX_SERIAL].hex()
    return serial_text(data[frame[2] : frame[3]])


def serial_text(content: bytes) -> tuple[int, str]:
    """The number that an INTEGER of one octet or more holds, and its hexadecimal text of whole octets."""
    number = int.from_bytes(content, "big", signed=True)
    digits = f"{abs(number):x}"
    return number, ("-" if number < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)


_Time = tuple[datetime | None, str]


def _validity(data: bytes, frame: Frame | None, faults: list[str]) -> tuple[_Time, _Time]:
    times: list[_Time] = []
    for tag, _, start, end in children(data, frame[2], frame[3], faults, "validity", limit=2) if frame else ():
        content = data[start : min(end, start + 64)]
        moment, by_the_book = read_time(tag, content)
        if not by_the_book:
            note(faults, "validity: an unreadable time" if moment is None else "validity: a time not in DER's form")
        text = "" if moment is not None else content.decode("latin-1").replace("\0", "\\00")
        times.append((moment, text))
    times += [(None, "")] * (2 - len(times))
    return times[0], times[1]


def _extension_frames(data: bytes, extensions: Frame, faults: list[str]) -> list[Frame]:
    outer = children(data, extensions[2], extensions[3], faults, "extensions", limit=1)
    return children(data, outer[0][2], outer[0][3], faults, "extensions") if outer else []


def _read_extensions(data: bytes, extensions: Frame, found: FoundNames, faults: list[str]) -> bool:
    """Add the names of subjectAltName, of each one where there are several; whether the poison is there."""
    poisoned = False
    for _, _, start, end in _extension_frames(data, extensions, faults):
        if not _is_extension(data, start, end):
            # Perhaps the one with the names: whoever looks for them should look at the octets.
            note(faults, "extension: no identifier with a value behind it")
        if data.startswith(_SUBJECT_ALT_NAME, start, end):
            _read_alternative_names(data, start + len(_SUBJECT_ALT_NAME), end, found, faults)
        elif data.startswith(_POISON, start, end):
            poisoned = True
        elif end - start > len(_SUBJECT_ALT_NAME) and data[start + 1] >= 0x80:
            # The identifier's length is in more octets than needed.
            inner = children(data, start, end, faults, "extension", limit=1)
            if inner and data[inner[0][2] : inner[0][3]] == _SUBJECT_ALT_NAME[2:]:
                _read_alternative_names(data, inner[0][3], end, found, faults)
    return poisoned


def _is_extension(data: bytes, start: int, end: int) -> bool:
    """Whether an identifier is there, and behind it what may be a criticality or a value (RFC 5280 4.1)."""
    if end - start < 3 or data[start] != OBJECT_IDENTIFIER:
        return False
    if data[start + 1] >= 0x80:  # in more octets than needed
        return True
    after = start + 2 + data[start + 1]
    return after < end and data[after] in _AFTER_IDENTIFIER


def _read_alternative_names(data: bytes, start: int, end: int, found: FoundNames, faults: list[str]) -> None:
    """Add the names of an extension, given what is behind its identifier."""
    for frame in children(data, start, end, faults, "extension"):
        if frame[0] & ~CONSTRUCTED != OCTET_STRING:
            if frame[0] != _BOOLEAN:  # the criticality
                note(faults, f"extension: an element of tag {frame[0]:#04x} where none belongs")
            continue
        at, stop, octets = frame[2], frame[3], data
        if frame[0] & CONSTRUCTED:
            octets = string_octets(data, frame, faults, "extension")
            at, stop = 0, len(octets)
        for _, _, names_at, names_end in children(octets, at, stop, faults, "names", limit=1):
            add_general_names(found, octets, names_at, names_end, faults)


def tbs_without_scts(der: bytes) -> bytes:
    """The TBSCertificate with SCT list and poison taken out, which is what a log's precertificate leaf holds.

    `der` is a certificate, a precertificate or a bare TBSCertificate; one that has neither extension comes back
    octet by octet. Issued through a precertificate signing certificate (RFC 6962 3.1), a precertificate differs from
    its final certificate in issuer and key identifier too, and does not meet it here. Raises ReadError where
    the parts cannot be told apart.
    """
    faults: list[str] = []
    frame = _outer_frame(der, faults, "certificate")
    faults.clear()
    parts = children(der, frame[2], frame[3], faults, "certificate", limit=1)
    if parts and parts[0][0] == SEQUENCE:
        frame = parts[0]
        parts = []
    faults.clear()
    parts = children(der, frame[2], frame[3], faults, "tbs", limit=64)
    extensions = next((part for part in parts if part[0] == _EXTENSIONS), None)
    if extensions is None:
        return der[frame[1] : frame[3]]
    frames = _extension_frames(der, extensions, faults)
    kept = [(at, end) for _, at, start, end in frames if not _is_ct_extension(der, start, end)]
    if len(kept) == len(frames):
        return der[frame[1] : frame[3]]
    if faults:
        raise ReadError(f"couldn't take the SCTs out of a certificate: {faults[0]}; it is left out")
    rest = wrap(SEQUENCE, b"".join(der[at:end] for at, end in kept)) if kept else b""
    content = der[frame[2] : extensions[1]] + (wrap(_EXTENSIONS, rest) if rest else b"") + der[extensions[3] : frame[3]]
    return wrap(SEQUENCE, content)


def _is_ct_extension(data: bytes, start: int, end: int) -> bool:
    return data.startswith((_SCT_LIST, _POISON), start, end)


def tbs_without_scts_sha256(der: bytes) -> bytes:
    """What a precertificate, its leaf and its final certificate have in common: SHA-256 of `tbs_without_scts`."""
    return hashlib.sha256(tbs_without_scts(der)).digest()
