"""The same certificate in other encodings of BER (X.690 8.1.3, 8.7.3), which DER forbids and lenient readers take.

DER in, BER out: what it says stays the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from intel.der import CONSTRUCTED, children

_STRINGS: Final = frozenset({0x04, 0x0C, 0x13, 0x16})
_NAMES: Final = frozenset({0x81, 0x82, 0x86})
_OCTET_STRING: Final = 0x04
_WITHIN: Final = b"\x06\x03\x55\x1d\x11"  # subjectAltName, whose OCTET STRING holds DER


def indefinite(der: bytes) -> bytes:
    """Every constructed element has an indefinite length."""
    return _encoded(der, _endless, _definite)


def long_lengths(der: bytes) -> bytes:
    """Every length takes four octets."""
    return _encoded(der, _long, _long)


def in_pieces(der: bytes) -> bytes:
    """Every string, and every general name of letters, is in two pieces."""
    return _encoded(der, _definite, _halved)


BER_FORMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "indefinite": indefinite,
    "long lengths": long_lengths,
    "in pieces": in_pieces,
}

_Form = Callable[[int, bytes], bytes]


def _encoded(der: bytes, constructed: _Form, primitive: _Form) -> bytes:
    encoded = b""
    alternative_names = False
    for tag, _, start, end in children(der, 0, len(der), [], ""):
        content = der[start:end]
        if tag & CONSTRUCTED:
            encoded += constructed(tag, _encoded(content, constructed, primitive))
        elif tag == _OCTET_STRING and alternative_names:
            encoded += primitive(tag, _encoded(content, constructed, primitive))
        else:
            encoded += primitive(tag, content)
        alternative_names = alternative_names or der[start - 2 : end] == _WITHIN
    return encoded


def _definite(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _endless(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x80)) + content + b"\x00\x00"


def _long(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x84)) + len(content).to_bytes(4, "big") + content


def _halved(tag: int, content: bytes) -> bytes:
    if tag not in _STRINGS and tag not in _NAMES:
        return _definite(tag, content)
    piece = tag if tag in _STRINGS else 0x16  # the pieces of a [2] IA5String are IA5Strings
    middle = len(content) // 2
    return _definite(tag | CONSTRUCTED, _definite(piece, content[:middle]) + _definite(piece, content[middle:]))


def mixed(der: bytes, chance: random.Random) -> bytes:
    """Every element in one of the forms above, or in DER's, by chance."""

    def constructed(tag: int, content: bytes) -> bytes:
        return chance.choice((_endless, _long, _definite))(tag, content)

    def primitive(tag: int, content: bytes) -> bytes:
        return chance.choice((_long, _halved, _definite))(tag, content)

    return _encoded(der, constructed, primitive)
