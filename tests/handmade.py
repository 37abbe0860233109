"""Certificates put together by hand, so that any part of one may be wrong."""

from __future__ import annotations

from collections.abc import Callable

from intel.der import wrap

SAN = bytes.fromhex("0603551d11")


def oid(text: str) -> bytes:
    return wrap(0x06, bytes.fromhex(text))


def name(common_name: bytes, tag: int = 0x0C) -> bytes:
    return wrap(0x30, wrap(0x31, wrap(0x30, oid("550403") + wrap(tag, common_name))))


def extension(identifier: bytes, value: bytes, critical: bytes = b"") -> bytes:
    return wrap(0x30, identifier + critical + wrap(0x04, value))


def san(*general: bytes) -> bytes:
    return extension(SAN, wrap(0x30, b"".join(general)))


def dns(content: bytes) -> bytes:
    return wrap(0x82, content)


ALGORITHM = wrap(0x30, oid("2a8648ce3d040302"))
KEY = wrap(0x30, wrap(0x30, oid("2a8648ce3d0201") + oid("2a8648ce3d030107")) + wrap(0x03, b"\x00\x04" + bytes(64)))
GOOD_NAME = dns(b"www.example.com")


def certificate(
    *,
    version: bytes = b"\xa0\x03\x02\x01\x02",
    serial: bytes = b"\x02\x01\x05",
    issuer: bytes = name(b"Lab"),
    validity: bytes = wrap(0x30, wrap(0x17, b"260101000000Z") + wrap(0x17, b"260401000000Z")),
    subject: bytes = name(b"www.example.com"),
    key: bytes = KEY,
    extensions: bytes = san(GOOD_NAME),
    tail: bytes = ALGORITHM + wrap(0x03, b"\x00" + bytes(8)),
    after: bytes = b"",
) -> bytes:
    listed = wrap(0xA3, wrap(0x30, extensions)) if extensions else b""
    tbs = wrap(0x30, version + serial + ALGORITHM + issuer + validity + subject + key + listed)
    return wrap(0x30, tbs + tail) + after


# Sixteen megabytes at most: what a log's u24 can carry.
_MOST = (1 << 24) - 4096


