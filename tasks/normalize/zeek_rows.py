"""Logs of Zeek as rows, in either of its forms: TSV with `#` headers, or JSON lines (a document is one or the other).

In: a document and the logs that are wanted. Out: for each line the wanted fields of its log, in the log's own order:
scalars as text ("" where unset), then sets and vectors as tuples of text. What a log does not have (its fields differ
between versions and packages) is unset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from intel.errors import ReadError
from intel.facts import RawDocument, Reject
from tasks.normalize.decode import text
from tasks.normalize.lines import excerpt, line_fault, line_reject, text_lines
from tasks.normalize.ndjson import decoded, json_lines, shown

MOST_VALUES: Final = 1000
"""Members of one set or vector."""
_LONGEST_VALUE: Final = 4096
_LONGEST_HEADER: Final = 65_536
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(\\))", re.ASCII)
_TOKENS: Final = re.compile(r"[a-z0-9]+")
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a log that its reader takes; a name may have others that older versions use, parted by `|`."""

    scalars: tuple[str, ...]
    vectors: tuple[str, ...] = ()


Row = list[Any]
"""`str` for each scalar, `tuple[str, ...]` for each vector."""
Found = tuple[int, str, Row]
"""Line, log, and its wanted fields."""


def read_rows(document: RawDocument, wanted: Mapping[str, Wanted]) -> Iterator[Found | Reject]:
    """The rows of the logs that are wanted; of other logs there are none, and no rejects.

    Raises ReadError for what is no log of Zeek.
    """
    head = document.body[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return _json(document, wanted) if head[:1] in (b"{", b"[") else _tsv(document, wanted)


def log_of(location: str, wanted: Mapping[str, Wanted]) -> str:
    """Which log a file is by its name: `dns.log`, `dns.10:00:00-11:00:00.log`, `site_dns.log`; "" for one not wanted.

    Raises ReadError for a file that is not even called a log.
    """
    name = location.rpartition("/")[2].lower()
    tokens: list[str] = _TOKENS.findall(name)
    if "summary" in tokens:  # of traffic, written beside conn.log
        return ""
    for token in tokens:
        if token in wanted:
            return token
    if "log" not in tokens:
        raise ReadError("couldn't tell which log of Zeek it is: neither its headers nor its name say so")
    return ""


class _Form:
    """What the headers of a TSV log have said so far."""

    def __init__(self) -> None:
        self.separator = "\t"
        self.set_separator = ","
        self.empty = "(empty)"
        self.unset = "-"
        self.path = ""
        self.fields: list[str] = []

    def hear(self, line: str) -> bool:
        """Take a line that begins with `#`. Returns whether the fields changed."""
        if len(line) > _LONGEST_HEADER:
            raise ReadError("couldn't read a header: too long")
        if line.startswith("#separator "):
            self.separator = _unescaped(line[len("#separator ") :].strip()) or "\t"
            return False
        key, *values = line.split(self.separator)
        value = _unescaped(values[0]) if values else ""
        if key == "#set_separator":
            self.set_separator = value or ","
        elif key == "#empty_field":
            self.empty = value
        elif key == "#unset_field":
            self.unset = value
        elif key == "#path":
            self.path = value
        elif key == "#fields":
            self.fields = values
            return True
        return False


def _tsv(document: RawDocument, wanted: Mapping[str, Wanted]) -> Iterator[Found | Reject]:
    form = _Form()
    path = ""
    pick: Callable[[list[str]], Row] | None = None
    for number, line in text_lines(document.body, "utf-8"):
        said = line.rstrip("\r\n")
        if not said or said.isspace():
            continue
        if said.startswith("#"):
            try:
                changed = form.hear(said)
            except ReadError as error:
                yield line_reject(number, str(error), "")
                if said.startswith("#fields"):
                    pick = None  # what follows is not of the fields before
                continue
            if changed:
                path = form.path or log_of(document.location, wanted)
                pick = _picker(form, wanted[path]) if path in wanted else None
            continue
        if not form.fields:
            raise ReadError(
                "couldn't read a log of Zeek: no #fields before its first line; the format may have changed"
            )
        if pick is None:
            continue
        fault = line_fault(line)
        cells = said.split(form.separator)
        if fault or len(cells) != len(form.fields):
            reason = f"couldn't read a line: {len(cells)} columns where the log has {len(form.fields)}"
            yield line_reject(number, fault or reason, said)
            continue
        yield number, path, pick(cells)


def _picker(form: _Form, wanted: Wanted) -> Callable[[list[str]], Row]:
    def place(names: str) -> int:
        return next((form.fields.index(name) for name in names.split("|") if name in form.fields), -1)

    scalars = [place(name) for name in wanted.scalars]
    vectors = [place(name) for name in wanted.vectors]
    unset, empty, between = form.unset, form.empty, form.set_separator
    nothing: tuple[str, ...] = ()

    def pick(cells: list[str]) -> Row:
        row: Row = []
        for at in scalars:
            cell: str = cells[at] if at >= 0 else ""
            if cell in (unset, empty):
                cell = ""
            elif "\\" in cell:
                cell = _unescaped(cell)
            row.append(cell[:_LONGEST_VALUE])
        for at in vectors:
            cell = cells[at] if at >= 0 else ""
            if cell in ("", unset, empty):
                row.append(nothing)
                continue
            parts = cell.split(between, MOST_VALUES)[:MOST_VALUES]
            row.append(tuple([_unescaped(part[:_LONGEST_VALUE]) for part in parts if part != unset]))
        return row

    return pick


def _unescaped(said: str) -> str:
    r"""Without Zeek's escapes (`\x2c`), whose octets are UTF-8 together."""
    if "\\" not in said:
        return said
    octets = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "\\", said)
    if octets.isascii():
        return octets
    try:
        return octets.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:  # the log is in UTF-8 already
        return octets


