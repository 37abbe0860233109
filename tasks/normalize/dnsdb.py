r"""Passive DNS as CSV, the way DNSDB exports it: facts out (`dns_records` says which).

Columns are found by their names: rrname, rrtype, rdata; and, where they are there, time_first, time_last,
zone_time_first, zone_time_last, count, bailiwick. Times are seconds since 1970 or `YYYY-MM-DD HH:MM:SS` (UTC). Quotes
within a value are written `\"`, not doubled as RFC 4180 has it; both are read. Locators are `line N`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from intel.config.sources import Source
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize.dns_records import Record, read_records
from tasks.normalize.lines import line_fault, line_reject, text_lines
from tasks.normalize.pdns import seen_times, type_name
from tasks.normalize.sightings import Window

_NEEDED: Final = ("rrname", "rrtype", "rdata")
_ALL: Final = (
    *_NEEDED,
    *("time_first", "time_last", "zone_time_first", "zone_time_last", "count", "bailiwick"),
)
# A quoted value takes what it can and gives nothing back; its alternatives begin with different characters, but for
# the end and a doubled quote, and two quotes are never an end.
_VALUE: Final = re.compile(r'(?:"((?:[^"\\]|\\.|"")*+)"|([^",]*+))(,|$)', re.DOTALL)
_MOST_COLUMNS: Final = 64


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Facts and rejects of every row. Raises ReadError for a document without the columns of a record."""
    return read_records(_records(document, source.options.encoding))


def _records(document: RawDocument, encoding: str) -> Iterator[Record | Reject]:
    window = Window(document.as_of)
    header: list[str] = []
    places: list[int] = []
    for number, line in text_lines(document.body, encoding):
        text = line.strip()
        if not text:
            continue
        try:
            row = _row(line, text)
            if not header:
                header = [name.strip().lower() for name in row]
                places = _places(header)
            elif row[0].lower() == header[0] and [name.strip().lower() for name in row] == header:
                continue  # files that were joined
            else:
                yield _record(_wanted(row, places, len(header)), window, number)
        except ReadError as error:
            if not places:
                raise
            yield line_reject(number, str(error), "" if "soa" in text[:2000].lower() else text)


def _places(header: list[str]) -> list[int]:
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise ReadError(f"couldn't read a table: it has no column {', '.join(missing)}; the format may have changed")
    return [header.index(name) if name in header else -1 for name in _ALL]


def _wanted(row: list[str], places: list[int], width: int) -> list[str]:
    """The columns of a record, in the order of `_ALL`. Raises ReadError for a row that is not of the table."""
    if len(row) != width:
        raise ReadError(f"couldn't read a row: {len(row)} columns where the table has {width}")
    return [row[at] if at >= 0 else "" for at in places]


def _row(line: str, text: str) -> list[str]:
    """The values of a line, whose text is stripped. Raises ReadError where a quote does not close."""
    fault = line_fault(line)
    if fault:
        raise ReadError(fault)
    if '"' not in text:
        return text.split(",", _MOST_COLUMNS)
    found: list[str] = []
    at = 0
    while len(found) < _MOST_COLUMNS:
        value = _VALUE.match(text, at)
        if value is None:
            raise ReadError("couldn't read a row: a quote that does not close, or text behind one")
        quoted = value[1]
        found.append(value[2] if quoted is None else quoted.replace('""', '"').replace('\\"', '"'))
        at = value.end()
        if not value[3]:
            return found
    raise ReadError(f"couldn't read a row: more than {_MOST_COLUMNS} columns")


def _record(row: Sequence[str], window: Window, number: int) -> Record:
    rrname, rrtype, rdata, first, last, zone_first, zone_last, count, bailiwick = row
    if not rrname or not rrtype or not rdata:
        raise ReadError("couldn't read a record: without rrname, rrtype or rdata")
    return Record(
        rrname=rrname,
        rrtype=type_name(rrtype),
        rdata=(rdata,),
        times=window.span(first, last) + window.span(zone_first, zone_last),
        group=bailiwick,
        locator=f"line {number}{seen_times(count)}",
    )
