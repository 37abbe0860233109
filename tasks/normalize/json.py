"""JSON: a list of records, records somewhere inside an object, or JSON lines; facts by the source's mapping out.

Columns are dotted paths into a record (`a.b`, `a.0`, `a.*` for each value); `$key` is the key under which the record
stood, `$value` the record itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from intel.config.sources import Source
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize.decode import checked, items, members, shape, text, value
from tasks.normalize.lines import printable
from tasks.normalize.mapping import MOST_VALUES, Column, Columns, compile_mapping

_MOST_SHOWN: Final = 400

Keyed = tuple[str, Any]
"""The key under which a record stood, and the record."""
Found = tuple[str, str, msgspec.Raw | bytes]
"""The locator of a record, its key, and its bytes."""


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Facts and rejects of every record. Locators are JSON pointers (RFC 6901), or `line N` in JSON lines.

    Raises ReadError for what is neither JSON nor JSON lines, and ConfigError for a source without mapping.
    """
    read_record = compile_mapping(source, Columns(text=_text, texts=_texts, show=_show))
    for locator, key, raw in _records(document.body, source.options.records):
        try:
            record = value(raw)
        except ReadError as error:
            yield Reject(locator=locator, reason=str(error))
            continue
        yield from read_record((key, record), locator)


def _records(body: bytes, path: str) -> Iterator[Found]:
    try:
        whole = checked(body)
    except ReadError:
        if path or not _is_lines(body):
            raise
        yield from _lines(body)
        return
    found = False
    for locator, key, raw in _walk(whole, path.split(".") if path else [], "", ""):
        found = True
        if shape(raw) == b"[":
            for number, item in enumerate(items(raw)):
                yield f"{locator}/{number}", key, item
        else:
            yield locator, key, raw
    if not found:
        raise ReadError(f"couldn't read JSON: nothing stands at {path!r}; the format may have changed")


def _walk(raw: msgspec.Raw, path: Sequence[str], locator: str, key: str) -> Iterator[Found]:
    if not path:
        yield locator, key, raw
        return
    step, rest = path[0], path[1:]
    if shape(raw) == b"[" and step == "*":
        for number, item in enumerate(items(raw)):
            yield from _walk(item, rest, f"{locator}/{number}", key)
        return
    for name, member in members(raw).items():
        if step in ("*", name):
            pointer = printable(name).replace("~", "~0").replace("/", "~1")
            yield from _walk(member, rest, f"{locator}/{pointer}", name if step == "*" else key)


def _is_lines(body: bytes) -> bool:
    """Whether the first line alone is an object or array, and not the last."""
    first, newline, rest = body.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    if not newline or not rest.strip() or shape(first) not in (b"{", b"["):
        return False
    try:
        checked(first)
    except ReadError:
        return False
    return True


def _lines(body: bytes) -> Iterator[Found]:
    at, number = (3 if body.startswith(b"\xef\xbb\xbf") else 0), 0
    while at < len(body):
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        line = body[at:end].strip()
        at, number = end + 1, number + 1
        if line:
            yield f"line {number}", "", line


def _text(column: Column, optional: bool) -> Callable[[Keyed], str]:  # noqa: ARG001  a record may lack any column
    every = _texts(column, True)

    def first(keyed: Keyed) -> str:
        found = every(keyed)
        return found[0] if found else ""

    return first


def _texts(column: Column, optional: bool) -> Callable[[Keyed], Sequence[str]]:  # noqa: ARG001  as above
    name = str(column)
    if name == "$key":
        return lambda keyed: (keyed[0],) if keyed[0] else ()
    if name == "$value":
        return lambda keyed: _scalars([keyed[1]])
    steps = name.split(".")

    def every(keyed: Keyed) -> Sequence[str]:
        record = keyed[1]
        if isinstance(record, dict):
            found = record.get(name)
            if found is not None:
                return _scalars([found])
        if len(steps) == 1 and not isinstance(record, list):
            return ()
        return _scalars(_follow(record, steps))

    return every


def _follow(record: Any, steps: Sequence[str]) -> list[Any]:
    reached = [record]
    for step in steps:
        following: list[Any] = []
        for one in reached:
            if isinstance(one, dict):
                following += list(one.values()) if step == "*" else [one[step]] if step in one else []
            elif isinstance(one, list):
                # A list of objects where a path goes on means each of them, as feeds use it.
                if step == "*":
                    following += one
                elif step.isdecimal() and len(step) < 8:
                    following += one[int(step) : int(step) + 1]
                else:
                    following += [item[step] for item in one if isinstance(item, dict) and step in item]
        reached = following[: MOST_VALUES + 1]
    return reached


def _scalars(found: Sequence[Any]) -> Sequence[str]:
    """The texts of scalars and of lists of scalars; empty ones are left out."""
    texts = []
    for one in found:
        for item in one[: MOST_VALUES + 1] if isinstance(one, list) else (one,):
            said = text(item)
            if said:
                texts.append(said)
    return texts


def _show(keyed: Keyed) -> str:
    record = keyed[1]
    if isinstance(record, dict):
        record = {name: text(part, 80) for name, part in list(record.items())[:20]}
    try:
        return msgspec.json.encode(record).decode("utf-8", "replace")[:_MOST_SHOWN]
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return ""
