"""JSON of outside hands: bytes in, values or parts of them out, in bounded memory.

Parts are msgspec.Raw (checked syntax, not yet Python objects), so that a list of a million records is decoded one
record at a time. Depth is capped by the decoder, which stops at the interpreter's recursion limit. RFC 8259.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from intel.errors import OversizedError, ReadError

MOST_PARTS: Final = 10_000_000
"""Commas of a document; even the smallest part costs some 60 bytes once it is taken apart."""

_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_WHOLE: Final = msgspec.json.Decoder(msgspec.Raw)
_LARGEST_NUMBER: Final = 1e30
_MARK: Final = b"\xef\xbb\xbf"
# Every escape in turn, so that an escaped backslash before a `u` is passed over: surrogate pairs, then lone ones.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|[^u]|u)",
    re.DOTALL,
)


def checked(body: bytes) -> msgspec.Raw:
    """The document, if it is one JSON value. Raises ReadError with the line where it is not, OversizedError."""
    if body.count(b",") > MOST_PARTS:
        raise OversizedError(f"couldn't read JSON: more than {MOST_PARTS} values")
    clean = body.removeprefix(_MARK)
    try:
        return _whole(clean)
    except RecursionError as error:
        raise OversizedError("couldn't read JSON: nested too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReadError(f"couldn't read JSON, line {_line(clean, str(error))}: {_cause(str(error))}") from error


def _whole(clean: bytes) -> msgspec.Raw:
    """The value; once more without lone surrogates, which other writers emit (RFC 8259 8.2), where there are any."""
    try:
        return _WHOLE.decode(clean)
    except msgspec.DecodeError as error:
        if "escape" not in str(error):
            raise
        mended = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], clean)
        if mended == clean:
            raise
        return _WHOLE.decode(mended)


def shape(raw: bytes | msgspec.Raw) -> bytes:
    """The first byte of a value: `{`, `[`, `"`, ...; empty for nothing."""
    return bytes(memoryview(raw)[:1]) if isinstance(raw, msgspec.Raw) else raw.lstrip()[:1]


def members(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The members of an object; empty for anything else. Raises ReadError where it is broken."""
    return _part(_PARTS, raw) if shape(raw) == b"{" else {}


def items(raw: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """The items of an array; empty for anything else. Raises ReadError where it is broken."""
    return _part(_ITEMS, raw) if shape(raw) == b"[" else []


def value(raw: bytes | msgspec.Raw) -> Any:
    """The value as Python objects. Raises ReadError where it is broken or nested too deep."""
    try:
        return msgspec.json.decode(raw)
    except RecursionError as error:
        raise OversizedError("couldn't read JSON: nested too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReadError(f"couldn't read JSON: {_cause(str(error))}") from error


def text(found: Any, limit: int = 65_536) -> str:
    """A scalar as text, empty for anything else; no longer than `limit` characters."""
    if isinstance(found, str):
        return found[:limit].strip()
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, int | float):
        # An integer of thousands of digits is no value of any feed, and Python refuses to write it out.
        return str(found) if abs(found) < _LARGEST_NUMBER else ""
    return ""


def _part(decoder: msgspec.json.Decoder[Any], raw: bytes | msgspec.Raw) -> Any:
    try:
        return decoder.decode(raw)
    except RecursionError as error:
        raise OversizedError("couldn't read JSON: nested too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReadError(f"couldn't read JSON: {_cause(str(error))}") from error


def _line(body: bytes, message: str) -> int:
    """The line of the fault: the decoder names the byte, or the document ended too soon."""
    at = _BYTE.search(message)
    return body.count(b"\n", 0, int(at[1]) if at else len(body)) + 1


def _cause(message: str) -> str:
    return "it ends too soon" if "truncated" in message else message