def _json(document: RawDocument, wanted: Mapping[str, Wanted]) -> Iterator[Found | Reject]:
    by_name: str | None = None
    pickers = {name: _json_picker(one) for name, one in wanted.items()}
    for number, locator, line in json_lines(document.body):
        try:
            record = decoded(_OBJECT, line)
        except ReadError as error:
            yield Reject(locator=locator, reason=str(error), excerpt=excerpt(shown(line)))
            continue
        path = record.get("_path")
        if not isinstance(path, str):
            by_name = log_of(document.location, wanted) if by_name is None else by_name
            path = by_name
        if path in pickers:
            yield number, path, pickers[path](record)


def _json_picker(wanted: Wanted) -> Callable[[dict[str, Any]], Row]:
    scalars = [_ways(names) for names in wanted.scalars]
    vectors = [_ways(names) for names in wanted.vectors]

    def pick(record: dict[str, Any]) -> Row:
        row: Row = [text(_follow(record, ways), _LONGEST_VALUE) for ways in scalars]
        for ways in vectors:
            found = _follow(record, ways)
            members = found[:MOST_VALUES] if isinstance(found, list) else (found,)
            row.append(tuple(said for one in members if (said := text(one, _LONGEST_VALUE))))
        return row

    return pick


def _ways(names: str) -> list[tuple[str, tuple[str, ...]]]:
    """How a field may be written: `id.orig_h` flat, as objects within one another, or `id_orig_h`."""
    ways: list[tuple[str, tuple[str, ...]]] = []
    for name in names.split("|"):
        ways.append((name, ()))
        if "." in name:
            head, *rest = name.split(".")
            ways += [(head, tuple(rest)), (name.replace(".", "_"), ())]
    return ways


def _follow(record: dict[str, Any], ways: list[tuple[str, tuple[str, ...]]]) -> Any:
    for key, rest in ways:
        found = record.get(key)
        for step in rest:
            found = found.get(step) if isinstance(found, dict) else None
        if found is not None:
            return found
    return None
