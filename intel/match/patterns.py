"""The canonical text of watched patterns: what a person wrote in, what the matchers compare out.

What would match a large part of all certificates is refused here, when a watch is read, rather than noticed when the
findings come.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import idna

from intel.errors import ReadError
from intel.match.hits import By
from intel.match.texts import MIN_LITERAL
from intel.match.words import MAX_WORD
from intel.names import canonical_name, default_suffixes

MIN_KEYWORD: Final = 3
"""Letters and digits of a keyword."""
MIN_BRAND: Final = 3
"""Letters and digits of a single label whose lookalikes are looked for."""
MAX_PATTERN: Final = 256
_EVERYWHERE: Final = frozenset(
    ("www", "com", "net", "org", "edu", "gov", "mil", "info", "biz", "xn-", "xn--", "mail", "cpanel", "webmail")
)
"""Parts of so many names that looking for them says nothing."""
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SERIAL: Final = re.compile(r"([0-9a-f]{64})/(-?)([0-9a-f]{1,128})")
_ATTRIBUTE: Final = re.compile(r"(^|[,+*?])(?:[a-z]{1,6}|[0-9.]{3,60})=")
_WILDCARDS: Final = re.compile(r"[*?]+")


def pattern(kind: By, text: str) -> str:
    """The one form of a pattern of this kind.

    LOOKALIKE: a registrable domain, or a label of at least three letters. KEYWORD: a part of a name, of at least three
    letters. ISSUER, SUBJECT: a distinguished name's text (RFC 4514) with `*` for any characters and `?` for one.
    SERIAL: SHA-256 of the issuer's DER, a slash, the serial number, hexadecimal. Raises ReadError for what is not one,
    and for what is too broad.
    """
    read = _READERS.get(kind)
    if read is None:
        raise ReadError(f"couldn't read a pattern: there are none of the kind {kind.value}")
    return read(unicodedata.normalize("NFC", text.strip().lower()))


def _lookalike(text: str) -> str:
    if "." not in text.removesuffix("."):
        return _brand(text.removesuffix("."))
    name = canonical_name(text)
    registrable = default_suffixes().registrable(name)
    if registrable != name:
        raise ReadError(f"couldn't read a lookalike: {name} stands below {registrable}; watch that one")
    label = name.partition(".")[0]
    # A suffix may be somebody's zone (a hosting firm's, on the list's private part); `co.uk` and `com.br` are nobody's.
    if default_suffixes().is_suffix(name) and (len(label) < MIN_BRAND or label in _EVERYWHERE):
        raise ReadError(f"couldn't read a lookalike: {name} is a public suffix; name what is below it")
    return name


def _brand(text: str) -> str:
    label = text
    if not text.isascii():
        try:
            label = idna.encode(text, uts46=True, std3_rules=False).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise ReadError("couldn't read a lookalike: not an internationalised label (RFC 5891)") from error
    if _LABEL.fullmatch(label) is None:
        raise ReadError("couldn't read a lookalike: neither a domain nor a label of letters, digits and hyphens")
    if len(label) - label.count("-") < MIN_BRAND:
        raise ReadError(f"couldn't read a lookalike: a label of fewer than {MIN_BRAND} letters; name the whole domain")
    return label


def _keyword(text: str) -> str:
    if not all(mark.isalnum() or mark in "-._" for mark in text):
        raise ReadError("couldn't read a keyword: it has characters that no name has")
    if sum(mark.isalnum() for mark in text) < MIN_KEYWORD:
        raise ReadError(f"couldn't read a keyword: fewer than {MIN_KEYWORD} letters would match too much")
    if len(text) > MAX_WORD:
        raise ReadError(f"couldn't read a keyword: more than {MAX_WORD} characters")
    if text.strip(".") in _EVERYWHERE:
        raise ReadError(f"couldn't read a keyword: {text} stands in a large part of all names")
    return text


def _distinguished(text: str) -> str:
    if not text.isprintable():
        raise ReadError("couldn't read a pattern: it has control characters")
    if len(text) > MAX_PATTERN:
        raise ReadError(f"couldn't read a pattern: more than {MAX_PATTERN} characters")
    # The attributes' types stand in every name, so they do not make a pattern narrower.
    bare = _ATTRIBUTE.sub(r"\1,", text)
    if not any(sum(mark.isalnum() for mark in part) >= MIN_LITERAL for part in _WILDCARDS.split(bare)):
        raise ReadError(
            f"couldn't read a pattern: it needs {MIN_LITERAL} letters in a row without a wildcard, attribute types "
            "not counted; anything less matches too much"
        )
    return re.sub(r"\*+", "*", text)


def _serial(text: str) -> str:
    found = _SERIAL.fullmatch(text.replace(":", "").replace(" ", ""))
    if found is None:
        raise ReadError("couldn't read a serial: not the SHA-256 of the issuer's DER, a slash and hexadecimal digits")
    digits = f"{int(found[3], 16):x}"
    return f"{found[1]}/{found[2]}{digits.zfill(len(digits) + len(digits) % 2)}"


_READERS: Final = {
    By.LOOKALIKE: _lookalike,
    By.KEYWORD: _keyword,
    By.ISSUER: _distinguished,
    By.SUBJECT: _distinguished,
    By.SERIAL: _serial,
}
