"""Names inside certificates: distinguished names and general names (RFC 5280 4.1.2.4, 4.2.1.6).

Bytes in, text out, whatever they hold. A dNSName may be anything in practice: a URL, two names with a NUL between
them, an address, letters in an unknown encoding. Every reading that a careless client might accept is given, so that
the owner of a name hears of it.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

import idna

from intel.der import CONSTRUCTED, OBJECT_IDENTIFIER, children, dotted, note, string_octets

MAX_NAME_TEXT: Final = 1024  # characters of a distinguished name's text
MAX_VALUE: Final = 4096  # octets of one name, e-mail or URI
MAX_NAMES: Final = 65_536  # names of one certificate
_MAX_ATTRIBUTES: Final = 256  # of one distinguished name
_MAX_CONVERTED: Final = 256  # names of one certificate that are put into A-labels, at up to 1 ms each

_CACHED_NAME: Final = 1024  # octets; longer ones would let a stranger fill the memory
_PLAIN: Final = re.compile(rb"[A-Za-z0-9_*.-]+")
_COMMON_NAME: Final = bytes.fromhex("550403")
_EMAIL_ADDRESS: Final = bytes.fromhex("2a864886f70d010901")
# RFC 4514 section 3; other types are written as their dotted identifier.
_KEYWORDS: Final = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550409"): "STREET",
    bytes.fromhex("0992268993f22c640119"): "DC",
    bytes.fromhex("0992268993f22c640101"): "UID",
}
_ENCODINGS: Final = {0x1C: "utf-32-be", 0x1E: "utf-16-be", 0x14: "latin-1"}  # Universal, BMP and T61 strings
# UTF8, Numeric, Printable, Videotex, IA5, Graphic, Visible and General strings.
_STRINGS: Final = frozenset({0x0C, 0x12, 0x13, 0x15, 0x16, 0x19, 0x1A, 0x1B})
_IN_PIECES: Final = frozenset(tag | CONSTRUCTED for tag in (*_STRINGS, *_ENCODINGS))
_GENERAL_IN_PIECES: Final = frozenset({0xA1, 0xA2, 0xA6, 0xA7})
_GENERAL_WITHOUT_HOST: Final = frozenset({0xA0, 0xA3, 0xA4, 0xA5, 0x88})
_ESCAPED: Final = re.compile(r'[,+"\\<>;]')


class FoundNames:
    """What a certificate names, in order and each once; filled while it is read."""

    __slots__ = ("converted", "dns", "emails", "general", "ips", "read", "uris")

    def __init__(self) -> None:
        self.dns: dict[str, None] = {}
        self.ips: dict[str, None] = {}
        self.emails: dict[str, None] = {}
        self.uris: dict[str, None] = {}
        self.converted = 0
        self.general = 0
        self.read = 0


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _without_nul(text: str) -> str:
    # PostgreSQL's text cannot hold a NUL, and it must not vanish silently either.
    return text.replace("\0", "\\00") if "\0" in text else text


def _attribute_text(tag: int, content: bytes) -> str:
    encoding = _ENCODINGS.get(tag)
    if encoding is not None:
        return content.decode(encoding, "replace")
    return _text(content) if tag in _STRINGS else "#" + content.hex()


def _escape(value: str) -> str:
    """RFC 4514 2.4."""
    text = _ESCAPED.sub(r"\\\g<0>", value).replace("\0", "\\00")
    if text[:1] in {"#", " "} and text:
        text = "\\" + text
    if text.endswith(" ") and len(text) > 1:
        text = text[:-1] + "\\ "
    return text


def distinguished_name(
    data: bytes, start: int, end: int, faults: list[str], what: str
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """A Name's text (RFC 4514, cut at 1,024 characters), its common names and its e-mail addresses."""
    relative: list[str] = []
    common: list[str] = []
    emails: list[str] = []
    left = _MAX_ATTRIBUTES
    for _, _, set_start, set_end in children(data, start, end, faults, what, limit=_MAX_ATTRIBUTES):
        parts: list[str] = []
        attributes = children(data, set_start, set_end, faults, what, limit=_MAX_ATTRIBUTES)
        if len(attributes) > left:
            note(faults, f"{what}: more than {_MAX_ATTRIBUTES} elements")
        for _, _, inner, stop in attributes[:left]:
            left -= 1
            pair = children(data, inner, stop, faults, what, limit=2)
            if len(pair) < 2 or pair[0][0] != OBJECT_IDENTIFIER:
                note(faults, f"{what}: an attribute without type or value")
                continue
            oid = data[pair[0][2] : pair[0][3]]
            tag = pair[1][0]
            content = string_octets(data, pair[1], faults, what) if tag in _IN_PIECES else data[pair[1][2] : pair[1][3]]
            if len(content) > MAX_VALUE:
                note(faults, f"{what}: a value of more than {MAX_VALUE} octets, cut")
                content = content[:MAX_VALUE]
            value = _attribute_text(tag & ~CONSTRUCTED if tag in _IN_PIECES else tag, content)
            if oid == _COMMON_NAME:
                common.append(value)
            elif oid == _EMAIL_ADDRESS:
                emails.append(_without_nul(value))
            parts.append(f"{_KEYWORDS.get(oid) or dotted(oid) or '?'}={_escape(value)}")
        relative.append("+".join(parts))
    relative.reverse()  # RFC 4514 2.1: the last comes first
    text = ",".join(relative)
    if len(text) > MAX_NAME_TEXT:
        note(faults, f"{what}: text of more than {MAX_NAME_TEXT} characters, cut")
        text = text[: MAX_NAME_TEXT - 1] + "…"
    return text, tuple(common), tuple(emails)


