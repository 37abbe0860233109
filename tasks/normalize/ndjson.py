"""Lines of JSON: the bytes of a document in, its numbered lines out, or all items of one JSON array.

Each line is decoded by who wants it, so that a broken or over-long one costs itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from intel.errors import OversizedError, ReadError
from tasks.normalize.decode import checked, items
from tasks.normalize.lines import LONGEST_LINE

_MARK = b"\xef\xbb\xbf"

Line = tuple[int, str, bytes | msgspec.Raw]
"""Number from 1, locator, and the JSON."""


def json_lines(body: bytes) -> Iterator[Line]:
    """The lines that are not blank; of a document that is one array its items, with JSON pointers as locators.

    Raises ReadError for a document that begins as an array and is none.
    """
    start = len(_MARK) if body.startswith(_MARK) else 0
    if body[start : start + 64].lstrip()[:1] == b"[":
        for number, item in enumerate(items(checked(body))):
            yield number + 1, f"/{number}", item
        return
    at, number = start, 0
    while at < len(body):
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        line = body[at:end].strip()
        at, number = end + 1, number + 1
        if line:
            yield number, f"line {number}", line


def decoded(decoder: msgspec.json.Decoder[Any], line: bytes | msgspec.Raw) -> Any:
    """One line's value. Raises ReadError where it is broken, of another form, nested too deep or too long."""
    if isinstance(line, bytes) and len(line) > LONGEST_LINE:
        raise OversizedError(f"couldn't read a line: longer than {LONGEST_LINE} bytes")
    try:
        return decoder.decode(line)
    except RecursionError as error:
        raise OversizedError("couldn't read JSON: nested too deep") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReadError(f"couldn't read JSON: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """What is wrong, never with what stood there: msgspec names the place and the types."""
    return "bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def shown(line: bytes | msgspec.Raw) -> str:
    """The beginning of a line, for a reject's excerpt; nothing of a mailbox that is written as a name (SOA)."""
    text = bytes(memoryview(line)[:400]).decode("utf-8", "replace")
    return "" if "soa" in text.lower() else text
