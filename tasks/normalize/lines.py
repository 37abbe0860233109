"""Lines of text documents, and what rejects quote of them.

In: the bytes of a document and the encoding that its source's entry names. Out: numbered lines. Bytes that the encoding
does not know become U+FFFD, so that they cost the line they stand in and no other.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import Final

from intel.errors import ReadError
from intel.facts import MAX_EXCERPT, Reject

REPLACED: Final = "\N{REPLACEMENT CHARACTER}"
LONGEST_LINE: Final = 1_048_576
"""Characters; a longer line is no record of a list or table."""

# The mark of UTF-32 LE begins with that of UTF-16 LE, so it is looked for first.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_MAILBOX: Final = re.compile(r"[^\s@,;\"'<>|]{1,64}@")


def text_lines(body: bytes, encoding: str) -> Iterator[tuple[int, str]]:
    """Numbered lines (from 1), each with its end, in bounded memory; a byte-order mark decides before `encoding`.

    Lines end at LF, CRLF or CR. Raises ReadError where the encoding is unknown.
    """
    marked = next((name for mark, name in _MARKS if body.startswith(mark)), encoding)
    try:
        return enumerate(io.TextIOWrapper(io.BytesIO(body), encoding=marked, errors="replace"), 1)
    except LookupError as error:
        raise ReadError(f"couldn't read lines: no text encoding is called {encoding!r}; correct the source") from error


def line_fault(line: str) -> str:
    """Why a line cannot be a record, empty where it can."""
    if REPLACED in line:
        return "couldn't read a line: bytes that its encoding does not know"
    if len(line) > LONGEST_LINE:
        return f"couldn't read a line: longer than {LONGEST_LINE} characters"
    return ""


def printable(text: str, limit: int = MAX_EXCERPT) -> str:
    """The beginning of `text` without what PostgreSQL cannot store or a terminal obeys."""
    return _UNPRINTABLE.sub(" ", text[:limit])


def excerpt(text: str) -> str:
    """The beginning of `text`, storable, with the people in e-mail addresses masked."""
    return _MAILBOX.sub("*@", printable(text).strip())


def line_reject(number: int, reason: str, line: str) -> Reject:
    """A line that was not made a fact."""
    return Reject(locator=f"line {number}", reason=reason, excerpt=excerpt(line))