@lru_cache(maxsize=4096)
def _cached_issuer(content: bytes) -> tuple[str, tuple[str, ...]]:
    faults: list[str] = []
    text, _, _ = distinguished_name(content, 0, len(content), faults, "issuer")
    return text, tuple(faults)


def issuer_text(content: bytes, faults: list[str]) -> str:
    """The text of an issuer's Name, given its content; few issuers make most certificates, so it is remembered."""
    if len(content) > _CACHED_NAME:
        return distinguished_name(content, 0, len(content), faults, "issuer")[0]
    text, found = _cached_issuer(content)
    for fault in found:
        note(faults, fault)
    return text


def add_dns_name(found: FoundNames, content: bytes, faults: list[str]) -> None:
    """Add what a dNSName may mean."""
    if len(found.dns) >= MAX_NAMES:
        note(faults, f"names: more than {MAX_NAMES}, the others left out")
    elif _PLAIN.fullmatch(content) is not None and len(content) <= MAX_VALUE:
        _add(found, content.decode("ascii"))
    elif len(content) > MAX_VALUE:
        note(faults, f"names: one of more than {MAX_VALUE} octets, left out")
    else:
        note(faults, "names: one with characters that a name cannot have" if content else "names: an empty one")
        _add_readings(found, [content.decode("latin-1"), _text(content)], faults)


def add_common_name(found: FoundNames, text: str, faults: list[str]) -> None:
    """Add a common name where it can be a name or an address: no spaces, and a dot or a colon."""
    if " " in text.strip() or ("." not in text and ":" not in text) or len(text) > MAX_VALUE:
        return
    _add_readings(found, [text], faults)


def _add_readings(found: FoundNames, texts: list[str], faults: list[str]) -> None:
    for text in dict.fromkeys(texts):
        parts = text.split("\0")  # clients in C stopped at the first NUL
        left = MAX_NAMES - found.read
        if len(parts) > left:
            note(faults, f"names: more than {MAX_NAMES} readings, the others left out")
        found.read += len(parts)
        for part in parts[:left]:
            bare = part.strip()
            lowered = bare.lower()
            for scheme in ("http://", "https://"):
                if lowered.startswith(scheme):
                    bare = bare[len(scheme) :]
            host = bare.partition("/")[0]
            name, colon, port = host.partition(":")
            _add(found, name if colon and port.isdecimal() else host)


def _add(found: FoundNames, text: str) -> None:
    name = text.lower().strip(".")
    if not name or len(found.dns) >= MAX_NAMES:
        return
    if name[-1].isdigit() or ":" in name:
        try:
            found.ips[str(ipaddress.ip_address(name))] = None
        except ValueError:
            pass
        else:
            return
    if not name.isascii() and found.converted < _MAX_CONVERTED:
        found.converted += 1
        name = _a_labels(name)
    found.dns[name] = None


def _a_labels(name: str) -> str:
    """The name in A-labels (RFC 5890) where that can be done, otherwise as it is."""
    star = "*." if name.startswith("*.") else ""
    if len(name) > 253:
        return name
    try:
        return star + idna.encode(name[len(star) :], uts46=True, std3_rules=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return name


def add_general_names(found: FoundNames, data: bytes, start: int, end: int, faults: list[str]) -> None:
    """Add the GeneralNames (RFC 5280 4.2.1.6) in data[start:end]. Kinds without host or mailbox are passed over."""
    frames = children(data, start, end, faults, "names", limit=MAX_NAMES - found.general)
    found.general += len(frames)
    for frame in frames:
        tag = frame[0]
        if tag in _GENERAL_IN_PIECES:
            tag &= ~CONSTRUCTED
            content = string_octets(data, frame, faults, "names")
        else:
            content = data[frame[2] : frame[3]]
        if tag == 0x82:
            add_dns_name(found, content, faults)
        elif tag == 0x87:
            if len(content) in {4, 16}:
                found.ips[str(ipaddress.ip_address(content))] = None
            else:
                note(faults, "names: an address of neither 4 nor 16 octets")
        elif tag in {0x81, 0x86}:
            if len(content) > MAX_VALUE:
                note(faults, f"names: one of more than {MAX_VALUE} octets, cut")
            text = _without_nul(_text(content[:MAX_VALUE]))
            if text:
                (found.emails if tag == 0x81 else found.uris)[text] = None
        elif tag not in _GENERAL_WITHOUT_HOST:
            note(faults, f"names: one of tag {tag:#04x}, of which there are none")
