"""Tables of separated values (RFC 4180, and what feeds make of it): rows in, facts by the source's mapping out.

Lines are cut here rather than by the csv module, which would take everything behind an unbalanced quote for one field:
a row that goes over several lines must close within `MOST_LINES` and fit the table's width, or its first line is a
reject and reading goes on at the next.
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

from intel.config.sources import Options, Source
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize.lines import line_fault, line_reject, text_lines
from tasks.normalize.mapping import Column, Columns, compile_mapping

MOST_LINES: Final = 64
"""Lines of one row."""
_LARGEST_ROW: Final = 262_144
_SAMPLE: Final = 32
"""Rows of a table without header that decide how wide it is."""

Row = list[str]
Numbered = tuple[int, Row]


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Facts and rejects of every row; locators are `line N`, where a row begins.

    Raises ReadError for a document without a header or a column that the mapping needs, ConfigError for a source
    without mapping.
    """
    options = source.options
    table = _Table(document.body, options)
    rows = table.rows()
    names: Row = []
    if options.header:
        for first in rows:
            if isinstance(first, Reject):
                yield first
                continue
            names = [name.strip() for name in first[1]]
            table.width = len(names)
            break
        else:
            return
    else:
        sample = list(islice(rows, _SAMPLE))
        widths = Counter(len(item[1]) for item in sample if not isinstance(item, Reject))
        table.width = widths.most_common(1)[0][0] if widths else 0
        rows = chain(sample, rows)
    read_record = compile_mapping(source, _columns(names, table.width, options))
    for item in rows:
        if isinstance(item, Reject):
            yield item
            continue
        number, row = item
        if len(row) != table.width:
            reason = f"couldn't read a row: {len(row)} columns where the table has {table.width}"
            yield line_reject(number, reason, options.delimiter.join(row))
            continue
        yield from read_record(row, f"line {number}")


def _columns(names: Sequence[str], width: int, options: Options) -> Columns[Row]:
    def place(column: Column, *, optional: bool) -> int | None:
        if isinstance(column, str) and column in names:
            return names.index(column)
        if (isinstance(column, int) or (not names and column.isdecimal())) and 0 <= int(column) < width:
            return int(column)
        if optional:
            return None
        raise ReadError(f"couldn't read a table: it has no column {column!r}; the format may have changed")

    def text(column: Column, optional: bool) -> Callable[[Row], str]:
        at = place(column, optional=optional)
        return (lambda _row: "") if at is None else (lambda row: row[at].strip())

    def texts(column: Column, optional: bool) -> Callable[[Row], Sequence[str]]:
        one = text(column, optional)
        return lambda row: (value,) if (value := one(row)) else ()

    return Columns(text=text, texts=texts, show=options.delimiter.join)


class _Table:
    """Cuts a document into rows. `width`, once known, is what a row over several lines must have."""

    def __init__(self, body: bytes, options: Options) -> None:
        self.width = 0
        self._lines = text_lines(body, options.encoding)
        self._ahead: deque[tuple[int, str]] = deque()
        self._comments = tuple(options.comment.split())
        self._delimiter = options.delimiter
        self._quote = options.quote

    def rows(self) -> Iterator[Numbered | Reject]:
        """Rows with the number of their first line; blank lines and comments are left out."""
        delimiter, quote, comments, ahead = self._delimiter, self._quote, self._comments, self._ahead
        while True:
            if ahead:
                number, line = ahead.popleft()
            else:
                try:
                    number, line = next(self._lines)
                except StopIteration:
                    return
            if line.lstrip().startswith(comments) or line.isspace():
                continue
            fault = line_fault(line) or ("couldn't read a line: NUL in it" if "\0" in line else "")
            if fault:
                yield line_reject(number, fault, line)
            elif quote and quote in line:
                try:
                    yield number, self._quoted(line)
                except csv.Error as error:
                    yield line_reject(number, f"couldn't read a row: {error}", line)
            else:
                yield number, line.rstrip("\n").split(delimiter)

    def _parse(self, text: str, *, strict: bool) -> Row:
        row: Row = next(
            csv.reader(
                (text,),
                delimiter=self._delimiter,
                quotechar=self._quote,
                skipinitialspace=True,
                strict=strict,
            )
        )
        return row

    def _quoted(self, line: str) -> Row:
        """The row that begins with `line`. Raises csv.Error where quotes do not close."""
        if line.count(self._quote) % 2 == 0:
            return self._parse(line, strict=False)
        try:
            return self._parse(line, strict=True)
        except csv.Error as error:
            if "unexpected end" not in str(error):
                raise
        return self._joined(line)

    def _joined(self, line: str) -> Row:
        """A row over several lines; the lines are taken only where the whole fits the table."""
        text, taken = line, 0
        while taken < MOST_LINES and len(text) < _LARGEST_ROW:
            if taken == len(self._ahead):
                following = next(self._lines, None)
                if following is None:
                    break
                self._ahead.append(following)
            following_line = self._ahead[taken][1]
            if line_fault(following_line):
                break
            text += following_line
            taken += 1
            if following_line.count(self._quote) % 2 == 0:
                continue
            row = self._parse(text, strict=True)
            if self.width and len(row) != self.width:
                break
            for _ in range(taken):
                self._ahead.popleft()
            return row
        raise csv.Error(f"a quote does not close within {MOST_LINES} lines and the table's width")
