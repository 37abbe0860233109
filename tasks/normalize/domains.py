"""Lists of new domains: a document of names, one a line, or a ZIP or gzip of such a file in; arrivals out. Pure.

Publishers differ in everything but the names: an encoding, comments, a header, further columns behind a comma or white
space, the host of a name server where the domain is meant (`ns1.example.com`). What is left is the registrable domain.
A list says on which day a domain was new, never at what hour: `seen_at` is the document's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from intel.config.sources import Source
from intel.errors import OversizedError, ReadError
from intel.facts import RawDocument, Reject
from intel.names import canonical_name, default_suffixes
from intel.new_domains import Arrival
from tasks.collect.inflate import expand
from tasks.normalize.lines import line_fault, line_reject, text_lines

MAX_REJECTS: Final = 100
"""Rejects of one document that are kept; behind them one says how many more there were."""
_MEMBERS: Final = ("domain-names.txt", "*domain-names*", "*.txt", "*")
"""Which file of a ZIP is the list: the first pattern that one file alone matches."""
_HEADERS: Final = frozenset({"domain", "domains", "domain_name", "domain-name", "domain name", "name"})


def read(document: RawDocument, source: Source) -> Iterator[Arrival | Reject]:
    """One arrival a name, in the order of the lines; at most `MAX_REJECTS` rejects and one for the rest.

    Locators are `line N`. Raises ReadError where the encoding is unknown or the archive cannot be read, OversizedError
    beyond the source's limits.
    """
    options = source.options
    body = _unpacked(document.body, source)
    comments = tuple(options.comment.split())
    registrable = default_suffixes().registrable
    rejects = 0
    for number, line in text_lines(body, options.encoding):
        text = line.strip()
        if not text or text.startswith(comments):
            continue
        fault = line_fault(line)
        name = ""
        if not fault:
            try:
                name = canonical_name(_first(text))
            except ReadError as error:
                if number == 1 and text.partition(",")[0].strip(' "').lower() in _HEADERS:
                    continue
                fault = str(error)
        if fault:
            rejects += 1
            if rejects <= MAX_REJECTS:
                yield line_reject(number, fault, text)
            continue
        yield Arrival(name=registrable(name), seen_at=document.as_of)
    if rejects > MAX_REJECTS:
        yield Reject(locator="", reason=f"couldn't read {rejects - MAX_REJECTS} more lines; they are counted, not kept")


def _first(text: str) -> str:
    """The name that a line begins with: without further columns, quotes, the star of a wildcard, a leading dot."""
    for mark in (",", ";", "\t", " "):
        if mark in text:
            text = text.partition(mark)[0]
    return text.strip('"').removeprefix("*").removeprefix(".")


def _unpacked(body: bytes, source: Source) -> bytes:
    limits = source.limits
    fault: ReadError | None = None
    for member in _MEMBERS:
        try:
            return expand(body, max_bytes=limits.bytes, max_expansion=limits.expansion, member=member)
        except OversizedError:
            raise
        except ReadError as error:
            fault = error
    raise fault or ReadError("couldn't read the list: it is empty; it was dropped")