def _nested(header: bytes, octets: int) -> bytes:
    return header * (octets // len(header))


def _nested_pieces(octets: int) -> bytes:
    """An OCTET STRING in pieces, in pieces again, of empty pieces."""
    content = b"\x04\x00" * (octets // 2)
    for _ in range(6):
        content = wrap(0x24, content)
    return content


def _a_million_names() -> bytes:
    """As many as are read are different, and the others come again."""
    return b"".join(dns(b"%05d.example" % at) for at in range(70_000)) * 14


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a million names": lambda: certificate(extensions=san(_a_million_names())),
    "eight million empty names": lambda: certificate(extensions=san(b"\x82\x00" * (_MOST // 2))),
    "names full of NUL": lambda: certificate(extensions=san(dns(b"a\x00" * 2047) * (_MOST // 4098))),
    "names full of NUL and of letters outside of ASCII": lambda: certificate(
        extensions=san(dns(b"\xe4\x00" * 2047) * (_MOST // 4098))
    ),
    "names of a hundred labels": lambda: certificate(
        extensions=san(b"".join(dns(b"%05d." % at + b"a." * 122 + b"example") for at in range(60_000)))
    ),
    "names outside of ASCII": lambda: certificate(
        extensions=san(b"".join(dns(b"%05d" % at + b"\xe4." * 120 + b"example") for at in range(60_000)))
    ),
    "a thousand lists of names": lambda: certificate(extensions=san(b"\x82\x01a" * 5_300) * 1_020),
    "five million extensions": lambda: certificate(extensions=b"\x30\x00" * (_MOST // 2)),
    "a subject of millions": lambda: certificate(subject=wrap(0x30, b"\x31\x00" * (_MOST // 2))),
    "a set of millions": lambda: certificate(subject=wrap(0x30, wrap(0x31, b"\x30\x00" * (_MOST // 2)))),
    "a common name of megabytes": lambda: certificate(subject=name(b"a." * (_MOST // 2))),
    "a serial number of megabytes": lambda: certificate(serial=wrap(0x02, b"\x7f" * _MOST)),
    "an issuer of megabytes": lambda: certificate(issuer=name(b"x" * _MOST)),
    "indefinite lengths, eight million deep": lambda: b"\x30\x80" * (_MOST // 2),
    "indefinite lengths within a certificate": lambda: certificate(extensions=_nested(b"\x30\x80", _MOST)),
    "a quarter of a megabyte of indefinite lengths": lambda: certificate(extensions=_nested(b"\x30\x80", 1 << 18)),
    "lengths in four octets, millions deep": lambda: _nested(b"\x30\x84\x00\xff\x00\x00", _MOST),
    "names in millions of pieces": lambda: certificate(
        extensions=wrap(0x30, SAN + wrap(0x04, wrap(0x30, wrap(0xA2, _nested_pieces(_MOST)))))
    ),
    "a list of names in millions of pieces": lambda: certificate(
        extensions=wrap(0x30, SAN + wrap(0x24, _nested_pieces(_MOST)))
    ),
    "no certificate but names": lambda: b"".join(b"%05d.example\n" % at for at in range(80_000)) * 14,
    "no certificate but one letter": lambda: b"a" * _MOST,
    "no certificate but dots": lambda: b"a." * (_MOST // 2),
    "no certificate but wide letters": lambda: b"\x00a\x00." * (_MOST // 4),
    "no certificate but nothing": lambda: bytes(_MOST),
    "no certificate but lengths": lambda: b"\x82\x7f" * (_MOST // 2),
    "no certificate but short runs": lambda: b"a.bc\x82" * (_MOST // 5),
}
"""Certificates made to cost time or memory, by what is wrong with them."""


MALFORMED = {
    "non-ascii name": certificate(extensions=san(dns(b"b\xfccher.example"), GOOD_NAME)),
    "key usage padding": certificate(extensions=extension(oid("551d0f"), b"\x03\x02\x00\xa1") + san(GOOD_NAME)),
    "duplicate extension": certificate(extensions=san(dns(b"first.example")) + san(GOOD_NAME)),
    "boolean of 0x01": certificate(extensions=extension(SAN, wrap(0x30, GOOD_NAME), b"\x01\x01\x01")),
    "bad time": certificate(validity=wrap(0x30, wrap(0x17, b"26010100000") + wrap(0x17, b"260401000000Z"))),
    "version 5": certificate(version=b"\xa0\x03\x02\x01\x05"),
    "octets after": certificate(after=b"\x00"),
    "unknown curve": certificate(key=wrap(0x30, wrap(0x30, oid("2a8648ce3d0201") + oid("2b060104")) + b"\x03\x01\x00")),
    "negative serial": certificate(serial=b"\x02\x01\xff"),
    "no signature": certificate(tail=b""),
    "cut short": certificate()[:-20],
    "no serial": certificate(serial=b""),
    "serial of 300 octets": certificate(serial=wrap(0x02, b"\x01" * 300)),
    "empty validity": certificate(validity=b"\x30\x00"),
    "length in four octets": certificate(extensions=extension(SAN, b"\x30\x84\x00\x00\x00\x11" + GOOD_NAME)),
    "length past the end": certificate(extensions=extension(SAN, b"\x30\x7f" + GOOD_NAME)),
    "indefinite length": certificate(extensions=extension(SAN, b"\x30\x80" + GOOD_NAME)),
    "identifier's length in two octets": certificate(
        extensions=extension(b"\x06\x81\x03\x55\x1d\x11", wrap(0x30, GOOD_NAME))
    ),
    "wrong tag of the signature": certificate().replace(ALGORITHM, b"\x10" + ALGORITHM[1:], 1),
    "wrong tag of the version": certificate(version=b"\x80\x03\x02\x01\x02"),
    "unknown string type": certificate(subject=name(b"www.example.com", 0x1B), extensions=b""),
}
"""Certificates that say www.example.com, each malformed in a way of its own (X.690, RFC 5280 4.1)."""
